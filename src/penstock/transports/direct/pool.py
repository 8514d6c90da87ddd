"""The connections of one loop: those that wait for the next call, and all that are open."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.errors import StreamClosedError
from penstock.transports.direct.connection import Buffers
from penstock.transports.places import Places
from penstock.transports.rounds import Rounds

if TYPE_CHECKING:
    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.exchange import Exchange

__all__ = ["KEEPALIVE", "Home"]

KEEPALIVE = 30.0
"""Seconds that an idle connection stays open, as with httpx: see `penstock.transports.pools`."""
CLEANUP = 2.0
"""Seconds that closing may take."""


class Home:
    """What the transport has on one event loop.

    Args:
        loop: The loop.
        places: How many calls may have a connection (``Limits.max_connections``).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, places: int) -> None:
        self.loop = loop
        self.places = Places(places)
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
        # The oldest first, and by origin, the oldest first.
        self._idle: dict[Connection, None] = {}
        self._by_origin: dict[Origin, dict[Connection, None]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None

    @property
    def idle(self) -> int:
        """Connections that wait for the next call."""
        return len(self._idle)

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
        while waiting := self._by_origin.get(origin):
            connection = next(reversed(waiting))
            self._forget(connection)
            if connection.is_quiet():
                return connection
            # An end, or words that nobody asked for, which this call would take for its answer.
            connection.abort()
        return None

    def keep(self, connection: Connection) -> None:
        """Let `connection` wait for the next call."""
        if connection.paused:
            connection.resume()
        connection.idle_since = self.loop.time()
        self._idle[connection] = None
        self._by_origin.setdefault(connection.origin, {})[connection] = None
        if len(self._idle) > self._most_idle:
            next(iter(self._idle)).close()
        if self._sweep is None:
            self._sweep = self.loop.call_later(KEEPALIVE, self._close_idle)

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
        for connection in tuple(self._idle):
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
            with suppress(OSError):
                connection.hang_up(socket.SHUT_RDWR)
        self.open.clear()
        self._idle.clear()
        self._by_origin.clear()

    def _forget(self, connection: Connection) -> None:
        if self._idle.pop(connection, self) is self:
            return
        waiting = self._by_origin[connection.origin]
        del waiting[connection]
        if not waiting:
            del self._by_origin[connection.origin]

    def _close_idle(self) -> None:
        """Close what has been idle for long, and come again while something is."""
        self._sweep = None
        oldest = self.loop.time() - KEEPALIVE / 2
        for connection in [each for each in self._idle if each.idle_since <= oldest]:
            connection.close()
        if self._idle:
            self._sweep = self.loop.call_later(KEEPALIVE, self._close_idle)
