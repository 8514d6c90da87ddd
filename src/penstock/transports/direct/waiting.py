"""A wait that ends where its bytes come: the reader goes on there and then, not a turn of the loop
later.

A loop first takes in what all its sockets have, and then runs whoever waited for it. With hundreds
of dense streams that are dozens of MiB, read and laid aside: when their readers come, no cache has
any of it, its pages are the kernel's again by the next turn, and the collector has run over all of
it. That was a third of what a chunk costs there. Of paced streams it saves a turn each.
"""

from __future__ import annotations

import asyncio
from types import NoneType, coroutine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context
    from typing import Any

__all__ = ["Wait"]


class Wait:
    """What one task at a time waits for, time and again: it is told `soon` or `now`.

    Nothing is remembered: whoever waits looks before and behind it whether what it waits for is
    there. To a task it is a future, as far as one asks, where asyncio's own would have to be made
    anew each time; that took as long as all the rest.

    Whoever is one sets `_loop` and `waiting` with what else it has: one is made for every call.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_loop", "waiting")

    _loop: asyncio.AbstractEventLoop
    # That of whoever waits.
    waiting: Callable[[Any], object] | None  # Any: as asyncio has it
    """What goes on with the task that waits; None where none does."""
    # In which context, while one waits: what is in there may hold what this belongs to.
    _context: Context | None

    @coroutine
    def wait(self) -> Generator[Wait, None, None]:
        """Wait until it is told."""
        self._asyncio_future_blocking = True
        yield self

    def soon(self) -> None:
        """Let whoever waits go on in the loop's next turn."""
        go_on, self.waiting = self.waiting, None
        if go_on is not None:
            context, self._context = self._context, None
            self._loop.call_soon(go_on, self, context=context)

    def now(self) -> None:
        """Let whoever waits go on, from a callback of the loop that has nothing more to do."""
        go_on, self.waiting = self.waiting, None
        if go_on is None:
            return
        context, self._context = self._context, None
        try:
            if context is None:
                go_on(self)
            else:
                context.run(go_on, self)
        except RuntimeError:
            # The loop is driven from within a task, beside which no other can be entered. To ask
            # beforehand takes as long as all the rest.
            self._loop.call_soon(go_on, self, context=context)
        except (KeyboardInterrupt, SystemExit) as error:
            # It ends the loop, and is no fault of the connection, for which uvloop takes it.
            self._loop.call_soon(_raise, error)

    # --- what a task asks of a future

    def add_done_callback(
        self,
        fn: Callable[[Any], object],  # Any: as asyncio has it
        /,
        *,
        context: Context | None = None,
    ) -> None:
        """Note whom to tell."""
        self.waiting, self._context = fn, context

    def cancel(self, msg: Any = None) -> bool:  # Any: as asyncio has it
        """Wake the task; False says that it is to raise what it is cancelled with by itself."""
        self.soon()
        return False

    # Called for what it was told, it is None: whoever waited looks for itself.
    result = NoneType


def _raise(error: BaseException) -> None:
    raise error
