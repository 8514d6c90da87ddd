"""The timers of a watchdog on trio, which has none of its own outside a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TrioClock"]


class TrioClock:
    """A `penstock.transports.watchdog.Clock` over trio: each timer is a system task that sleeps.

    Timers are set once per limit, not per read, so a task for each is cheap enough; and a callback
    that cancels the scope of the pending read works from any task.
    """

    def time(self) -> float:
        """Return the seconds of trio's clock."""
        return trio.current_time()

    def call_at(self, when: float, callback: Callable[[], object], /) -> _TrioTimer:
        """Call `callback` at `when`, in a system task."""
        timer = _TrioTimer(when, callback)
        trio.lowlevel.spawn_system_task(timer.run, name="penstock watchdog")
        return timer


class _TrioTimer:
    """One timer."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self._scope = trio.CancelScope()
        self._when = when
        self._callback = callback

    def cancel(self) -> None:
        self._scope.cancel()

    async def run(self) -> None:
        with self._scope:
            await trio.sleep_until(self._when)
            self._callback()
