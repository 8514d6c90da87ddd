"""Giving the loop back, on asyncio and trio, without importing either."""

from __future__ import annotations

import sys
import types
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter

__all__ = ["Pace"]

_MOST_BYTES = 64 * 1024
_MOST_SECONDS = 0.001
"""Half of what the contract allows between two rests, as time is only known after the work."""


@types.coroutine
def _bare() -> Generator[None, None, None]:
    """Let asyncio run its other tasks, as ``asyncio.sleep(0)`` does, for a third of its cost."""
    yield


def _checkpoint() -> Callable[[], Awaitable[object]]:
    """Return what gives back the running loop.

    A loop that runs has its library loaded; asyncio's answers for itself, and what else can run
    the core is trio.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            return _bare
    checkpoint: Callable[[], Awaitable[object]] = sys.modules["trio"].lowlevel.checkpoint
    return checkpoint


class Pace:
    """Says when one pass must give the loop back: after 64 KiB or a millisecond of work.

    Made inside a running loop, for one pass.

    Args:
        off_loop: Whether there is no loop: who drives the pass has it back instead.
    """

    __slots__ = ("_bytes", "_checkpoint", "_since")

    def __init__(self, *, off_loop: bool = False) -> None:
        self._checkpoint = _bare if off_loop else _checkpoint()
        self._bytes = 0
        self._since = perf_counter()

    def due(self, size: int = 0) -> bool:
        """Count `size` bytes of work, and say whether `rest` is due, or would be amid the next."""
        self._bytes += size
        return self._bytes + size > _MOST_BYTES or perf_counter() - self._since >= _MOST_SECONDS

    async def rest(self) -> None:
        """Let others run."""
        await self._checkpoint()
        self._bytes = 0
        self._since = perf_counter()
