"""Timers of which hardly any rings: those that are due in the same second share one of the loop.

A call sets a timer for a minute from now, and takes it back in less than a second. asyncio copies a
context for each, sorts it in and out of a heap, and sweeps up what was cancelled: a thirtieth of a
short call. Here it is put into a set, and taken out.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from penstock.interfaces import Timer

__all__ = ["Alarms"]


class Alarms:
    """The timers of many calls on one loop, to the moment; see `penstock.transports.watchdog`.

    Args:
        loop: The loop.
    """

    __slots__ = ("_context", "_loop", "_rings", "_waiting", "clock")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.clock: object = loop
        """The loop, by whose time they ring."""
        self._loop = loop
        # By the second in which they are due, and what wakes them when that begins.
        self._waiting: dict[int, set[_Alarm]] = {}
        self._rings: dict[int, asyncio.TimerHandle] = {}
        # Of nobody: that of whoever came first in a second would be kept for as long.
        self._context = Context()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` at `when`, on the loop's clock."""
        second = int(when)
        waiting = self._waiting.get(second)
        if waiting is None:
            if second <= self._loop.time():
                return self._loop.call_at(when, callback)
            waiting = self._waiting[second] = set()
            ring = self._loop.call_at(second, self._wake, second, context=self._context)
            self._rings[second] = ring
        alarm = _Alarm(when, callback, waiting)
        waiting.add(alarm)
        return alarm

    def close(self) -> None:
        """Forget them all."""
        for ring in self._rings.values():
            ring.cancel()
        self._rings.clear()
        self._waiting.clear()

    def _wake(self, second: int) -> None:
        """Give what is still there a timer of its own, now that its second has begun."""
        self._rings.pop(second, None)
        for alarm in self._waiting.pop(second, ()):
            alarm.timer = self._loop.call_at(alarm.when, alarm.callback)


class _Alarm:
    """A timer among those of its second."""

    __slots__ = ("_waiting", "callback", "timer", "when")

    def __init__(self, when: float, callback: Callable[[], object], waiting: set[_Alarm]) -> None:
        self.when = when
        self.callback = callback
        self.timer: asyncio.TimerHandle | None = None
        self._waiting = waiting

    def cancel(self) -> None:
        self._waiting.discard(self)
        if self.timer is not None:
            self.timer.cancel()
