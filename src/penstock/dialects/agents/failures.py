"""An agent's failures as errors of the one tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.dialects.faults import redacted
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    TruncatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.interfaces import Ending

__all__ = ["by_status", "failure", "unfinished"]

_BY_STATUS: dict[int, type[ResponseError]] = {
    401: AuthenticationError,
    402: BillingError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
    529: OverloadedError,
    **dict.fromkeys((502, 503, 504), UnavailableError),
}


def by_status(status: int | None) -> type[ResponseError]:
    """Return the kind of error that a model endpoint's `status` is; unknown without one."""
    if status is None:
        return ResponseError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else ResponseError


def failure(
    kind: type[PenstockError],
    agent: str,
    message: str,
    *,
    reset: datetime | None = None,
    now: float = 0.0,
    **fields: Any,  # of PenstockError, which has their names and types
) -> PenstockError:
    """Return an error of `kind` with an agent's own words, bounded and redacted.

    Args:
        kind: Its class.
        agent: Who says so.
        message: The words.
        reset: When the limit is lifted.
        now: The present, Unix time in seconds, from which ``retry_after`` counts.
        fields: More of the error's fields.
    """
    said = redacted(message) or "no reason given"
    if reset is not None:
        fields.setdefault("reset_at", reset.timestamp())
        fields.setdefault("retry_after", max(0.0, reset.timestamp() - now))
    return kind(f"{agent}: {said}", body=said, **fields)


def unfinished(agent: str, ending: Ending, *, spoke: bool) -> PenstockError:
    """Return the error of a child that ended without a terminal event.

    Args:
        agent: Whose child.
        ending: How it ended.
        spoke: Whether any event had come.
    """
    code = ending.exit_code
    said = redacted(ending.stderr[-512:])
    if code is not None and 0 < code < 128 and not spoke:
        # Bad flags and configurations: nothing but stderr, before anything was asked.
        return failure(
            InvalidRequestError,
            agent,
            ending.stderr[-2048:] or f"exit code {code}",
            status=code,
            code="usage",
        )
    why = ending.detail or ("exit code 0" if code == 0 else "its output ended")
    return TruncatedError(
        f"{agent} ended before its answer did ({why})" + (f": {said}" if said else ""),
        status=code,
        body=said or None,
    )
