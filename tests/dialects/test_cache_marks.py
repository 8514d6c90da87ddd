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


@pytest.mark.parametrize("name", ["mistral", "cohere", "ollama", "gemini"])
def test_a_mark_of_a_call_or_tool_is_left_out(name: str) -> None:
    """Mistral refuses fields that it does not know; a fallback to it has to go on."""
    said = say(name, MESSAGES, tools=TOOLS)

    assert PLACES == sorted(said.dropped)
    assert "cache_control" not in json.dumps(said.body)


@pytest.mark.parametrize("name", ["mistral", "cohere", "ollama", "gemini"])
@pytest.mark.parametrize(("messages", "tools"), [(MESSAGES, []), ("q", TOOLS)], ids=PLACES)
def test_a_strict_request_keeps_its_marks(name: str, messages: Any, tools: Any) -> None:
    """It is refused where one would be lost."""
    with pytest.raises(UnsupportedFeatureError, match="cache_control"):
        say(name, messages, tools=tools, strict=True)
