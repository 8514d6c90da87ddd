"""A new connection: dialled, handed to the loop, and its TLS up."""

from __future__ import annotations

import asyncio
import ssl
from contextvars import Context
from typing import TYPE_CHECKING

from penstock.errors import ConnectError, PenstockError, TransportError
from penstock.transports.direct.connection import Connection
from penstock.transports.direct.dial import dial
from penstock.transports.direct.tls import Tls

if TYPE_CHECKING:
    from socket import socket

    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.pool import Home

__all__ = ["connect"]


async def connect(origin: Origin, home: Home, context: ssl.SSLContext | None) -> Connection:
    """Return a connection to `origin`, TLS included; nothing is left where this is cancelled.

    Raises:
        ConnectError: There is none.
    """
    connection = Connection(origin, home, None if context is None else Tls(context, origin.host))
    try:
        await _hand_over(await dial(origin), connection, home)
        await connection.shake_hands()
    except (OSError, ssl.SSLError, UnicodeError) as exc:
        connection.abort()
        raise _no_connection(exc, origin) from exc
    except BaseException:
        connection.abort()
        raise
    return connection


async def _hand_over(sock: socket, connection: Connection, home: Home) -> None:
    """Give `sock` to the loop, which closes it with the connection.

    That takes two turns of the loop and no network. It is not cut short, as nobody could say whose
    the socket is then: uvloop closes it a turn later, and by then it may be another one's.
    """
    home.add(connection)
    work = home.loop.create_connection(lambda: connection, sock=sock)
    # In a context of nobody: the loop keeps that in which it is told to read, as long as it reads.
    job = Context().run(home.loop.create_task, work)
    home.jobs.add(job)
    job.add_done_callback(home.jobs.discard)
    try:
        await asyncio.shield(job)
    except asyncio.CancelledError:
        job.add_done_callback(lambda _: connection.abort())
        raise
    except BaseException:
        sock.close()
        raise


def _no_connection(exc: Exception, origin: Origin) -> PenstockError:
    reason = str(exc)[:200] or type(exc).__name__
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLCertVerificationError):
        return TransportError(f"TLS with {origin} failed: {reason}", phase="connect")
    untrusted = isinstance(exc, ssl.SSLCertVerificationError)
    return ConnectError(
        f"no connection to {origin}: {reason}",
        phase="connect",
        retryable=False if untrusted else None,
    )
