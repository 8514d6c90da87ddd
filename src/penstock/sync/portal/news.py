"""What the loop tells a thread that waits for a call: bounded, and the loop's coroutine waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.limits import Limits
from penstock.sync.portal.inbox import Desk, Errand

if TYPE_CHECKING:
    from penstock.sync.portal.portal import Gate

__all__ = ["Teller"]

NewsT = TypeVar("NewsT")


class Teller(Generic[NewsT]):
    """Tells the thread of `desk` news, of which few are under way: it may be slow to hear.

    At most ``Limits.max_queue_items`` (64) and ``Limits.max_queue_bytes`` (1 MiB), or one that is
    larger. A thread that is interrupted or fails hears no more, and cancels whoever tells.

    Args:
        desk: Where the thread waits.
        told: Called in that thread with each piece of news; it may call the portal itself.
        weigh: The bytes of a piece of news.
    """

    def __init__(
        self, desk: Desk, told: Callable[[NewsT], object], weigh: Callable[[NewsT], int]
    ) -> None:
        self._desk = desk
        self._told = told
        self._weigh = weigh
        limits = Limits()
        self._max_items, self._max_bytes = limits.max_queue_items, limits.max_queue_bytes
        # Each pair is written by one side: the loop's, then the thread's.
        self._sent = self._sent_bytes = 0
        self._heard = self._heard_bytes = 0
        self._room: Gate | None = None

    async def __call__(self, news: NewsT) -> None:
        """Tell `news` as soon as there is room for it; on the loop, one coroutine at a time."""
        size = self._weigh(news)
        while self._full(size):
            await self._wait_for_room(size)
        self._sent += 1
        self._sent_bytes += size
        self._desk.inbox.put(_News(self, news, size))

    def hear(self, news: NewsT, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Hear `news`, in the thread, and have the loop know that there is more room."""
        try:
            self._told(news)
        finally:
            self._heard += 1
            self._heard_bytes += size
            # Where it waits, and half a window at a time: waking it costs more than most news.
            if self._room is not None and self._half_empty():
                with suppress(RuntimeError):  # it has ended: the inbox says so
                    loop.call_soon_threadsafe(self._resume)

    def _full(self, size: int) -> bool:
        items, waiting = self._sent - self._heard, self._sent_bytes - self._heard_bytes
        return items > 0 and (items >= self._max_items or waiting + size > self._max_bytes)

    def _half_empty(self) -> bool:
        items, waiting = self._sent - self._heard, self._sent_bytes - self._heard_bytes
        return items == 0 or (2 * items <= self._max_items and 2 * waiting <= self._max_bytes)

    async def _wait_for_room(self, size: int) -> None:
        self._room = asyncio.get_running_loop().create_future()
        try:
            if self._full(size):  # asked again now that the thread can see that we wait
                await self._room
        finally:
            self._room = None

    def _resume(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class _News(Errand, Generic[NewsT]):
    """One piece; nobody waits for an answer to it."""

    def __init__(self, teller: Teller[NewsT], news: NewsT, size: int) -> None:
        self._teller, self._news, self._size = teller, news, size
        self._loop = asyncio.get_running_loop()

    def run(self) -> None:
        """Hear it."""
        self._teller.hear(self._news, self._size, self._loop)
