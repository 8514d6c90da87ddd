"""A wait that ends where its bytes come: the reader goes on there and then, not a turn of the loop
later.

A loop first takes in what all its sockets have, and then runs whoever waited for it. With hundreds
of dense streams that are dozens of MiB, read and laid aside: when their readers come, no cache has
any of it, its pages are the kernel's again by the next turn, and the collector has run over all of
it. That was a third of what a chunk costs there. Of paced streams it saves a turn each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import Any

__all__ = ["Wait"]


class Wait(asyncio.Future[None]):
    """What a task awaits, and nobody else: it is told once, `soon` or `now`."""

    __slots__ = ("_context", "waiting")

    waiting: Callable[[Wait], object] | None
    """What goes on with the task that waits; whoever makes one sets it to None, as a constructor of
    Python's takes half as long again as all the rest."""
    # In which context.
    _context: Context | None

    def add_done_callback(  # called once, by the task
        self,
        fn: Callable[[Any], object],  # Any: as asyncio has it
        /,
        *,
        context: Context | None = None,
    ) -> None:
        """Note whom to tell."""
        self.waiting, self._context = fn, context
        if self.done():
            self._tell_soon()

    def soon(self) -> None:
        """End it, from anywhere: the task goes on in the loop's next turn."""
        if not self.done():
            self.set_result(None)
            self._tell_soon()

    def now(self) -> None:
        """End it, from a callback of the loop that has nothing more to do: the task goes on."""
        go_on = self.waiting
        if go_on is None:
            self.soon()  # nobody waits any more or yet
            return
        self.set_result(None)
        self.waiting, context = None, self._context
        try:
            if context is None:
                go_on(self)
            else:
                context.run(go_on, self)
        except RuntimeError:
            # The loop is driven from within a task, beside which no other can be entered. To ask
            # beforehand takes as long as all the rest.
            self.get_loop().call_soon(go_on, self, context=context)
        except (KeyboardInterrupt, SystemExit) as error:
            # It ends the loop, and is no fault of the connection, for which uvloop takes it.
            self.get_loop().call_soon(_raise, error)

    def cancel(self, msg: Any = None) -> bool:  # Any: as asyncio has it
        """End it where the task is cancelled."""
        if not super().cancel(msg):
            return False
        self._tell_soon()
        return True

    def _tell_soon(self) -> None:
        go_on = self.waiting
        if go_on is not None:
            self.waiting = None
            self.get_loop().call_soon(go_on, self, context=self._context)


def _raise(error: BaseException) -> None:
    raise error
