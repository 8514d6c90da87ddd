"""Answers event by event: when they are complete, their bounds, and that nothing is lost."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from cohere.v2.types import V2ChatResponse
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from pydantic import BaseModel

from penstock.chunks import Chunk, Finish, ProviderEvent
from penstock.decoders import SSEFrame
from penstock.dialects.cohere import Cohere
from penstock.dialects.cohere.answer import CohereAnswer
from penstock.errors import (
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    LimitExceededError,
    PenstockError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TruncatedError,
)
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest

EVENTS = get_args(get_args(V2ChatStreamResponse)[0])
START = {"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant"}}}


def answering(limits: Limits | None = None, content_type: str = "") -> CohereAnswer:
    """An answer that has not begun."""
    request = ChatRequest(model="m", messages="x")
    return Cohere().answer(request, content_type, limits or Limits(), origin="")


def read(*events: dict[str, Any], limits: Limits | None = None) -> list[Chunk]:
    """The chunks of `events`."""
    into: list[Chunk] = []
    answering(limits, "application/x-ndjson").feed([msgspec.json.encode(e) for e in events], into)
    return into


def test_message_end_completes_it() -> None:
    """Nothing behind it is read; without it the answer is cut short."""
    answer, into = answering(), list[Chunk]()
    delta = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "a"}}}}
    answer.feed([msgspec.json.encode(event) for event in (START, delta)], into)

    assert (False, False) == (answer.complete, answer.settled)
    with pytest.raises(TruncatedError, match="message-end"):
        answer.finish(Ending(clean=True), [])
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
    answer.feed([msgspec.json.encode(event) for event in (end, delta)], into)
    assert (True, True) == (answer.complete, answer.settled)
    assert "a" == "".join(chunk.text for chunk in into)


def begin(index: int) -> dict[str, Any]:
    """The start of a tool call."""
    call = {"id": f"c{index}", "type": "function", "function": {"name": "a", "arguments": "x" * 9}}
    message = {"tool_calls": call}
    return {"type": "tool-call-start", "index": index, "delta": {"message": message}}


PIECE = {"message": {"tool_calls": {"function": {"arguments": "y" * 9}}}}
BOUNDS: dict[str, tuple[Limits, list[dict[str, Any]]]] = {
    "max_tool_calls": (Limits(max_tool_calls=1), [begin(0), begin(1)]),
    "max_tool_arguments": (
        Limits(max_tool_arguments=10),
        [begin(0), {"type": "tool-call-delta", "index": 0, "delta": PIECE}],
    ),
    "max_json_depth": (Limits(max_json_depth=4), [{"type": "deep", "data": [[[[[1]]]]]}]),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_a_peer_can_make_grow_is_bounded(bound: str) -> None:
    """The error names the bound."""
    limits, events = BOUNDS[bound]

    with pytest.raises(LimitExceededError, match=bound):
        read(START, *events, limits=limits)


ODD: dict[str, tuple[list[Any], type[PenstockError], str]] = {
    "error event": ([SSEFrame("error", b'{"message": "gone"}', None, None)], ServerError, "gone"),
    "error list": ([SSEFrame("error", b'["gone"]', None, None)], ServerError, "gone"),
    "no object": ([b'["a"]'], ProtocolError, "no object"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_events_are_errors(name: str) -> None:
    """An event named error, and what is no event."""
    frames, kind, words = ODD[name]

    with pytest.raises(kind, match=words):
        answering().feed(frames, [])


def test_text_frames_are_read_like_bytes() -> None:
    """Also events that say two things at once, or another role."""
    both = {"message": {"content": {"text": "a"}, "tool_plan": "p"}}
    call = {"message": {"content": {"text": "b"}, "tool_calls": {"function": {"arguments": "x"}}}}
    events = [
        {**START, "delta": {"message": {"role": "tool"}}},
        {"type": "content-delta", "index": 0, "delta": both},
        begin(0),
        {"type": "tool-call-delta", "index": 0, "delta": call},
        {"type": "content-start", "index": 1, "delta": {"message": 5}},
        {"type": "content-delta", "index": 1, "delta": None},
        {"type": "message-end", "delta": {}},
    ]
    frames = [SSEFrame("x", msgspec.json.encode(each).decode(), None, None) for each in events]
    text: list[Chunk] = []
    answering().feed(frames, text)

    assert read(*events) == text
    assert "ab" == "".join(chunk.text for chunk in text)
    assert ProviderEvent("message-start", {"delta": {"message": {"role": "tool"}}}) in text
    assert Finish("other") == text[-1]


def test_what_is_unknown_in_a_whole_answer_is_kept() -> None:
    """In its message and beside it."""
    whole = {"message": {"role": "assistant", "x": 1, "tool_calls": [5]}, "y": 2}
    into: list[Chunk] = []
    answering(content_type="application/json").feed([msgspec.json.encode(whole)], into)

    assert [
        ProviderEvent("delta", {"x": 1, "tool_calls": [5]}),
        ProviderEvent("chunk", {"y": 2}),
        Finish("other"),
    ] == into


class Samples:
    """A value for a type of the SDK: every field set, every text and number unlike all others."""

    def __init__(self) -> None:
        self.number = 1000

    def of(self, kind: Any) -> Any:
        """Return a value of `kind`; of a union its first member."""
        arguments = [each for each in get_args(kind) if each is not type(None)]
        origin = get_origin(kind)
        if origin is Literal:
            return arguments[0]
        if origin is dict:
            return {"key": self.of(str)}
        if origin is list:
            return [self.of(arguments[0])]
        if arguments:
            return self.of(arguments[0])
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return {name: self.of(field.annotation) for name, field in kind.model_fields.items()}
        self.number += 1
        return {str: f"text{self.number}", float: self.number + 0.5}.get(kind, self.number)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: str(kind.model_fields["type"].default))
def test_every_field_of_every_event_reaches_the_caller(kind: type[BaseModel]) -> None:
    """Each text and number of a member of the SDK's union is in its chunks, but for indexes."""
    event = Samples().of(kind)
    event.pop("index", None)
    end = event.get("delta") or {}
    if end.pop("error", None):  # the answer fails with it: see the vectors
        event["delta"] = end
    told = told_by([event] if kind is EVENTS[0] else [START, begin(0), event])

    assert [] == [value for value in leaves(event) if value not in told]


