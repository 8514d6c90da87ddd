"""What a turn of opencode comes to, in a child of its own or on its server: tools, end or fault."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from re import IGNORECASE
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, ProviderEvent, Usage
from penstock.dialects.agents.events import (
    ended,
    number,
    object_of,
    text_of,
    tool_call,
    tool_result,
)
from penstock.dialects.agents.failures import by_status, failure, unfinished
from penstock.dialects.errors import response_error
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    NotFoundError,
    OutputTruncatedError,
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
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["NAME", "ended_early", "finished", "retried", "steps_usage", "subagent_retried"]
__all__ += ["tool_events", "turn_fault"]

# JSON as the agent printed it.
Json: TypeAlias = Any

NAME = "opencode"
_NO_MODEL = pattern(r"ModelNotFoundError|Model not found")
_DATABASE = pattern(r"Failed query: |database is locked")
_NAMED: dict[str, type[PenstockError]] = {
    "ContextOverflowError": ContextLengthError,
    "ContentFilterError": ContentBlockedError,
    "ProviderAuthError": AuthenticationError,
    "MessageOutputLengthError": OutputTruncatedError,
    "MessageAbortedError": TruncatedError,
}
# What a provider says of a request that opencode would make again by itself: those it says nothing
# else of are servers that failed. The limit of a pace may name the plan and its billing too, as
# OpenAI's tokens a minute and Gemini's quotas do: it says when to ask again, and no bill does that.
_RETRIED: tuple[tuple[Any, type[PenstockError]], ...] = tuple(
    (pattern(words, IGNORECASE), kind)
    for words, kind in (
        (r"insufficient.?(quota|credits?|balance|funds)", BillingError),
        (r"rate.?limit|too many requests", RateLimitError),
        (r"overloaded", OverloadedError),
        (r"(quota|billing|limit).*(retry|again) (in|after)\b", RateLimitError),
        (r"\bbilling\b|\bcredits?\b|\bbalance is\b|payment required", BillingError),
        (r"quota", RateLimitError),
    )
)


def ended_early(ending: Ending, *, spoke: bool) -> PenstockError:
    """Return the error of a child that ended before its turn did.

    Where several begin at once in a home that is new, 1.18.33 makes its database in each of them,
    and some fail of that before they have asked anything: another time they would not.
    """
    if not spoke and _DATABASE.search(ending.stderr):
        said = f"its database was not to be had: {ending.stderr[-1024:]}"
        return failure(UnavailableError, NAME, said, status=ending.exit_code, code="database")
    return unfinished(NAME, ending, spoke=spoke)


def tool_events(part: dict[str, Json]) -> tuple[ProviderEvent, ProviderEvent]:
    """Return the events of a tool's call and of its result, which says nothing before its end."""
    id, state = text_of(part.get("callID")), object_of(part.get("state"))
    failed = state.get("status") == "error"
    content = state.get("error") if failed else state.get("output")
    return (
        tool_call(id, text_of(part.get("tool")), state.get("input")),
        tool_result(id, content, is_error=failed, metadata=state.get("metadata")),
    )


def finished(reason: str, last: str) -> list[Chunk]:
    """Return the end of a turn whose last step gave `reason`; `last` is its last message.

    Raises:
        PenstockError: That is no end of an answer.
    """
    if reason == "tool-calls":
        raise failure(
            PermissionDeniedError,
            NAME,
            "the turn ended behind a tool call, without an answer: a permission was rejected",
            code="permission_rejected",
        )
    if reason == "length":
        raise failure(
            OutputTruncatedError, NAME, "the answer ended at the output limit", code=reason
        )
    if reason == "content-filter":
        raise failure(ContentBlockedError, NAME, "a content filter stopped it", code=reason)
    return ended(last, Finish("stop" if reason == "stop" else "other", raw=reason))


