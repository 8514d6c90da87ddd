"""Messages of the OpenAI shape in Ollama's."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from ollama._types import Message
from tests.dialects.saying import say

from penstock.conversations.attachments import ImageFile
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.messages import AssistantMessage, ToolMessage, UserMessage
from penstock.response import ToolCall

PIXEL = "iVBORw0KGgo="
HTTPS = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def image(url: str) -> dict[str, Any]:
    """A user's message that is one image."""
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def call(id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    """A tool call."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def sdks(wire: dict[str, Any]) -> dict[str, Any]:
    """The message as the SDK would send it, whose images are objects until then."""
    images = [{"value": image} for image in wire.get("images", ())]
    given = {**wire, "images": images} if images else wire
    return Message.model_validate(given).model_dump(exclude_none=True)


def without_ids(wire: dict[str, Any]) -> dict[str, Any]:
    """The message without what the SDK 0.6 does not know: ids of calls, and what we pass on."""
    known = {name: value for name, value in wire.items() if name not in ("tool_call_id", "x_new")}
    calls = [{"function": each["function"]} for each in known.get("tool_calls", ())]
    return {**known, "tool_calls": calls} if calls else known


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"role": "user", "content": "a"}, {"role": "user", "content": "a"}),
    "developer": ({"role": "developer", "content": "a"}, {"role": "system", "content": "a"}),
    "parts": (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "a\nb"},
    ),
    "data image": (
        image(f"data:image/png;base64,{PIXEL}"),
        {"role": "user", "content": "", "images": [PIXEL]},
    ),
    "data image in percent": (
        image("data:image/svg+xml,%3Csvg/%3E"),
        {"role": "user", "content": "", "images": ["PHN2Zy8+"]},
    ),
    "bare image": (image(PIXEL), {"role": "user", "content": "", "images": [PIXEL]}),
    "own images": (
        {"role": "user", "content": "a", "images": [PIXEL]},
        {"role": "user", "content": "a", "images": [PIXEL]},
    ),
    "own thinking": (
        {"role": "assistant", "content": "a", "thinking": "t"},
        {"role": "assistant", "content": "a", "thinking": "t"},
    ),
    "reasoning content": (
        {"role": "assistant", "content": "a", "reasoning_content": "t"},
        {"role": "assistant", "content": "a", "thinking": "t"},
    ),
    "refusal": (
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": "No."},
    ),
    "calls": (
        {"role": "assistant", "content": None, "tool_calls": [call("1", "a", '{"n": 1.50}')]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "function": {"name": "a", "arguments": {"n": 1.5}}}],
        },
    ),
    "empty arguments": (
        {"role": "assistant", "content": "x", "tool_calls": [call("1", "a", "")]},
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "1", "function": {"name": "a", "arguments": {}}}],
        },
    ),
    "custom call": (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "a", "input": "x"}}],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "function": {"name": "a", "arguments": {"input": "x"}}}],
        },
    ),
    "function call": (
        {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_a", "function": {"name": "a", "arguments": {}}}],
        },
    ),
    "function result": (
        {"role": "function", "name": "a", "content": "1"},
        {"role": "tool", "content": "1", "tool_name": "a", "tool_call_id": "call_a"},
    ),
    "unknown field": (
        {"role": "user", "content": "a", "x_new": 1},
        {"role": "user", "content": "a", "x_new": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_in_ollamas_words(name: str) -> None:
    """Nothing is lost, so that a strict request takes it, and the SDK's type does."""
    given, wire = CASES[name]
    said = say("ollama", [given], strict=True)

    assert [wire] == said.messages
    assert without_ids(wire) == sdks(wire)


def test_a_result_is_found_by_its_tools_name() -> None:
    """OpenAI's shape has the name in the call only; each turn's results find their own."""
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call("1", "a"), call("2", "b")]},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": None, "tool_calls": [call("1", "c")]},
        {"role": "tool", "tool_call_id": "1", "content": "three"},
    ]
    results = [m for m in say("ollama", messages).messages if m["role"] == "tool"]

    assert [("b", "2"), ("a", "1"), ("c", "1")] == [
        (result["tool_name"], result["tool_call_id"]) for result in results
    ]
    assert ["two", "one", "three"] == [result["content"] for result in results]


def test_attachments_are_sent_as_their_bytes() -> None:
    """A file is no address: its base64 stands in the list."""
    message = {"role": "user", "content": [ImageFile(b64decode(PIXEL), media_type="image/png")]}

    assert [{"role": "user", "content": "", "images": [PIXEL]}] == say(
        "ollama", [message], strict=True
    ).messages


def test_typed_messages_say_themselves() -> None:
    """They mix with dicts, from any source."""
    calls = (ToolCall("1", "a", "{}"),)

    def conversation() -> Iterator[Any]:
        yield UserMessage("x")
        yield AssistantMessage(tool_calls=calls)
        yield ToolMessage(content="r", tool_call_id="1")

    said = say("ollama", conversation)

    assert ["user", "assistant", "tool"] == [message["role"] for message in said.messages]
    assert "a" == said.messages[2]["tool_name"]


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "image by address": ({"role": "user", "content": [HTTPS]}, "content[0]"),
    "audio": (
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
        },
        "content[0]",
    ),
    "file": (
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
        "content[0]",
    ),
    "name": ({"role": "user", "content": "a", "name": "Ada"}, "name"),
    "error": ({"role": "tool", "tool_call_id": "1", "content": "a", "is_error": True}, "is_error"),
    "details": (
        {"role": "assistant", "content": "a", "reasoning_details": [{"type": "x"}]},
        "reasoning_details",
    ),
    "foreign state": (
        {
            "role": "assistant",
            "content": "a",
            "provider_state": {"dialect": "cohere", "origin": "o"},
        },
        "provider_state",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_said_is_reported(name: str) -> None:
    """It is on ``dropped`` by its path; a strict request is refused."""
    given, path = LOST[name]

    assert [f"messages[1].{path}"] == say(
        "ollama", [{"role": "user", "content": "x"}, given]
    ).dropped
    with pytest.raises(UnsupportedFeatureError, match="ollama cannot say"):
        say("ollama", [given], strict=True)


def test_thinking_goes_back_to_where_it_is_from() -> None:
    """A reply's message has it as state, and the next turn as ``thinking``."""
    state = {"dialect": "ollama", "origin": "https://api.example.com", "reasoning_content": "t"}
    message = {"role": "assistant", "content": "a", "provider_state": state}

    assert [{"role": "assistant", "content": "a", "thinking": "t"}] == say(
        "ollama", [message], strict=True
    ).messages


MALFORMED: dict[str, tuple[Any, str]] = {
    "number": (5, r"messages\[0\]"),
    "no role": ({"content": "a"}, "needs a role"),
    "content": ({"role": "user", "content": 5}, r"messages\[0\].content"),
    "part": ({"role": "user", "content": [{"text": "a"}]}, r"content\[0\]"),
    "text": ({"role": "user", "content": [{"type": "text"}]}, r"content\[0\].text"),
    "image": ({"role": "user", "content": [{"type": "image_url"}]}, r"content\[0\].image_url"),
    "calls": ({"role": "assistant", "tool_calls": {"a": 1}}, "tool_calls"),
    "nameless": ({"role": "assistant", "tool_calls": [{"id": "1"}]}, r"tool_calls\[0\]"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_message_is_an_error(name: str) -> None:
    """It names the place."""
    given, path = MALFORMED[name]

    with pytest.raises(EncodeError, match=path):
        say("ollama", [given])
