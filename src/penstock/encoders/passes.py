"""One pass over a body as it is awaited, and what is compared between passes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from penstock.encoders.sources import FileRead
from penstock.encoders.walk import Walk
from penstock.encoders.yielding import Pace
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.fields import OffLoop

__all__ = ["Pass", "Seal", "compare", "gone_over", "held_back"]

Json = object

_VISIT = 0.02
"""Seconds in a thread, for which a call that is cancelled has to wait."""


class Seal(NamedTuple):
    """What two passes over the same body have in common."""

    length: int = 0
    """Bytes."""
    checksum: int = 0
    """CRC-32: it finds an edit by accident, at 9 ms for 64 MiB; SHA-256 takes 31."""

    def after(self, piece: bytes | bytearray | memoryview) -> Seal:
        """Return the seal of these bytes with `piece` behind them."""
        return Seal(self.length + len(piece), crc32(piece, self.checksum))


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
                if pace.due(len(step)):
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


async def held_back(pieces: AsyncGenerator[bytes, None], told: Seal) -> AsyncGenerator[bytes, None]:
    """Yield `pieces`, the last one, by the length told, only once all of them are what was told.

    Raises:
        UsageError: They are not.
    """
    seen, last = Seal(), b""
    try:
        async for piece in pieces:
            seen = seen.after(piece)
            if seen.length > told.length:
                break
            if seen.length == told.length:
                last = piece
            else:
                yield piece
    finally:
        await pieces.aclose()
    compare(seen, told)
    yield last


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
