"""Marks for a cache, where a vendor has none: they are left out and reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.saying import say

from penstock.errors import UnsupportedFeatureError

MARK = {"cache_control": {"type": "ephemeral"}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}, **MARK}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **MARK}
MESSAGES = [
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "r"},
]
PLACES = ["messages[1].tool_calls[0].cache_control", "tools[0].cache_control"]


NAMES = ["mistral", "cohere", "ollama", "gemini", "openai_responses", "watsonx"]


@pytest.mark.parametrize("name", NAMES)
def test_a_mark_of_a_call_or_tool_is_left_out(name: str) -> None:
    """Mistral refuses fields that it does not know; a fallback to it has to go on."""
    said = say(name, MESSAGES, tools=TOOLS)

    assert PLACES == sorted(said.dropped)
    assert "cache_control" not in json.dumps(said.body)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("messages", "tools"), [(MESSAGES, []), ("q", TOOLS)], ids=PLACES)
def test_a_strict_request_keeps_its_marks(name: str, messages: Any, tools: Any) -> None:
    """It is refused where one would be lost."""
    with pytest.raises(UnsupportedFeatureError, match="cache_control"):
        say(name, messages, tools=tools, strict=True)


def test_a_mark_of_a_call_is_a_point_behind_it_at_bedrock() -> None:
    """Converse has the point as a block of its own, and takes it behind a call."""
    second = {**CALL, "id": "2", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    bare = {name: each for name, each in CALL.items() if name != "cache_control"}
    messages = [
        MESSAGES[0],
        {"role": "assistant", "tool_calls": [{**bare, "id": "0"}, CALL, second]},
    ]
    said = say("bedrock_converse", messages, tools=TOOLS, strict=True)

    called = next(turn for turn in said.messages if turn["role"] == "assistant")
    assert [
        ("toolUse", None),
        ("toolUse", None),
        ("cachePoint", {"type": "default"}),
        ("toolUse", None),
        ("cachePoint", {"type": "default", "ttl": "1h"}),
    ] == [(next(iter(each)), each.get("cachePoint")) for each in called["content"]]


def test_what_stands_beside_a_function_is_the_tools_own_in_the_responses() -> None:
    """Chat has an inner object, the Responses have none: nothing beside it is lost."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}, "defer_loading": True}
    said = say("openai_responses", "q", tools=[tool], strict=True)

    expected = {"type": "function", "strict": False, "name": "f", "parameters": {}}
    assert [{**expected, "defer_loading": True}] == said.body["tools"]
