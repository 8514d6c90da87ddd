"""Claude Code: ``claude -p --output-format stream-json --verbose``, with partial messages or not.

Source: recorded output of 2.1.197 and 2.1.329 (tests/vectors/agents/claude_code).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, Meta, ProviderEvent, State, Usage
from penstock.dialects.agents.events import (
    Speech,
    ended,
    number,
    object_of,
    read_lines,
    text_of,
    tool_call,
    tool_result,
)
from penstock.dialects.agents.failures import by_status, failure, unfinished
from penstock.dialects.agents.resets import parse_rate_limit_reset
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
    RateLimitError,
    ResponseError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["ClaudeCodeAnswer", "parse_rate_limit_event", "parse_rate_limit_reset"]

# JSON as the agent printed it.
Json: TypeAlias = Any

NAME = "Claude Code"
_KINDS: dict[str, type[PenstockError]] = {
    "authentication_failed": AuthenticationError,
    "billing_error": BillingError,
    "invalid_request": InvalidRequestError,
    "max_output_tokens": OutputTruncatedError,
    "model_not_found": NotFoundError,
    "overloaded": OverloadedError,
    "rate_limit": RateLimitError,
    "server_error": ServerError,
}
_REFINED = frozenset({403, 502, 503, 504, 529})
"""Statuses that say more than the agent's word does."""
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}
_FINISH |= {"refusal": "content_filter", "tool_use": "tool_calls"}
_BOUNDS = {"error_max_turns": "max_turns", "error_max_budget_usd": "max_budget_usd"}
_DOWN = frozenset({"failed", "needs-auth", "disabled"})


def parse_rate_limit_event(event: Mapping[str, Json]) -> datetime | None:
    """Return when a ``rate_limit_event`` says that the limit is lifted, in UTC.

    None unless its status is ``rejected``: others are notices.
    """
    info = event.get("rate_limit_info")
    if not isinstance(info, Mapping) or info.get("status") != "rejected":
        return None
    stamp = info.get("resetsAt")
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (OverflowError, OSError, ValueError):
        return None


