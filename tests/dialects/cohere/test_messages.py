"""Messages of the OpenAI shape in Cohere's, and answers on their way back."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from cohere.types import (
    AssistantChatMessageV2,
    SystemChatMessageV2,
    ToolChatMessageV2,
    UserChatMessageV2,
)
from pydantic import BaseModel
from tests.dialects.saying import say

from penstock.conversations.attachments import ImageFile
from penstock.errors import EncodeError, UnsupportedFeatureError

ORIGIN = "https://api.example.com"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
KINDS: dict[str, type[BaseModel]] = {
    "system": SystemChatMessageV2,
    "user": UserChatMessageV2,
    "assistant": AssistantChatMessageV2,
    "tool": ToolChatMessageV2,
}


def call(id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    """A tool call."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def text(said: str) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "text": said}


def state(**kept: Any) -> dict[str, Any]:
    """What a reply's message has of this deployment."""
    return {"dialect": "cohere", "origin": ORIGIN, **kept}


DOCUMENT = {"type": "document", "document": {"data": {"text": "x"}, "id": "1"}}
CITATION = {"start": 0, "end": 1, "text": "a", "sources": [{"type": "tool", "id": "t"}]}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"role": "user", "content": "a"}, {"role": "user", "content": "a"}),
    "developer": ({"role": "developer", "content": "a"}, {"role": "system", "content": "a"}),
    "parts": (
        {"role": "user", "content": [text("a"), IMAGE]},
        {"role": "user", "content": [text("a"), IMAGE]},
    ),
    "image as text": (
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://e.com/a.png"}]},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}],
        },
    ),
    "calls": (
        {"role": "assistant", "content": None, "tool_calls": [call("1", "a", '{"n": 1}')]},
        {"role": "assistant", "tool_calls": [call("1", "a", '{"n": 1}')]},
    ),
    "text before calls": (
        {"role": "assistant", "content": "I will.", "tool_calls": [call("1", "a")]},
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": [call("1", "a")]},
    ),
    "own plan": (
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": [call("1", "a")]},
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": [call("1", "a")]},
    ),
    "function call": (
        {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}},
        {"role": "assistant", "tool_calls": [call("call_a", "a")]},
    ),
    "function result": (
        {"role": "function", "name": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "call_a", "content": "1"},
    ),
    "result": (
        {"role": "tool", "tool_call_id": "1", "content": [text("a"), DOCUMENT]},
        {"role": "tool", "tool_call_id": "1", "content": [text("a"), DOCUMENT]},
    ),
    "refusal": (
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": "No."},
    ),
    "thinking of another": (
        {"role": "assistant", "content": "a", "reasoning_content": "t"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, text("a")]},
    ),
    "own content": (
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, text("a")]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, text("a")]},
    ),
    "blocks": (
        {
            "role": "assistant",
            "content": "Well. Yes.",
            "tool_calls": [call("1", "a")],
            "provider_state": state(
                reasoning_content="Hm.I plan.",
                blocks=[
                    {"kind": "text", "size": 6},
                    {"kind": "thinking", "size": 3},
                    {"kind": "plan", "size": 7},
                    {"kind": "text", "size": 4},
                ],
                citations=[CITATION],
            ),
        },
        {
            "role": "assistant",
            "content": [text("Well. "), {"type": "thinking", "thinking": "Hm."}, text("Yes.")],
            "tool_plan": "I plan.",
            "citations": [CITATION],
            "tool_calls": [call("1", "a")],
        },
    ),
    "edited": (
        {
            "role": "assistant",
            "content": "Quite another.",
            "provider_state": state(
                reasoning_content="Hm.",
                blocks=[{"kind": "thinking", "size": 3}, {"kind": "text", "size": 4}],
                citations=[CITATION],
            ),
        },
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, text("Quite another.")],
        },
    ),
    "unknown field": (
        {"role": "user", "content": "a", "x_new": 1},
        {"role": "user", "content": "a", "x_new": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_in_coheres_words(name: str) -> None:
    """Nothing is lost, so that a strict request takes it, and the SDK's type does."""
    given, wire = CASES[name]
    said = say("cohere", [given], strict=True)

    assert [wire] == said.messages
    kind = KINDS[wire["role"]]
    kind.model_validate(wire)
    assert wire.keys() - {"x_new"} <= kind.model_fields.keys()


def test_attachments_are_addresses_of_their_bytes() -> None:
    """A file is said as a ``data:`` URL, made while it is sent."""
    image = ImageFile(b64decode("iVBORw0KGgo="), media_type="image/png")

    assert [{"role": "user", "content": [IMAGE]}] == say(
        "cohere", [{"role": "user", "content": [image]}], strict=True
    ).messages


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "system image": ({"role": "system", "content": [IMAGE]}, "content[0]"),
    "audio": (
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]},
        "content[0]",
    ),
    "file": (
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
        "content[0]",
    ),
    "document of the seeds": (
        {
            "role": "user",
            "content": [{"type": "document", "document": {"data": "JVBE", "media_type": "a/b"}}],
        },
        "content[0]",
    ),
    "tool's image": ({"role": "tool", "tool_call_id": "1", "content": [IMAGE]}, "content[0]"),
    "cache control": (
        {"role": "user", "content": [{**text("a"), "cache_control": {"type": "ephemeral"}}]},
        "content[0].cache_control",
    ),
    "name": ({"role": "user", "content": "a", "name": "Ada"}, "name"),
    "error": ({"role": "tool", "tool_call_id": "1", "content": "a", "is_error": True}, "is_error"),
    "foreign state": (
        {"role": "assistant", "content": "a", "provider_state": {"dialect": "x", "origin": ORIGIN}},
        "provider_state",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_said_is_reported(name: str) -> None:
    """It is on ``dropped`` by its path; a strict request is refused."""
    given, path = LOST[name]
    said = say("cohere", [{"role": "user", "content": "x"}, given])

    assert [f"messages[1].{path}"] == said.dropped
    with pytest.raises(UnsupportedFeatureError, match="cohere cannot say"):
        say("cohere", [given], strict=True)


MALFORMED: dict[str, tuple[Any, str]] = {
    "content": ({"role": "user", "content": 5}, r"messages\[0\].content"),
    "result": ({"role": "tool", "content": "a"}, "tool_call_id"),
    "image": ({"role": "user", "content": [{"type": "image_url"}]}, r"content\[0\].image_url"),
    "nameless": ({"role": "assistant", "tool_calls": [{"id": "1"}]}, r"tool_calls\[0\]"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_message_is_an_error(name: str) -> None:
    """It names the place."""
    given, path = MALFORMED[name]

    with pytest.raises(EncodeError, match=path):
        say("cohere", [given])
