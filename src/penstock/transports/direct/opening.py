"""What a call does until there is an answer: a place, a connection, the request, and once more if
need be.

It runs in the caller's task, which only ever waits for the exchange. Tasks of its own are only what
has to wait for something else: a connection that is being made, a body that comes in pieces.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import StreamClosedError, UsageError
from penstock.transports.direct.body import send_body
from penstock.transports.direct.connection import connect
from penstock.transports.direct.exchange import Exchange
from penstock.transports.direct.head import whole
from penstock.transports.direct.pool import CLEANUP

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from penstock.interfaces import HttpCall
    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.pool import Home

__all__ = ["Opening"]


class Opening:
    """Opens one exchange.

    Args:
        call: What is asked.
        origin: Of whom.
        home: The loop's connections.
        head: The request's, without what frames its body.
        trust: Returns what is trusted, for a new connection with TLS.
        decode: Whether a compressed answer is decompressed.
    """

    __slots__ = ("_blamed", "_call", "_dialing", "_exchange", "_head", "_reused", "_trust")

    def __init__(  # positional, as it is made for every call
        self,
        call: HttpCall,
        origin: Origin,
        home: Home,
        head: bytes,
        trust: Callable[[], Awaitable[ssl.SSLContext]],
        *,
        decode: bool,
    ) -> None:
        self._exchange = Exchange(call, origin, home, decode=decode)
        self._call = call
        self._trust = trust
        self._head = head
        self._reused = False
        # What makes a connection that nobody has yet.
        self._dialing: asyncio.Task[Connection] | None = None
        # Whether the failure is the body's own: the caller's to see, and no reason to send again.
        self._blamed = False

    async def run(self) -> Exchange:
        """Send the request, and wait for the answer's status and headers.

        Raises:
            TransportError: There is no answer; nothing of the call is left.
        """
        exchange = self._exchange
        home = exchange.home
        if not home.places.taken():
            await self._place()
        home.exchanges.add(exchange)
        try:
            await self._try(home.take(exchange.origin))
            while not (exchange.opened or exchange.failure is not None):
                await exchange.wait()
            if not exchange.opened:
                await self._try_again()
        except asyncio.CancelledError:
            # The caller is free at once; what its body still tidies up is the loop's.
            exchange.abort()
            self._hang_up()
            raise
        except BaseException:
            exchange.release(keep=False)
            self._hang_up()
            await self._end_job()
            raise
        return exchange

    async def _try_again(self) -> None:
        """Send the request once more where the connection was dead (row 21); else raise why."""
        exchange = self._exchange
        error, cause = self._failed()
        if error is not None and self._is_stale():
            exchange.begin_again()
            await self._try(None)
            while not (exchange.opened or exchange.failure is not None):
                await exchange.wait()
            again = self._failed()
            # A body with one pass in it says so; what broke the pass is the connection.
            if type(again[0]) is not UsageError:
                error, cause = again
        if error is not None:
            raise error from cause

    def _failed(self) -> tuple[BaseException | None, BaseException | None]:
        """Why there is no answer, if there is none, and what that came from."""
        exchange = self._exchange
        if exchange.opened or exchange.failure is None:
            return None, None
        cause = exchange.failure.__cause__
        return exchange.failure, cause if self._blamed else cause or exchange.broken

    def _is_stale(self) -> bool:
        """Whether a connection from the pool ended before a byte of an answer."""
        exchange = self._exchange
        ended = exchange.broken is not None and not exchange.heard
        return ended and self._reused and not self._blamed

    async def _place(self) -> None:
        """Wait for a place."""
        home = self._exchange.home
        await home.places.take(self._call.watch)
        if home.closed:
            home.places.give_back()
            raise StreamClosedError("the transport is closed")

    async def _try(self, connection: Connection | None) -> None:
        """Send the request on `connection` or a fresh one; the exchange has what came of it."""
        exchange = self._exchange
        self._reused = connection is not None
        if connection is None:
            connection = await self._connected()
        exchange.attach(connection)
        if exchange.failure is not None:
            return
        body = self._call.body
        small = None if body is None else body.small
        if body is not None and small is None:
            await self._send_pieces(connection)
        else:
            self._call.timings.bytes_sent = len(small or b"")
            connection.write(whole(self._head, small))
            # Tracebacks may show locals while the answer is waited for (fault matrix, row 39).
            del small
            if connection.blocked:
                await self._unblocked(connection)
            if exchange.failure is None:
                exchange.body_sent()
                # Not sooner where nothing was waited for: the first timer is then the nearest one.
                self._keep_time()

    async def _connected(self) -> Connection:
        exchange = self._exchange
        self._keep_time()
        self._call.watch.begin("connect")
        job = self._start(self._connect())
        self._dialing = job
        while not job.done():
            await exchange.wait()
        self._dialing = exchange.job = None
        self._call.watch.end("connect")
        connection: Connection = job.result()
        return connection

    async def _connect(self) -> Connection:
        exchange = self._exchange
        origin = exchange.origin
        return await connect(
            origin, exchange.home, await self._trust() if origin.kind == "https" else None
        )

    async def _unblocked(self, connection: Connection) -> None:
        """Wait until the peer has taken what was sent, or there is no need to."""
        exchange = self._exchange
        self._keep_time()
        self._call.watch.begin("write")
        while connection.blocked and not (exchange.opened or exchange.failure is not None):
            await exchange.wait()

    async def _send_pieces(self, connection: Connection) -> None:
        exchange = self._exchange
        self._keep_time()
        job = self._start(send_body(self._call, self._head, connection))
        while not (job.done() or exchange.opened or exchange.failure is not None):
            await exchange.wait()
        if not job.done():
            # Answered, or broken: the rest of the body is not wanted.
            await self._end_job()
        elif (fault := job.exception()) is None:
            exchange.job = None
            if exchange.failure is None:
                exchange.body_sent()
        elif not exchange.opened:
            self._blamed = True
            exchange.failure = fault
        # A piece may have gone out after the answer came, and started it again.
        self._call.watch.end("write")

    def _keep_time(self) -> None:
        """Let a clock that runs out cut the exchange, unless it is cut already."""
        exchange = self._exchange
        if not exchange.released:
            self._call.watch.on_expire(exchange.abort, exchange.home.rounds)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:  # Any: see `Exchange`
        exchange = self._exchange
        job = exchange.job = exchange.home.loop.create_task(work)
        exchange.home.jobs.add(job)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job: asyncio.Task[Any]) -> None:  # Any: see `Exchange`
        self._exchange.home.jobs.discard(job)
        if not job.cancelled():
            job.exception()  # nobody else looks where the call was given up
        self._exchange.wake()

    def _hang_up(self) -> None:
        """Close a connection that comes, or came, after the call was given up."""
        job, self._dialing = self._dialing, None
        if job is not None:
            job.add_done_callback(_abort)

    async def _end_job(self) -> None:
        """Wait until the body's pass is closed, or a connection given up."""
        exchange = self._exchange
        job = exchange.job
        if job is not None and not job.done():
            exchange.cut_job()
            await asyncio.wait((job,), timeout=CLEANUP)
        exchange.job = None


def _abort(job: asyncio.Task[Connection]) -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().abort()
