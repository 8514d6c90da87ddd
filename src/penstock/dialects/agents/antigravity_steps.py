"""Antigravity's SDK: its steps, one a line, and what its child says of the end of a turn.

Source: recorded steps of 0.1.22 (tests/vectors/agents/antigravity_sdk). The lines that are none of
the SDK's are those of `penstock.agents.cli.antigravity_worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from re import IGNORECASE
from re import compile as pattern
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, ProviderEvent, Usage
from penstock.dialects.agents.events import (
    Session,
    Speech,
    ended,
    number,
    read_lines,
    text_of,
    tool_call,
    tool_result,
)
from penstock.dialects.agents.failures import by_status, failure, unfinished
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentBlockedError,
    InvalidRequestError,
    LimitExceededError,
    OutputTruncatedError,
    PenstockError,
    RateLimitError,
    ResponseError,
    TruncatedError,
)
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["AntigravityStepsAnswer"]

# JSON as the SDK dumped it.
Json: TypeAlias = Any

NAME = "Antigravity"
_STATUS = pattern(r"\bError (\d{3}), Message: ")
_DELAY = pattern(r"\bretryDelay:(\d{1,9}(?:\.\d{1,9})?)s|\bretry in (\d{1,9}(?:\.\d{1,9})?)s")
_SENTENCES: tuple[tuple[Any, type[PenstockError], str], ...] = (
    # A bad key is a 400 of Google's.
    (pattern(r"API key not valid"), AuthenticationError, "API_KEY_INVALID"),
    # The SDK's own word, a validation error by its class.
    (pattern(r"API key is required"), AuthenticationError, "missing_api_key"),
    (pattern(r"max tokens limit reached", IGNORECASE), OutputTruncatedError, "max_tokens"),
    (pattern(r"blocked by content safety", IGNORECASE), ContentBlockedError, "safety"),
)
# The SDK's exceptions that say what happened by their name.
_NAMED: dict[str, tuple[type[PenstockError], str]] = {
    "AntigravityCancelledError": (TruncatedError, "interrupted"),
    "CancelledError": (TruncatedError, "interrupted"),
    "AntigravityValidationError": (InvalidRequestError, "usage"),
    "ValidationError": (InvalidRequestError, "usage"),
    "BudgetExceededError": (LimitExceededError, "budget"),
    "ModuleNotFoundError": (ConfigurationError, "missing_extra"),
}


class AntigravityStepsAnswer:
    """One turn of the SDK as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        now: The present, Unix time in seconds.
    """

    settled = False
    """Never: the terminal event is the last line."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time,
    ) -> None:
        self.complete = False
        self._depth = (limits or Limits()).max_json_depth
        self._now = now
        self._text, self._thinking = Speech(), Speech(reasoning=True)
        self._session = Session()
        self._calls: dict[int, list[str]] = {}
        self._seen: set[str] = set()
        self._fault: dict[str, Json] | None = None
        self._answered = self._spoke = False

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        return bool(self._calls)

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines.

        Raises:
            PenstockError: The turn failed.
        """
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            self._spoke = True
            if "python_exception" in event:
                raise self._failure(event)
            if "step_index" in event:
                self._step(event, into)
            elif "session" in event:
                self._session.known(text_of(event.get("session")), into)
                if event.get("done"):
                    self._done(event.get("usage"), into)
            else:
                into.append(ProviderEvent(text_of(event.get("type")) or "event", event))

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge steps that ended without a word of their child: a whole answer is one.

        Raises:
            TruncatedError: There is no whole answer.
        """
        if not (self._answered and ending.clean) or self._fault is not None:
            raise unfinished(NAME, ending, spoke=self._spoke)
        self._done(None, into)

    def _done(self, usage: Json, into: list[Chunk]) -> None:
        self._calls.clear()
        if isinstance(usage, dict):
            into.append(_usage(usage))
        if not self._answered:
            raise failure(TruncatedError, NAME, "the turn ended without an answer")
        into += ended(self._text.last, Finish("stop", raw="DONE"))
        self.complete = True

    def _step(self, step: dict[str, Json], into: list[Chunk]) -> None:
        if not step.get("depth"):
            self._session.known(text_of(step.get("trajectory_id")), into)
        status, source = step.get("status"), step.get("source")
        id = text_of(step.get("id"))
        if status == "ERROR" and source == "SYSTEM":
            self._fault = step
            into.append(ProviderEvent("error", step))
        elif source != "MODEL" or step.get("depth"):
            into.append(ProviderEvent("step", step))
        elif step.get("type") == "TOOL_CALL" or step.get("tool_calls"):
            self._tool(step, into)
        else:
            self._said(step, id, into)

    def _said(self, step: dict[str, Json], id: str, into: list[Chunk]) -> None:
        self._thinking.piece(text_of(step.get("thinking_delta")), id, into)
        if step.get("target") != "TARGET_USER":
            into.append(ProviderEvent("step", step))
            return
        self._text.piece(text_of(step.get("content_delta")), id, into)
        if step.get("status") == "DONE":
            self._text.whole(text_of(step.get("content")), id, into)
            self._answered = self._answered or bool(step.get("is_complete_response"))

    def _tool(self, step: dict[str, Json], into: list[Chunk]) -> None:
        place = number(step.get("step_index"))
        for call in step.get("tool_calls") or ():
            id = text_of(call.get("id"))
            if id in self._seen:
                continue
            self._seen.add(id)
            self._calls.setdefault(place, []).append(id)
            server, name = text_of(call.get("server_name")), text_of(call.get("name"))
            into.append(tool_call(id, f"{server}.{name}" if server else name, call.get("args")))
        if step.get("status") in ("DONE", "ERROR"):
            failed = step.get("status") == "ERROR"
            content = step.get("error") or None  # a step tells no result, only what it is about
            ids = self._calls.pop(place, ())
            into.extend(tool_result(id, content, is_error=failed) for id in ids)

    def _failure(self, event: dict[str, Json]) -> PenstockError:
        said, name = text_of(event.get("message")), text_of(event.get("python_exception"))
        status = number((self._fault or {}).get("http_code")) or None
        if found := _STATUS.search(said):
            status = int(found[1])
        for sentence, kind, code in _SENTENCES:
            if sentence.search(said):
                return failure(kind, NAME, said, code=code, status=status)
        if name in _NAMED:
            kind, code = _NAMED[name]
            return failure(kind, NAME, said or name, code=code)
        return self._of_status(said, status, name)

    def _of_status(self, said: str, status: int | None, name: str) -> PenstockError:
        kind = by_status(status)
        fields: dict[str, Json] = {"status": status}
        if kind is ResponseError:
            fields["code"] = name
        if kind is RateLimitError and (found := _DELAY.search(said)):
            wait, now = float(found[1] or found[2]), self._now()
            fields |= {"reset": datetime.fromtimestamp(now + wait, UTC), "now": now}
            fields["retry_after"] = wait
        return failure(kind, NAME, said, **fields)


def _usage(usage: dict[str, Json]) -> Usage:
    """``candidates`` are without thinking; cached tokens are part of the prompt's."""
    thought = number(usage.get("thoughts_token_count"))
    sent = number(usage.get("prompt_token_count"))
    made = number(usage.get("candidates_token_count")) + thought
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=number(usage.get("cached_content_token_count")),
        reasoning_tokens=thought,
        raw=usage,
    )
