"""Item-wise steps run, fail and are closed in the consumer's task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
import pytest

from penstock.chunks import Chunk, TextDelta
from penstock.errors import StreamClosedError, TruncatedError
from penstock.interfaces import Stage
from penstock.pipeline.edge import Edge, each, staged
from penstock.pipeline.stream import Interrupted
from penstock.testing.scripted import Line, ScriptedStream

pytestmark = pytest.mark.asyncio


class Watched:
    """A step that notes in which task it was closed, and by what."""

    def __init__(self, name: str, log: list[tuple[str, object]]) -> None:
        self.name = name
        self.log = log

    async def __call__(self, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        """Pass everything on."""
        try:
            async for chunk in chunks:
                yield chunk
        except BaseException as error:
            self.log.append((self.name, type(error)))
            raise
        finally:
            self.log.append((self.name, asyncio.current_task()))


async def chunks_of(stream: ScriptedStream) -> AsyncGenerator[Chunk, None]:
    """Chunks one by one, as the public edge hands them out."""
    while batch := await stream.read():
        for chunk in batch:
            yield chunk


class Setting:
    """A stream, an edge over it with two watched steps, and what they noted."""

    def __init__(self, *lines: Line) -> None:
        self.log: list[tuple[str, object]] = []
        self.stream = ScriptedStream(lines)
        self.edge = Edge(
            chunks_of(self.stream), [Watched("first", self.log), Watched("last", self.log)]
        )

    async def aclose(self) -> None:
        """Close as the public edge does: the wire first."""
        await self.stream.aclose()
        await self.edge.aclose()


async def test_idle_steps_are_closed_by_whoever_closes() -> None:
    """Generators that wait at a yield are closed, the last first, in the closing task."""
    setting = Setting("a", "b")
    await anext(setting.edge.chunks)

    await setting.aclose()
    await setting.aclose()

    here = asyncio.current_task()
    assert [
        ("last", GeneratorExit),
        ("last", here),
        ("first", GeneratorExit),
        ("first", here),
    ] == setting.log


async def test_a_pending_read_unwinds_in_its_own_task() -> None:
    """Closing from another task ends the steps where they run, with StreamClosedError (row 26)."""
    setting = Setting("a", 3600.0)
    await anext(setting.edge.chunks)
    reading = asyncio.ensure_future(anext(setting.edge.chunks))
    await asyncio.sleep(0)

    await setting.aclose()

    with pytest.raises(StreamClosedError):
        await reading
    assert [
        ("first", StreamClosedError),
        ("first", reading),
        ("last", StreamClosedError),
        ("last", reading),
    ] == setting.log


async def test_a_step_that_sleeps_is_closed_when_it_wakes() -> None:
    """A step with a wait of its own is not cut short; its chunk is not delivered any more."""
    log: list[tuple[str, object]] = []
    gate = asyncio.Event()

    async def sleeper(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        async for chunk in chunks:
            await gate.wait()
            yield chunk

    stream = ScriptedStream([["a", "b"]])
    edge = Edge(chunks_of(stream), [Watched("first", log), sleeper])
    reading = asyncio.ensure_future(anext(edge.chunks))
    await asyncio.sleep(0)

    await stream.aclose()
    await edge.aclose()
    assert [] == log
    gate.set()

    with pytest.raises(StreamClosedError):
        await reading
    assert [("first", GeneratorExit), ("first", reading)] == log


async def test_cancellation_passes_through_the_steps() -> None:
    """A cancelled consumer unwinds all steps at once (row 27)."""
    setting = Setting(3600.0)
    reading = asyncio.ensure_future(anext(setting.edge.chunks))
    await asyncio.sleep(0)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert {("first", reading), ("last", reading)} <= set(setting.log)


async def test_an_edge_that_was_never_read_can_be_closed() -> None:
    """Nothing runs, nothing is left."""
    setting = Setting("a")

    await setting.aclose()

    assert [] == setting.log


async def test_every_step_is_closed_whatever_one_raises() -> None:
    """A step that breaks while it is closed does not keep the others open."""
    log: list[tuple[str, object]] = []

    async def breaks(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            raise KeyError("x")

    edge = Edge(chunks_of(ScriptedStream(["a", "b"])), [Watched("first", log), breaks])
    await anext(edge.chunks)

    with pytest.raises(KeyError):
        await edge.aclose()
    assert [("first", GeneratorExit), ("first", asyncio.current_task())] == log


async def test_steps_that_are_no_generators_need_no_close() -> None:
    """Any async iterator will do."""

    class Plain:
        def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
            self.chunks = chunks

        def __aiter__(self) -> AsyncIterator[Chunk]:
            return self

        async def __anext__(self) -> Chunk:
            return await anext(self.chunks)

    edge = Edge(chunks_of(ScriptedStream(["a", "b"])), [Plain])
    await anext(edge.chunks)
    await edge.aclose()

    assert [] == [chunk async for chunk in edge.chunks]


async def test_each_chunk_is_handed_on_before_the_next_is_asked_for() -> None:
    """The edge never makes a batch: what is finished is out before the next read (section 2)."""
    gate = anyio.Event()
    stream = ScriptedStream(["a", gate, "b"])

    async def drop_nothing(chunk: Chunk) -> Chunk | None:
        return chunk

    async with aclosing(Edge(chunks_of(stream), [each(drop_nothing)]).chunks) as chunks:
        assert "a" == (await anext(chunks)).text
        gate.set()
        assert "b" == (await anext(chunks)).text


async def test_each_drops_none() -> None:
    """An async function of a chunk keeps, changes and drops as a sync one does."""

    async def shout(chunk: Chunk) -> Chunk | None:
        return None if chunk.text == "b" else TextDelta(chunk.text.upper())

    edge = Edge(chunks_of(ScriptedStream([["a", "b", "c"]])), [each(shout)])

    assert ["A", "C"] == [chunk.text async for chunk in edge.chunks]


class HoldBack:
    """A stage that keeps the last chunk until there is another."""

    def __init__(self) -> None:
        self.held: list[Chunk] = []

    def __call__(self, batch: list[Chunk]) -> list[Chunk]:
        """Give all but the last; end the answer at an "x", fail at a "y"."""
        texts = [chunk.text for chunk in batch]
        if "x" in texts:
            raise Interrupted(self.held, None)
        if "y" in texts:
            raise Interrupted(self.held, KeyError("y"))
        *ready, last = self.held + batch
        self.held = [last]
        return ready

    def flush(self) -> list[Chunk]:
        """Give the last."""
        return self.held


async def read(*lines: Line, begin: type[HoldBack] = HoldBack) -> tuple[str, type | None]:
    """The text that a stage at the edge hands out, and what it raises."""
    text = ""
    try:
        async for chunk in Edge(chunks_of(ScriptedStream(lines)), [staged(begin)]).chunks:
            text += chunk.text
    except Exception as error:
        return text, type(error)
    return text, None


@pytest.mark.parametrize(
    ("lines", "result"),
    [
        (["a", "b"], ("ab", None)),
        (["a", "b", TruncatedError("cut short")], ("ab", TruncatedError)),
        (["a", "b", "x", "c"], ("ab", None)),
        (["a", "b", "y", "c"], ("ab", KeyError)),
    ],
    ids=["end", "error", "stop", "failure"],
)
async def test_a_stage_at_the_edge_loses_nothing(
    lines: list[Line], result: tuple[str, type | None]
) -> None:
    """What a stage holds back comes at the end, before an error, and before its own."""
    assert result == await read(*lines)


async def test_a_plain_stage_at_the_edge_needs_no_flush() -> None:
    """A stage may be a function."""

    def begin() -> Stage[Chunk]:
        return lambda batch: batch

    edge = Edge(chunks_of(ScriptedStream(["a", "b"])), [staged(begin)])

    assert ["a", "b"] == [chunk.text async for chunk in edge.chunks]
