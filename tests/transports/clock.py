"""A clock that stands still until a test turns it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Handle:
    """A timer of the fake clock."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Take it back."""
        self.cancelled = True


class FakeClock:
    """A loop's clock that goes where the test turns it, through every timer on the way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.armed = 0
        self._order = count()
        self._timers: list[tuple[float, int, Handle, Callable[[], object]]] = []

    def time(self) -> float:
        """The time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> Handle:
        """Set a timer."""
        self.armed += 1
        handle = Handle()
        heapq.heappush(self._timers, (when, next(self._order), handle, callback))
        return handle

    def turn(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, handle, callback = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not handle.cancelled:
                callback()
        self.now = end

    @property
    def pending(self) -> int:
        """Timers that are set."""
        return sum(not handle.cancelled for _, _, handle, _ in self._timers)
