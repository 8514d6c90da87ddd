"""opencode: ``opencode run --format json``.

Source: recorded output of 1.18.33 (tests/vectors/agents/opencode). It has no terminal event: its
exit is the end, and the last ``step_finish`` with the errors before it say what became of the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from re import compile as pattern
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import ProviderEvent
from penstock.dialects.agents.events import Session, Speech, object_of, read_lines, text_of
from penstock.dialects.agents.failures import failure, unfinished
from penstock.dialects.agents.opencode_turn import (
    NAME,
    ended_early,
    finished,
    retried,
    steps_usage,
    subagent_retried,
    tool_events,
    turn_fault,
)
from penstock.dialects.reading import lenient
from penstock.errors import InvalidRequestError, PenstockError
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["OpenCodeAnswer", "parse_run_error", "parse_session_id"]

# JSON as the agent printed it.
Json: TypeAlias = Any

_SESSION = pattern(r"\bses_[A-Za-z0-9]{10,64}\b")


def parse_session_id(stdout: str) -> str | None:
    """Return the session's id from JSON lines; where they have another shape, by its form."""
    for line in stdout.split("\n"):
        event = lenient(line.encode()) if "sessionID" in line else None
        if isinstance(event, dict) and (id := text_of(event.get("sessionID"))):
            return id
    found = _SESSION.search(stdout)
    return found[0] if found else None


def parse_run_error(stdout: str) -> dict[str, Json] | None:
    """Return the first ``error`` of JSON lines, its ``name`` and ``data``; None without one."""
    for line in stdout.split("\n"):
        event = lenient(line.encode()) if '"error"' in line else None
        if isinstance(event, dict) and event.get("type") == "error":
            fault = event.get("error")
            if isinstance(fault, dict):
                return fault
    return None


class OpenCodeAnswer:
    """One turn of ``opencode run`` as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        now: The present, Unix time in seconds.
    """

    settled = False
    """Never: an error may follow the last step, and the child's exit is the end."""
    busy = True
    """Always: a tool is told of once it has run, so silence may be one that runs."""

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
        self._steps: list[dict[str, Json]] = []
        self._fault: dict[str, Json] | None = None
        self._retry: dict[str, Json] | None = None
        self._open = self._spoke = False

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines."""
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            self._spoke = True
            self._take(event, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge the turn, now that the child has ended.

        Raises:
            PenstockError: It failed, or never came to its end.
        """
        if self.complete:
            return
        known = self._fault or self._retry
        if known is None and (self._open or not self._steps):
            raise self._unfinished(ending)
        if self._steps:
            into.append(steps_usage(self._steps))
        if self._retry is not None:
            raise retried(self._retry, self._now())
        if self._fault is not None:
            raise turn_fault(
                self._fault, asked=bool(self._steps), stderr=ending.stderr, now=self._now()
            )
        if (ending.exit_code or 0) != 0 or (not ending.clean and ending.exit_code is None):
            raise unfinished(NAME, ending, spoke=True)
        into += finished(text_of(self._steps[-1].get("reason")), self._text.last)
        self.complete = True

    def _unfinished(self, ending: Ending) -> PenstockError:
        if "Session not found" in ending.stderr and not self._spoke:
            return failure(
                InvalidRequestError,
                NAME,
                "Session not found",
                status=ending.exit_code,
                code="session_not_found",
            )
        return ended_early(ending, spoke=self._spoke)

    def _take(self, event: dict[str, Json], into: list[Chunk]) -> None:
        if (retry := subagent_retried(event)) is not None:
            into.append(retry)
            return
        self._session.known(text_of(event.get("sessionID")), into)
        kind, part = text_of(event.get("type")), event.get("part")
        if kind == "error":
            fault = event.get("error")
            # The first one is the cause; a second is its echo.
            self._fault = self._fault or object_of(fault)
            into.append(ProviderEvent("error", fault))
        elif kind == "session.status":
            # Not opencode's own: a plugin of ours says it, and ends the turn.
            self._retry = self._retry or object_of(event.get("status"))
            into.append(ProviderEvent("retrying", self._retry))
        elif not isinstance(part, dict):
            into.append(ProviderEvent(kind or "event", event))
        else:
            self._part(kind, part, into)

    def _part(self, kind: str, part: dict[str, Json], into: list[Chunk]) -> None:
        message = text_of(part.get("messageID"))
        match kind:
            case "text":
                self._text.whole(text_of(part.get("text")), message, into)
            case "reasoning":
                self._thinking.whole(text_of(part.get("text")), message, into)
            case "tool_use":
                into += tool_events(part)
            case "step_start":
                self._open = True
                into.append(ProviderEvent("step_start", part))
            case "step_finish":
                self._open = False
                self._steps.append(part)
                into.append(ProviderEvent("step_finish", part))
            case _:
                into.append(ProviderEvent(kind or "event", part))
