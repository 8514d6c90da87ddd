"""Messages of the OpenAI shape in Mistral's, held to the SDK's types."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import pytest
from mistralai.client.models import ChatCompletionStreamRequest
from tests.dialects.saying import say

from penstock.conversations.attachments import DocumentFile, ImageFile
from penstock.errors import EncodeError, UnsupportedFeatureError

ORIGIN = "https://api.example.com"
IMAGE = {"type": "image_url", "image_url": {"url": "https://e.com/a.png", "detail": "low"}}
PDF = "data:application/pdf;base64,JVBERi0="


def call(id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    """A tool call."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def text(said: str) -> dict[str, Any]:
    """A chunk of text."""
    return {"type": "text", "text": said}


def think(said: str, **more: Any) -> dict[str, Any]:
    """A chunk of thinking."""
    return {"type": "thinking", "thinking": [text(said)], **more}


def state(**kept: Any) -> dict[str, Any]:
    """What a reply's message has of this deployment."""
    return {"dialect": "mistral", "origin": ORIGIN, **kept}


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of parts."""
    return {"role": "user", "content": list(parts)}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"role": "user", "content": "a"}, {"role": "user", "content": "a"}),
    "developer": ({"role": "developer", "content": "a"}, {"role": "system", "content": "a"}),
    "parts": (user(text("a"), IMAGE), user(text("a"), IMAGE)),
    "sound": (
        user({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}),
        user({"type": "input_audio", "input_audio": "UklG"}),
    ),
    "sound at an address": (
        user({"type": "audio_url", "audio_url": {"url": "https://e.com/a.mp3"}}),
        user({"type": "input_audio", "input_audio": "https://e.com/a.mp3"}),
    ),
    "upload": (
        user({"type": "file", "file": {"file_id": "f1"}}),
        user({"type": "file", "file_id": "f1"}),
    ),
    "file": (
        user({"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}),
        user({"type": "document_url", "document_url": PDF, "document_name": "a.pdf"}),
    ),
    "document of the seeds": (
        user({"type": "document", "document": {"data": "JVBERi0="}}),
        user({"type": "document_url", "document_url": PDF}),
    ),
    "document by address": (
        user({"type": "document", "document": {"data": "https://e.com/a.pdf", "name": "a"}}),
        user({"type": "document_url", "document_url": "https://e.com/a.pdf", "document_name": "a"}),
    ),
    "own chunks": (
        user(
            {"type": "document_url", "document_url": "https://e.com/a.pdf"},
            {"type": "image_url", "image_url": "https://e.com/a.png"},
            {"type": "input_audio", "input_audio": "UklG"},
            {"type": "file", "file_id": "f1"},
            {"type": "reference", "reference_ids": [1]},
        ),
        user(
            {"type": "document_url", "document_url": "https://e.com/a.pdf"},
            {"type": "image_url", "image_url": "https://e.com/a.png"},
            {"type": "input_audio", "input_audio": "UklG"},
            {"type": "file", "file_id": "f1"},
            {"type": "reference", "reference_ids": [1]},
        ),
    ),
    "prefix": (
        {"role": "assistant", "content": "It", "prefix": True},
        {"role": "assistant", "content": "It", "prefix": True},
    ),
    "calls": (
        {"role": "assistant", "content": None, "tool_calls": [call("a1B2c3D4e", "a", '{"n": 1}')]},
        {"role": "assistant", "content": "", "tool_calls": [call("a1B2c3D4e", "a", '{"n": 1}')]},
    ),
    "result": (
        {"role": "tool", "tool_call_id": "a1B2c3D4e", "name": "a", "content": [text("x")]},
        {"role": "tool", "tool_call_id": "a1B2c3D4e", "name": "a", "content": [text("x")]},
    ),
    "refusal": (
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": "No."},
    ),
    "refusal part": (
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": [text("No.")]},
    ),
    "thinking of another": (
        {"role": "assistant", "content": "a", "reasoning_content": "t"},
        {"role": "assistant", "content": [think("t"), text("a")]},
    ),
    "own thinking": (
        {"role": "assistant", "content": [think("t", signature="s", closed=True), text("a")]},
        {"role": "assistant", "content": [think("t", signature="s", closed=True), text("a")]},
    ),
    "system thinking": (
        {"role": "system", "content": [text("a"), think("t")]},
        {"role": "system", "content": [text("a"), think("t")]},
    ),
    "blocks": (
        {
            "role": "assistant",
            "content": "One. Two.",
            "provider_state": state(
                reasoning_content="Hm.Hm again.",
                blocks=[
                    {"kind": "thinking", "size": 3},
                    {"kind": "thinking", "size": 0, "signature": "s1"},
                    {"kind": "text", "size": 5},
                    {"kind": "thinking", "size": 9},
                    {
                        "kind": "thinking",
                        "size": 0,
                        "others": [{"type": "reference", "reference_ids": [1]}],
                        "signature": "s2",
                    },
                    {
                        "kind": "part",
                        "size": 0,
                        "part": {"type": "reference", "reference_ids": [2]},
                    },
                    {"kind": "text", "size": 4},
                ],
            ),
        },
        {
            "role": "assistant",
            "content": [
                think("Hm.", signature="s1"),
                text("One. "),
                {
                    "type": "thinking",
                    "thinking": [text("Hm again."), {"type": "reference", "reference_ids": [1]}],
                    "signature": "s2",
                },
                {"type": "reference", "reference_ids": [2]},
                text("Two."),
            ],
        },
    ),
    "edited": (
        {
            "role": "assistant",
            "content": "Quite another.",
            "provider_state": state(
                reasoning_content="Hm.",
                blocks=[
                    {"kind": "thinking", "size": 3, "signature": "s1"},
                    {"kind": "text", "size": 4},
                ],
            ),
        },
        {"role": "assistant", "content": [think("Hm."), text("Quite another.")]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_in_mistrals_words(name: str) -> None:
    """Nothing is lost, so that a strict request takes it, and the SDK's type does."""
    given, wire = CASES[name]
    said = say("mistral", [given], strict=True)

    assert [wire] == said.messages
    ChatCompletionStreamRequest.model_validate(said.body, extra="forbid")


