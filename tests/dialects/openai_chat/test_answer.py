"""An answer as it arrives: its end, its bounds, and the fast path that must change nothing."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from tests.dialects.test_vectors import CASES

from penstock.chunks import (
    Chunk,
    Finish,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.decoders import SSEFrame
from penstock.dialects.openai_chat import OpenAIChat
from penstock.dialects.openai_chat import answer as module
from penstock.dialects.openai_chat.answer import ChatAnswer
from penstock.errors import (
    LimitExceededError,
    OverloadedError,
    PenstockError,
    ProtocolError,
    TruncatedError,
)
from penstock.interfaces import Ending
from penstock.limits import Limits
from penstock.request import ChatRequest

DONE = SSEFrame("message", b"[DONE]")
END = Ending(clean=True)


def opened(limits: Limits | None = None, **request: Any) -> ChatAnswer:
    """An answer of which nothing has come."""
    chat = ChatRequest(**{"model": "m", "messages": "x", **request})
    return OpenAIChat().answer(chat, "text/event-stream", limits or Limits(), origin="")


def frame(*choices: Any, name: str = "message", **event: Any) -> SSEFrame:
    """An event."""
    return SSEFrame(name, json.dumps({"id": "c", "choices": choices, **event}).encode())


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A choice of an event."""
    return {"index": index, "delta": fields, "finish_reason": finish}


def read(*frames: SSEFrame, **request: Any) -> list[Chunk]:
    """The chunks of whole frames, the introduction left out."""
    chunks: list[Chunk] = []
    opened(**request).feed(frames, chunks)
    return [chunk for chunk in chunks if not isinstance(chunk, Meta)]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", "sse"),
        ("text/event-stream; charset=latin-1", "sse"),
        ("Text/Event-Stream", "sse"),
        ("", "sse"),
        ("text/plain", "sse"),
        ("application/json", "json"),
        ("application/problem+json; charset=utf-8", "json"),
        ("application/x-ndjson", "json_lines"),
    ],
)
def test_the_content_type_gives_the_framing(content_type: str, expected: str) -> None:
    """Parameters and case do not matter."""
    assert expected == OpenAIChat().framing(content_type)


def test_a_page_is_no_answer() -> None:
    """HTML with status 200 is a portal or a wrong address."""
    with pytest.raises(ProtocolError, match="base_url"):
        OpenAIChat().framing("text/html; charset=utf-8")


def test_row_3_a_role_is_no_content() -> None:
    """An event with a role and an empty text does not end the wait for content."""
    chunks: list[Chunk] = []
    opened().feed([frame(delta(role="assistant", content=""))], chunks)

    assert [False] == [chunk.content for chunk in chunks]


def test_done_completes_the_answer() -> None:
    """What comes after it is not read."""
    answer, chunks = opened(), list[Chunk]()
    answer.feed([frame(delta("stop", content="a")), DONE, frame(delta(content="b"))], chunks)

    assert answer.complete
    assert [TextDelta("a"), Finish("stop")] == chunks[1:]


def test_a_finish_alone_is_not_complete() -> None:
    """Vendors' own last events come after it; the end of the bytes then makes it complete."""
    answer, chunks = opened(usage=False), list[Chunk]()
    answer.feed([frame(delta("stop", content="a"))], chunks)
    assert not answer.complete

    answer.feed([frame(x=1)], chunks)
    answer.finish(END, chunks)

    assert answer.complete
    assert ProviderEvent("chunk", {"x": 1}) == chunks[-1]


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@pytest.mark.parametrize(
    ("request_fields", "finished", "expected"),
    [
        ({}, [0], True),
        ({"usage": False}, [0], False),
        ({"params": {"n": 2}}, [0], False),
        ({"params": {"n": 2}}, [0, 1], True),
        ({"extra_body": {"n": 2}}, [0], False),
        ({"params": {"moderation": {}}}, [0], False),
        ({"params": {"stream_options": {"include_usage": False}}}, [0], False),
    ],
)
def test_the_usage_that_was_asked_for_completes_the_answer(
    request_fields: dict[str, Any], finished: list[int], *, expected: bool
) -> None:
    """It is the last event by OpenAI's reference, once every choice has its reason."""
    answer = opened(**request_fields)
    answer.feed([frame(delta("stop", index=index)) for index in finished], [])
    answer.feed([frame(usage=USAGE)], [])

    assert expected == answer.complete


