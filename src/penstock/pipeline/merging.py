"""Several answers at once: as one stream of tagged chunks, or side by side."""

from __future__ import annotations

import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from penstock.chunks import Chunk
from penstock.errors import ConfigurationError, LimitExceededError, MissingExtraError, UsageError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.response import Reply

__all__ = ["Side", "Streams", "Tagged", "compare", "merge"]

Name: TypeAlias = "str | int"
Source: TypeAlias = (
    "AsyncIterable[Chunk] | AbstractAsyncContextManager[AsyncIterable[Chunk], bool | None]"
)
Streams: TypeAlias = "Mapping[str, Source] | Iterable[Source]"
"""Answers by name, or in order (then their names are 0, 1, ...): open ones, or ones to be opened by
``async with``, as `penstock.Client.stream` returns them; these are opened at once, and closed."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A chunk, and whose it is."""

    source: Name
    """The answer's name, or its place."""
    chunk: Chunk | None
    """The chunk; None for a failure."""
    error: Exception | None = None
    """Why the answer has ended, with ``failures="report"``."""


@asynccontextmanager
async def merge(
    streams: Streams, *, failures: Literal["raise", "report"] = "raise"
) -> AsyncGenerator[AsyncIterator[Tagged], None]:
    """Read several answers at once.

        async with merge({"a": client.stream(a, m), "b": client.stream(b, m)}) as chunks:
            async for tagged in chunks: ...

    Output: the chunks of all, each answer's in order, as they come; one of each is read ahead. It
    needs asyncio and the extra ``streams`` (aiostream), at about 10 µs a chunk: it belongs to
    the edge.

    Args:
        streams: The answers; see `Streams`.
        failures: Whether the failure of one is raised and ends all, or comes as a `Tagged`.

    Raises:
        MissingExtraError: aiostream is not installed.
        ConfigurationError: There are no streams.
        Exception: What one of them raised, unless it is reported.
    """
    async with _merged(_named(streams), report=failures == "report", ends=False) as merged:
        yield merged


@asynccontextmanager
async def _merged(
    named: dict[Name, Source], *, report: bool, ends: bool
) -> AsyncGenerator[AsyncIterator[Tagged], None]:
    if not named:
        raise ConfigurationError("merge needs at least one stream")
    combine = _aiostream()
    tagged = [_tagged(name, source, report, ends) for name, source in named.items()]
    failure: Exception | None = None
    async with combine(*tagged).stream() as merged:
        try:
            yield merged
        except Exception as error:  # raised below, so that aiostream adds nothing to it
            failure = error
    if failure is not None:
        raise failure


@dataclass(slots=True)
class Side:
    """One of the answers that are compared; it goes on growing until it is `done`."""

    name: Name
    """The answer's name, or its place."""
    ttft: float | None = None
    """Seconds from the start of the comparison to the first content."""
    total: float | None = None
    """Seconds from the start of the comparison to the end; None while it is running."""
    error: Exception | None = None
    """Why the answer failed; None where it did not."""
    fold: Fold = field(default_factory=Fold, repr=False)
    """The answer so far."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.total is not None

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self.fold.text

    def reply(self) -> Reply:
        """Return the answer so far."""
        return self.fold.reply(CallRecord(model=str(self.name)))


async def compare(
    streams: Streams,
    on_change: Callable[[Side], object] | None = None,
    *,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[Name, Side]:
    """Read several answers at once to their ends, side by side.

    An answer that fails leaves the others as they are: its side has the error, and what came.

    Args:
        streams: The answers; see `Streams`.
        on_change: Is told of every chunk, and of every end, with the side as it is then.
        limits: Bounds each answer, as `penstock.pipeline.Fold` does; one over it fails.
        clock: The time, in seconds.

    Raises:
        MissingExtraError: aiostream is not installed.
        ConfigurationError: There are no streams.
        Exception: What `on_change` raised.
    """
    begun = clock()
    named = _named(streams)
    sides: dict[Name, Side] = {name: Side(name, fold=Fold(limits)) for name in named}
    async with _merged(named, report=True, ends=True) as merged:
        async for tagged in merged:
            side = sides[tagged.source]
            if not side.done:
                _add(side, tagged, clock() - begun)
                if on_change is not None:
                    on_change(side)
    return sides


def _add(side: Side, tagged: Tagged, now: float) -> None:
    if tagged.chunk is None:
        side.error, side.total = tagged.error, now
        return
    if tagged.chunk.content and side.ttft is None:
        side.ttft = now
    try:
        side.fold.add((tagged.chunk,))
    except LimitExceededError as error:
        side.error, side.total = error, now


async def _tagged(
    name: Name, source: Source, report: bool, ends: bool
) -> AsyncGenerator[Tagged, None]:
    """The chunks of an answer, and a last one without a chunk for a reported failure or end."""
    chunks = _chunks(source)
    failure: Exception | None = None
    try:
        async for chunk in chunks:
            yield Tagged(name, chunk)
    except Exception as error:
        if not report:
            raise
        failure = error
    finally:
        await chunks.aclose()
    if ends or failure is not None:
        yield Tagged(name, None, failure)


async def _chunks(source: Source) -> AsyncGenerator[Chunk, None]:
    """The chunks of an open answer, or of one that is opened here, and closed."""
    manager: Any = source  # Any: whichever of the two it is
    try:
        chunks = aiter(manager)
        # Without a default: with one, CPython 3.11.2 crashed on a stream that was not open.
        first = await anext(chunks)
    except StopAsyncIteration:
        return
    except (TypeError, UsageError):  # not open yet
        if not hasattr(manager, "__aenter__"):
            raise
        # By hand: a generator holds no scope across its yields.
        chunks = aiter(await manager.__aenter__())
    else:
        manager = None
        yield first
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        if manager is not None:
            await manager.__aexit__(None, None, None)


def _named(streams: Streams) -> dict[Name, Source]:
    pairs = streams.items() if isinstance(streams, Mapping) else enumerate(streams)
    return {name: source for name, source in pairs}  # noqa: C416  # `dict` keeps the keys' type


def _aiostream() -> Callable[..., Any]:  # Any: aiostream's streams have no type of ours
    try:
        from aiostream.stream import merge as combine
    except ImportError:
        raise MissingExtraError(
            "merge and compare need aiostream: pip install 'penstock[streams]'"
        ) from None
    return combine