IDS = ["call_0fypS1hVX", "toolu_01A09q90qw90lq917835lq9", "turn1_0", "", "12345678é"]


@pytest.mark.parametrize("id", IDS)
def test_ids_are_nine_letters_and_digits(id: str) -> None:
    """The same in call and result, however another vendor makes its own."""
    messages = [
        {"role": "assistant", "content": "", "tool_calls": [call(id, "a"), call(id + "x", "b")]},
        {"role": "tool", "tool_call_id": id, "content": "1"},
        {"role": "tool", "tool_call_id": id + "x", "content": "2"},
    ]
    asked, *results = say("mistral", messages, strict=True).messages
    made = [each["id"] for each in asked["tool_calls"]]

    assert made == [result["tool_call_id"] for result in results]
    assert 2 == len(set(made))
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in made)


def test_a_function_call_finds_its_result() -> None:
    """The deprecated shape has no ids; both sides get the same."""
    messages = [
        {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}},
        {"role": "function", "name": "a", "content": "1"},
    ]
    asked, result = say("mistral", messages, strict=True).messages

    assert asked["tool_calls"][0]["id"] == result["tool_call_id"]
    assert "a" == result["name"]


def test_attachments_are_addresses_of_their_bytes() -> None:
    """Files are said as ``data:`` URLs, made while they are sent."""
    image = ImageFile(b64decode("iVBORw0KGgo="), media_type="image/png")
    document = DocumentFile(b"%PDF-", media_type="application/pdf", filename="a.pdf")
    said = say("mistral", [user(image, document)], strict=True)

    assert (
        user(
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            {"type": "document_url", "document_url": PDF, "document_name": "a.pdf"},
        )
        == said.messages[0]
    )


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "system image": ({"role": "system", "content": [IMAGE]}, "content[0]"),
    "film": (
        user({"type": "video_url", "video_url": {"url": "https://e.com/a.mp4"}}),
        "content[0]",
    ),
    "cache control": (
        user({**text("a"), "cache_control": {"type": "ephemeral"}}),
        "content[0].cache_control",
    ),
    "name": ({"role": "user", "content": "a", "name": "Ada"}, "name"),
    "error": (
        {"role": "tool", "tool_call_id": "a1B2c3D4e", "content": "a", "is_error": True},
        "is_error",
    ),
    "foreign state": (
        {"role": "assistant", "content": "a", "provider_state": {"dialect": "x", "origin": ORIGIN}},
        "provider_state",
    ),
    "other origin": (
        {
            "role": "assistant",
            "content": "a",
            "provider_state": {"dialect": "mistral", "origin": "https://elsewhere.example"},
        },
        "provider_state",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_said_is_reported(name: str) -> None:
    """It is on ``dropped`` by its path; a strict request is refused."""
    given, path = LOST[name]
    said = say("mistral", [{"role": "user", "content": "x"}, given])

    assert [f"messages[1].{path}"] == said.dropped
    ChatCompletionStreamRequest.model_validate(said.body, extra="forbid")
    with pytest.raises(UnsupportedFeatureError, match="mistral cannot say"):
        say("mistral", [given], strict=True)


MALFORMED: dict[str, tuple[Any, str]] = {
    "content": ({"role": "user", "content": 5}, r"messages\[0\].content"),
    "result": ({"role": "tool", "content": "a"}, "tool_call_id"),
    "image": (user({"type": "image_url"}), r"content\[0\].image_url"),
    "file": (user({"type": "file", "file": {}}), r"content\[0\].file"),
    "document": (user({"type": "document"}), r"content\[0\].document.data"),
    "nameless": ({"role": "assistant", "tool_calls": [{"id": "1"}]}, r"tool_calls\[0\]"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_message_is_an_error(name: str) -> None:
    """It names the place."""
    given, path = MALFORMED[name]

    with pytest.raises(EncodeError, match=path):
        say("mistral", [given])
