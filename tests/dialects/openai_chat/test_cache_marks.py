"""Anthropic's marks for a cache in OpenAI's shape: sent to whoever documents them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.dialects import dialect
from penstock.encoders import encode_json
from penstock.errors import UnsupportedFeatureError
from penstock.fields import Raw
from penstock.interfaces import Quirks, Target
from penstock.providers.catalogue import find_row
from penstock.request import ChatRequest

MARK = {"cache_control": {"type": "ephemeral"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BARE: list[Any] = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "r"},
]
MARKED: list[Any] = [
    {**BARE[0], **MARK},
    {"role": "user", "content": [BARE[1]["content"][0], {**BARE[1]["content"][1], **MARK}]},
    {**BARE[2], "tool_calls": [{**CALL, **MARK}]},
    BARE[3],
]
PLACES = [
    "messages[0].cache_control",
    "messages[1].content[1].cache_control",
    "messages[2].tool_calls[0].cache_control",
    "tools[0].cache_control",
]


def said(messages: Any, quirks: Quirks, *, strict: bool = False) -> tuple[Any, list[str]]:
    """The body of `messages` and one marked tool, and what is not in it."""
    target = Target(
        deployment="d",
        provider="p",
        model="m",
        base_url="https://api.example.com",
        origin="https://api.example.com",
        quirks=quirks,
    )
    request = ChatRequest(model="m", messages=messages, tools=({**TOOL, **MARK},), strict=strict)
    dropped: list[str] = []
    fields = dialect("openai_chat").encode(request, target, dropped=dropped).fields
    return json.loads(b"".join(encode_json(dict(fields)))), dropped


def quirks_of(provider: str) -> Quirks:
    """What the catalogue says of `provider`."""
    row = find_row(provider)
    assert row is not None
    return row.quirks_of("m")


@pytest.mark.parametrize("provider", ["openai", "groq", "cerebras", "fireworks_ai", "azure_v1"])
def test_marks_are_left_out_where_nobody_documents_them(provider: str) -> None:
    """A conversation that was marked for Anthropic goes on at a provider that refuses the field."""
    body, dropped = said(MARKED, quirks_of(provider))

    assert (BARE, [TOOL]) == (body["messages"], body["tools"])
    assert PLACES == sorted(dropped)


def test_a_conversation_that_is_json_already_is_opened_for_them() -> None:
    """A line of a file is the same as the message that it has."""
    lines = [Raw(json.dumps(each).encode()) for each in MARKED]
    body, dropped = said(lines, quirks_of("openai"))

    assert BARE == body["messages"]
    assert PLACES == sorted(dropped)


@pytest.mark.parametrize("messages", [[each] for each in MARKED[:3]] + ["q"], ids=PLACES)
def test_a_strict_request_keeps_its_marks(messages: Any) -> None:
    """It is refused where one would be lost."""
    with pytest.raises(UnsupportedFeatureError, match="cache_control"):
        said(messages, quirks_of("groq"), strict=True)


@pytest.mark.parametrize("provider", ["openrouter", "dashscope", "litellm_proxy", "openai_like"])
def test_marks_go_where_they_are_documented(provider: str) -> None:
    """Gateways to Claude and DashScope take them in OpenAI's shape."""
    body, dropped = said(MARKED, quirks_of(provider), strict=True)

    assert (MARKED, [{**TOOL, **MARK}]) == (body["messages"], body["tools"])
    assert [] == dropped


def test_marks_go_to_whom_nobody_knows() -> None:
    """Of an address without a row nothing is known: its own fields pass through."""
    body, dropped = said(MARKED, Quirks(), strict=True)

    assert MARKED == body["messages"]
    assert [] == dropped