def steps_usage(steps: Sequence[dict[str, Json]]) -> Usage:
    """Return the sum of all: ``input`` is without cached tokens, ``output`` without thinking."""
    counts = [step.get("tokens") or {} for step in steps]
    caches = [each.get("cache") or {} for each in counts]
    read = sum(number(each.get("read")) for each in caches)
    written = sum(number(each.get("write")) for each in caches)
    thought = sum(number(each.get("reasoning")) for each in counts)
    sent = sum(number(each.get("input")) for each in counts) + read + written
    made = sum(number(each.get("output")) for each in counts) + thought
    costs = [step.get("cost") for step in steps]
    known = [cost for cost in costs if isinstance(cost, (int, float))]
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thought,
        cost=sum(known) if known else None,
        raw=counts,
    )


def turn_fault(
    fault: dict[str, Json], *, asked: bool, stderr: str = "", now: float
) -> PenstockError:
    """Return the error that ``error.name`` and ``error.data`` amount to.

    Args:
        fault: The error of opencode's.
        asked: Whether a model had answered anything before it.
        stderr: The end of what the child said there.
        now: The present, Unix time in seconds.
    """
    name = text_of(fault.get("name"))
    data = object_of(fault.get("data"))
    said = text_of(data.get("message"))
    if name == "APIError":
        return _api_error(data, said, now)
    kind = _NAMED.get(name, ResponseError)
    if kind is ResponseError and (_NO_MODEL.search(said) or _NO_MODEL.search(stderr)):
        return failure(NotFoundError, NAME, said, code="model_not_found")
    if name == "UnknownError" and not asked and said.startswith("Unexpected server error"):
        # What 1.18 says of a model or provider that its configuration does not have: the cause
        # stands in its log only.
        said += " (is the model in opencode's configuration?)"
    return failure(kind, NAME, said or name, code=name)


def retried(status: dict[str, Json], now: float) -> PenstockError:
    """Return the error that opencode is about to ask again for: ``session.status`` of ``retry``.

    It says no status: the provider's own words are all there is.
    """
    said = text_of(status.get("message"))
    kind = next((kind for words, kind in _RETRIED if words.search(said)), ServerError)
    later = status.get("next")
    fields: dict[str, Json] = {"code": "retry"}
    if isinstance(later, (int, float)) and issubclass(kind, RateLimitError):
        fields |= {"reset": datetime.fromtimestamp(later / 1000, UTC), "now": now}
    return failure(kind, NAME, said, **fields)


def subagent_retried(said: dict[str, Json]) -> ProviderEvent | None:
    """Return the event of a sub-agent that would ask again: a tool fails of it, and not the turn.

    ``subagent`` is no word of opencode's: who ends the sub-agent says it.
    """
    if said.get("subagent") is not True:
        return None
    status = object_of(said.get("status"))
    return ProviderEvent("retrying", {**status, "subagent": text_of(said.get("sessionID"))})


def _api_error(data: dict[str, Json], said: str, now: float) -> PenstockError:
    status = data.get("statusCode")
    status = status if isinstance(status, int) and not isinstance(status, bool) else None
    headers = object_of(data.get("responseHeaders"))
    body = text_of(data.get("responseBody")).encode("utf-8", "replace")
    told = response_error(status or 500, {}, body)
    kind: type[PenstockError] = by_status(status)
    if isinstance(told, (BillingError, ContextLengthError, ContentBlockedError)):
        kind = type(told)
    fields: dict[str, Json] = {"status": status, "code": told.code, "param": told.param}
    if data.get("isRetryable") is True:  # it has asked again, five times: ours would multiply that
        kind = ServerError if status is None else kind
        fields["retryable"] = False
    if kind is RateLimitError:
        wait = _seconds(headers.get("retry-after"))
        wait = told.retry_after if wait is None else wait
        if wait is not None:
            fields |= {"reset": datetime.fromtimestamp(now + wait, UTC), "now": now}
            fields["retry_after"] = wait
    return failure(kind, NAME, said, **fields)


def _seconds(value: Json) -> float | None:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None
