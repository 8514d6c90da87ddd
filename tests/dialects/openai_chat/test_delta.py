"""Deltas of odd shapes: what has a chunk gets it, what has none is kept where it stood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    ImageDelta,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.dialects.openai_chat import OpenAIChat
from penstock.limits import Limits
from penstock.request import ChatRequest


def read(*events: dict[str, Any]) -> list[Chunk]:
    """The chunks of events, the introduction left out."""
    request = ChatRequest(model="m", messages="x")
    answer = OpenAIChat().answer(request, "application/x-ndjson", Limits(), origin="")
    chunks: list[Chunk] = []
    answer.feed([json.dumps(event).encode() for event in events], chunks)
    return [chunk for chunk in chunks if not isinstance(chunk, Meta)]


def delta(**fields: Any) -> dict[str, Any]:
    """An event of one delta."""
    return {"choices": [{"index": 0, "delta": fields}]}


def kept(**fields: Any) -> ProviderEvent:
    """What is kept of a delta."""
    return ProviderEvent("delta", fields)


CALL = ToolCallDelta(0, "a", "f", "{}")
BARE_CALL = {
    "index": 0,
    "id": "a",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
PNG = "data:image/png;base64,iVBORw0KGgo="

CASES: list[tuple[dict[str, Any], list[Chunk]]] = [
    # content
    ({"content": ["a", {"type": "text", "text": "b"}]}, [TextDelta("a"), TextDelta("b")]),
    ({"content": [{"type": "refusal", "refusal": "no"}]}, [RefusalDelta("no")]),
    ({"content": [{"type": "text", "text": ""}]}, []),
    (
        {"content": [{"type": "text", "text": "a", "annotations": [1]}]},
        [TextDelta("a"), kept(content=[{"type": "text", "annotations": [1]}])],
    ),
    (
        {"content": [{"type": "thinking", "thinking": ["a", {"type": "text", "text": "b"}]}]},
        [ReasoningDelta("ab")],
    ),
    (
        {"content": [{"type": "thinking", "thinking": [{"type": "reference", "ids": [1]}]}]},
        [kept(content=[{"type": "thinking", "thinking": [{"type": "reference", "ids": [1]}]}])],
    ),
    (
        {"content": [{"type": "thinking", "thinking": ["a"], "signature": "s"}]},
        [ReasoningDelta("a"), kept(content=[{"type": "thinking", "signature": "s"}])],
    ),
    ({"content": [{"type": "image_url", "image_url": {"url": PNG}}]}, [ImageDelta(PNG)]),
    ({"content": [5, None]}, [kept(content=[5])]),
    ({"content": {"parts": []}}, [kept(content={"parts": []})]),
    ({"content": 5}, [kept(content=5)]),
    # reasoning
    ({"reasoning": {"effort": 1}}, [kept(reasoning={"effort": 1})]),
    ({"reasoning_details": "x"}, [kept(reasoning_details="x")]),
    (
        {"reasoning_details": [5, {"type": "reasoning.text", "text": None}]},
        [
            ReasoningDelta(
                "",
                spelling="reasoning_details",
                details=(5, {"type": "reasoning.text", "text": None}),
            )
        ],
    ),
    (
        {"reasoning_content": "a", "reasoning_details": [{"type": "x"}]},
        [ReasoningDelta("a", details=({"type": "x"},))],
    ),
    # refusal, audio, images, citations
    ({"refusal": ""}, []),
    ({"refusal": ["no"]}, [kept(refusal=["no"])]),
    (
        {"audio": {"id": "a", "data": "", "format": "wav"}},
        [AudioDelta(id="a"), kept(audio={"format": "wav"})],
    ),
    ({"audio": {"expires_at": "soon"}}, [kept(audio={"expires_at": "soon"})]),
    ({"audio": "x"}, [kept(audio="x")]),
    (
        {"images": [{"image_url": {"url": PNG, "detail": "low"}}, {"image_url": PNG}]},
        [
            ImageDelta(PNG, 0),
            ImageDelta(PNG, 1),
            kept(images=[{"index": 0, "image_url": {"detail": "low"}}]),
        ],
    ),
    ({"images": [{"b64_json": "x"}, 5]}, [kept(images=[{"b64_json": "x"}, 5])]),
    ({"images": {"0": PNG}}, [kept(images={"0": PNG})]),
    ({"annotations": [{"type": "url_citation"}]}, [Citation({"type": "url_citation"})]),
    ({"annotations": {"a": 1}}, [kept(annotations={"a": 1})]),
    # tool calls
    ({"tool_calls": [{**BARE_CALL, "id": 7}]}, [ToolCallDelta(0, "7", "f", "{}")]),
    ({"tool_calls": [{**BARE_CALL, "index": "0", "type": ""}]}, [CALL]),
    (
        {"tool_calls": [{**BARE_CALL, "function": {"name": "f", "arguments": {"ü": [1]}}}]},
        [ToolCallDelta(0, "a", "f", '{"ü":[1]}')],
    ),
    (
        {"tool_calls": [{**BARE_CALL, "function": {**BARE_CALL["function"], "strict": True}}]},
        [CALL, kept(tool_calls=[{"index": 0, "function": {"strict": True}}])],
    ),
    (
        {"tool_calls": [{"id": "x", "type": "browser_search", "output": "y"}]},
        [kept(tool_calls=[{"id": "x", "type": "browser_search", "output": "y"}])],
    ),
    ({"tool_calls": [5]}, [kept(tool_calls=[5])]),
    ({"tool_calls": {"0": BARE_CALL}}, [kept(tool_calls={"0": BARE_CALL})]),
    ({"tool_calls": []}, []),
    (
        {"tool_calls": [{"index": 3, "vendor": 1}]},
        [kept(tool_calls=[{"index": 3, "vendor": 1}])],
    ),
    ({"tool_calls": [{"vendor": 1}]}, [kept(tool_calls=[{"vendor": 1}])]),
    # the deprecated call
    (
        {"function_call": {"name": "f", "arguments": {"a": 1}, "thoughts": 2}},
        [
            ToolCallDelta(0, "", "f", '{"a":1}', kind="function_call"),
            kept(function_call={"thoughts": 2}),
        ],
    ),
    ({"function_call": {"name": "", "arguments": ""}}, []),
    ({"function_call": "auto"}, [kept(function_call="auto")]),
]


@pytest.mark.parametrize(("fields", "expected"), CASES)
def test_a_delta_of_an_odd_shape(fields: dict[str, Any], expected: list[Chunk]) -> None:
    """Nothing is lost and nothing fails (exoclaw, faults 7 and 12)."""
    assert expected == read(delta(**fields))


@pytest.mark.parametrize("expected", [expected for _, expected in CASES])
def test_its_chunks_survive_their_openai_form(expected: list[Chunk]) -> None:
    """What was kept is read back as it was kept."""
    assert expected == read(*[chunk.to_openai() for chunk in expected])


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ({"tokens": ["a"], "token_logprobs": [0.5]}, {"tokens": ["a"], "token_logprobs": [0.5]}),
        ([0.5], [0.5]),
    ],
)
def test_logprobs_of_another_shape_are_kept(logprobs: object, expected: object) -> None:
    """Together's parallel lists are not OpenAI's list of tokens."""
    event = {"choices": [{"index": 0, "delta": {}, "logprobs": logprobs}]}

    assert [ProviderEvent("choice", {"logprobs": expected})] == read(event)


def test_fields_that_say_the_same_on_every_event_are_told_once() -> None:
    """A constant costs a chunk where it changes, not with each event; a delta adds each time."""
    event = {**delta(mood="x"), "provider": "p", "citations": ["a"]}

    assert [
        kept(mood="x"),
        ProviderEvent("chunk", {"provider": "p", "citations": ["a"]}),
        kept(mood="x"),
        kept(mood="x"),
        ProviderEvent("chunk", {"citations": ["b"]}),
    ] == read(event, event, {**event, "citations": ["b"]})


def test_what_is_remembered_of_unknown_fields_is_bounded() -> None:
    """A peer that invents names makes nothing grow: beyond the bound each is news again."""
    events = [{"choices": [], f"field{number}": 1} for number in range(100)]

    assert 100 + 36 == len(read(*events, *events))
