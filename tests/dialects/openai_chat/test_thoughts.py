"""What a provider wants back of its thinking is in the next request to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.chunks import ProviderEvent, ReasoningDelta, State, TextDelta
from penstock.dialects.openai_chat import OpenAIChat
from penstock.encoders import encode_json
from penstock.interfaces import CallRecord, Target
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.request import ChatRequest

ORIGIN = "https://x.test"


def read(*deltas: dict[str, Any]) -> list[Any]:
    """The chunks of a stream of these deltas, without its meta and finish."""
    answer = OpenAIChat().answer(
        ChatRequest(model="m", messages="x"), "application/x-ndjson", Limits(), origin=ORIGIN
    )
    chunks: list[Any] = []
    for delta in deltas:
        event = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        answer.feed([json.dumps(event).encode()], chunks)
    return chunks[1:]


def given_back(chunks: list[Any]) -> dict[str, Any]:
    """The message of an answer of `chunks`, as it goes out with the next request."""
    fold = Fold()
    fold.add(chunks)
    return as_sent(fold.reply(CallRecord(dialect="openai_chat", origin=ORIGIN)).message)


def as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """A message as it goes out."""
    target = Target(deployment="d", provider="p", model="m", base_url=ORIGIN, origin=ORIGIN)
    request = ChatRequest(model="m", messages=[message], strict=True)
    outgoing = OpenAIChat().encode(request, target, dropped=[])
    found = json.loads(b"".join(encode_json(outgoing.fields)))["messages"][0]
    assert isinstance(found, dict)
    return found


def summary(text: str, signature: str = "") -> dict[str, Any]:
    """A delta of Databricks' with a piece of thinking."""
    item = {"type": "summary_text", "text": text, "signature": signature}
    return {"content": [{"type": "reasoning", "summary": [item]}]}


def test_signed_summaries_go_back_each_with_its_text() -> None:
    """Two thoughts, each in pieces, are two parts before the text."""
    chunks = read(
        summary("One"),
        summary(" two."),
        summary("", "s1"),
        summary("Three.", "s2"),
        {"content": "So."},
    )

    parts = given_back(chunks)["content"]

    assert [("One two.", "s1"), ("Three.", "s2")] == [
        (part["summary"][0]["text"], part["summary"][0]["signature"]) for part in parts[:2]
    ]
    assert {"type": "text", "text": "So."} == parts[2]


def test_summaries_without_signature_stay_here() -> None:
    """Nobody can check them, and the text that they led to is there."""
    assert {"role": "assistant", "content": "So."} == given_back(
        read(summary("Think."), {"content": "So."})
    )


def test_an_opaque_text_goes_back_with_its_thinking() -> None:
    """Copilot's ``reasoning_opaque`` is for the ``reasoning_text`` beside it."""
    message = given_back(
        read({"reasoning_text": "Hm"}, {"reasoning_text": "."}, {"reasoning_opaque": "o"})
    )

    assert ("Hm.", "o") == (message["reasoning_text"], message["reasoning_opaque"])


@pytest.mark.parametrize("name", ["extra_content", "provider_specific_fields"])
def test_fields_of_a_call_go_back_in_the_call(name: str) -> None:
    """By the calls' index, also where only one of several has them."""
    signed = {name: {"google": {"thought_signature": "sig"}}}

    def call(id: str, **more: Any) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}

    message = given_back(read({"tool_calls": [call("a"), call("b", **signed)]}))

    assert [call("a"), call("b", **signed)] == message["tool_calls"]


def test_fields_of_a_call_find_it_where_another_was_taken_out() -> None:
    """A signature belongs to its call, not to the place that it had."""
    signed = {"extra_content": {"google": {"thought_signature": "sig"}}}
    state = {
        "dialect": "openai_chat",
        "origin": ORIGIN,
        "tool_calls": [{"index": 0, "id": "a", **signed}, {"index": 1, "id": "b", **signed}],
    }
    left = {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "tool_calls": [left], "provider_state": state}

    assert [{**left, **signed}] == as_sent(message)["tool_calls"]


MARK = {"google": {"thought": True}}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (
            [
                {"content": "<thought>A", "extra_content": MARK},
                {"content": " b", "extra_content": MARK},
                {"content": "</thought>C"},
                {"content": " </thought>"},
            ],
            [
                ReasoningDelta("A", spelling=""),
                ReasoningDelta(" b", spelling=""),
                TextDelta("C"),
                TextDelta(" </thought>"),
            ],
        ),
        (
            [{"content": "<thought>A</thought>C", "extra_content": MARK}, {"content": "<thought>"}],
            [ReasoningDelta("A", spelling=""), TextDelta("C"), TextDelta("<thought>")],
        ),
        (
            [{"content": "A", "extra_content": {"google": {"thought_signature": "s"}}}],
            [State({"extra_content": {"google": {"thought_signature": "s"}}}), TextDelta("A")],
        ),
        (
            [
                {
                    "content": "A",
                    "extra_content": {"google": {"thought_signature": "s", "x": 1}, "y": 2},
                }
            ],
            [
                State({"extra_content": {"google": {"thought_signature": "s"}}}),
                TextDelta("A"),
                ProviderEvent("delta", {"extra_content": {"google": {"x": 1}, "y": 2}}),
            ],
        ),
        (
            [{"content": "<thought>A", "extra_content": MARK}, {"content": "B"}],
            [ReasoningDelta("A", spelling=""), TextDelta("B")],
        ),
    ],
)
def test_marked_thoughts_are_no_text(deltas: list[dict[str, Any]], expected: list[Any]) -> None:
    """Only what is marked loses its tags: a text may speak of them."""
    assert expected == read(*deltas)


def test_marked_thoughts_do_not_go_back() -> None:
    """Gemini takes its signatures back, and no text under a name that it does not know."""
    chunks = read({"content": "<thought>A</thought>C", "extra_content": MARK})

    assert {"role": "assistant", "content": "C"} == given_back(chunks)
