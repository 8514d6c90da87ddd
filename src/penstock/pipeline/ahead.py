"""Reading in a task of its own, so that a clock can run while a read is pending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Literal, TypeAlias, TypeVar

from penstock.errors import UsageError

__all__ = ["Ahead", "News"]

ItemT = TypeVar("ItemT")

News: TypeAlias = Literal["nothing", "something", "enough"]
"""What an item means to the reader: it may sleep on, should look, or must take what is there before
more is read."""


class Ahead(Generic[ItemT]):
    """Hands the items of `source` to `put`, in one task for all of them.

    A read cannot be given up and taken up again in the consumer's own task: that would leave the
    generators below suspended in the middle of a read, or cancel the wire. So a middleware with a
    clock of its own reads through this. It needs asyncio, and must be closed.

    Args:
        source: The items.
        put: Takes each, and says what it means; after "enough" nothing is read until `more`.

    Raises:
        UsageError: There is no asyncio loop.
    """

    def __init__(self, source: AsyncIterator[ItemT], put: Callable[[ItemT], News]) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError("reading ahead needs asyncio") from None
        self._source = source
        self._put = put
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._expired = False
        self._task = self._loop.create_task(self._read())

    @property
    def ended(self) -> bool:
        """Whether everything that will ever be put has been."""
        return self._task.done()

    def now(self) -> float:
        """Return the loop's time, in seconds."""
        return self._loop.time()

    async def wait(self, until: float | None) -> bool:
        """Wait for news or the end; False once the loop's time is `until`, None for no clock."""
        self._expired = False
        timer = None if until is None else self._loop.call_at(until, self._expire)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._news.clear()
        return not self._expired

    def more(self) -> None:
        """Go on after "enough"."""
        self._wanted.set()

    def check(self) -> None:
        """Raise what ended the reading, if it failed."""
        self._task.result()

    async def aclose(self) -> None:
        """Stop reading, and wait until that is so."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # `check` has raised it, or it came too late for anybody

    def _expire(self) -> None:
        # A timer of the loop's, as `asyncio.timeout` would cancel a task to say the same.
        self._expired = True
        self._news.set()

    async def _read(self) -> None:
        try:
            async for item in self._source:
                news = self._put(item)
                if news == "nothing":
                    continue
                self._news.set()
                if news == "enough":
                    self._wanted.clear()
                    await self._wanted.wait()
        finally:
            self._news.set()
