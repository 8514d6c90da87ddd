"""No answer, not all of it, or one that breaks a rule or a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors.base import PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ConnectError",
    "DeadlineError",
    "DecodeError",
    "LimitExceededError",
    "PoolError",
    "ProtocolError",
    "TransportError",
    "TruncatedError",
]


class TransportError(PenstockError):
    """The wire failed: reset, refused or broken in the middle."""

    kind = "transport"
    retryable = True
    elsewhere = True
    peer_fault = True


class ConnectError(TransportError):
    """No connection: name resolution, TCP, TLS or a proxy failed."""

    kind = "connect"


class PoolError(TransportError):
    """No place in our own limits within ``Timeouts.pool``; the peer is not to blame."""

    kind = "pool"
    retryable = False
    peer_fault = False


class DeadlineError(TransportError, TimeoutError):
    """A clock of `penstock.Timeouts` ran out: ``phase``, ``limit``, ``elapsed`` (seconds)."""

    kind = "deadline"


class TruncatedError(TransportError):
    """The answer stopped before its dialect's terminal event; ``partial`` has what came."""

    kind = "truncated"


class ProtocolError(PenstockError):
    """The peer's bytes are not what its protocol says."""

    kind = "protocol"
    elsewhere = True
    peer_fault = True


class DecodeError(ProtocolError):
    """A decoder met bytes that its format forbids, or a torn end.

    ``frames`` holds the frames that the failing call completed before the fault, so that no cut of
    the input changes what the reader sees. They do not travel in a pickle.
    """

    kind = "decode"

    def __init__(
        self, message: str = "", *, frames: Sequence[object] = (), **fields: Any
    ) -> None:  # Any: the base has the names and types
        super().__init__(message, **fields)
        self.frames: list[object] = list(frames)

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "frames"}
        return type(self), self.args, state


class LimitExceededError(PenstockError):
    """A bound of `penstock.Limits` was met; ``phase`` names it.

    ``limit`` is the bound and ``elapsed`` how far it got, in the bound's unit, mostly bytes.
    Like `DecodeError` it can carry the ``frames`` that were complete before it.
    """

    kind = "limit_exceeded"
    elsewhere = True

    def __init__(
        self, message: str = "", *, frames: Sequence[object] = (), **fields: Any
    ) -> None:  # Any: the base has the names and types
        super().__init__(message, **fields)
        self.frames: list[object] = list(frames)

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "frames"}
        return type(self), self.args, state
