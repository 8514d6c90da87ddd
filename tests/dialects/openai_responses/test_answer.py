"""Frames to chunks: both roads agree, bounds hold, and errors say what they know."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from penstock.chunks import Chunk, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from penstock.dialects.openai_responses import OpenAIResponses
from penstock.dialects.openai_responses.answer import ResponsesAnswer
from penstock.errors import (
    ContentBlockedError,
    InvalidRequestError,
    LimitExceededError,
    OverloadedError,
    PenstockError,
    ProtocolError,
    RateLimitError,
    ServerError,
    UnavailableError,
)
from penstock.limits import Limits
from penstock.request import ChatRequest


def opened(limits: Limits | None = None) -> ResponsesAnswer:
    """An answer that has not begun."""
    return OpenAIResponses().answer(
        ChatRequest(model="m", messages="x"),
        "application/x-ndjson",
        limits or Limits(),
        origin="https://x.test",
    )


def feed(answer: ResponsesAnswer, *events: Any) -> list[Chunk]:
    """The chunks of some events."""
    into: list[Chunk] = []
    answer.feed([msgspec.json.encode(event) for event in events], into)
    return into


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of the first item."""
    return {"type": f"response.{kind}", "output_index": 0, **fields}


def added(kind: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    """The event that begins an item."""
    item = {"type": kind, "id": f"{kind}_{index}", **fields}
    return {"type": "response.output_item.added", "output_index": index, "item": item}


CALL = added("function_call", call_id="call_1", name="f")
PLAIN = {
    "output_text.delta": (added("message"), TextDelta("ab"), TextDelta("c")),
    "function_call_arguments.delta": (
        CALL,
        ToolCallDelta(0, arguments="ab"),
        ToolCallDelta(0, arguments="c"),
    ),
    "reasoning_text.delta": (
        added("reasoning"),
        ReasoningDelta("ab", spelling=""),
        ReasoningDelta("c", spelling=""),
    ),
    "reasoning_summary_text.delta": (
        added("reasoning"),
        ReasoningDelta("ab", spelling=""),
        ReasoningDelta("c", spelling=""),
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("more", [{}, {"x_unknown": None}], ids=["plain", "any shape"])
def test_a_plain_event_and_one_of_any_shape_say_the_same(kind: str, more: dict[str, Any]) -> None:
    """The typed decode is only faster; an unknown field takes the other road."""
    begun, first, second = PLAIN[kind]
    answer = opened()
    feed(answer, begun)

    assert [first, second] == feed(
        answer, event(kind, delta="ab", **more), event(kind, delta="c", **more)
    )


def test_an_empty_piece_is_none() -> None:
    """It would be a chunk that says nothing."""
    answer = opened()
    feed(answer, added("message"), event("output_text.delta", delta="a"))

    assert [] == feed(answer, event("output_text.delta", delta=""))


def test_calls_are_counted_from_zero_whatever_their_place() -> None:
    """Their index is among the calls, not among the items."""
    chunks = feed(
        opened(),
        added("reasoning", 0),
        added("function_call", 3, call_id="a", name="f"),
        added("custom_tool_call", 5, call_id="b", name="g"),
    )

    assert [ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g", kind="custom")] == chunks


def test_pieces_without_a_beginning_begin_their_item() -> None:
    """The SDK's types do not promise that an item announces itself."""
    answer = opened()
    item = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    done = event("output_item.done", item=item)
    chunks = feed(answer, event("function_call_arguments.delta", delta="{}"), done)

    assert [ToolCallDelta(0, arguments="{}"), ToolCallDelta(0, "a", "f")] == chunks[:2]


def test_an_index_may_be_used_again() -> None:
    """A server that gives every item the same index is still understood."""
    answer = opened()
    message = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
    chunks = feed(
        answer,
        added("message"),
        event("output_text.delta", delta="a"),
        event("output_item.done", item=message),
        CALL,
        event("function_call_arguments.delta", delta="{}"),
    )

    assert [TextDelta("a")] == [chunk for chunk in chunks if isinstance(chunk, TextDelta)]
    assert [ToolCallDelta(0, "call_1", "f"), ToolCallDelta(0, arguments="{}")] == chunks[-2:]


@pytest.mark.parametrize(
    ("limits", "events"),
    [
        (
            Limits(max_tool_calls=1),
            [CALL, added("function_call", 1, call_id="b", name="f")],
        ),
        (
            Limits(max_tool_arguments=4),
            [CALL, *[event("function_call_arguments.delta", delta="ab")] * 3],
        ),
        (
            Limits(max_json_depth=8),
            [event("weather", sky=[[[[[[[[[[1]]]]]]]]]])],
        ),
    ],
)
def test_what_a_peer_can_make_grow_has_a_bound(limits: Limits, events: list[Any]) -> None:
    """Calls, their arguments, the depth of an event."""
    with pytest.raises(LimitExceededError):
        feed(opened(limits), *events)


def test_items_have_a_bound() -> None:
    """A peer that begins items without end is stopped."""
    with pytest.raises(ProtocolError, match="items and parts"):
        feed(opened(), *[added("message")] * 70_000)


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "response.completed"},
        {"type": "response.output_item.added", "item": 5},
        {"type": "response.output_item.done", "output_index": -1, "item": {"type": "x"}},
        {"type": "response.output_text.delta", "output_index": "x", "delta": "a"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": None},
        {"type": "response.completed", "response": {"output": [5]}},
        ["not", "an", "object"],
    ],
)
def test_an_event_that_breaks_the_dialect_is_an_error(bad: Any) -> None:
    """Not a chunk that is made up."""
    with pytest.raises(ProtocolError):
        feed(opened(), bad)


ERRORS: list[tuple[dict[str, Any], type[PenstockError], dict[str, Any]]] = [
    (
        {"code": "rate_limit_exceeded", "message": "Please try again in 1.898s. More."},
        RateLimitError,
        {"retry_after": 1.898, "retryable": True},
    ),
    (
        {"code": "rate_limit_exceeded", "message": "Please try again in 28ms."},
        RateLimitError,
        {"retry_after": 0.028},
    ),
    (
        {"code": "rate_limit_exceeded", "message": "Limit 30000, Requested 35364."},
        RateLimitError,
        {"retry_after": None},
    ),
    ({"code": "server_is_overloaded", "message": "m"}, OverloadedError, {"retryable": True}),
    ({"code": "vector_store_timeout", "message": "m"}, UnavailableError, {}),
    ({"code": "bio_policy", "message": "m"}, ContentBlockedError, {"code": "bio_policy"}),
    ({"code": "invalid_prompt", "message": "m", "param": "input"}, InvalidRequestError, {}),
    ({"code": "image_too_small", "message": "m"}, InvalidRequestError, {"retryable": False}),
    ({"code": "never_heard_of", "message": "m"}, ServerError, {"code": "never_heard_of"}),
]


@pytest.mark.parametrize(("said", "kind", "fields"), ERRORS)
@pytest.mark.parametrize("road", ["failed", "event", "nested event"])
def test_an_error_is_classified_by_its_code(
    said: dict[str, Any], kind: type[PenstockError], fields: dict[str, Any], road: str
) -> None:
    """In a failed response, in the SDK's error event, and in OpenAI's own."""
    failures: dict[str, dict[str, Any]] = {
        "failed": {
            "type": "response.failed",
            "response": {"id": "r", "status": "failed", "error": said},
        },
        "event": {"type": "error", "sequence_number": 1, **said},
        "nested event": {"type": "error", "sequence_number": 1, "error": said},
    }
    with pytest.raises(PenstockError) as caught:
        feed(opened(), failures[road])

    assert kind is type(caught.value)
    assert fields == {name: getattr(caught.value, name) for name in fields}
    assert said["message"] in str(caught.value)


STATUSES: list[tuple[int, dict[str, Any], type[PenstockError]]] = [
    (400, {"message": "m", "code": "invalid_image_url"}, InvalidRequestError),
    (503, {"message": "m", "type": "server_error"}, UnavailableError),
    (503, {"message": "m", "code": "server_is_overloaded"}, OverloadedError),
    (500, {"message": "m", "type": "server_error"}, ServerError),
]


@pytest.mark.parametrize(("status", "body", "kind"), STATUSES)
def test_a_refusal_is_classified_by_code_and_status(
    status: int, body: dict[str, Any], kind: type[PenstockError]
) -> None:
    """The Responses' codes come before the status, which comes before OpenAI's types."""
    headers = {"content-type": "application/json", "x-request-id": "req_1"}
    error = OpenAIResponses().error(status, headers, msgspec.json.encode({"error": body}))

    assert (kind, "req_1") == (type(error), error.request_id)


def test_a_plain_end_is_the_end() -> None:
    """What comes after the terminal event is not read."""
    answer = opened()
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    chunks = feed(answer, end, event("output_text.delta", delta="late"))

    assert Finish("stop") == chunks[-1]
    assert answer.complete
    assert answer.settled
    assert [] == feed(answer, event("output_text.delta", delta="late"))


def test_a_message_field_makes_no_error_of_an_unknown_event() -> None:
    """Only what is named an error, or has one, is one."""
    said = {"type": "response.advice", "message": "take it easy", "code": "calm"}

    assert ["response.advice"] == [chunk.name for chunk in feed(opened(), said)]  # type: ignore[union-attr]