class ClaudeCodeAnswer:
    """One turn of Claude Code as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        earlier: What the session had cost before: ``total_cost_usd``, as after a resume the agent
            counts on.
        servers: MCP servers without which the turn must not go on.
        now: The present, Unix time in seconds.
    """

    settled = False
    """Never: the terminal event is the last line."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        earlier: Mapping[str, float] | None = None,
        servers: frozenset[str] = frozenset(),
        now: Callable[[], float] = time,
    ) -> None:
        self.complete = False
        self._depth = (limits or Limits()).max_json_depth
        self._earlier = earlier or {}
        self._servers = servers
        self._now = now
        self._text, self._thinking = Speech(), Speech(reasoning=True)
        self._running: set[str] = set()
        self._fault: dict[str, Json] | None = None
        self._reset: datetime | None = None
        self._spoke = False
        self._take = {
            "system": self._system,
            "stream_event": self._stream_event,
            "assistant": self._assistant,
            "user": self._user,
            "rate_limit_event": self._rate_limit,
            "result": self._result,
        }

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        return bool(self._running)

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines."""
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            self._spoke = True
            take = self._take.get(text_of(event.get("type")))
            if take is None:
                into.append(ProviderEvent(text_of(event.get("type")) or "event", event))
            else:
                take(event, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge a child that ended without a result.

        Raises:
            TruncatedError: It was in the middle of its turn.
            InvalidRequestError: It refused its arguments.
        """
        raise unfinished(NAME, ending, spoke=self._spoke)

    def _system(self, event: dict[str, Json], into: list[Chunk]) -> None:
        match event.get("subtype"):
            case "init":
                into.append(Meta(model=text_of(event.get("model")), role="assistant"))
                if session := text_of(event.get("session_id")):
                    into.append(State({"session_id": session}))
                into.append(ProviderEvent("init", event))
                self._check_servers(event)
            case "api_retry":
                into.append(ProviderEvent("retrying", event))
            case other:
                into.append(ProviderEvent(f"system.{text_of(other)}", event))

    def _check_servers(self, event: dict[str, Json]) -> None:
        for server in event.get("mcp_servers") or ():
            name, status = server.get("name"), server.get("status")
            if name in self._servers and status in _DOWN:
                raise failure(
                    UnavailableError,
                    NAME,
                    f"the MCP server {name} is not connected ({status})",
                    code="mcp_server_failed",
                    elsewhere=False,
                )

    def _stream_event(self, event: dict[str, Json], into: list[Chunk]) -> None:
        inner = event.get("event")
        if event.get("parent_tool_use_id") or not isinstance(inner, dict):
            into.append(ProviderEvent("subagent", event))
            return
        kind = inner.get("type")
        if kind == "message_start":
            self._text.restart()
            self._thinking.restart()
            return
        delta = inner.get("delta")
        if kind != "content_block_delta" or not isinstance(delta, dict):
            return
        message = text_of(event.get("api_message_id"))
        if delta.get("type") == "text_delta":
            self._text.piece(text_of(delta.get("text")), message, into)
        elif delta.get("type") == "thinking_delta":
            self._thinking.piece(text_of(delta.get("thinking")), message, into)
        elif delta.get("type") != "signature_delta":
            into.append(ProviderEvent(text_of(delta.get("type")) or "delta_event", inner))

    def _assistant(self, event: dict[str, Json], into: list[Chunk]) -> None:
        if event.get("error") or event.get("is_api_error_message"):
            self._fault = event
            into.append(ProviderEvent("api_error", event))
            return
        if event.get("parent_tool_use_id"):
            into.append(ProviderEvent("subagent", event))
            return
        message = object_of(event.get("message"))
        id = text_of(message.get("id"))
        for block in message.get("content") or ():
            self._block(block, id, into)

    def _block(self, block: Json, id: str, into: list[Chunk]) -> None:
        match block:
            case {"type": "text", "text": str(text)}:
                self._text.whole(text, id, into)
            case {"type": "thinking", "thinking": str(text)}:
                self._thinking.whole(text, id, into)
            case {"type": "tool_use", "id": str(call), "name": str(name)}:
                self._running.add(call)
                into.append(tool_call(call, name, block.get("input")))
            case _:
                into.append(ProviderEvent("block", block))

    def _user(self, event: dict[str, Json], into: list[Chunk]) -> None:
        if event.get("parent_tool_use_id"):
            into.append(ProviderEvent("subagent", event))
            return
        if event.get("isSynthetic"):
            # The agent's own words: "go on where the cut was", which needs no gap.
            self._text.gap = ""
            into.append(ProviderEvent("synthetic", event))
            return
        content = object_of(event.get("message")).get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_result":
                id = text_of(block.get("tool_use_id"))
                self._running.discard(id)
                into.append(
                    tool_result(id, block.get("content"), is_error=bool(block.get("is_error")))
                )

    def _rate_limit(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._reset = parse_rate_limit_event(event) or self._reset
        into.append(ProviderEvent("rate_limit_event", event))

    def _result(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._running.clear()
        total = event.get("total_cost_usd")
        state: dict[str, Json] = {}
        if session := text_of(event.get("session_id")):
            state["session_id"] = session
        if isinstance(total, (int, float)):
            state["totals"] = {"total_cost_usd": total}
        into.append(State(state))
        if usage := _usage(event, self._earlier.get("total_cost_usd", 0.0)):
            into.append(usage)
        # The text is the answer's own and stands in it already.
        into.append(ProviderEvent("result", {n: v for n, v in event.items() if n != "result"}))
        if event.get("is_error"):
            raise self._failure(event)
        said = text_of(event.get("result"))
        if said and not self._text.spoke:  # ``--output-format json``
            self._text.whole(said, "", into)
        if event.get("structured_output") is not None:
            into.append(ProviderEvent("structured_output", event["structured_output"]))
        reason = text_of(event.get("stop_reason"))
        finish = Finish(_FINISH.get(reason, "other" if reason else "stop"), raw=reason or None)
        into += ended(said or self._text.last, finish)
        self.complete = True

    def _failure(self, event: dict[str, Json]) -> PenstockError:
        subtype = text_of(event.get("subtype"))
        said = "; ".join(map(str, event.get("errors") or ())) or text_of(event.get("result"))
        if subtype in _BOUNDS:
            return failure(LimitExceededError, NAME, said, phase=_BOUNDS[subtype])
        if subtype == "error_during_execution":
            return _unexecuted(said, text_of(event.get("terminal_reason")))
        fault = self._fault or {}
        word = text_of(fault.get("error"))
        status = event.get("api_error_status") or fault.get("api_error_status")
        status = status if isinstance(status, int) else None
        kind = self._kind(event, word, status)
        fields: dict[str, Json] = {"status": status, "code": _code(event, fault) or word or None}
        if request := text_of(fault.get("request_id")):
            fields["request_id"] = request
        if kind is RateLimitError:
            params = fault.get("api_error_params")
            told = parse_rate_limit_event(params) if isinstance(params, dict) else None
            fields["now"] = self._now()
            fields["reset"] = (
                self._reset
                or told
                or parse_rate_limit_reset(said, now=datetime.fromtimestamp(fields["now"], UTC))
            )
        return failure(kind, NAME, said, **fields)

    def _kind(self, event: dict[str, Json], word: str, status: int | None) -> type[PenstockError]:
        if event.get("stop_reason") == "refusal":
            return ContentBlockedError
        if event.get("terminal_reason") == "prompt_too_long":
            return ContextLengthError
        kind = _KINDS.get(word)
        if kind is None or status in _REFINED:
            return by_status(status)
        return kind


def _unexecuted(said: str, reason: str) -> PenstockError:
    if said.startswith("No conversation found"):
        return failure(InvalidRequestError, NAME, said, code="session_not_found")
    if reason.startswith("aborted"):
        return failure(TruncatedError, NAME, f"the turn was interrupted ({reason})", code=reason)
    return failure(ResponseError, NAME, said, code="error_during_execution")


def _code(event: dict[str, Json], fault: dict[str, Json]) -> str | None:
    """The most telling word for it."""
    if event.get("stop_reason") == "refusal":
        return "refusal"
    return text_of(fault.get("api_error")) or text_of(event.get("api_error")) or None


def _usage(event: dict[str, Json], before: float) -> Usage | None:
    usage = event.get("usage")
    if not isinstance(usage, dict):
        return None
    read = number(usage.get("cache_read_input_tokens"))
    written = number(usage.get("cache_creation_input_tokens"))
    sent, made = (
        number(usage.get("input_tokens")) + read + written,
        number(usage.get("output_tokens")),
    )
    details = usage.get("output_tokens_details")
    total = event.get("total_cost_usd")
    cost = total - before if isinstance(total, (int, float)) else None
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=details.get("thinking_tokens") if isinstance(details, dict) else None,
        cost=cost if cost is None or cost >= 0 else total,
        raw=usage,
    )
