"""Fewer, larger deltas: by size over batches, or by interval at the edge."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeAlias

from penstock.chunks import Chunk, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from penstock.errors import ConfigurationError
from penstock.interfaces import Stage
from penstock.pipeline.ahead import Ahead, News
from penstock.pipeline.edge import Step

__all__ = ["CoalesceBySize", "coalesce"]

_Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta


def coalesce(*, size: int = 64, interval: float | None = None) -> CoalesceBySize | Step:
    """Return a middleware that joins neighbouring deltas of one kind and choice.

    Input and output: chunks. Text, refusals, reasoning of one spelling without details, and the
    arguments of one tool call are joined; every other chunk, a `Finish` above all, is passed on at
    once, after what was held back: nothing is reordered. No character is lost or changed.

    Without `interval` it runs over batches, and a delta waits for others until there are `size`
    characters, another kind of chunk, or the end: for consumers that are paid by the chunk.

    With `interval` it runs at the edge, and a delta also waits no longer than that, even if nothing
    more arrives: for user interfaces that redraw. One task reads ahead by at most `size` characters
    and is over before the generator is. This form needs asyncio.

    Args:
        size: Characters from which a delta is passed on.
        interval: Seconds from which a delta is passed on; None for no clock.

    Raises:
        ConfigurationError: `size` is below 1, or `interval` not above 0.
        UsageError: With `interval`, once it runs: there is no asyncio loop.
    """
    if size < 1:
        raise ConfigurationError(f"coalesce needs a size of at least 1, not {size}")
    if interval is None:
        return CoalesceBySize(size)
    if not interval > 0:
        raise ConfigurationError(f"coalesce needs an interval above 0, not {interval}")
    seconds = interval

    async def step(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        paced = _Paced(chunks, size)
        try:
            while batch := await paced.next(seconds):
                for chunk in batch:
                    yield chunk
        finally:
            await paced.aclose()

    return step


class CoalesceBySize:
    """The middleware that `coalesce` returns without an interval: a stage factory."""

    def __init__(self, size: int) -> None:
        self._size = size

    def begin(self) -> Stage[Chunk]:
        """Return the stage for one stream."""
        return _Joiner(self._size)


class _Joiner:
    """Joins deltas that follow each other; holds back fewer than `size` characters."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._first: _Delta | None = None
        self._pieces: list[str] = []
        self.length = 0
        """Characters that are held back."""

    def __call__(self, batch: list[Chunk]) -> list[Chunk]:
        done: list[Chunk] = []
        for chunk in batch:
            self.add(chunk, done)
        return done

    def flush(self) -> list[Chunk]:
        """What is held back, as one delta."""
        done: list[Chunk] = []
        self._release(done)
        return done

    def add(self, chunk: Chunk, done: list[Chunk]) -> None:
        """Take a chunk; append what is ready to `done`."""
        piece = _piece(chunk)
        if piece is None:
            self._release(done)
            done.append(chunk)
            return
        if self._first is not None and not _continues(self._first, chunk):
            self._release(done)
        if self._first is None:
            self._first = chunk  # type: ignore[assignment]  # a chunk with a piece is a delta
        self._pieces.append(piece)
        self.length += len(piece)
        if self.length >= self._size:
            self._release(done)

    def _release(self, done: list[Chunk]) -> None:
        if self._first is None:
            return
        done.append(_joined(self._first, self._pieces))
        self._first = None
        self._pieces = []
        self.length = 0


def _piece(chunk: Chunk) -> str | None:
    """The text of a delta that can be joined; None for every other chunk."""
    match chunk:
        case TextDelta():
            return chunk.text
        case ReasoningDelta() if not chunk.details:
            return chunk.reasoning
        case RefusalDelta():
            return chunk.refusal
        case ToolCallDelta():
            return chunk.arguments
        case _:
            return None


def _continues(first: _Delta, chunk: Chunk) -> bool:
    if first.choice != chunk.choice:
        return False
    match first, chunk:
        case (TextDelta(), TextDelta()) | (RefusalDelta(), RefusalDelta()):
            return True
        case ReasoningDelta(), ReasoningDelta():
            return chunk.spelling == first.spelling
        case ToolCallDelta(), ToolCallDelta():  # a name or an id begins another call
            return chunk.index == first.index and not chunk.id and not chunk.name
        case _:
            return False


def _joined(first: _Delta, pieces: list[str]) -> Chunk:
    if len(pieces) == 1:
        return first
    text = "".join(pieces)
    match first:
        case TextDelta():
            return TextDelta(text, first.choice)
        case ReasoningDelta():
            return ReasoningDelta(text, first.choice, first.spelling)
        case RefusalDelta():
            return RefusalDelta(text, first.choice)
        case ToolCallDelta():
            return ToolCallDelta(first.index, first.id, first.name, text, first.choice, first.kind)


class _Paced:
    """Joins what is read ahead, and knows how long the oldest delta has waited."""

    def __init__(self, chunks: AsyncIterator[Chunk], size: int) -> None:
        self._joiner = _Joiner(size)
        self._ready: list[Chunk] = []
        self._since: float | None = None
        self._ahead = Ahead(chunks, self._put)

    async def next(self, interval: float) -> list[Chunk]:
        """Return what is ready, or what has waited for `interval` seconds; empty at the end."""
        while not self._ready:
            if self._ahead.ended:
                self._ready = self._joiner.flush()
                if not self._ready:
                    self._ahead.check()
                    return []
                break
            until = None if self._since is None else self._since + interval
            if not await self._ahead.wait(until):
                self._ready += self._joiner.flush()
                self._since = None
        batch, self._ready = self._ready, []
        self._ahead.more()
        return batch

    async def aclose(self) -> None:
        """Stop reading ahead."""
        await self._ahead.aclose()

    def _put(self, chunk: Chunk) -> News:
        self._joiner.add(chunk, self._ready)
        if not self._joiner.length:
            self._since = None
        elif self._ready or self._since is None:
            self._since = self._ahead.now()
            return "enough" if self._ready else "something"
        return "enough" if self._ready else "nothing"
