"""Errors in Anthropic's words: ``{"type": "error", "error": {"type", "message", "details"}}``.

The types are the SDK's ``ErrorType`` (anthropic 2.14), and ``request_too_large`` of the API
reference's table of errors; ``details.error_code`` names a cause (SDK: ``ErrorDetails``).
"""

from __future__ import annotations

from collections.abc import Mapping
from re import IGNORECASE, Pattern
from re import compile as pattern
from typing import Any, TypeAlias

from penstock.dialects.errors import Kinds, event_error, response_error
from penstock.dialects.reading import lenient
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    UnavailableError,
)

__all__ = ["KINDS", "error", "stream_error"]

# JSON as a provider sent it.
Json: TypeAlias = Any

KINDS: Kinds = {
    "authentication_error": AuthenticationError,
    "billing_error": BillingError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "conflict_error": ConflictError,
    "rate_limit_error": RateLimitError,
    "timeout_error": UnavailableError,
    "overloaded_error": OverloadedError,
}
"""What each type is, whatever the status. ``invalid_request_error`` may be more than one thing, and
``api_error`` is what gateways say of every status."""

_STATUS_OF = {"api_error": 500, "billing_error": 402, "request_too_large": 413}
"""Statuses of types that only Anthropic has, for an error inside an answer."""

_UNPAID = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "user_profile_not_billable",
    }
)
"""Causes that waiting does not cure, though the type says that it is a matter of rate."""
_HELD = "organization_on_hold"
"""The cause of an ``invalid_request_error`` that is nothing of the request's: another vendor may
help (anthropic 2.14, ``OrganizationOnHoldError``)."""
# Of the type invalid_request_error, and nothing but the sentence tells what it is.
_BY_TEXT: tuple[tuple[Pattern[str], type[ResponseError]], ...] = (
    (pattern(r"credit balance is too low", IGNORECASE), BillingError),
    (pattern(r"blocked by content filtering policy", IGNORECASE), ContentBlockedError),
)


def error(status: int, headers: Mapping[str, str], body: bytes) -> ResponseError:
    """Return the error for an answer whose `status` says that it failed."""
    event = lenient(body)
    return _completed(response_error(status, headers, body, _kinds(event)), event)


def stream_error(event: Json) -> ResponseError:
    """Return the error that an event of an answer reports, classified like its status."""
    found = event_error(_with_status(event), _kinds(event))
    return _completed(found, event)


def _kinds(event: Json) -> Kinds:
    """Return what each word is, for an error whose details may tell more than its type."""
    cause = _cause(event)
    if cause in _UNPAID:
        return {_type(event): BillingError}
    if cause == _HELD:
        return {_type(event): PermissionDeniedError}
    if _type(event) == "invalid_request_error":
        said = event["error"].get("message")
        for text, kind in _BY_TEXT:
            if isinstance(said, str) and text.search(said):
                return {"invalid_request_error": kind}
    return KINDS


def _completed(found: ResponseError, event: Json) -> ResponseError:
    """Add what only Anthropic's errors have: the cause by its code, and the request's id."""
    if (cause := _cause(event)) is not None:
        found.code = cause[:64]
    if isinstance(event, dict) and found.request_id is None:
        given = event.get("request_id")
        found.request_id = given[:128] if isinstance(given, str) and given else None
    return found


def _with_status(event: Json) -> Json:
    status = _STATUS_OF.get(_type(event))
    if status is None:
        return event
    return {**event, "error": {**event["error"], "status": status}}


def _type(event: Json) -> str:
    inner = event.get("error") if isinstance(event, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return kind if isinstance(kind, str) else ""


def _cause(event: Json) -> str | None:
    inner = event.get("error") if isinstance(event, dict) else None
    details = inner.get("details") if isinstance(inner, dict) else None
    cause = details.get("error_code") if isinstance(details, dict) else None
    return cause if isinstance(cause, str) and cause else None