def test_every_field_of_a_whole_answer_reaches_the_caller() -> None:
    """The same for one object."""
    event = Samples().of(V2ChatResponse)

    told = told_by([event], "application/json")
    assert [] == [value for value in leaves(event) if value not in told]


def told_by(events: list[dict[str, Any]], content_type: str = "application/x-ndjson") -> set[Any]:
    """The texts and numbers in the chunks of `events`, and names that are translated."""
    into: list[Chunk] = []
    answering(content_type=content_type).feed([msgspec.json.encode(e) for e in events], into)
    known = {"assistant", "function", "text", "thinking", *(e.get("type") for e in events)}
    return known | set(leaves([msgspec.to_builtins(chunk) for chunk in into]))


def leaves(value: object) -> Iterator[Any]:
    """Every text and number in a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    elif value is not None:
        yield value


ERRORS: list[tuple[int, str, type[PenstockError]]] = [
    (400, "invalid request: list of tools must not be empty", InvalidRequestError),
    (
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
        ContextLengthError,
    ),
    (429, "You are using a Trial key, which is limited to 10 API calls / minute.", RateLimitError),
    (498, "invalid token", ContentBlockedError),
]


@pytest.mark.parametrize(("status", "message", "kind"), ERRORS)
def test_errors_are_what_their_status_says(
    status: int, message: str, kind: type[PenstockError]
) -> None:
    """The message is Cohere's; 498 is its own (docs.cohere.com/reference/errors)."""
    body = msgspec.json.encode({"message": message})
    error = Cohere().error(status, {"content-type": "application/json"}, body)

    assert kind is type(error)
    assert message in str(error)
