"""CPU of this process per unit of work: the best of some repeats, after one to warm up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

__all__ = ["best", "best_async"]


def best(once: Callable[[], int], repeats: int) -> float:
    """Return microseconds for each of the units that `once` says it did."""
    once()
    found = float("inf")
    for _ in range(repeats):
        before = time.process_time()
        count = once()
        found = min(found, (time.process_time() - before) / count)
    return found * 1e6


async def best_async(
    once: Callable[[], Awaitable[int]], repeats: int, *, at_least: int = 1
) -> float:
    """Return the same of a coroutine function, whose every answer has `at_least` so many units."""
    await once()
    found = float("inf")
    for _ in range(repeats):
        before = time.process_time()
        count = await once()
        found = min(found, (time.process_time() - before) / count)
        assert count >= at_least, (count, at_least)
    return found * 1e6
