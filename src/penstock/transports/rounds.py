"""Looking at the clocks of all calls now and then, in place of a timer for each.

A call has a minute for its answer, and is over in less than a second. For the timer asyncio copies
a context, sorts it in and out of a heap, and sweeps up what was cancelled: a thirtieth of a short
call. Here it costs a comparison, with when the next round is made: a second after the last one at
the earliest. What runs out before the one after that gets a timer of its own, to the moment.
"""

from __future__ import annotations

from contextvars import Context
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from penstock.interfaces import Watch

__all__ = ["Rounds"]

_APART = 1.0
"""Seconds between two rounds, at least: with ten thousand calls one takes 5 ms."""


class Rounds:
    """The rounds on one loop; see `penstock.transports.watchdog`.

    Args:
        loop: The loop.
        watches: Returns those of the calls that are under way.
    """

    __slots__ = ("_loop", "_timer", "_watches", "clock", "next")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, watches: Callable[[], Iterable[Watch]]
    ) -> None:
        self.clock: object = loop
        """The loop, by whose time they are made."""
        self.next = inf
        """When the next one is made; infinity where nobody waits for it."""
        self._loop = loop
        self._watches = watches
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, when: float) -> bool:
        """Make one at `when` already; False where that is too soon, and takes a timer."""
        if when < self._loop.time() + _APART:
            return False
        self.close()
        self.next = when
        # In a context of nobody: that of whoever comes first would be kept for as long.
        self._timer = self._loop.call_at(when, self._make, context=Context())
        return True

    def close(self) -> None:
        """Make no more, until somebody expects one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.next = None, inf

    def _make(self) -> None:
        self.close()
        soon = self._loop.time() + _APART
        nearest = min([watch.look(soon) for watch in self._watches()], default=inf)
        if nearest < inf:
            self.next = nearest
            self._timer = self._loop.call_at(nearest, self._make)
