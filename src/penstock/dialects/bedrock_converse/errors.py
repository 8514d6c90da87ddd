"""Errors in AWS's words: an exception by its name, in a header, a body or a frame.

The names are the service model's (botocore 1.43.117) and, for what is refused before the service is
asked, those of AWS's common errors (Bedrock API reference, "Common Errors").
"""

from __future__ import annotations

from collections.abc import Mapping
from re import IGNORECASE
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.dialects.errors import Kinds, event_error, response_error
from penstock.dialects.reading import lenient
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnavailableError,
)

if TYPE_CHECKING:
    from penstock.errors import ResponseError

__all__ = ["KINDS", "STATUSES", "error", "frame_error"]

# JSON as a provider sent it.
Json: TypeAlias = Any

KINDS: Kinds = {
    name.lower(): kind
    for name, kind in {
        "AccessDeniedException": PermissionDeniedError,
        "ConflictException": ConflictError,
        "InternalServerException": ServerError,
        "ModelErrorException": ServerError,
        "ModelNotReadyException": UnavailableError,
        "ModelStreamErrorException": ServerError,
        "ModelTimeoutException": UnavailableError,
        "ResourceNotFoundException": NotFoundError,
        "ServiceQuotaExceededException": BillingError,  # the account's: waiting does not help
        "ServiceUnavailableException": UnavailableError,
        "ThrottlingException": RateLimitError,
        # Before the service is asked.
        "ExpiredTokenException": AuthenticationError,
        "IncompleteSignature": AuthenticationError,
        "IncompleteSignatureException": AuthenticationError,
        "InternalFailure": ServerError,
        "InvalidSignatureException": AuthenticationError,
        "MissingAuthenticationTokenException": AuthenticationError,
        "NotAuthorized": PermissionDeniedError,
        "OptInRequired": PermissionDeniedError,
        "RequestExpired": AuthenticationError,
        "ServiceUnavailable": UnavailableError,
        "UnrecognizedClientException": AuthenticationError,
        "UnknownOperationException": NotFoundError,
    }.items()
}
"""What each exception is. A ``ValidationException`` may be more than one thing."""

STATUSES = {
    "internalserverexception": 500,
    "modelerrorexception": 424,
    "modelnotreadyexception": 429,
    "modelstreamerrorexception": 424,
    "modeltimeoutexception": 408,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "validationexception": 400,
}
"""The statuses that the service model gives the exceptions of a stream."""

_TYPE = "x-amzn-errortype"
_TOO_LONG = pattern(r"input is too long for requested model|too many input tokens", IGNORECASE)
_RETRIED = frozenset({408, 424, 429})
"""Statuses of the model's own, among 4xx, after which the same request may succeed."""


def error(status: int, headers: Mapping[str, str], body: bytes) -> ResponseError:
    """Return the error for an answer whose `status` says that it failed."""
    said = _object(body)
    name = _name(headers.get(_TYPE, "")) or _name(said)
    if name:
        body = msgspec.json.encode({"message": _message(said), "type": name})
    return _completed(response_error(status, headers, body, _kinds(name, said)), name, said)


def frame_error(headers: Mapping[str, Any], payload: bytes) -> ResponseError:
    """Return the error that a frame reports, classified like its status.

    Args:
        headers: The frame's: ``:exception-type`` with a payload, or ``:error-code`` and
            ``:error-message`` without one.
        payload: The exception's members.
    """
    said = _object(payload)
    given = headers.get(":exception-type") or headers.get(":error-code") or ""
    name = str(given) or "unknown"
    message = _message(said) or str(headers.get(":error-message") or "")
    event: dict[str, Json] = {"message": message, "type": name[:1].upper() + name[1:]}
    if name.lower() in STATUSES:
        event["code"] = STATUSES[name.lower()]
    return _completed(event_error(event, _kinds(name, said)), str(event["type"]), said)


def _kinds(name: str, said: dict[str, Json]) -> Kinds:
    if name.lower() == "validationexception" and _TOO_LONG.search(_message(said)):
        return {"validationexception": ContextLengthError}
    return KINDS


def _completed(found: ResponseError, name: str, said: dict[str, Json]) -> ResponseError:
    """Add what only AWS's errors have: the exception's name, and the model's own status."""
    if name:
        found.code = name[:64]
    status = said.get("originalStatusCode")
    refused = type(status) is int and 400 <= status < 500 and status not in _RETRIED
    if refused and type(found) is ServerError:  # the model refuses the request, and would again
        found.retryable = False
        found.peer_fault = False
        found.elsewhere = True
    return found


def _object(body: bytes) -> dict[str, Json]:
    found = lenient(body)
    return found if isinstance(found, dict) else {}


def _message(said: dict[str, Json]) -> str:
    told = said.get("message") or said.get("Message")
    more = said.get("originalMessage")
    texts = [text for text in (told, more) if isinstance(text, str) and text]
    return ": ".join(texts)


def _name(given: Json) -> str:
    """Return an exception's name: ``ThrottlingException:http://...``, ``com.amazon#Name``."""
    if isinstance(given, dict):
        inner = given.get("Output")
        given = given.get("__type") or (inner.get("__type") if isinstance(inner, dict) else "")
    if not isinstance(given, str):
        return ""
    return given.partition(":")[0].rpartition("#")[2].strip()[:64]
