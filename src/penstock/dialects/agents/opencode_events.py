"""opencode that stays: the events of ``opencode serve``, and the answer to what was asked.

Each line is an event of ``GET /event``, of one session; the last one is the answer to the request
that asked, as ``{"type": "response", "properties": {"info", "parts"}}``, which says once more what
events may be late for. Source: recorded events of 1.18.33 (tests/vectors/agents/opencode_events)
and its OpenAPI page. Where there is no answer, ``session.idle`` is the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import ProviderEvent
from penstock.dialects.agents.events import Session, Speech, object_of, read_lines, text_of
from penstock.dialects.agents.failures import failure, unfinished
from penstock.dialects.agents.opencode_turn import (
    NAME,
    finished,
    retried,
    steps_usage,
    subagent_retried,
    tool_events,
    turn_fault,
)
from penstock.errors import TruncatedError
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["OpenCodeEventsAnswer"]

# JSON as the agent printed it.
Json: TypeAlias = Any


class OpenCodeEventsAnswer:
    """One turn of ``opencode serve`` as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        now: The present, Unix time in seconds.
        retries: Whether it may ask a failing provider again by itself.
    """

    settled = False
    """Never: the terminal event is the last line."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time,
        retries: bool = False,
    ) -> None:
        self.complete = False
        self._depth = (limits or Limits()).max_json_depth
        self._now, self._retries = now, retries
        self._text, self._thinking = Speech(), Speech(reasoning=True)
        self._session = Session()
        self._roles: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._running: set[str] = set()
        self._called: set[str] = set()
        self._steps: dict[str, dict[str, Json]] = {}
        self._fault: dict[str, Json] | None = None
        self._take = {
            "message.updated": self._message,
            "message.part.updated": self._updated,
            "message.part.delta": self._delta,
            "session.status": self._status,
            "session.error": self._error,
            "session.idle": self._idle,
            "response": self._response,
        }

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        return bool(self._running)

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines.

        Raises:
            PenstockError: The turn failed.
        """
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            kind, properties = text_of(event.get("type")), event.get("properties")
            if isinstance(properties, dict) and kind in self._take:
                if properties.get("subagent") is not True:
                    self._session.known(text_of(properties.get("sessionID")), into)
                self._take[kind](properties, into)
            else:
                into.append(ProviderEvent(kind or "event", event))

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge a server that ended amid the turn.

        Raises:
            PenstockError: It did.
        """
        if self._steps:
            into.append(steps_usage([*self._steps.values()]))
        raise unfinished(NAME, ending, spoke=True)

    def _message(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        info = properties.get("info")
        if isinstance(info, dict):
            self._roles[text_of(info.get("id"))] = text_of(info.get("role"))

    def _updated(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        part = properties.get("part")
        if isinstance(part, dict) and self._roles.get(text_of(part.get("messageID"))) != "user":
            self._part(part, into)

    def _part(self, part: dict[str, Json], into: list[Chunk]) -> None:
        id, kind = text_of(part.get("id")), text_of(part.get("type"))
        message = text_of(part.get("messageID"))
        known = self._kinds.get(id)
        self._kinds[id] = kind
        match kind:
            case "text" | "reasoning":
                time = part.get("time")
                if isinstance(time, dict) and "end" in time and known != "said":
                    speech = self._text if kind == "text" else self._thinking
                    speech.whole(text_of(part.get("text")), message, into)
                    self._kinds[id] = "said"
                elif known == "said":
                    self._kinds[id] = known
            case "tool":
                self._tool(part, into)
            case "step-finish":
                if id not in self._steps:
                    self._steps[id] = part
                    into.append(ProviderEvent("step_finish", part))
            case _:
                if known is None:
                    into.append(ProviderEvent(kind.replace("-", "_") or "part", part))

    def _delta(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        if properties.get("field") != "text":
            return
        kind = self._kinds.get(text_of(properties.get("partID")))
        speech = {"text": self._text, "reasoning": self._thinking}.get(kind or "")
        if speech is not None:
            message = text_of(properties.get("messageID"))
            speech.piece(text_of(properties.get("delta")), message, into)

    def _tool(self, part: dict[str, Json], into: list[Chunk]) -> None:
        id, status = text_of(part.get("callID")), object_of(part.get("state")).get("status")
        call, result = tool_events(part)
        done = status in ("completed", "error")
        if id not in self._called and (done or status == "running"):
            self._called.add(id)
            self._running.add(id)
            into.append(call)
        if done and id in self._running:
            self._running.discard(id)
            into.append(result)

    def _status(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        status = properties.get("status")
        if retry := subagent_retried(properties):
            into.append(retry)
        elif isinstance(status, dict) and status.get("type") == "retry":
            into.append(ProviderEvent("retrying", status))
            if not self._retries:
                raise retried(status, self._now())

    def _error(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        fault = properties.get("error")
        # The first one is the cause; a second is its echo.
        self._fault = self._fault or object_of(fault)
        into.append(ProviderEvent("error", fault))

    def _response(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        info, parts = properties.get("info"), properties.get("parts")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                self._part(part, into)
        if isinstance(info, dict) and isinstance(info.get("error"), dict):
            self._fault = self._fault or info["error"]
        self._idle(properties, into)

    def _idle(self, properties: dict[str, Json], into: list[Chunk]) -> None:
        """Judge the turn, which is over."""
        self._running.clear()
        steps = [*self._steps.values()]
        if steps:
            into.append(steps_usage(steps))
        if self._fault is not None:
            raise turn_fault(self._fault, asked=bool(steps), now=self._now())
        if not steps:
            raise failure(TruncatedError, NAME, "the turn ended before any step of it did")
        into += finished(text_of(steps[-1].get("reason")), self._text.last)
        self.complete = True
