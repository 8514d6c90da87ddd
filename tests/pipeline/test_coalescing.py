"""Small deltas are joined; nothing is lost, reordered or late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.drive import cut, items, outcome, run

from penstock.chunks import (
    Chunk,
    Finish,
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.errors import ConfigurationError, StreamClosedError, TruncatedError, UsageError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.coalescing import coalesce
from penstock.pipeline.composition import Pipeline, compose
from penstock.pipeline.fold import Fold
from penstock.testing.scripted import Line, ScriptedStream

FOREVER = 3600.0
DETAILS = ReasoningDelta("x", details=({"type": "reasoning.encrypted", "data": "x"},))
MIXED: list[Chunk] = [
    TextDelta("a"),
    TextDelta("b"),
    TextDelta("c", 1),
    TextDelta("d"),
    ReasoningDelta("e"),
    ReasoningDelta("f"),
    ReasoningDelta("g", spelling="reasoning"),
    DETAILS,
    ReasoningDelta("h", spelling="reasoning"),
    RefusalDelta("i"),
    RefusalDelta("j"),
    LogProbs(),
    ToolCallDelta(0, id="c1", name="f", arguments="{"),
    ToolCallDelta(0, arguments="}"),
    ToolCallDelta(1, arguments="["),
    ToolCallDelta(1, name="g", arguments="]"),
    TextDelta("k"),
    TextDelta("l"),
    Finish("stop"),
    TextDelta("m", 1),
    TextDelta("n", 1),
]
JOINED: list[Chunk] = [
    TextDelta("ab"),
    TextDelta("c", 1),
    TextDelta("d"),
    ReasoningDelta("ef"),
    ReasoningDelta("g", spelling="reasoning"),
    DETAILS,
    ReasoningDelta("h", spelling="reasoning"),
    RefusalDelta("ij"),
    LogProbs(),
    ToolCallDelta(0, id="c1", name="f", arguments="{}"),
    ToolCallDelta(1, arguments="["),
    ToolCallDelta(1, name="g", arguments="]"),
    TextDelta("kl"),
    Finish("stop"),
    TextDelta("mn", 1),
]
FORMS = pytest.mark.parametrize(
    "options", [{"size": 64}, {"size": 64, "interval": FOREVER}], ids=["size", "interval"]
)


@FORMS
@pytest.mark.asyncio
@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_only_neighbours_of_one_kind_are_joined(options: dict[str, Any], batch: int) -> None:
    """Kinds, choices, calls and spellings are kept apart, and their order is kept."""
    assert JOINED == await run(cut(MIXED, batch), coalesce(**options))


@FORMS
@pytest.mark.asyncio
async def test_a_delta_is_passed_on_at_its_size(options: dict[str, Any]) -> None:
    """From `size` characters on nothing waits; what is left comes at the end."""
    seen = await run(list("abcdefgh"), coalesce(**options | {"size": 3}))

    assert [TextDelta("abc"), TextDelta("def"), TextDelta("gh")] == seen


@FORMS
@pytest.mark.asyncio
async def test_a_truncation_loses_nothing(options: dict[str, Any]) -> None:
    """What was held back comes before the error."""
    seen, error, _ = await outcome(["a", "b", TruncatedError("cut short")], coalesce(**options))

    assert [TextDelta("ab")] == seen
    assert isinstance(error, TruncatedError)


pieces = st.sampled_from(MIXED)


@given(st.lists(pieces, max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_the_answer_is_the_same(chunks: list[Chunk], size: int, batch: int) -> None:
    """Joined or not, the chunks fold to one reply, and a joined one is never over `size` twice."""
    stage = coalesce(size=size).begin()  # type: ignore[union-attr]
    joined = [chunk for each in cut(chunks, batch) for chunk in stage(each)]
    joined += stage.flush()

    assert reply(chunks) == reply(joined)
    assert len(joined) <= len(chunks)


def reply(chunks: Sequence[Chunk]) -> object:
    """What `chunks` fold to."""
    fold = Fold(Limits())
    fold.add(chunks)
    return fold.reply(CallRecord(dialect="d", origin="o"))


@pytest.mark.asyncio
async def test_an_interval_passes_with_nothing_more_to_come() -> None:
    """A delta is on time even if the provider is silent for ever."""
    stream = ScriptedStream(["a", "b", FOREVER])
    edge = compose(coalesce(interval=0.02)).edge(items(stream))

    assert TextDelta("ab") == await anext(edge.chunks)
    await stream.aclose()
    await edge.aclose()


@pytest.mark.asyncio
async def test_an_interval_starts_with_what_is_held_back() -> None:
    """What was passed on at its size leaves a clock that begins with the next delta."""
    stream = ScriptedStream(["abc", "d", FOREVER])
    edge = compose(coalesce(size=3, interval=0.02)).edge(items(stream))

    assert [TextDelta("abc"), TextDelta("d")] == [await anext(edge.chunks) for _ in range(2)]
    await stream.aclose()
    await edge.aclose()


@pytest.mark.asyncio
async def test_a_finish_does_not_wait() -> None:
    """Other chunks are passed on at once, after what was held back."""
    stream = ScriptedStream(["a", Finish("stop"), FOREVER])
    edge = compose(coalesce(interval=FOREVER)).edge(items(stream))

    assert [TextDelta("a"), Finish("stop")] == [await anext(edge.chunks) for _ in range(2)]
    await stream.aclose()
    await edge.aclose()


@pytest.mark.asyncio
async def test_reading_ahead_is_bounded() -> None:
    """A consumer that does not ask leaves the rest on the wire."""
    stream = ScriptedStream(list("abcdefgh"))
    asked = 0

    async def count(chunk: Chunk) -> Chunk:
        nonlocal asked
        asked += 1
        return chunk

    edge = compose(count, coalesce(size=2, interval=FOREVER)).edge(items(stream))
    await anext(edge.chunks)
    await settle()

    assert 4 == asked
    await stream.aclose()
    await edge.aclose()


async def settle() -> None:
    """Let every other task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def watched(log: list[str], name: str) -> Callable[..., Any]:
    """A step that notes how it ended."""

    async def step(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        try:
            async for chunk in chunks:
                yield chunk
        except BaseException as error:
            log.append(f"{name}: {type(error).__name__}")
            raise

    return step


def opened(log: list[str], *lines: Line) -> tuple[ScriptedStream, Any]:
    """A stream and an edge over it, with a watched step on either side of an interval."""
    stream = ScriptedStream(lines)
    middleware = [watched(log, "before"), coalesce(interval=FOREVER), watched(log, "after")]
    return stream, Pipeline(middleware).edge(items(stream))


@pytest.mark.asyncio
async def test_closing_under_a_read_unwinds_everything() -> None:
    """The pending read raises StreamClosedError through every step (row 26)."""
    log: list[str] = []
    stream, edge = opened(log, FOREVER)
    reading = asyncio.ensure_future(anext(edge.chunks))
    await settle()

    await stream.aclose()
    await edge.aclose()

    with pytest.raises(StreamClosedError):
        await reading
    assert ["before: StreamClosedError", "after: StreamClosedError"] == log


@pytest.mark.asyncio
async def test_closing_between_reads_leaves_no_task() -> None:
    """An idle consumer that closes ends the task that reads ahead."""
    log: list[str] = []
    stream, edge = opened(log, ["a", Finish("stop")], "b", FOREVER)
    await anext(edge.chunks)
    await settle()

    await stream.aclose()
    await edge.aclose()

    assert {"before: StreamClosedError", "after: GeneratorExit"} == set(log)


@pytest.mark.asyncio
async def test_closing_without_an_abort_cancels_the_read() -> None:
    """A generator that is dropped by itself cancels what it was reading."""
    log: list[str] = []
    stream, edge = opened(log, ["a", Finish("stop")], FOREVER)
    await anext(edge.chunks)
    await settle()

    await edge.aclose()
    await stream.aclose()

    assert {"before: CancelledError", "after: GeneratorExit"} == set(log)


@pytest.mark.asyncio
async def test_cancellation_passes_through() -> None:
    """A cancelled consumer unwinds what was read ahead, too (row 27)."""
    log: list[str] = []
    stream, edge = opened(log, "a", FOREVER)
    reading = asyncio.ensure_future(anext(edge.chunks))
    await settle()

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ["before: CancelledError", "after: CancelledError"] == log
    await stream.aclose()


def test_an_interval_needs_asyncio() -> None:
    """On trio the form with a clock is refused; the other works."""

    async def main(options: dict[str, Any]) -> list[Chunk]:
        return await run(["a", "b"], coalesce(**options))

    assert [TextDelta("ab")] == trio.run(main, {"size": 64})
    with pytest.raises(UsageError, match="asyncio"):
        trio.run(main, {"interval": 1.0})


@pytest.mark.parametrize("options", [{"size": 0}, {"interval": 0.0}, {"interval": -1.0}])
def test_bounds_are_checked(options: dict[str, Any]) -> None:
    """Sizes below 1 and intervals not above 0 are mistakes."""
    with pytest.raises(ConfigurationError, match="coalesce needs"):
        coalesce(**options)
