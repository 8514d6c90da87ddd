"""Answers line by line: when they are complete, their bounds, and that nothing of them is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from ollama._types import ChatResponse, Message

from penstock.chunks import Chunk, ImageDelta, Meta, ProviderEvent, ToolCallDelta
from penstock.decoders import SSEFrame
from penstock.dialects.ollama import Ollama
from penstock.dialects.ollama.answer import OllamaAnswer
from penstock.errors import (
    LimitExceededError,
    NotFoundError,
    ProtocolError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest

CALL = {"function": {"name": "a", "arguments": {"n": "x" * 50}}}


def line(**fields: Any) -> bytes:
    """One line."""
    message = {"role": "assistant", "content": "", **fields.pop("message", {})}
    base = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}
    return msgspec.json.encode(base | fields)


def answering(limits: Limits | None = None, content_type: str = "") -> OllamaAnswer:
    """An answer that has not begun."""
    request = ChatRequest(model="m", messages="x")
    return Ollama().answer(request, content_type, limits or Limits(), origin="")


def test_the_line_that_is_done_completes_it() -> None:
    """Nothing behind it is read."""
    answer, into = answering(), list[Chunk]()
    answer.feed([line(message={"content": "a"})], into)

    assert (False, False) == (answer.complete, answer.settled)
    answer.feed([line(done=True, done_reason="stop"), line(message={"content": "late"})], into)
    assert (True, True) == (answer.complete, answer.settled)
    assert "a" == "".join(chunk.text for chunk in into)


@pytest.mark.parametrize("begun", [True, False])
def test_an_end_before_it_is_a_truncation(begun: bool) -> None:
    """However clean the connection ended."""
    answer = answering()
    answer.feed([line()] if begun else [], [])

    with pytest.raises(TruncatedError, match="done" if begun else "first line"):
        answer.finish(Ending(clean=True), [])


BOUNDS: dict[str, tuple[Limits, dict[str, Any]]] = {
    "max_tool_calls": (Limits(max_tool_calls=1), {"tool_calls": [CALL, CALL]}),
    "max_tool_arguments": (Limits(max_tool_arguments=20), {"tool_calls": [CALL]}),
    "max_json_depth": (Limits(max_json_depth=4), {"deep": [[[[[1]]]]]}),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_a_peer_can_make_grow_is_bounded(bound: str) -> None:
    """The error names the bound."""
    limits, message = BOUNDS[bound]

    with pytest.raises(LimitExceededError, match=bound):
        answering(limits).feed([line(message=message)], [])


def test_made_ids_are_the_same_each_time_and_unlike_each_other() -> None:
    """A call without an id gets one that its result can refer to."""
    wire = line(message={"tool_calls": [CALL, CALL]})
    ids = []
    for _ in range(2):
        into: list[Chunk] = []
        answering().feed([wire], into)
        ids.append([chunk.id for chunk in into if isinstance(chunk, ToolCallDelta)])

    assert ids[0] == ids[1]
    assert 2 == len(set(ids[0]))


def test_every_field_of_the_sdks_types_reaches_the_caller() -> None:
    """Each text and number of a line is in its chunks, but for the name of the role."""
    message = {
        "role": "assistant",
        "content": "text1",
        "thinking": "text2",
        "images": ["text3"],
        "tool_name": "text4",
        "tool_calls": [{"function": {"name": "text5", "arguments": {"text6": 7}}}],
    }
    fields = {
        "done_reason": "length",
        "logprobs": [{"token": "text8", "logprob": -9.5, "top_logprobs": []}],
        "total_duration": 1001,
        "load_duration": 1002,
        "prompt_eval_count": 1003,
        "prompt_eval_duration": 1004,
        "eval_count": 1005,
        "eval_duration": 1006,
    }
    assert Message.model_fields.keys() == message.keys()
    assert {"model", "created_at", "message", "done", *fields} == ChatResponse.model_fields.keys()

    into: list[Chunk] = []
    answering().feed([line(message=message, done=True, **fields)], into)
    told = str([msgspec.to_builtins(chunk) for chunk in into])

    values = [*leaves({**message, "role": "m"}), *leaves(fields)]
    assert [] == [value for value in values if str(value) not in told]


def leaves(value: object) -> Iterator[object]:
    """Every text and number in a JSON value, keys of arguments among them."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def test_odd_lines_lose_nothing() -> None:
    """Text frames, blank ones, calls that are none, a date that is none, an error beside text."""
    call = {"id": "1", "x": 1, "function": {"name": "a", "arguments": {}, "y": 2}}
    odd = line(message={"tool_calls": [5, call], "images": ["data:a/b;base64,AA=="]})
    frame = SSEFrame("message", odd.replace(b"2026-", b"soon-").decode(), None, None)
    answer, into = answering(), list[Chunk]()
    answer.feed([frame, b" "], into)

    assert [
        Meta(model="m", role="assistant"),
        ImageDelta("data:a/b;base64,AA=="),
        ToolCallDelta(0, "1", "a", "{}"),
        ProviderEvent("delta", {"tool_calls": [5, {"index": 0, "x": 1, "function": {"y": 2}}]}),
    ] == into
    with pytest.raises(ServerError, match="gone"):
        answer.feed([line(message={"content": "a"}, error="gone")], into)
    assert "a" == into[-1].text


ERRORS = [
    (404, b'{"error":"model \'x\' not found"}', NotFoundError, "model 'x' not found"),
    (503, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}',
     UnavailableError, "server busy"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), ERRORS)
def test_errors_are_what_their_status_says(
    status: int, body: bytes, kind: type[Exception], words: str
) -> None:
    """The server's own words are in the message."""
    error = Ollama().error(status, {"content-type": "application/json"}, body)

    assert kind is type(error)
    assert words in str(error)


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream", "image/png"])
def test_other_content_types_are_refused(kind: str) -> None:
    """The error asks after the address."""
    with pytest.raises(ProtocolError, match="base_url"):
        answering(content_type=kind)
