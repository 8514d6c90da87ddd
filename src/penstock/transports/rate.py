"""Whether bytes come fast enough (`penstock.Timeouts.min_rate`), judged once a window."""

from __future__ import annotations

from math import inf

__all__ = ["Rate"]

# Seconds of a window where the ``progress`` clock is off: its default.
_WINDOW = 300.0


class Rate:
    """The windows of one answer, by the stopwatch of its `penstock.transports.Watchdog`.

    Args:
        window: Seconds of each; default 300.
    """

    __slots__ = ("_before", "_since", "_window")

    def __init__(self, window: float | None) -> None:
        self._window = window or _WINDOW
        # When this window began, and how many bytes had come by then.
        self._since = inf
        self._before = 0

    def begin(self, since: float) -> None:
        """Begin the first window, unless it has begun."""
        if self._since == inf:
            self._since = since

    @property
    def judged_at(self) -> float:
        """When this window ends; infinity before the first one begins."""
        return self._since + self._window

    def judge(self, size: int, now: float) -> float:
        """Return the bytes per second of a window that ends with `size` of them, and begin one."""
        rate = (size - self._before) / (now - self._since)
        self._since, self._before = now, size
        return rate
