"""The asynchronous end of the pipeline: item by item, in the consumer's own task.

Nothing here makes a task, a queue or a timer, and no chunk waits for the next one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from penstock.chunks import Chunk
from penstock.errors import StreamClosedError
from penstock.interfaces import Stage
from penstock.pipeline.stream import Interrupted

__all__ = ["Edge", "Step", "each", "staged"]

Step: TypeAlias = Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]]
"""Chunks to chunks, as a bare async generator function makes them."""


class Edge:
    """Async generators over a source of chunks, and how to close them.

    `aclose` may come from any task. While the consumer's task is inside the generators they are
    left to it: the owner has aborted the wire, the pending read raises `StreamClosedError`, and
    the generators unwind where they run. Idle ones are closed at once, the last first.

    Args:
        source: The chunks; closed with the rest.
        steps: What is done to them, in order.
    """

    def __init__(self, source: AsyncGenerator[Chunk, None], steps: Sequence[Step]) -> None:
        self._closed = False
        self._made: list[AsyncIterator[Chunk]] = [source]
        for step in steps:
            self._made.append(step(self._made[-1]))
        self.chunks: AsyncGenerator[Chunk, None] = self._run() if steps else source
        """What the caller iterates."""

    async def aclose(self) -> None:
        """Close the generators, unless another task is inside: then it closes them. Idempotent."""
        self._closed = True
        if not getattr(
            self.chunks, "ag_running", False
        ):  # typeshed has it for the native type only
            await self.chunks.aclose()

    async def _run(self) -> AsyncGenerator[Chunk, None]:
        try:
            async for chunk in self._made[-1]:
                # A step that was asleep when the stream was closed has one more; nobody wants it.
                if self._closed:
                    raise StreamClosedError("the stream was closed")
                yield chunk
        finally:
            await _close(self._made)


async def _close(made: list[AsyncIterator[Chunk]]) -> None:
    """Close all, the last first, whatever one of them raises.

    One that still runs, in the task of a middleware that reads ahead, was cancelled there.
    """
    while made:
        step = made.pop()
        aclose: Callable[[], Awaitable[Any]] | None = getattr(step, "aclose", None)
        if aclose is not None and not getattr(step, "ag_running", False):
            try:
                await aclose()
            finally:
                await _close(made)


def each(function: Callable[[Chunk], Awaitable[Chunk | None]]) -> Step:
    """Return the step that awaits `function` for every chunk and drops what becomes None."""

    async def step(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        async for chunk in chunks:
            result = await function(chunk)
            if result is not None:
                yield result

    return step


def staged(begin: Callable[[], Stage[Chunk]]) -> Step:
    """Return the step that gives every chunk to a stage of its own, as a batch of one.

    What the stage holds back comes at the end of the chunks, or before their error.
    """

    async def step(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        stage = begin()
        failure: Exception | None = None
        try:
            async for chunk in chunks:
                for result in stage([chunk]):
                    yield result
        except Interrupted as cut:
            held, failure = cut.items, cut.error
        except Exception as error:
            held, failure = _flush(stage), error
        else:
            held = _flush(stage)
        for result in held:
            yield result
        if failure is not None:
            raise failure

    return step


def _flush(stage: Stage[Chunk]) -> list[Chunk]:
    flush: Callable[[], list[Chunk]] | None = getattr(stage, "flush", None)
    return [] if flush is None else flush()
