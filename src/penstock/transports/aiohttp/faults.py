"""What aiohttp raises, in httpx's classes, which `penstock.transports.faults` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from penstock.transports.aiohttp.connection import Connection, Course

__all__ = ["broken", "unanswered"]


def unanswered(exc: Exception, course: Course, http: Any) -> Exception:
    """Return what httpx would raise for `exc`, met before the answer's headers."""
    if isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        error: Exception = http.ConnectError(str(exc))
    elif isinstance(exc, aiohttp.ClientResponseError | aiohttp.http_exceptions.HttpProcessingError):
        error = http.RemoteProtocolError(str(getattr(exc, "message", exc)))
    elif isinstance(exc, aiohttp.ServerDisconnectedError):
        error = http.RemoteProtocolError("Server disconnected without sending a response.")
    elif isinstance(exc, aiohttp.ClientError | OSError):
        connecting = course.protocol is None
        error = http.ConnectError(str(exc)) if connecting else http.ReadError(str(exc))
    else:
        return exc
    error.__cause__ = exc
    return error


def broken(exc: Exception, protocol: Connection | None, http: Any) -> Exception:
    """Return what httpx would raise for `exc`, met in a body."""
    malformed = protocol.malformed if protocol is not None else None
    lost = protocol.lost if protocol is not None else None
    if malformed is not None:
        error: Exception = http.RemoteProtocolError(f"the body's framing is broken: {malformed}")
    elif lost is not None or isinstance(exc, OSError):
        error = http.ReadError(str(lost or exc))
    else:
        error = http.RemoteProtocolError("peer closed connection before the end of the answer")
    error.__cause__ = exc
    return error