def test_an_early_usage_completes_nothing() -> None:
    """Some send the usage so far with every event."""
    answer = opened()
    answer.feed([frame(delta(content="a"), usage=USAGE), frame(delta("stop"))], [])

    assert not answer.complete


@pytest.mark.parametrize("ending", [END, Ending(clean=False, detail="reset")])
def test_row_8_an_end_without_a_reason_is_a_truncation(ending: Ending) -> None:
    """However cleanly the bytes ended, the answer did not."""
    answer = opened()
    answer.feed([frame(delta(content="a"))], [])

    with pytest.raises(TruncatedError) as caught:
        answer.finish(ending, [])
    assert ending.detail in str(caught.value)
    assert not answer.complete


def test_a_torn_end_after_the_last_reason_loses_nothing() -> None:
    """Every choice has its end: what is missing is at most the usage."""
    answer = opened()
    answer.feed([frame(delta("stop", content="a"))], [])

    answer.finish(Ending(clean=False, detail="reset"), [])

    assert answer.complete


def test_row_9_done_ends_each_choice_that_has_no_reason() -> None:
    """Such an end is ``other``, with no word of the provider's."""
    frames = [frame(delta(content="a"), delta(content="b", index=1)), frame(delta("length"))]

    assert [Finish("length", 0), Finish("other", 1)] == read(*frames, DONE)[-2:]


def test_a_choice_without_an_index_is_known_by_its_place() -> None:
    """Of two whose events have nothing unusual else, neither is taken for the other."""
    said = [{"delta": {"content": text}} for text in "ab"]
    over = [{"delta": {}, "finish_reason": "stop"}] * 2

    expected = [TextDelta("a", 0), TextDelta("b", 1), Finish("stop", 0), Finish("stop", 1)]
    assert expected == read(frame(*said), frame(*over), DONE)


def test_row_11_an_overload_in_a_stream_is_retried_like_its_status() -> None:
    """The error of a stream's first event has the class, and so the retry, of its status."""
    event = SSEFrame("error", b'{"type":"error","error":{"type":"overloaded_error"}}')

    with pytest.raises(OverloadedError) as caught:
        opened().feed([event], [])

    assert (529, True, True) == (
        caught.value.status,
        caught.value.retryable,
        caught.value.peer_fault,
    )


def test_an_error_keeps_the_usage_that_came_with_it() -> None:
    """What was spent before the failure is billed."""
    chunks: list[Chunk] = []
    with pytest.raises(PenstockError):
        opened().feed([frame(error={"code": 500, "message": "x"}, usage=USAGE)], chunks)

    assert [2] == [getattr(chunk, "total_tokens", None) for chunk in chunks]


@pytest.mark.parametrize("data", [b"", b" ", b"null"])
def test_an_event_without_anything_is_passed_over(data: bytes) -> None:
    """Keep-alives come as empty data too (exoclaw, fault 7)."""
    assert [] == read(SSEFrame("message", data))


