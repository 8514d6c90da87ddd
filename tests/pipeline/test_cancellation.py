"""Cancelled once or twice, at whatever moment, the pipeline gives way and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import aiostream.stream
import pytest
from tests.pipeline.drive import items

from penstock import sse
from penstock.chunks import Chunk
from penstock.pipeline import Pipeline, coalesce, compare, merge, tee, throttle
from penstock.testing import ScriptedStream
from penstock.testing.scripted import Line

pytestmark = pytest.mark.asyncio

LINES: list[Line] = [0, "a", 0, ["b", "c"], 0, 0, "d", 0]
TURNS = 40

assert aiostream.stream  # without the extra this module is left out


class Opened:
    """An answer that closes what it opened, as a client's does."""

    def __init__(self) -> None:
        self.stream = ScriptedStream(LINES)
        self.held = 0

    async def __aenter__(self) -> AsyncIterator[Chunk]:
        await asyncio.sleep(0)
        self.held += 1
        return items(self.stream)

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self.stream.aclose()
        finally:
            self.held -= 1


async def slow_to_close(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
    """A middleware whose cleanup takes a turn."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await asyncio.sleep(0)


async def through_middleware(opened: list[Opened]) -> None:
    """Generators, a clock of its own, and a pace, closed as the public edge does."""
    pipeline = Pipeline(
        [slow_to_close, coalesce(size=2, interval=3600.0), throttle(chunks=1e6), slow_to_close]
    )
    async with opened[0] as chunks:
        edge = pipeline.edge(chunks)  # type: ignore[arg-type]  # `items` is a generator
        try:
            async for _ in edge.chunks:
                await asyncio.sleep(0)
        finally:
            await edge.aclose()


async def through_tee(opened: list[Opened]) -> None:
    """Two readers of one answer."""

    async def read(branch: AsyncIterator[Chunk]) -> None:
        async for _ in branch:
            await asyncio.sleep(0)

    async with opened[0] as chunks, tee(chunks) as (one, two):
        await asyncio.gather(read(one), read(two))


async def through_merge(opened: list[Opened]) -> None:
    """Two answers that are opened and closed by the merge."""
    async with merge(opened) as merged:
        async for _ in merged:
            await asyncio.sleep(0)


async def through_compare(opened: list[Opened]) -> None:
    """The same, side by side."""
    await compare(opened)


async def through_sse(opened: list[Opened]) -> None:
    """Re-streamed, and closed as Starlette does."""
    async with opened[0] as chunks:
        events = sse.encode(chunks)
        try:
            async for _ in events:
                await asyncio.sleep(0)
        finally:
            await events.aclose()


@pytest.mark.parametrize("twice", [None, 0, 1, 2, 3], ids=lambda n: f"again after {n}")
@pytest.mark.parametrize(
    "work", [through_middleware, through_tee, through_merge, through_compare, through_sse]
)
async def test_a_cancellation_leaves_nothing(
    work: Callable[[list[Opened]], Awaitable[None]], twice: int | None
) -> None:
    """Row 27: it passes at once; row 24: so does the second. No task and no stream is left."""
    before = asyncio.all_tasks()
    for turns in range(TURNS):
        opened = [Opened(), Opened()]
        task = asyncio.ensure_future(work(opened))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if twice is not None:
            for _ in range(twice):
                await asyncio.sleep(0)
            task.cancel()

        done, _ = await asyncio.wait([task], timeout=5)

        assert task in done
        assert task.cancelled() or task.exception() is None
        assert [0, 0] == [each.held for each in opened]
        for _ in range(3):
            await asyncio.sleep(0)
        assert before == asyncio.all_tasks()
