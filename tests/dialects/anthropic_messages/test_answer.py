"""What an answer may be: its framings, its bounds, when it is settled."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.chunks import Chunk, ReasoningDelta, ToolCallDelta
from penstock.dialects.anthropic_messages import AnthropicMessages, MessagesAnswer
from penstock.errors import LimitExceededError, PenstockError, ProtocolError
from penstock.interfaces import Ending
from penstock.limits import Limits


def event(kind: str, **fields: Any) -> bytes:
    """An event's JSON."""
    return json.dumps({"type": kind, **fields}).encode()


START = event("message_start", message={"id": "m", "role": "assistant", "content": []})


def begun(index: int, **block: Any) -> bytes:
    """The start of a block."""
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    """A piece of a block."""
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def read(*frames: bytes, limits: Limits | None = None) -> list[Chunk]:
    """The chunks of `frames`."""
    into: list[Chunk] = []
    MessagesAnswer(limits or Limits()).feed([START, *frames], into)
    return into


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream; charset=utf-8", "sse"),
        ("", "sse"),
        ("application/json", "json"),
        ("application/problem+json", "json"),
    ],
)
def test_answers_are_events_or_json(content_type: str, expected: str) -> None:
    """Whatever was asked for."""
    assert expected == AnthropicMessages().framing(content_type)


def test_a_page_is_no_answer() -> None:
    """A proxy's page is refused by its type."""
    with pytest.raises(ProtocolError, match="text/html"):
        AnthropicMessages().framing("text/html")


def test_an_answer_is_settled_with_its_reason() -> None:
    """Only message_stop may follow."""
    answer, into = MessagesAnswer(Limits()), list[Chunk]()
    answer.feed([START], into)

    assert not answer.settled
    answer.feed([event("message_delta", delta={"stop_reason": "end_turn"})], into)
    assert (True, False) == (answer.settled, answer.complete)
    answer.feed([event("message_stop"), event("ping")], into)
    assert answer.complete


@pytest.mark.parametrize("padding", [{}, {"x": None}])
def test_arguments_are_bounded(padding: dict[str, Any]) -> None:
    """On the dense path and on the other."""
    frames = [
        begun(0, type="tool_use", id="a", name="f", input={}),
        delta(0, "input_json_delta", partial_json="x" * 60, **padding),
        delta(0, "input_json_delta", partial_json="x" * 60, **padding),
    ]
    with pytest.raises(LimitExceededError) as caught:
        read(*frames, limits=Limits(max_tool_arguments=100))

    assert "max_tool_arguments" == caught.value.phase


def test_calls_are_bounded() -> None:
    """A peer may not ask for any number of them."""
    calls = [begun(n, type="tool_use", id=f"{n}", name="f", input={}) for n in range(4)]
    with pytest.raises(LimitExceededError) as caught:
        read(*calls, limits=Limits(max_tool_calls=3))

    assert "max_tool_calls" == caught.value.phase


def test_thinking_is_bounded() -> None:
    """It is kept until its signature has come."""
    thoughts = [delta(0, "thinking_delta", thinking="x" * 60)] * 2
    with pytest.raises(LimitExceededError) as caught:
        read(begun(0, type="thinking"), *thoughts, limits=Limits(max_answer=100))

    assert "max_answer" == caught.value.phase


def test_a_servers_tool_is_bounded_as_a_call() -> None:
    """Its input is put together."""
    pieces = [delta(0, "input_json_delta", partial_json="x" * 60)] * 2
    block = begun(0, type="server_tool_use", id="a", name="web_search", input={})
    with pytest.raises(LimitExceededError) as caught:
        read(block, *pieces, limits=Limits(max_tool_arguments=100))

    assert "max_tool_arguments" == caught.value.phase


def test_open_blocks_are_bounded() -> None:
    """Anthropic sends one after the other."""
    with pytest.raises(ProtocolError, match="open"):
        read(*(begun(n, type="text", text="") for n in range(65)))


@pytest.mark.parametrize(
    "frame",
    [
        event("message_start", message=5),
        event("content_block_start", index="0", content_block={"type": "text"}),
        event("content_block_start", index=0, content_block={}),
        event("content_block_start", index=0, content_block=5),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"}),
        event("content_block_delta", index=None, delta={}),
        b"[]",
        b'"text"',
    ],
)
def test_what_breaks_the_dialect_is_said(frame: bytes) -> None:
    """It is the peer's fault, not the caller's."""
    with pytest.raises(ProtocolError):
        read(frame)


def test_a_call_without_any_input_has_an_empty_object() -> None:
    """As OpenAI's calls have; the pieces themselves are passed on."""
    found = read(
        begun(3, type="tool_use", id="a", name="f", input={}),
        event("content_block_stop", index=3),
        begun(7, type="tool_use", id="b", name="g", input={}),
        delta(7, "input_json_delta", partial_json="{}"),
        event("content_block_stop", index=7),
    )

    assert [
        ToolCallDelta(0, "a", "f"),
        ToolCallDelta(0, arguments="{}"),
        ToolCallDelta(1, "b", "g"),
        ToolCallDelta(1, arguments="{}"),
    ] == found[1:]


def test_thinking_goes_back_by_state_alone() -> None:
    """Its chunks name no spelling of OpenAI's copies."""
    found = read(begun(0, type="thinking"), delta(0, "thinking_delta", thinking="t"))

    assert ReasoningDelta("t", 0, "") == found[-1]


HOSTS = ("text", "thinking", "tool_use", "server_tool_use")
DELTAS = ("text", "thinking", "input_json", "signature", "citations", "compaction")
KINDS = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop"),
)
SCALAR = st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=2)
WORDS = [*HOSTS, *(f"{name}_delta" for name in DELTAS), "refusal", "new"]
FIELDS = [
    "text",
    "thinking",
    "partial_json",
    "signature",
    "citation",
    "citations",
    "input",
    "id",
    "content",
    "usage",
    "stop_reason",
    "stop_details",
    "explanation",
    "model",
    "role",
]
OBJECT: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS) | SCALAR},
    optional={name: SCALAR | st.just([]) | st.just({}) for name in FIELDS},
)
EVENTS = [*KINDS, "message", "ping", "error", "new"]
ANY = st.fixed_dictionaries(
    {"type": st.sampled_from(EVENTS)},
    optional={
        "index": st.just(0) | SCALAR,
        **dict.fromkeys(("delta", "content_block", "message", "usage", "error"), OBJECT | SCALAR),
    },
)


@given(st.lists(ANY, max_size=8), st.booleans())
def test_whatever_comes_is_read_or_refused(events: list[Any], started: bool) -> None:
    """No event, however wrong, ends in anything but chunks or an error of penstock's."""
    answer, into = MessagesAnswer(Limits()), list[Chunk]()
    frames = [START] * started + [json.dumps(each).encode() for each in events]
    with suppress(PenstockError):
        answer.feed(frames, into)
        answer.finish(Ending(clean=True), into)
        assert answer.complete
