"""The portal of all shims with other libraries' names: one thread for the process.

A shim is made and forgotten as its original is: none has a `close`. What it holds (connections, a
server's process) is closed on the loop when the shim is collected, or with the interpreter.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from penstock.errors import PenstockError
from penstock.sync.portal import Portal
from penstock.sync.portal.inbox import Desk
from penstock.sync.portal.news import Teller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["Held", "SharedPortal", "shared_portal"]

T = TypeVar("T")
NewsT = TypeVar("NewsT")


class Held(Protocol):
    """What shims hold: a client, a provider."""

    def aclose(self) -> Awaitable[object]:
        """Let go of what the running loop has of it."""
        ...


class SharedPortal(Portal):
    """A portal whose calls tell what happens meanwhile, and what is open on it."""

    def __init__(self) -> None:
        # A server or an agent that does not want to end gets 2 s, then TERM, 2 s more, then KILL.
        super().__init__(self._end, patience=10.0)
        self._held: weakref.WeakSet[Held] = weakref.WeakSet()

    def listen(
        self,
        function: Callable[[Callable[[NewsT], Awaitable[None]]], Coroutine[Any, Any, T]],
        told: Callable[[NewsT], object],
        *,
        weigh: Callable[[NewsT], int],
    ) -> T:
        """As `call` of ``function(tell)``; `told` is called in this thread with what it tells.

        Whoever awaits ``tell(news)`` waits for a thread that is slow to hear: 64 news or 1 MiB, by
        the bytes that `weigh` says, are under way at most.
        """
        desk = Desk()
        return cast("T", self._wait(function, Teller(desk, told, weigh), desk=desk))

    def hold(self, held: Held, owner: object) -> None:
        """Close `held` with its `owner`'s end, or the process's; it must not refer to `owner`."""
        self._held.add(held)
        weakref.finalize(owner, self.release, held).atexit = False

    def release(self, held: Held) -> None:
        """Begin to close `held`, without waiting for it; from a finalizer, too."""
        self._held.discard(held)
        self.post(held.aclose)

    async def _end(self) -> None:
        for held in list(self._held):
            with suppress(PenstockError):  # one that does not close keeps no other open
                await held.aclose()


def shared_portal() -> SharedPortal:
    """Return the process's one portal."""
    return _PORTAL


_PORTAL = SharedPortal()
"""The one thing here that belongs to a process and not to an object of the caller's: shims are made
and dropped by the hundred, and a thread for each would be a thread too many. It is made with the
module, whose import is the only moment that no two threads can have at once; its thread starts with
its first call."""
