"""When each content chunk of an answer is due."""

from __future__ import annotations

import random

from penstock.simulator.behavior import Behavior

__all__ = ["Pace"]


class Pace:
    """A fixed schedule from the end of the request on, so that what is late is caught up.

    Args:
        behavior: Its `ttft`, `rate`, `jitter` and `seed`.
        received: When the request had arrived, in seconds of any clock.
    """

    def __init__(self, behavior: Behavior, received: float) -> None:
        self._next = received + behavior.ttft
        self._gap = 1 / behavior.rate if behavior.rate else 0.0
        self._spread = self._gap * behavior.jitter / 2
        self._random = random.Random(behavior.seed) if self._spread else None
        self._free = not (behavior.rate or behavior.ttft)

    def due(self, content: int, now: float) -> float:
        """Return the seconds from `now` until the next piece is due; 0 where it is late.

        Args:
            content: Content chunks in the piece: so many gaps follow it.
            now: The same clock's time.
        """
        if self._free:
            return 0.0
        when = self._next
        self._next += self._gap * content
        if self._random is not None:
            when += self._random.uniform(-self._spread, self._spread)
        return max(when - now, 0.0)
