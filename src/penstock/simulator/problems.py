"""Refusals: what a provider answers instead of an answer, in no vendor's words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["PROBLEMS", "Problem", "problem_for"]


class Problem(NamedTuple):
    """One refusal; the words are ours, the codes the vendors'."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None


# Statuses, types and codes: platform.openai.com/docs/guides/error-codes, the openai SDK's
# exceptions, Azure's content_filter, OpenRouter's errors page; 529 is Anthropic's.
PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "bad-request": Problem(400, "A value in the request is not valid.", param="temperature"),
        "invalid-key": Problem(401, "The API key is not valid.", code="invalid_api_key"),
        "billing": Problem(
            402, "The credits are used up.", "insufficient_credits", "insufficient_credits"
        ),
        "forbidden": Problem(
            403, "This project may not use the model.", "permission_error", "permission_denied"
        ),
        "model-not-found": Problem(
            404, "The model does not exist.", code="model_not_found", param="model"
        ),
        "conflict": Problem(409, "Another request holds the resource.", "conflict_error"),
        "too-large": Problem(413, "The request is too large.", code="request_too_large"),
        "unprocessable": Problem(422, "A field has the wrong type.", param="messages"),
        "rate-limit": Problem(
            429, "Too many requests a minute; try again later.", "requests", "rate_limit_exceeded"
        ),
        "insufficient-quota": Problem(
            429,
            "The quota of the plan is used up; see its billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "context-length": Problem(
            400,
            "The messages have 200001 tokens; the model's maximum context length is 128000.",
            code="context_length_exceeded",
            param="messages",
        ),
        "context-words": Problem(
            400,
            "The tool `context window` has no description.",
            code="invalid_value",
            param="tools[0]",
        ),
        "content-filter": Problem(
            400, "The prompt was blocked by the content filter.", code="content_filter"
        ),
        "server-error": Problem(500, "The server had an error.", "server_error"),
        "bad-gateway": Problem(502, "The server behind the gateway failed.", "server_error"),
        "unavailable": Problem(503, "The server is not ready.", "server_error"),
        "gateway-timeout": Problem(504, "The server behind the gateway was late.", "server_error"),
        "overloaded": Problem(529, "The provider is overloaded.", "overloaded_error", "overloaded"),
    }
)

_BY_STATUS = {problem.status: problem for problem in reversed(list(PROBLEMS.values()))} | {
    429: PROBLEMS["rate-limit"]
}


def problem_for(status: int) -> Problem:
    """Return the plain refusal with `status`."""
    if known := _BY_STATUS.get(status):
        return known
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return Problem(status, f"The request failed with status {status}.", kind)
