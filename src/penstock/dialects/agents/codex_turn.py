"""What a turn of Codex comes to, in a child of its own or on its server: its tools and its end.

Of a turn that failed it says sentences, and in its server's words a kind as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from re import IGNORECASE
from re import compile as pattern
from typing import Any, TypeAlias

from penstock.chunks import Usage
from penstock.dialects.agents.events import text_of
from penstock.dialects.agents.failures import by_status, failure
from penstock.dialects.agents.resets import parse_rate_limit_reset
from penstock.dialects.errors import event_error
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OutputTruncatedError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    UnavailableError,
)

__all__ = ["NAME", "called", "over_websocket", "turn_failure", "turn_usage"]

# JSON as the agent printed it.
Json: TypeAlias = Any

NAME = "Codex"
_STATUS = pattern(r"^(?:unexpected|exceeded retry limit, last) status:? (\d{3})\b")
_WEBSOCKET = pattern(r"\burl: wss?://")

# The agent's sentences, the most special first; its apostrophes are typographic or not.
_SENTENCES: tuple[tuple[Any, type[PenstockError], str], ...] = (
    (pattern(r"^Quota exceeded\b"), BillingError, "insufficient_quota"),
    (pattern(r"^You.{1,2}ve hit your usage limit"), RateLimitError, "usage_limit_reached"),
    (pattern(r"^rate limit exceeded\b", IGNORECASE), RateLimitError, "rate_limit_exceeded"),
    (pattern(r"^Codex ran out of room in the model"), ContextLengthError, "context_window"),
    (
        pattern(r"^Incomplete response returned, reason: max_output_tokens"),
        OutputTruncatedError,
        "max_output_tokens",
    ),
    (
        pattern(r"^Incomplete response returned, reason: content_filter"),
        ContentBlockedError,
        "content_filter",
    ),
    (pattern(r"^Missing environment variable: "), AuthenticationError, "missing_key"),
    (pattern(r"^Google Cloud credentials are unavailable"), AuthenticationError, "signed_out"),
    (pattern(r"^The model (?:.{1,200} )?does not exist"), NotFoundError, "model_not_found"),
    (pattern(r"^We.{1,2}re currently experiencing high demand"), ServerError, "server_error"),
    (pattern(r"^stream disconnected before completion"), ServerError, "stream_disconnected"),
    (pattern(r"^Selected model is at capacity"), ServerError, "at_capacity"),
)

# ``codexErrorInfo`` of the server's schema (0.169.0). ``usageLimitExceeded`` and ``other`` say too
# little: there the sentence decides.
_KINDS: dict[str, tuple[type[PenstockError], str]] = {
    "badRequest": (InvalidRequestError, "bad_request"),
    "contextWindowExceeded": (ContextLengthError, "context_window"),
    "cyberPolicy": (ContentBlockedError, "cyber_policy"),
    "flexUnavailable": (UnavailableError, "flex_unavailable"),
    "inferenceHookDenied": (PermissionDeniedError, "inference_hook_denied"),
    "internalServerError": (ServerError, "server_error"),
    "misalignmentPolicyViolation": (ContentBlockedError, "misalignment_policy"),
    "modelNotFound": (NotFoundError, "model_not_found"),
    "policyCapacityUnavailable": (UnavailableError, "policy_capacity"),
    "rateLimitExceeded": (RateLimitError, "rate_limit_exceeded"),
    "serverOverloaded": (OverloadedError, "overloaded"),
    "sessionBudgetExceeded": (LimitExceededError, "session_budget"),
    "tooManyDenials": (PermissionDeniedError, "too_many_denials"),
    "unauthorized": (AuthenticationError, "unauthorized"),
}


def called(item: dict[str, Json]) -> tuple[str, Json]:
    """Return the name and the arguments of the tool that `item`, of a child or the server, is."""
    match item.get("type"):
        case "command_execution" | "commandExecution":
            return "command", {"command": item.get("command")}
        case "mcp_tool_call" | "mcpToolCall":
            return f"{item.get('server')}.{item.get('tool')}", item.get("arguments")
        case "dynamicToolCall":
            return text_of(item.get("tool")), item.get("arguments")
        case "fileChange":
            return "file_change", {"changes": item.get("changes")}
        case other:
            rest = {n: v for n, v in item.items() if n not in ("id", "type", "status")}
            return text_of(other), rest


def over_websocket(said: str) -> bool:
    """Return whether what failed is a WebSocket: Codex falls back to HTTP, which may yet work."""
    return _WEBSOCKET.search(said) is not None


def turn_usage(tokens: Mapping[str, int], raw: Json) -> Usage:
    """Return what a turn used of the `tokens` that ``codex exec`` has names for."""
    return Usage(
        input_tokens=tokens["input_tokens"],
        output_tokens=tokens["output_tokens"],
        total_tokens=tokens["input_tokens"] + tokens["output_tokens"],
        cached_tokens=tokens["cached_input_tokens"],
        cache_write_tokens=tokens["cache_write_input_tokens"],
        reasoning_tokens=tokens["reasoning_output_tokens"],
        raw=raw,
    )


def turn_failure(
    said: str, *, info: Json = None, now: float, zone: tzinfo | None = None
) -> PenstockError:
    """Return the error that a turn failed with.

    Args:
        said: The agent's sentence.
        info: Its server's ``codexErrorInfo``: a word, or an object of one word and a status.
        now: The present, Unix time in seconds.
        zone: Of times in the sentence; default the machine's, where the child runs too.
    """
    if said.lstrip().startswith("{"):
        return _of_body(said)
    word, status = _informed(info)
    if status is None and (found := _STATUS.search(said)):
        status = int(found[1])
    kind, code = _kind(said, word, status)
    reset = None
    if issubclass(kind, RateLimitError):
        reset = parse_rate_limit_reset(said, now=datetime.fromtimestamp(now, UTC), zone=zone)
    return failure(kind, NAME, said, code=code, status=status, reset=reset, now=now)


def _kind(
    said: str, word: str | None, status: int | None
) -> tuple[type[PenstockError], str | None]:
    if word in _KINDS:
        return _KINDS[word]
    if status is not None:
        return by_status(status), None
    for sentence, kind, code in _SENTENCES:
        if sentence.search(said):
            return kind, code
    return (ServerError if word == "responseStreamDisconnected" else ResponseError), word


def _informed(info: Json) -> tuple[str | None, int | None]:
    if isinstance(info, str):
        return info, None
    if isinstance(info, dict):
        for word, more in info.items():
            status = more.get("httpStatusCode") if isinstance(more, dict) else None
            return str(word), status if isinstance(status, int) else None
    return None, None


def _of_body(said: str) -> PenstockError:
    """A 400 of the model's endpoint, whose whole body is the message."""
    try:
        body = json.loads(said)
    except ValueError:
        return failure(InvalidRequestError, NAME, said, status=400)
    error = event_error(body)
    kind = InvalidRequestError if type(error) in (ServerError, ResponseError) else type(error)
    return failure(kind, NAME, error.body or said, status=400, code=error.code, param=error.param)
