"""The places of one transport on one event loop: our own bound on calls with a connection.

A call has a place from before it connects until its connection is back in the pool or closed. Who
finds none waits, under the ``pool`` clock, in the order of asking.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from penstock.errors import DeadlineError, PenstockError, PoolError, StreamClosedError

if TYPE_CHECKING:
    from anyio import Event

    from penstock.interfaces import Watch

__all__ = ["Places"]


class Places:
    """So many places, and those who wait for one.

    Args:
        count: How many there are (``Limits.max_connections``).
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.in_use = 0
        """Places that are taken."""
        self._waiting: deque[_Waiter] = deque()

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return len(self._waiting)

    def taken(self) -> bool:
        """Take a place if one is free; whether it was."""
        if self.in_use >= self._count or self._waiting:
            return False
        self.in_use += 1
        return True

    async def take(self, watch: Watch) -> None:
        """Take a place, or wait for one.

        Raises:
            PoolError: There was none in time.
        """
        if not self.taken():
            await self._wait(watch)

    def give_back(self) -> None:
        """Pass a place on to whoever waits longest, or keep it free."""
        if self._waiting:
            self._waiting.popleft().grant()
        else:
            self.in_use -= 1

    def refuse_waiting(self, error: PenstockError) -> None:
        """Let every call that waits for a place fail with `error`."""
        while self._waiting:
            self._waiting.popleft().refuse(error)

    async def _wait(self, watch: Watch) -> None:
        from anyio import Event  # not loaded where nobody waits

        waiter = _Waiter(Event())
        self._waiting.append(waiter)

        def refuse(error: DeadlineError) -> None:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                waiter.refuse(error)

        watch.on_expire(refuse)
        watch.begin("pool")
        try:
            await waiter.event.wait()
        except BaseException:
            if waiter.granted:
                self.give_back()
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise
        finally:
            watch.end("pool")
        if waiter.error is not None:
            raise _as_local(waiter.error, self._count) from waiter.error


class _Waiter:
    """A call that waits for a place."""

    __slots__ = ("error", "event", "granted")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.granted = False
        self.error: PenstockError | None = None

    def grant(self) -> None:
        self.granted = True
        self.event.set()

    def refuse(self, error: PenstockError) -> None:
        self.error = error
        self.event.set()


def _as_local(error: PenstockError, places: int) -> PenstockError:
    """Turn an expired ``pool`` clock into the error of our own limits."""
    if not isinstance(error, DeadlineError) or error.phase != "pool":
        return error if isinstance(error, DeadlineError) else StreamClosedError(error.message)
    return PoolError(
        f"all {places} places of Limits.max_connections were in use for {error.limit:g} s",
        phase="pool",
        limit=error.limit,
        elapsed=error.elapsed,
    )
