"""Errors by status, by machine-readable code and, where vendors have none, by text."""

from __future__ import annotations

from collections.abc import Mapping
from re import IGNORECASE
from re import compile as pattern
from typing import Any, TypeAlias

from penstock.dialects.faults import Fault, fault_of, page_title, redacted
from penstock.dialects.reading import lenient
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    UnavailableError,
)

__all__ = ["Kinds", "event_error", "response_error"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_BY_STATUS: dict[int, type[ResponseError]] = {
    401: AuthenticationError,
    402: BillingError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: UnavailableError,  # the peer gave up waiting; OpenAI's SDK retries it
    409: ConflictError,
    410: NotFoundError,
    429: RateLimitError,
    498: OverloadedError,  # Groq: flex tier capacity exceeded
    499: UnavailableError,  # a gateway's upstream call was cut
    529: OverloadedError,  # Anthropic, OpenRouter
    **dict.fromkeys((502, 503, 504, *range(520, 528)), UnavailableError),  # 52x: Cloudflare
}

_BLOCKED = frozenset(
    {
        "content_filter",  # Azure
        "content_policy_violation",  # OpenAI, OpenRouter
        "responsibleaipolicyviolation",  # Azure's innererror
        "moderation",  # OpenRouter, by its metadata
        "moderation_blocked",  # OpenAI's images
        "refusal",  # OpenRouter's APIErrorType
        "data_inspection_failed",  # DashScope
        "datainspectionfailed",
    }
)
_TOO_LONG = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Groq, OpenRouter
        "exceed_context_size_error",  # llama.cpp
        "context_window_exceeded",
        "tokens_limit_reached",  # GitHub Models, with 413
    }
)
_NOT_SERVED = frozenset(
    {
        "model_not_supported",  # GitHub Copilot, Hugging Face's router, with 400
        "unknown_model",  # GitHub Models, with 400
        "invalid_model",  # Mistral, with 400
        "5007",  # Cloudflare's number for "No such model", with 400
    }
)
_UNPAID = frozenset(
    {
        "insufficient_quota",  # OpenAI: waiting does not restore it
        "billing_hard_limit_reached",  # OpenAI
        "billing_not_active",  # OpenAI
        "exceeded_current_quota_error",  # Moonshot
        "payment_required",  # OpenRouter's APIErrorType
        "insufficient_balance",
    }
)

# Statuses for the words of an error that has none, as in a stream that began with 200. From the
# types of OpenAI's and Anthropic's errors, Groq's `type`, and OpenRouter's APIErrorType.
_STATUS_OF = {
    "authentication_error": 401,
    "authentication": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,  # Mistral
    "tokens": 429,
    "requests": 429,
    "engine_overloaded_error": 529,  # Moonshot
    "overloaded_error": 529,
    "provider_overloaded": 529,
    "overloaded": 529,
    "capacity_exceeded": 498,
    "service_tier_capacity_exceeded": 529,  # Mistral, with 429
    "insufficient_system_resource": 529,  # DeepSeek's finish reason
    "provider_unavailable": 503,
    "service_unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "payload_too_large": 413,
    "invalid_request_error": 400,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "badrequesterror": 400,  # vLLM
    "unprocessable": 422,
    # Google's google.rpc.Code, by name.
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "invalid_argument": 400,
    # The same codes in tonic's words (a Rust library for gRPC), as xAI sends them.
    "some resource has been exhausted": 429,
    "the service is currently unavailable": 503,
    "client specified an invalid argument": 400,
    "some requested entity was not found": 404,
    # Databricks' error_code.
    "request_limit_exceeded": 429,
    "temporarily_unavailable": 503,
    "bad_request": 400,
    "resource_does_not_exist": 404,
    "ratelimitreached": 429,  # GitHub Models
    "3040": 429,  # Cloudflare's number for "out of capacity"
}
_BUSY = frozenset(word for word, status in _STATUS_OF.items() if status == 529)

# Sentences of vendors that have no code for it. Each states a number or the limit itself: a text
# that only speaks of a context window is about something else (exoclaw, fault 9).
_TOO_LONG_TEXT = pattern(
    r"maximum (?:context|prompt) length is [\d,]+"  # vLLM, DeepSeek, OpenRouter, xAI
    r"|exceeds the available context size"  # llama.cpp
    r"|too large for model with [\d,]+ maximum context length"  # Mistral
    r"|prompt is too long: [\d,]+ tokens > [\d,]+ maximum"  # Anthropic, behind gateways
    r"|input token count \(?[\d,]+\)? exceeds the maximum number of tokens"  # Gemini
    r"|number of tokens in the prompt cannot exceed [\d,]+"  # Cohere
    r"|tokens \+ `?max_new_tokens`? must be <= [\d,]+",  # text-generation-inference
    IGNORECASE,
)
# vLLM says the same of an answer that is asked to be too long: a shorter prompt is no remedy.
_ASKS_TOO_MUCH = pattern(r"'?max_(?:completion_)?tokens'?[^.]{0,60} is too large", IGNORECASE)
_BLOCKED_TEXT = pattern(r"^Content Exists Risk", IGNORECASE)  # DeepSeek
_NO_ENDPOINT_TEXT = pattern(r"^Unexpected endpoint or method", IGNORECASE)  # LM Studio, with 200
# A wrong key is a 400 to these, and their code says no more than that.
_WRONG_KEY_TEXT = pattern(
    r"^Incorrect (?:API key|\[redacted\])"  # xAI; what looks like a key is left out by then
    r"|^API key not valid",  # Gemini, also behind its compatible API
    IGNORECASE,
)

