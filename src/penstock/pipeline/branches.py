"""One answer for several readers, each at its own pace within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import anyio

from penstock.chunks import Chunk
from penstock.errors import ConfigurationError, LimitExceededError, StreamClosedError, UsageError
from penstock.limits import Limits
from penstock.pipeline.bounds import chunk_size

__all__ = ["Branch", "tee"]


@asynccontextmanager
async def tee(
    stream: AsyncIterable[Chunk],
    readers: int = 2,
    *,
    slow: Literal["wait", "fail"] = "wait",
    limits: Limits | None = None,
) -> AsyncGenerator[Sequence[Branch], None]:
    """Read `stream` once, for several readers.

        async with tee(stream, 2) as (log, client): ...

    Input: anything with chunks. Output: branches, each with all of them, in order. A branch that is
    behind keeps at most ``Limits.max_queue_items`` chunks, or ``max_queue_bytes`` bytes and one
    chunk. Then, with ``slow="wait"``, nothing is read until it has caught up or is closed: the
    slowest reader sets the pace. With ``slow="fail"`` it fails as soon as another one has nothing
    left to read. An error of `stream` comes to every branch, after the chunks before it.

    A branch that is closed leaves the others as they are, as does the cancellation of its reader;
    whoever stops reading closes (`contextlib.aclosing`). Reading begins with the first branch that
    asks, and ends with the ``async with`` or the last branch. `stream` is not closed.

    Args:
        stream: The chunks.
        readers: How many branches.
        slow: What becomes of a branch that falls behind.
        limits: Bounds how far behind it may be.

    Raises:
        ConfigurationError: There is no reader.
        LimitExceededError: From a branch with ``slow="fail"``, after the chunks that it has.
    """
    if readers < 1:
        raise ConfigurationError(f"tee needs at least one reader, not {readers}")
    pump = _Pump(stream, readers, slow, limits or Limits())
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(pump.run)
        try:
            yield pump.branches
        except Exception as error:  # raised below, so that it is not put into a group
            failure = error
        pump.close()
    if failure is not None:
        raise failure


class Branch:
    """One reader's view of the answer: an async iterator, for one task at a time."""

    def __init__(self, pump: _Pump) -> None:
        self._pump = pump
        self._kept: deque[tuple[Chunk, int]] = deque()
        self._size = 0
        self._error: Exception | None = None
        self._news = anyio.Event()
        self.over = False
        """Whether nothing is added any more."""
        self._waiting = False

    def __aiter__(self) -> Branch:
        return self

    async def __anext__(self) -> Chunk:
        if self._waiting:
            raise UsageError("two tasks read one branch; give each its own")
        while not self._kept and not self.over:
            await self._wait()
        if self._kept:
            chunk, size = self._kept.popleft()
            self._size -= size
            self._pump.look()
            return chunk
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Want no more: what is kept is dropped, and the others go on; idempotent."""
        self.stop(StreamClosedError("the branch was closed"))
        self._kept.clear()
        self._size = 0
        self._pump.look()

    def is_full(self, limits: Limits) -> bool:
        """Whether the branch has all that it may keep."""
        if self.over:
            return False
        return len(self._kept) >= limits.max_queue_items or self._size >= limits.max_queue_bytes

    def is_starving(self) -> bool:
        """Whether a reader waits for more than there is."""
        return self._waiting and not self._kept and not self.over

    def put(self, chunk: Chunk, size: int) -> None:
        """Take a chunk; a branch that is over drops it."""
        if not self.over:
            self._kept.append((chunk, size))
            self._size += size
            self._news.set()

    def stop(self, error: Exception | None) -> None:
        """End the branch after the chunks that it has, with `error` if there is one."""
        if not self.over:
            self.over = True
            self._error = error
            self._news.set()

    async def _wait(self) -> None:
        self._news = anyio.Event()
        self._waiting = True
        self._pump.look()
        try:
            await self._news.wait()
        finally:
            self._waiting = False


class _Pump:
    """Reads for all branches, in a task of its own: a reader's cancellation is not the wire's."""

    def __init__(
        self,
        stream: AsyncIterable[Chunk],
        readers: int,
        slow: Literal["wait", "fail"],
        limits: Limits,
    ) -> None:
        self.branches = tuple(Branch(self) for _ in range(readers))
        self._stream = stream
        self._waits = slow == "wait"
        self._limits = limits
        self._change = anyio.Event()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        with self._scope:
            await self._change.wait()
            try:
                await self._read()
            except Exception as error:
                self._end(error)
            else:
                self._end()

    def close(self) -> None:
        """End all branches, and the reading."""
        self._end()
        self._scope.cancel()

    def look(self) -> None:
        """Look again who is full and who waits: it has changed."""
        self._change.set()

    async def _read(self) -> None:
        async for chunk in self._stream:
            size = chunk_size(chunk)
            for branch in self.branches:
                branch.put(chunk, size)
            await self._keep_bounds()
            if all(branch.over for branch in self.branches):
                return

    def _end(self, error: Exception | None = None) -> None:
        for branch in self.branches:
            branch.stop(error)

    async def _keep_bounds(self) -> None:
        """Wait until no branch is full."""
        while full := [branch for branch in self.branches if branch.is_full(self._limits)]:
            if not self._waits and any(branch.is_starving() for branch in self.branches):
                for branch in full:
                    branch.stop(_behind(self._limits))
                return
            self._change = anyio.Event()
            await self._change.wait()


def _behind(limits: Limits) -> LimitExceededError:
    return LimitExceededError(
        "a reader fell behind by more than Limits.max_queue_items or max_queue_bytes",
        phase="max_queue_items",
        limit=limits.max_queue_items,
        elapsed=limits.max_queue_items,
    )
