"""Antigravity's ``agy``: ``--output-format stream-json``.

Source: reported shapes of 1.2 and 1.3 (reference, section 5b); ``agy`` itself is in no package
registry and was not run, so its tests use a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from re import IGNORECASE, MULTILINE
from re import compile as pattern
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
from penstock.dialects.reading import lenient
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    DeadlineError,
    NotFoundError,
    OutputTruncatedError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
)
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["AntigravityAnswer", "parse_rate_limit_reset"]

# JSON as the agent printed it.
Json: TypeAlias = Any

NAME = "Antigravity"
# Only these lines of stderr speak of the turn: its log says "sign in" in healthy runs too.
_AGY_ERROR = pattern(r"^AGY_ERROR: (\{.*\})\s*$", MULTILINE)
_PRINT_TIMEOUT = pattern(r"^\[agy\] print timeout\b", MULTILINE)
_ERROR_LINE = pattern(r"^error: (.*)$", MULTILINE | IGNORECASE)
_SENTENCES: tuple[tuple[Any, type[PenstockError], str], ...] = (
    (
        pattern(
            r"authentication required|authentication failed or timed out|please sign in"
            r"|not logged into Antigravity",
            IGNORECASE,
        ),
        AuthenticationError,
        "not_signed_in",
    ),
    (pattern(r"AI credits balance is too low", IGNORECASE), BillingError, "credits"),
    (pattern(r"quota reached", IGNORECASE), RateLimitError, "quota_reached"),
    (pattern(r"RESOURCE_EXHAUSTED"), RateLimitError, "RESOURCE_EXHAUSTED"),
    (pattern(r"invalid model selection", IGNORECASE), NotFoundError, "model_not_found"),
    (pattern(r"max tokens limit reached", IGNORECASE), OutputTruncatedError, "max_tokens"),
    (pattern(r"blocked by content safety", IGNORECASE), ContentBlockedError, "safety"),
)


class AntigravityAnswer:
    """One turn of ``agy`` as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        now: The present, Unix time in seconds.
    """

    settled = False
    """Never: stderr, which is whole at the exit, may say that the result is none."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time,
    ) -> None:
        self.complete = False
        self._depth = (limits or Limits()).max_json_depth
        self._now = now
        self._text = Speech()
        self._running: set[str] = set()
        self._result: dict[str, Json] | None = None
        self._spoke = False

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        return bool(self._running)

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines."""
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            self._spoke = True
            match event:
                case {"event": "step_update", "step_update": dict(step)}:
                    self._step(step, into)
                case {"event": "result", "result": dict(result)}:
                    self._result = result
                case {"event": "init"}:
                    self._init(event, into)
                case {"status": str(), "response": _}:  # ``--output-format json``
                    self._result = event
                case _:
                    into.append(ProviderEvent(text_of(event.get("event")) or "event", event))

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge the turn, now that the child has ended: exit code 0 is not success.

        Raises:
            PenstockError: It failed, or never came to its end.
        """
        if self.complete:
            return
        result = self._result
        if _PRINT_TIMEOUT.search(ending.stderr):
            raise failure(DeadlineError, NAME, "its print timeout ended the turn", phase="total")
        if fault := self._fault(ending, result):
            raise fault
        if result is None:
            raise unfinished(NAME, ending, spoke=self._spoke)
        self._finish(result, into)

    def _finish(self, result: dict[str, Json], into: list[Chunk]) -> None:
        said = text_of(result.get("response"))
        if said and not self._text.spoke:
            self._text.whole(said, "", into)
        into.append(ProviderEvent("result", {n: v for n, v in result.items() if n != "response"}))
        if id := text_of(result.get("conversation_id")):
            into.append(State({"session_id": id}))
        if isinstance(usage := result.get("usage"), dict):
            into.append(_usage(usage))
        if result.get("denied_actions") and not (said or self._text.spoke):
            raise failure(
                PermissionDeniedError,
                NAME,
                "its tools were denied, and it has no answer",
                code="permission_rejected",
            )
        if text_of(result.get("status")) != "SUCCESS":
            raise failure(ResponseError, NAME, text_of(result.get("error")), code="not_success")
        into += ended(said or self._text.last, Finish("stop", raw="SUCCESS"))
        self.complete = True

    def _init(self, event: dict[str, Json], into: list[Chunk]) -> None:
        model = text_of(object_of(event.get("init")).get("model"))
        into.append(Meta(model=model, role="assistant"))
        if id := text_of(event.get("conversation_id")):
            into.append(State({"session_id": id}))
        into.append(ProviderEvent("init", event))

    def _step(self, step: dict[str, Json], into: list[Chunk]) -> None:
        id = str(step.get("step_index"))
        if step.get("step_type") == "agent_response":
            self._text.piece(text_of(step.get("text_delta")), id, into)
        elif step.get("step_type") == "tool":
            self._tool(step, id, into)
        else:
            into.append(ProviderEvent("step", step))

    def _tool(self, step: dict[str, Json], id: str, into: list[Chunk]) -> None:
        info = object_of(step.get("tool_info"))
        if id not in self._running:
            self._running.add(id)
            name = text_of(step.get("tool_name")) or text_of(info.get("name"))
            into.append(tool_call(id, name, info.get("parameters")))
        if step.get("state") in ("DONE", "ERROR"):
            self._running.discard(id)
            failed = step.get("state") == "ERROR" or bool(info.get("error"))
            into.append(tool_result(id, info.get("error") or info.get("output"), is_error=failed))

    def _fault(self, ending: Ending, result: dict[str, Json] | None) -> PenstockError | None:
        """The error that its own words amount to, None where they are none."""
        if found := _AGY_ERROR.search(ending.stderr):
            told = lenient(found[1].encode())
            if isinstance(told, dict):
                status = told.get("http_code")
                said = text_of(told.get("short_error")) or text_of(told.get("status"))
                return self._error(said, status if isinstance(status, int) else None)
        if result is not None and text_of(result.get("error")):
            return self._error(text_of(result.get("error")), None)
        if ending.exit_code and (line := _ERROR_LINE.search(ending.stderr)):
            return self._error(line[1], None)
        return None

    def _error(self, said: str, status: int | None) -> PenstockError:
        kind, code = next(
            ((kind, code) for sentence, kind, code in _SENTENCES if sentence.search(said)),
            (by_status(status or None), None),
        )
        now = self._now()
        reset = None
        if issubclass(kind, RateLimitError):
            reset = parse_rate_limit_reset(said, now=datetime.fromtimestamp(now, UTC))
        return failure(kind, NAME, said, code=code, status=status or None, reset=reset, now=now)


def _usage(usage: dict[str, Json]) -> Usage:
    """``input_tokens`` is without cache reads; thinking is inside ``output_tokens``."""
    read = number(usage.get("cache_read_tokens") or usage.get("cached_tokens"))
    sent, made = number(usage.get("input_tokens")) + read, number(usage.get("output_tokens"))
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=read,
        reasoning_tokens=number(usage.get("thinking_tokens")),
        raw=usage,
    )