_RETRY_AFTER = ("retry-after", "retry-after-ms", "x-ms-retry-after-ms")
"""Headers that say when to come back, which `penstock.transports.dates` reads: they come before
what the body says."""
_REQUEST_IDS: tuple[str, ...] = ("x-request-id", "request-id", "apim-request-id", "x-generation-id")
_REQUEST_IDS += ("x-amzn-requestid", "x-github-request-id", "x-global-transaction-id", "cf-ray")
"""OpenAI and most; Anthropic; Azure; OpenRouter; AWS; GitHub; watsonx; Cloudflare, where nothing
else answered."""


Kinds: TypeAlias = "Mapping[str, type[ResponseError]]"
"""Machine-readable words of one vendor, in lower case, and the error that each of them is."""


_ELSEWHERE = "it sends us elsewhere, where neither key nor conversation goes: check base_url"


def response_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    kinds: Kinds | None = None,
    *,
    by_status: Mapping[int, type[ResponseError]] | None = None,
) -> ResponseError:
    """Return the error for an answer whose `status` says that it failed.

    Args:
        status: The HTTP status.
        headers: The answer's headers, names in lower case.
        body: As much of its body as was kept.
        kinds: The dialect's own words; they come before status and the words that all share.
        by_status: Statuses that mean something of its own to the dialect.
    """
    fault = _of_body(body, headers.get("content-type", ""))
    if any(name in headers for name in _RETRY_AFTER):
        fault = fault._replace(wait=None)
    advice = {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    said = fault.message or (_ELSEWHERE if 300 <= status < 400 else "no reason given")
    return _error(
        fault,
        status,
        f"HTTP {status}: {said}",
        kinds,
        (by_status or {}).get(status),
        request_id=request_id,
        retryable=advice,
    )


def event_error(event: Json, kinds: Kinds | None = None) -> ResponseError:
    """Return the error that an event of a 200 answer reports, classified like its status."""
    fault = fault_of(event)
    status = fault.status
    if status is None:
        status = next((_STATUS_OF[code] for code in sorted(fault.codes & _STATUS_OF.keys())), None)
    said = fault.message or "no reason given"
    return _error(fault, status, f"the answer failed: {said}", kinds)


def _error(
    fault: Fault,
    status: int | None,
    message: str,
    kinds: Kinds | None,
    other: type[ResponseError] | None = None,
    **fields: Any,  # of PenstockError, which has their names and types
) -> ResponseError:
    known = kinds or {}
    kind = next((known[code] for code in sorted(fault.codes & known.keys())), None)
    kind = kind or other or _kind(fault, status)
    if kind.retryable:
        fields["retry_after"] = fault.wait
    if status == 413:  # too large for this server: another may take it
        fields["elsewhere"] = True
    return kind(
        message,
        status=status,
        code=fault.code,
        param=fault.param,
        body=fault.message or None,
        **fields,
    )


def _kind(fault: Fault, status: int | None) -> type[ResponseError]:
    told = _by_words(fault, status)
    if told is not None:
        return told
    if status is None:
        return ServerError  # an answer that began and failed: the peer's fault until it says not
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else ResponseError


def _by_words(fault: Fault, status: int | None) -> type[ResponseError] | None:
    """Return what the words say beyond the status, None where that says it all."""
    codes = fault.codes
    if codes & _BLOCKED or _BLOCKED_TEXT.search(fault.message):
        return ContentBlockedError
    if codes & _UNPAID:
        return BillingError
    if _is_too_long(fault, status):
        return ContextLengthError
    if (status == 400 and codes & _NOT_SERVED) or _NO_ENDPOINT_TEXT.search(fault.message):
        return NotFoundError
    if status == 400 and _WRONG_KEY_TEXT.search(fault.message):
        return AuthenticationError
    return OverloadedError if status in (429, 500, 503) and codes & _BUSY else None


def _is_too_long(fault: Fault, status: int | None) -> bool:
    if status not in (None, 400, 413, 422):
        return False
    return bool(fault.codes & _TOO_LONG) or (status != 413 and _says_too_long(fault.message))


def _says_too_long(message: str) -> bool:
    return bool(_TOO_LONG_TEXT.search(message)) and not _ASKS_TOO_MUCH.search(message)


def _of_body(body: bytes, content_type: str) -> Fault:
    said = lenient(body)
    found = fault_of({} if said is None else said)
    if found.message or found.codes:
        return found
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<") or "html" in content_type:
        return found._replace(message=page_title(text))
    if text.startswith(("{", "[")):  # JSON of no known shape may hold anything, the prompt included
        return found
    return found._replace(message=redacted(text))
