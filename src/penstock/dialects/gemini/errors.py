"""Errors in Google's words: ``{"error": {"code", "status", "message", "details"}}``.

The words are those of ``google.rpc.Code``; details are ``google.rpc.ErrorInfo`` (a reason),
``RetryInfo`` (when to come back) and ``QuotaFailure``. Streams that are arrays have a list around
the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.errors import Kinds, event_error, response_error
from penstock.dialects.reading import lenient
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnavailableError,
)

if TYPE_CHECKING:
    from penstock.errors import ResponseError

__all__ = ["KINDS", "blocked", "error", "failed", "stream_error"]

# JSON as a provider sent it.
Json: TypeAlias = Any

KINDS: Kinds = {
    "unauthenticated": AuthenticationError,
    "permission_denied": PermissionDeniedError,
    "not_found": NotFoundError,
    "already_exists": ConflictError,
    "aborted": ConflictError,
    "resource_exhausted": RateLimitError,
    "failed_precondition": InvalidRequestError,
    "out_of_range": InvalidRequestError,
    "unimplemented": InvalidRequestError,
    "unavailable": UnavailableError,
    "deadline_exceeded": UnavailableError,
    "cancelled": UnavailableError,
    "internal": ServerError,
    "unknown": ServerError,
    "data_loss": ServerError,
}
"""What each word is. ``INVALID_ARGUMENT`` may be more than one thing: a wrong key, a prompt that is
too long."""

_REASONS: Kinds = {
    "API_KEY_INVALID": AuthenticationError,
    "API_KEY_EXPIRED": AuthenticationError,
    "API_KEY_SERVICE_BLOCKED": PermissionDeniedError,
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": AuthenticationError,
    "CREDENTIALS_MISSING": AuthenticationError,
    "BILLING_DISABLED": BillingError,
    "CONSUMER_SUSPENDED": PermissionDeniedError,
    "SERVICE_DISABLED": PermissionDeniedError,
    "RATE_LIMIT_EXCEEDED": RateLimitError,
}
"""Reasons of an ``ErrorInfo`` that tell more than the word (google.api.ErrorReason)."""
_OVERLOADED = pattern(r"(?i)model is overloaded|experiencing high demand")
"""What a 503 of AI Studio says where the model, and not the server, is too busy."""
_DELAY = pattern(r"(\d{1,9}(?:\.\d{1,9})?)s")

# Reasons of a candidate that failed.
_FAILED: Kinds = {
    "MISSING_THOUGHT_SIGNATURE": InvalidRequestError,
    "PUP_LIMITED_DISABLED": PermissionDeniedError,
}


def error(status: int, headers: Mapping[str, str], body: bytes) -> ResponseError:
    """Return the error for an answer whose `status` says that it failed."""
    event = lenient(body)
    inner = _inner(event)
    found = response_error(status, headers, body, _kinds(inner))
    return _completed(found, inner)


def stream_error(event: Json) -> ResponseError:
    """Return the error that an event of an answer reports, classified like its status."""
    inner = _inner(event)
    return _completed(event_error(event, _kinds(inner)), inner)


def blocked(reason: str, message: Json, *, what: str) -> ContentBlockedError:
    """Return the error of a prompt or an answer that a filter refused.

    Args:
        reason: Gemini's word, which becomes the error's `code`.
        message: What Gemini says to it, if anything.
        what: What was refused.
    """
    said = f": {message[:300]}" if isinstance(message, str) and message else ""
    return ContentBlockedError(f"{what} was blocked ({reason[:64]}){said}", code=reason[:64])


def failed(reason: str, message: Json) -> ResponseError:
    """Return the error of a candidate that ended with a failure."""
    said = f": {message[:300]}" if isinstance(message, str) and message else ""
    kind = _FAILED.get(reason, ServerError)
    return kind(f"the answer ended with {reason[:64]}{said}", code=reason[:64])


def _inner(event: Json) -> dict[str, Json]:
    if isinstance(event, list):
        event = event[0] if event else None
    inner = event.get("error") if isinstance(event, dict) else None
    return inner if isinstance(inner, dict) else {}


def _details(inner: dict[str, Json]) -> Iterator[dict[str, Json]]:
    details = inner.get("details")
    for detail in details[:16] if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _reason(inner: dict[str, Json]) -> str:
    found = (detail.get("reason") for detail in _details(inner))
    return next((reason for reason in found if isinstance(reason, str) and reason), "")


def _kinds(inner: dict[str, Json]) -> Kinds:
    """Return what each word is, for an error whose details may tell more than its word."""
    status = inner.get("status")
    word = status.lower() if isinstance(status, str) else ""
    if (reason := _reason(inner)) in _REASONS and word:
        return {word: _REASONS[reason]}
    message = inner.get("message")
    if word == "unavailable" and isinstance(message, str) and _OVERLOADED.search(message):
        return {word: OverloadedError}
    return KINDS


def _completed(found: ResponseError, inner: dict[str, Json]) -> ResponseError:
    """Add what only Google's errors have: a reason as the code, and when to come back."""
    if reason := _reason(inner):
        found.code = reason[:64]
    elif isinstance(inner.get("status"), str) and inner["status"]:
        found.code = inner["status"][:64]
    for detail in _details(inner):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (told := _DELAY.fullmatch(delay)):
            found.retry_after = float(told[1])
    return found
