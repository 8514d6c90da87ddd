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
from penstock.transports.direct.connecting import connect
from penstock.transports.direct.exchange import Exchange
from penstock.transports.direct.pool import CLEANUP

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from penstock.interfaces import HttpCall
    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.pool import Home

__all__ = ["opened"]


async def opened(  # positional, as it is called for every call
    call: HttpCall, origin: Origin, head: bytes, home: Home, raw: bool = False
) -> Exchange:
    """Send `call`; return its exchange when the answer's status and headers are there.

    Args:
        call: What is asked.
        origin: Of whom.
        head: The request's, without what frames its body.
        home: The loop's connections.
        raw: Whether the answer is wanted as it is on the wire.

    Raises:
        TransportError: There is no answer; nothing of the call is left.
    """
    exchange = Exchange(call, origin, home, raw)
    if not home.places.taken():
        await _place(exchange)
    home.exchanges.add(exchange)
    try:
        connection = home.take(origin)
        reused = connection is not None
        first: BaseException | None = None
        while True:
            if connection is None:
                connection = await _connected(exchange)
            if not exchange.send(connection, head):
                await _send(exchange, connection, head)
            while exchange.opening:
                await exchange.wait()
            if exchange.opened and not exchange.aborted:
                return exchange
            error = _failed(exchange)
            if not (reused and _is_stale(exchange, connection)):
                # A body with one pass in it says so; what broke the pass is the connection.
                raise error if first is None or type(error) is not UsageError else first
            # Row 21: the connection was dead, and the request goes out once more.
            _forget(exchange)
            connection, reused, first = None, False, error
    except Exception:
        exchange.release(False)
        await _end_job(exchange)
        raise
    except BaseException:  # a cancel, or a coroutine that is closed by hand
        # The caller is free at once; what its body still tidies up is the loop's.
        exchange.abort()
        raise


def _failed(exchange: Exchange) -> BaseException:
    """Return why there is no answer, and what that came from with it."""
    error = exchange.given_up() if exchange.aborted else exchange.failure
    assert error is not None  # there is no answer
    error.__cause__ = error.__cause__ or exchange.broken
    return error


def _is_stale(exchange: Exchange, connection: Connection) -> bool:
    """Whether the connection ended before a byte of an answer, and nobody gave up."""
    return exchange.broken is not None and not (connection.parser.begun or exchange.aborted)


def _forget(exchange: Exchange) -> None:
    """Forget a connection that turned out to be dead."""
    exchange.failure = exchange.broken = None
    exchange.opening, exchange.sent = True, False
    for phase in ("write", "response"):
        exchange.call.watch.end(phase)


def _keep_time(exchange: Exchange) -> None:
    """Let a clock that runs out cut the call, where that is needed before the body is sent."""
    if not exchange.released:
        exchange.call.watch.on_expire(exchange.abort, exchange.home.rounds)


async def _place(exchange: Exchange) -> None:
    """Wait for a place."""
    home = exchange.home
    await home.places.take(exchange.call.watch)
    if home.closed:
        home.places.give_back()
        raise StreamClosedError("the transport is closed")


async def _connected(exchange: Exchange) -> Connection:
    """Return a fresh connection; one that comes after the call was given up is closed."""
    watch = exchange.call.watch
    _keep_time(exchange)
    watch.begin("connect")
    job = _start(exchange, _connect(exchange))
    try:
        while exchange.opening and not job.done():
            await exchange.wait()
        if exchange.aborted:
            raise exchange.given_up()
    except BaseException:
        job.add_done_callback(_abort)
        raise
    exchange.job = None
    watch.end("connect")
    connection: Connection = job.result()
    return connection


async def _connect(exchange: Exchange) -> Connection:
    origin, home = exchange.origin, exchange.home
    return await connect(origin, home, await home.trust() if origin.kind == "https" else None)


async def _send(exchange: Exchange, connection: Connection, head: bytes) -> None:
    """Send what `Exchange.send` has not, until it is sent or there is no need to."""
    _keep_time(exchange)
    if connection.blocked:
        exchange.call.watch.begin("write")
        while exchange.opening and connection.blocked:
            await exchange.wait()
        if exchange.opening:
            exchange.body_sent()
        return
    job = _start(exchange, send_body(exchange.call, head, connection))
    while exchange.opening and not job.done():
        await exchange.wait()
    if exchange.aborted or not job.done():
        # Given up, answered or broken: the rest of the body is not wanted.
        await _end_job(exchange)
    elif (fault := job.exception()) is not None:
        if not exchange.opened:
            # The caller's own body failed, which is no fault of the connection.
            exchange.failure, exchange.broken, exchange.opening = fault, None, False
    else:
        exchange.job = None
        if exchange.opening:
            exchange.body_sent()
    # A piece may have gone out after the answer came, and started it again.
    exchange.call.watch.end("write")


def _start(
    exchange: Exchange, work: Coroutine[Any, Any, Any]
) -> asyncio.Task[Any]:  # Any: see `Exchange`
    home = exchange.home
    job = exchange.job = home.loop.create_task(work)
    home.jobs.add(job)

    def done(job: asyncio.Task[Any]) -> None:  # Any: see `Exchange`
        home.jobs.discard(job)
        if not job.cancelled():
            job.exception()  # nobody else looks where the call was given up
        exchange.soon()

    job.add_done_callback(done)
    return job


async def _end_job(exchange: Exchange) -> None:
    """Wait until the body's pass is closed, or a connection given up."""
    job = exchange.job
    if job is not None and not job.done():
        exchange.cut_job()
        await asyncio.wait((job,), timeout=CLEANUP)
    exchange.job = None


def _abort(job: asyncio.Task[Connection]) -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().abort()
