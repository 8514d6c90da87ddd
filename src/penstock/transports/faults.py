"""What the HTTP library raises, in penstock's words.

Both packages, ``httpx`` and ``httpx2``, name their classes alike, so they are known by name. No
message of ours holds a header, a key or a body; the library's words on sockets and TLS are kept.
"""

from __future__ import annotations

import ssl

from penstock.errors import (
    ConfigurationError,
    ConnectError,
    DeadlineError,
    EncodeError,
    InternalError,
    LimitExceededError,
    MissingExtraError,
    PenstockError,
    PoolError,
    ProtocolError,
    TransportError,
)

__all__ = ["is_broken", "torn", "translate"]

# h11's words, of which it has no class (h11/_readers.py, h11/_connection.py).
_CUT = "peer closed connection"
_TOO_LONG = "Receive buffer too long"
_H11_BUFFER = 100 * 1024
_SHOWN = 200
# What either package raises where a connection that was open is not any more.
_BROKEN = frozenset({"ReadError", "WriteError", "CloseError", "RemoteProtocolError"})


def translate(exc: Exception, *, origin: str, sent: bool) -> Exception:
    """Return the error to raise for `exc`, met before the answer's headers were there.

    Errors of penstock, and of a caller's own body, are returned as they are.
    """
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    reason = _reason(exc)
    phase = "response" if sent else "write"
    # A client's connections may be ours (`penstock.transports.direct.httpx_transport`).
    ours = exc if isinstance(exc, PenstockError) else exc.__cause__
    if isinstance(ours, PenstockError):
        return ours
    # httpcore lets h11's own LocalProtocolError through where a body ends early.
    if not kinds & {"HTTPError", "InvalidURL", "LocalProtocolError"}:
        return _foreign(exc, origin)
    if kinds & {"ConnectError", "ConnectTimeout"}:
        untrusted = isinstance(_root(exc), ssl.SSLCertVerificationError)
        return ConnectError(
            f"no connection to {origin}: {reason}",
            phase="connect",
            retryable=False if untrusted else None,
        )
    if "ProxyError" in kinds:
        return ConnectError(
            f"the proxy gives no connection to {origin}: {reason}",
            phase="connect",
            peer_fault=False,
        )
    if "PoolTimeout" in kinds:
        return PoolError(f"the client has no free connection to {origin}", phase="pool")
    if "TimeoutException" in kinds:
        return DeadlineError(f"the client's own timeout ran out: {reason}", phase=phase)
    if "LocalProtocolError" in kinds:
        return _ours(reason)
    if "RemoteProtocolError" in kinds:
        return _theirs(reason, origin, phase)
    if kinds & {"UnsupportedProtocol", "InvalidURL"}:
        return ConfigurationError(f"{origin} cannot be called: {reason}")
    return TransportError(f"the connection to {origin} broke: {reason}", phase=phase)


def is_broken(exc: Exception) -> bool:
    """Whether `exc` is the library's word that an open connection is gone."""
    return any(kind.__name__ in _BROKEN for kind in type(exc).__mro__)


def torn(exc: Exception) -> str | None:
    """Say how a body ended that `exc` cut short; None where `exc` is something else."""
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    if "NetworkError" in kinds:
        return f"the connection broke: {_reason(exc)}"
    if "RemoteProtocolError" in kinds and (_CUT in str(exc) or "StreamReset" in str(exc)):
        return _reason(exc)
    return None


def _theirs(reason: str, origin: str, phase: str) -> PenstockError:
    if _TOO_LONG in reason:
        return LimitExceededError(
            "the answer's headers exceed max_response_headers",
            phase="max_response_headers",
            limit=_H11_BUFFER,
            elapsed=_H11_BUFFER,
        )
    if "disconnected" in reason or _CUT in reason:
        return TransportError(f"{origin} hung up without an answer", phase=phase)
    return ProtocolError(f"{origin} does not speak HTTP as it should: {reason}", phase=phase)


def _ours(reason: str) -> PenstockError:
    if "Content-Length" in reason:
        return EncodeError(
            f"the body is not as long as it was when it was counted: {reason}", phase="write"
        )
    return InternalError(f"the HTTP library refuses the request: {reason}", phase="write")


def _foreign(exc: Exception, origin: str) -> Exception:
    """Errors that are not the library's: of the system, of a missing extra, of a caller's body."""
    if isinstance(exc, ImportError):
        return MissingExtraError(str(exc))
    if isinstance(exc, ssl.SSLError):
        return TransportError(f"TLS with {origin} failed: {_reason(exc)}", phase="connect")
    return exc


def _root(exc: BaseException) -> BaseException:
    """The first cause: the library and anyio wrap the system's error two or three times."""
    for _ in range(8):
        cause = exc.__cause__ or exc.__context__
        if isinstance(cause, BaseExceptionGroup) and cause.exceptions:
            cause = cause.exceptions[0]
        if cause is None:
            return exc
        exc = cause
    return exc


def _reason(exc: BaseException) -> str:
    root = _root(exc)
    text = str(root) if isinstance(root, OSError) else str(exc)
    return (text or str(exc) or type(exc).__name__)[:_SHOWN]