def test_an_event_may_be_text() -> None:
    """A decoder with ``text=True`` gives the same answer."""
    frames = [frame(delta(content="ä")), frame(delta(content="ö")), frame(delta("stop"))]
    texts = [SSEFrame(each.event, bytes(each.data).decode()) for each in frames]  # type: ignore[arg-type]

    assert read(*frames) == read(*texts, SSEFrame("message", "[DONE]"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello", ProviderEvent("ping", "hello")),
        (b'{"type":"ping"}', ProviderEvent("ping", {"type": "ping"})),
    ],
)
def test_an_event_of_its_own_name_is_kept(data: bytes, expected: Chunk) -> None:
    """It is the provider's, under the provider's name."""
    assert [expected] == read(SSEFrame("ping", data))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello", "not_json"),
        (b'{"choices":[', "not_json"),
        (b"5", "bad_event"),
        (b'"text"', "bad_event"),
        (b"[1]", "bad_event"),
        (b'{"choices":{}}', "bad_event"),
        (b'{"choices":[null]}', "bad_event"),
        (b'{"choices":[{"index":-1}]}', "bad_event"),
        (b'{"choices":[{"index":"0"}]}', "bad_event"),
    ],
)
def test_an_event_of_another_shape_is_an_error(data: bytes, code: str) -> None:
    """It is told with an excerpt, and never as an attribute error of ours."""
    with pytest.raises(ProtocolError) as caught:
        opened().feed([SSEFrame("message", data)], [])

    assert code == caught.value.code
    assert len(str(caught.value)) < 300


def test_choices_are_bounded() -> None:
    """A peer cannot make the answer grow by inventing choices."""
    frames = [frame(delta(content="a", index=index)) for index in range(200)]

    with pytest.raises(ProtocolError, match="128 choices"):
        opened().feed(frames, [])


@pytest.mark.parametrize("depth", [256, 100_000])
def test_json_depth_is_bounded(depth: int) -> None:
    """Nesting beyond the bound is an error before it is a recursion."""
    data = b'{"choices":[],"x":' + b"[" * depth + b"]" * depth + b"}"

    with pytest.raises(LimitExceededError) as caught:
        opened().feed([SSEFrame("message", data)], [])

    assert ("max_json_depth", 256) == (caught.value.phase, caught.value.limit)


def test_brackets_in_texts_are_no_depth() -> None:
    """Only nesting counts, in texts with escapes too."""
    text = '[{"' * 1000

    assert [TextDelta(text), Finish("stop")] == read(frame(delta("stop", content=text)))


def pieces(count: int, **fields: Any) -> list[SSEFrame]:
    """A tool call in pieces of one character."""
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    piece = {"index": 0, "function": {"arguments": "x"}, **fields}
    return [frame(delta(tool_calls=[first])), *[frame(delta(tool_calls=[piece]))] * count]


@pytest.mark.parametrize("fields", [{}, {"id": "a"}, {"vendor": 1}])
def test_row_31_time_is_linear_in_the_pieces(fields: dict[str, Any]) -> None:
    """Twice the deltas take twice the steps, on the fast path and on the others."""
    short, long = (steps(pieces(count, **fields)) for count in (1000, 2000))

    assert long < 2.05 * short


