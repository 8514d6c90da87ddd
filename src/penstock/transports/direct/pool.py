"""The connections of one loop: those that wait for the next call, and all that are open."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from penstock.errors import StreamClosedError
from penstock.transports.direct.connection import Buffers
from penstock.transports.places import Places
from penstock.transports.rounds import Rounds

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.exchange import Exchange

__all__ = ["CLEANUP", "KEEPALIVE", "Home"]

KEEPALIVE = 30.0
"""Seconds that an idle connection stays open at most, and at least half of them: as with httpx, see
`penstock.transports.pools`."""
CLEANUP = 2.0
"""Seconds that closing may take."""


class Home:
    """What the transport has on one event loop.

    Args:
        loop: The loop.
        places: How many calls may have a connection (``Limits.max_connections``).
        trust: Returns what is trusted, for a new connection with TLS.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        places: int,
        trust: Callable[[], Awaitable[ssl.SSLContext]],
    ) -> None:
        self.loop = loop
        self.places = Places(places)
        self.trust = trust
        """Returns what is trusted, for a new connection with TLS."""
        self.closed = False
        """Whether there is nothing more to be had here."""
        self.buffers = Buffers()
        self.exchanges: set[Exchange] = set()
        """Calls that have a place."""
        self.rounds = Rounds(loop, lambda: [exchange.call.watch for exchange in self.exchanges])
        """When the clocks of its calls are looked at."""
        self.jobs: set[asyncio.Task[Any]] = set()  # Any: connections, or nothing
        """Tasks that connect, or send a body."""
        self.open: set[Connection] = set()
        """Connections that are of use, busy and idle."""
        self._most_idle = places
        self._sockets: set[Connection] = set()
        self.idle = 0
        """Connections that wait for the next call."""
        # These by origin, the oldest first, and how often the old ones were looked for.
        self._by_origin: dict[Origin, dict[Connection, None]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._sweeps = 0
        self._emptied: asyncio.Future[None] | None = None

    def add(self, connection: Connection) -> None:
        """Note a connection that is being made."""
        self.open.add(connection)
        self._sockets.add(connection)

    def leaves(self, connection: Connection) -> None:
        """Note that `connection` is of no more use, though its socket may not be closed yet."""
        self.open.discard(connection)
        self._forget(connection)

    def gone(self, connection: Connection) -> None:
        """Note that the socket of `connection` is closed."""
        self._sockets.discard(connection)
        if not self._sockets and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def take(self, origin: Origin) -> Connection | None:
        """Return the connection to `origin` that was used last, if one waits."""
        waiting = self._by_origin.get(origin)
        while waiting:
            connection, _ = waiting.popitem()
            self.idle -= 1
            if connection.is_quiet():
                return connection
            # An end, or words that nobody asked for, which this call would take for its answer.
            connection.abort()
        return None

    def keep(self, connection: Connection) -> None:
        """Let `connection` wait for the next call."""
        connection.listener = None
        if connection.paused:
            connection.resume()
        connection.idle_since = self._sweeps
        waiting = self._by_origin.get(connection.origin)
        if waiting is None:
            waiting = self._by_origin[connection.origin] = {}
        waiting[connection] = None
        self.idle += 1
        if self.idle > self._most_idle:
            firsts = [next(iter(each)) for each in self._by_origin.values() if each]
            min(firsts, key=lambda first: first.idle_since).close()
        if self._sweep is None:
            self._sweep_later()

    async def aclose(self) -> None:
        """Cut every call and close every connection; wait for them up to `CLEANUP`."""
        error = StreamClosedError("the transport was closed")
        self.closed = True
        self.places.refuse_waiting(error)
        self.rounds.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for exchange in tuple(self.exchanges):
            exchange.abort(error)
        for connection in self._waiting():
            connection.close()
        for connection in tuple(self.open):
            connection.abort()
        left: set[asyncio.Future[Any]] = set(self.jobs)
        if self._sockets:
            self._emptied = self.loop.create_future()
            left.add(self._emptied)
        if left:
            await asyncio.wait(left, timeout=CLEANUP)

    def close_soon(self) -> None:
        """Let the loop, which is another thread's, close what it has."""
        if self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self.aclose(), self.loop)
        else:
            self.abandon()

    def abandon(self) -> None:
        """Hang up the sockets of a loop that is gone; their memory is the collector's."""
        for connection in tuple(self._sockets):
            connection.hang_up()
        self.open.clear()
        self._by_origin.clear()
        self.idle = 0

    def _waiting(self) -> list[Connection]:
        return [each for waiting in self._by_origin.values() for each in waiting]

    def _forget(self, connection: Connection) -> None:
        waiting = self._by_origin.get(connection.origin, {})
        if connection in waiting:
            del waiting[connection]
            self.idle -= 1

    def _close_idle(self) -> None:
        """Close what nobody has taken since the last time, and come again while something waits."""
        for connection in self._waiting():
            if connection.idle_since < self._sweeps:
                connection.close()
        self._by_origin = {origin: each for origin, each in self._by_origin.items() if each}
        self._sweeps += 1
        self._sweep = None
        if self.idle:
            self._sweep_later()

    def _sweep_later(self) -> None:
        # In a context of nobody, as with `Rounds`: it comes again for as long as there are calls.
        after, sweep = KEEPALIVE / 2, self._close_idle
        self._sweep = self.loop.call_later(after, sweep, context=Context())
