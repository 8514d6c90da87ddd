"""One pass over a body as it is awaited, and what is compared between passes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias
from zlib import crc32

from penstock.encoders.sources import FileRead
from penstock.encoders.walk import Walk
from penstock.encoders.yielding import Pace
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.fields import OffLoop

__all__ = ["Pass", "Seal", "Sums", "compare", "gone_over", "held_back", "sealed", "went_over"]

Json = object
Tell: TypeAlias = "Callable[[bytes | bytearray | memoryview], object]"

_VISIT = 0.02
"""Seconds in a thread, for which a call that is cancelled has to wait."""


class Seal(NamedTuple):
    """What two passes over the same body have in common."""

    length: int = 0
    """Bytes."""
    checksum: int = 0
    """CRC-32 of what no source vouches for: it finds an edit by accident, at 16 ms for 64 MiB;
    SHA-256 takes 37."""


class Summed(Protocol):
    """What has the checksum of a pass, once the pass is over."""

    @property
    def checksum(self) -> int:
        """CRC-32 of what no source vouches for."""
        ...


class Sums:
    """Takes the checksum of pieces, for a pass that has none itself."""

    __slots__ = ("checksum",)

    def __init__(self) -> None:
        self.checksum = 0

    def add(self, piece: bytes) -> None:
        """Go on with `piece`."""
        self.checksum = crc32(piece, self.checksum)


class Pass:
    """One walk, awaited: it waits for async sources, and gives the loop back in between.

    Args:
        walk: The walk, not run before.
        value: What it goes over.
        off_loop: Whether this is a thread that may wait.
    """

    def __init__(self, walk: Walk, value: Json, *, off_loop: bool = False) -> None:
        self.head: list[bytes] = []
        """Pieces that were made ahead, to come before the next ones."""
        self._walk = walk
        self._steps = walk.run(value)
        self._pace: Pace | None = Pace(off_loop=True) if off_loop else None
        self._off_loop = off_loop

    async def next(self) -> bytes:
        """Return the next piece; b"" at the end."""
        if self.head:
            return self.head.pop(0)
        pace = self._pace = self._pace or Pace()
        for step in self._steps:
            if type(step) is bytes:
                if pace.due(len(step) or self._walk.told()):
                    await pace.rest()
                if step:
                    return step
            elif self._off_loop and isinstance(step, FileRead):
                step.fill_now()
            else:
                await step.fill()  # type: ignore[union-attr]  # no bytes
        return b""

    async def aclose(self) -> None:
        """Close the generators that items were pulled from."""
        self._steps.close()
        while self._walk.async_sources:
            await self._walk.async_sources.pop().aclose()


async def held_back(
    pieces: AsyncGenerator[bytes, None], told: Seal, summed: Summed
) -> AsyncGenerator[bytes, None]:
    """Yield `pieces`, the last one, by the length told, only once all of them are what was told.

    Args:
        pieces: The pieces of one pass.
        told: What they are to be.
        summed: What sums them up; `Sums` that are to be told of each.

    Raises:
        UsageError: They are not.
    """
    length, last = 0, b""
    add = summed.add if isinstance(summed, Sums) else None
    try:
        async for piece in pieces:
            length += len(piece)
            if add is not None:
                add(piece)
            if length > told.length:
                break
            if length == told.length:
                last = piece
            else:
                yield piece
    finally:
        await pieces.aclose()
    compare(Seal(length, summed.checksum), told)
    yield last


async def sealed(pieces: AsyncGenerator[bytes, None], update: Tell | None) -> Seal:
    """Go over `pieces`, and give them to `update`."""
    length, sums = 0, Sums()
    try:
        async for piece in pieces:
            length += len(piece)
            sums.add(piece)
            if update is not None:
                update(piece)
    finally:
        await pieces.aclose()
    return Seal(length, sums.checksum)


def compare(seen: Seal, told: Seal) -> None:
    """Refuse a pass that is not what was told of the body.

    Raises:
        UsageError: It is not.
    """
    if seen != told:
        raise UsageError(
            "the request was edited after its length or digest was told: leave messages alone"
            " while they are sent"
        )


async def went_over(whole: Pass) -> None:
    """Make a pass that hands out no pieces, on the loop."""
    try:
        await whole.next()
    finally:
        await whole.aclose()


async def gone_over(whole: Pass, off_loop: OffLoop) -> None:
    """Make a pass that hands out no pieces in a worker thread, a few milliseconds at a time."""
    steps = whole.next()

    def go_on() -> bool:
        until = perf_counter() + _VISIT
        try:
            while perf_counter() < until:
                steps.send(None)
        except StopIteration:
            return False
        return True

    try:
        while await off_loop(go_on):
            pass
    finally:
        steps.close()
        await whole.aclose()
