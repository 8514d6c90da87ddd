"""The Responses' own error codes, in an error body, an ``error`` event or a failed response."""

from __future__ import annotations

from collections.abc import Mapping
from re import IGNORECASE
from re import compile as pattern
from typing import Any, TypeAlias

from penstock.dialects.errors import event_error, response_error
from penstock.errors import (
    ContentBlockedError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    UnavailableError,
)

__all__ = ["KINDS", "failed", "rejection"]

# JSON as a provider sent it.
Json: TypeAlias = Any

KINDS: Mapping[str, type[ResponseError]] = {
    # openai.types.responses.ResponseError.code (SDK 3.57)
    "invalid_prompt": InvalidRequestError,
    "data_residency_mismatch": InvalidRequestError,
    "bio_policy": ContentBlockedError,
    "misalignment_policy_violation": ContentBlockedError,
    "image_content_policy_violation": ContentBlockedError,
    "vector_store_timeout": UnavailableError,
    "model_not_found": NotFoundError,  # beside the type invalid_request_error
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        InvalidRequestError,
    ),
    # With a 503, or in the stream, where clients of OpenAI's own models meet them.
    "server_is_overloaded": OverloadedError,
    "slow_down": OverloadedError,
    # Ours, for a response that somebody cancelled: OpenAI has a status for it and no error.
    "response_cancelled": ResponseError,
}
"""The codes, in lower case, and the error that each of them is; those that every vendor of OpenAI's
shapes has (``rate_limit_exceeded``, ``context_length_exceeded``, ...) are in
`penstock.dialects.errors`."""

# OpenAI says in words how long to wait where no header can: "Please try again in 1.898s."
_WAIT = pattern(r"try again in (\d{1,6}(?:\.\d{1,6})?)\s*(ms|s|seconds?)\b", IGNORECASE)


def failed(error: Json) -> ResponseError:
    """Return the error that a response or an event of it reports.

    Args:
        error: The ``error`` of a response, or an ``error`` event: ``code``, ``message``, ``param``.
    """
    said = dict(error) if isinstance(error, Mapping) else {"message": error}
    if said.get("type") == "error":
        del said["type"]  # the event's own name
    found = event_error(said or {"message": "the response failed"}, KINDS)
    if isinstance(found, RateLimitError) and (wait := _WAIT.search(found.message)):
        found.retry_after = float(wait[1]) / (1000 if wait[2].lower() == "ms" else 1)
    return found


def rejection(status: int, headers: Mapping[str, str], body: bytes) -> ResponseError:
    """Return the error for an answer whose `status` says that it failed."""
    return response_error(status, headers, body, KINDS)
