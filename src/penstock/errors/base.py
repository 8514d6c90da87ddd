"""What every error has, and the record of one try."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.response import Reply

__all__ = [
    "Attempt",
    "PenstockError",
]


class Attempt(Struct, frozen=True):
    """One try at one deployment, as a record that can be logged, pickled and compared."""

    deployment: str
    """The key of the deployment that was tried."""
    model: str
    """The model name that went on the wire."""
    error: str | None
    """The class name of what ended it; None for the attempt that succeeded."""
    message: str = ""
    """The error's message, redacted and bounded as in the error itself."""
    status: int | None = None
    """The HTTP status or exit code, where there was one."""
    retry_after: float | None = None
    """Seconds that the peer asked us to wait."""
    started: float = 0.0
    """Seconds from the start of the call to the start of this attempt."""
    elapsed: float = 0.0
    """Seconds that the attempt took."""
    request_id: str | None = None
    """The peer's name for the request."""
    dropped: tuple[str, ...] = ()
    """Paths of what was left out of the request, as its dialect has no words for it."""


class PenstockError(Exception):
    """The base of every error that penstock raises.

    Args:
        message: What went wrong, where, and what to do about it.
        provider: The provider's name.
        model: The model as the caller named it.
        deployment: The deployment's key.
        status: The HTTP status, or a child process's exit code.
        code: The peer's machine-readable code.
        request_id: The peer's name for the request.
        retry_after: Seconds to wait before the same request can succeed.
        reset_at: The Unix time in seconds at which a limit is lifted.
        phase: The clock or stage in which it happened (``"connect"``, ``"ttft"``, ...).
        limit: The bound that was met, in the unit of its name (seconds or bytes).
        elapsed: How far the phase got, in the same unit.
        param: The request's field that the peer or the check objects to.
        body: An excerpt of the peer's answer: at most 512 characters, redacted.
        partial: What had arrived of the answer, folded.
        dropped: Paths of what was left out of the request that failed.
        attempts: What was tried in this call, in order.
        metadata: The caller's own mapping, as given with the request.
        committed: Whether a chunk had reached the caller; then nothing is automatic.
        retryable: Overrides the class's default: the same request again may help.
        elsewhere: Overrides the class's default: another deployment may help.
        peer_fault: Overrides the class's default: the peer is to blame.
    """

    retryable: bool = False
    elsewhere: bool = False
    peer_fault: bool = False
    kind: ClassVar[str] = "unknown"
    """A short, stable name for logs and metrics."""

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        deployment: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        reset_at: float | None = None,
        phase: str | None = None,
        limit: float | None = None,
        elapsed: float | None = None,
        param: str | None = None,
        body: str | None = None,
        partial: Reply | None = None,
        dropped: Sequence[str] = (),
        attempts: Sequence[Attempt] = (),
        metadata: Mapping[str, object] | None = None,
        committed: bool = False,
        retryable: bool | None = None,
        elsewhere: bool | None = None,
        peer_fault: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.deployment = deployment
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.reset_at = reset_at
        self.phase = phase
        self.limit = limit
        self.elapsed = elapsed
        self.param = param
        self.body = body
        self.partial = partial
        self.dropped = tuple(dropped)
        self.attempts = tuple(attempts)
        self.metadata = metadata
        self.committed = committed
        # Only an instance that differs from its class holds these three.
        if retryable is not None:
            self.retryable = retryable
        if elsewhere is not None:
            self.elsewhere = elsewhere
        if peer_fault is not None:
            self.peer_fault = peer_fault