def steps(frames: list[SSEFrame]) -> int:
    """How many calls it takes to read `frames`."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1

    answer, chunks = opened(), list[Chunk]()
    old, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # its callbacks and the finalizers of others are no steps of the answer
    sys.setprofile(count)
    try:
        answer.feed(frames, chunks)
    finally:
        sys.setprofile(old)
        if collecting:
            gc.enable()
    return seen


def test_row_31_two_hundred_thousand_pieces_are_one_call() -> None:
    """Each piece is a chunk of its own; nothing is put together or parsed on the way."""
    chunks: list[Chunk] = []
    opened().feed(pieces(200_000), chunks)

    assert 200_002 == len(chunks)
    assert ToolCallDelta(0, "", "", "x") == chunks[-1]


TEXTS = st.one_of(st.none(), st.text(max_size=3))
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from([None, "assistant", "tool"]),
        "content": TEXTS,
        "reasoning_content": TEXTS,
        "reasoning": TEXTS,
        "reasoning_details": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries(
                    {"type": st.just("reasoning.text")},
                    optional={"text": st.text(max_size=2), "index": st.none(), "more": st.just([])},
                ),
                max_size=2,
            ),
        ),
        "refusal": TEXTS,
        "tool_calls": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries(
                    {
                        "index": st.sampled_from([0, 1]),
                        "function": st.fixed_dictionaries({"arguments": st.text(max_size=2)}),
                    },
                    optional={"id": st.sampled_from([None, "a"]), "type": st.just("function")},
                ),
                max_size=2,
            ),
        ),
        "extra": st.integers(0, 1),
    },
)
EVENTS = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": DELTAS},
                optional={
                    "index": st.sampled_from([0, 1]),
                    "finish_reason": st.sampled_from([None, "stop"]),
                    "logprobs": st.none(),
                },
            ),
            max_size=2,
        )
    },
    optional={
        "id": st.sampled_from(["", "a", "b"]),
        "model": st.sampled_from([None, "m"]),
        "provider": st.sampled_from([None, "p", "q"]),
        "usage": st.sampled_from([None, USAGE]),
        "created": st.integers(0, 2),
    },
)


@given(events=st.lists(EVENTS, max_size=8))
def test_the_fast_path_changes_nothing(events: list[dict[str, Any]]) -> None:
    """Read by type or generically, events give the same chunks and the same error."""
    frames = [SSEFrame("message", json.dumps(event).encode()) for event in events]

    with pytest.MonkeyPatch.context() as patch:
        fast = outcome(frames)
        for kind in ("plain", "usual"):
            patch.setattr(module, kind, refuse)
            assert fast == outcome(frames)


def refuse(_: bytes) -> None:
    """Find no event plain."""
    raise msgspec.ValidationError


def outcome(frames: list[SSEFrame]) -> tuple[list[Chunk], str | None, bool]:
    """The chunks, the error and whether it is complete."""
    answer, chunks = opened(), list[Chunk]()
    try:
        answer.feed(frames, chunks)
    except PenstockError as error:
        return chunks, str(error), answer.complete
    return chunks, None, answer.complete


def sdk_cases() -> Iterator[Any]:
    """The vectors whose shapes are the openai SDK's own streams."""
    for case in CASES:
        plain = case.content_type == "text/event-stream" and case.error is None
        if plain and case.name in {"plain", "usage", "choices", "refusal", "logprobs", "tool_call"}:
            yield pytest.param(case, id=case.name)


@pytest.mark.parametrize("case", list(sdk_cases()))
def test_the_sdk_reads_the_same_from_a_vector(case: Any) -> None:
    """Text, refusal, calls and reasons are what the SDK's own types find in the same bytes."""
    lines = [line.removeprefix(b"data: ") for line in case.wire.split(b"\n\n") if b"{" in line]
    theirs = [ChatCompletionChunk.model_validate_json(line) for line in lines]
    choices = [choice for event in theirs for choice in event.choices]

    assert "".join(chunk.text for chunk in case.chunks) == "".join(
        choice.delta.content or "" for choice in choices
    )
    assert [chunk.reason for chunk in case.chunks if isinstance(chunk, Finish)] == [
        choice.finish_reason for choice in choices if choice.finish_reason
    ]
    assert "".join(
        chunk.arguments for chunk in case.chunks if isinstance(chunk, ToolCallDelta)
    ) == "".join(
        call.function.arguments or ""
        for choice in choices
        for call in choice.delta.tool_calls or []
        if call.function
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"reasoning": "a", "reasoning_content": "a"},
            [ReasoningDelta("a", spelling="reasoning")],
        ),
        (
            {"reasoning": "a", "reasoning_content": "b"},
            [ReasoningDelta("b"), ReasoningDelta("a", spelling="reasoning")],
        ),
        (
            {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
            [
                ReasoningDelta(
                    "a",
                    spelling="reasoning",
                    details=({"type": "reasoning.text", "text": "a"},),
                )
            ],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            [
                ReasoningDelta(
                    "",
                    spelling="reasoning_details",
                    details=({"type": "reasoning.encrypted", "data": "x"},),
                )
            ],
        ),
        ({"reasoning": "", "reasoning_details": []}, []),
    ],
)
def test_a_thought_in_two_spellings_is_one_thought(
    fields: dict[str, Any], expected: list[Chunk]
) -> None:
    """The same text under two names is told once; different texts are both told."""
    assert expected == read(frame(delta(**fields)))
