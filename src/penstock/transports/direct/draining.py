"""The rest of an answer that nobody wants, read so that its connection is used again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Draining"]

_DRAIN = 0.1
"""Seconds in which the rest may come."""


class Draining:
    """Waits for the end of an answer, for so long and for so many bytes.

    Args:
        loop: The loop.
        most: The bytes (``Limits.drain``).
        give_up: Is called where there is more.
    """

    __slots__ = ("_give_up", "_left", "_over")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, most: int, give_up: Callable[[], object]
    ) -> None:
        self._left = most
        self._give_up = give_up
        self._over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(_DRAIN, give_up)
        self._over.add_done_callback(lambda _: timer.cancel())

    def pass_over(self, size: int) -> None:
        """Note `size` bytes of it."""
        self._left -= size
        if self._left < 0:
            self._give_up()

    def end(self) -> None:
        """Note that the connection is let go."""
        if not self._over.done():
            self._over.set_result(None)

    async def over(self) -> None:
        """Wait for that. A caller that is cancelled here goes at once; the rest has its time."""
        await asyncio.wait((self._over,))
