"""Codex: ``codex exec --json``.

Source: recorded output of 0.169.0 (tests/vectors/agents/codex). Its errors are sentences, so this
dialect must read text: the agent's own, of ``turn.failed``, never a model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from re import DOTALL
from re import compile as pattern
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, Meta, ProviderEvent, State, Usage
from penstock.dialects.agents.codex_turn import (
    NAME,
    called,
    over_websocket,
    turn_failure,
    turn_usage,
)
from penstock.dialects.agents.events import (
    Speech,
    ended,
    number,
    read_lines,
    text_of,
    tool_call,
    tool_result,
)
from penstock.dialects.agents.failures import failure, unfinished
from penstock.dialects.agents.resets import parse_rate_limit_reset
from penstock.dialects.reading import lenient
from penstock.errors import InvalidRequestError
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.interfaces import Ending

__all__ = ["CodexAnswer", "parse_rate_limit_reset", "parse_session_id"]

# JSON as the agent printed it.
Json: TypeAlias = Any

_TOOLS = frozenset({"command_execution", "mcp_tool_call", "web_search", "file_change"})
_COUNTS: tuple[str, ...] = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens")
_COUNTS += ("output_tokens", "reasoning_output_tokens")
# A turn that is about to be asked again, and the sentence that it would else have failed with.
_RECONNECTING = pattern(r"Reconnecting\.\.\. \d+/\d+ \((.*)\)", DOTALL)
# stderr of a child that printed nothing, or no more than the id of its thread.
_USAGE = pattern(r"^(?:error|Error): |^Not inside a trusted directory|^CODEX_HOME points", 8)
_NO_SESSION = pattern(r"no rollout found for thread id")
_TOO_LARGE = pattern(r"input_too_large")


def parse_session_id(stdout: str) -> str | None:
    """Return the session's id from JSON lines: the ``thread_id`` of ``thread.started``."""
    for line in stdout.split("\n"):
        event = lenient(line.encode()) if "thread_id" in line else None
        if isinstance(event, dict) and event.get("type") == "thread.started":
            return text_of(event.get("thread_id")) or None
    return None


class CodexAnswer:
    """One turn of ``codex exec`` as it arrives.

    Args:
        limits: Has ``max_json_depth``.
        earlier: The thread's tokens before this turn, by Codex' own names: what it reports is the
            thread's running total.
        retries: Whether it may ask a failing provider again by itself, up to thirty times.
        now: The present, Unix time in seconds.
        zone: Of the times in its sentences; default the machine's, where the child runs too.
    """

    settled = False
    """Never: the terminal event is the last line."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        earlier: Mapping[str, float] | None = None,
        retries: bool = False,
        now: Callable[[], float] = time,
        zone: tzinfo | None = None,
    ) -> None:
        self.complete = False
        self._depth = (limits or Limits()).max_json_depth
        self._earlier = earlier or {}
        self._retries = retries
        self._now = now
        self._zone = zone
        self._text, self._thinking = Speech(), Speech(reasoning=True)
        self._running: set[str] = set()
        self._events = 0
        self._messages = 0

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
            self._events += 1
            self._take(event, into)

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge a child that ended without ``turn.completed`` or ``turn.failed``.

        Raises:
            TruncatedError: It was in the middle of its turn.
            InvalidRequestError: It refused its arguments, its prompt or the session.
        """
        said = ending.stderr
        if (ending.exit_code or 0) > 0 and self._events <= 1 and _USAGE.search(said):
            code = "usage"
            if _NO_SESSION.search(said):
                code = "session_not_found"
            elif _TOO_LARGE.search(said):
                code = "input_too_large"
            raise failure(
                InvalidRequestError, NAME, said[-2048:], status=ending.exit_code, code=code
            )
        raise unfinished(NAME, ending, spoke=self._events > 0)

    def _take(self, event: dict[str, Json], into: list[Chunk]) -> None:
        kind = text_of(event.get("type"))
        match kind:
            case "thread.started":
                into.append(Meta(role="assistant"))
                into.append(State({"session_id": text_of(event.get("thread_id"))}))
            case "item.started" | "item.updated" | "item.completed":
                self._item(kind, event.get("item"), into)
            case "error":
                # Not the end: "Reconnecting... 2/5" is news, and a failure has its own event.
                into.append(ProviderEvent("retrying", event))
                if not self._retries:
                    self._reconnecting(text_of(event.get("message")))
            case "turn.completed":
                self._completed(event, into)
            case "turn.failed":
                self._running.clear()
                into.append(ProviderEvent(kind, event))
                fault = event.get("error")
                said = text_of(fault.get("message") if fault else "")
                raise turn_failure(said, now=self._now(), zone=self._zone)
            case _:
                into.append(ProviderEvent(kind or "event", event))

    def _reconnecting(self, said: str) -> None:
        """Take what it is about to ask again for as the turn's error."""
        found = _RECONNECTING.fullmatch(said)
        if found and not over_websocket(found[1]):
            raise turn_failure(found[1], now=self._now(), zone=self._zone)

    def _item(self, stage: str, item: Json, into: list[Chunk]) -> None:
        if not isinstance(item, dict):
            return
        kind, id = text_of(item.get("type")), text_of(item.get("id"))
        done = stage == "item.completed"
        if kind == "agent_message" and done:
            self._messages += 1
            self._text.whole(text_of(item.get("text")), id or str(self._messages), into)
        elif kind == "reasoning" and done:
            self._thinking.whole(text_of(item.get("text")), id, into)
        elif kind in _TOOLS and stage != "item.updated":
            self._tool(item, id, into, done=done)
        else:
            into.append(ProviderEvent("warning" if kind == "error" else f"item.{kind}", item))

    def _tool(self, item: dict[str, Json], id: str, into: list[Chunk], *, done: bool) -> None:
        if not done or id not in self._running:
            name, arguments = called(item)
            into.append(tool_call(id, name, arguments, item=item))
        if not done:
            self._running.add(id)
            return
        self._running.discard(id)
        failed = item.get("status") == "failed" or bool(item.get("error"))
        content = item.get("aggregated_output")
        if item.get("type") == "mcp_tool_call":
            result = item.get("result") or {}
            content = result.get("content", item.get("error"))
            failed = failed or bool(result.get("isError") or result.get("is_error"))
        into.append(tool_result(id, content, is_error=failed, item=item))

    def _completed(self, event: dict[str, Json], into: list[Chunk]) -> None:
        self._running.clear()
        usage = event.get("usage")
        if isinstance(usage, dict):
            totals = {name: number(usage.get(name)) for name in _COUNTS}
            into.append(State({"totals": totals}))
            into.append(self._usage(totals, usage))
        into += ended(self._text.last, Finish("stop", raw="turn.completed"))
        self.complete = True

    def _usage(self, totals: dict[str, int], raw: Json) -> Usage:
        turn = {name: total - int(self._earlier.get(name, 0)) for name, total in totals.items()}
        if min(turn.values()) < 0:  # the thread was compacted or begun anew
            turn = totals
        return turn_usage(turn, raw)
