"""Codex that stays: ``codex app-server``, JSON-RPC without its version, one message a line.

Source: recorded output of 0.169.0 (tests/vectors/agents/codex_server) and the schema that it prints
(``codex app-server generate-json-schema``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Finish, ProviderEvent, State
from penstock.dialects.agents.codex_turn import (
    NAME,
    called,
    over_websocket,
    turn_failure,
    turn_usage,
)
from penstock.dialects.agents.events import (
    Session,
    Speech,
    ended,
    number,
    object_of,
    read_lines,
    text_of,
    tool_call,
    tool_result,
)
from penstock.dialects.agents.failures import failure, unfinished
from penstock.errors import InvalidRequestError, TruncatedError
from penstock.limits import Limits

if TYPE_CHECKING:
    from penstock.chunks import Chunk
    from penstock.errors import PenstockError
    from penstock.interfaces import Ending

__all__ = ["CodexServerAnswer"]

# JSON as the agent printed it.
Json: TypeAlias = Any

_TOOLS = frozenset(
    {"commandExecution", "mcpToolCall", "dynamicToolCall", "webSearch", "fileChange"}
)
_COUNTS = {
    "input_tokens": "inputTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_input_tokens": "cacheWriteInputTokens",
    "output_tokens": "outputTokens",
    "reasoning_output_tokens": "reasoningOutputTokens",
}
"""A thread's tokens, by the names that ``codex exec`` has for them: a session goes on in either."""


class CodexServerAnswer:
    """One turn of ``codex app-server`` as it arrives; lines of other turns say nothing.

    Args:
        limits: Has ``max_json_depth``.
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
        retries: bool = False,
        now: Callable[[], float] = time,
        zone: tzinfo | None = None,
    ) -> None:
        self.complete = False
        self._retries = retries
        self._depth = (limits or Limits()).max_json_depth
        self._now, self._zone = now, zone
        self._text, self._thinking = Speech(), Speech(reasoning=True)
        self._running: set[str] = set()
        self._session = Session()
        self._turn: str | None = None
        self._tokens: dict[str, int] = {}
        self._take = {
            "thread/started": self._started,
            "turn/started": self._began,
            "item/agentMessage/delta": self._delta,
            "item/reasoning/summaryTextDelta": self._thought,
            "item/reasoning/textDelta": self._thought,
            "item/started": self._item_started,
            "item/completed": self._item_completed,
            "thread/tokenUsage/updated": self._used,
            "error": self._error,
            "turn/completed": self._completed,
        }

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        return bool(self._running)

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, which are lines.

        Raises:
            PenstockError: The turn failed, or was never begun.
        """
        for event in read_lines(frames, into, answer=self, max_depth=self._depth):
            method, params = text_of(event.get("method")), event.get("params")
            take = self._take.get(method)
            if not method:
                self._answered(event, into)
            elif take is not None and isinstance(params, dict):
                take(params, into)
            else:
                into.append(ProviderEvent(method, params))

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge a child that ended without ``turn/completed``.

        Raises:
            TruncatedError: It was in the middle of its turn.
            InvalidRequestError: It refused its arguments.
        """
        raise unfinished(NAME, ending, spoke=bool(self._session.id))

    def _answered(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Read an answer of the server's: of a thread or a turn that begins, or a refusal."""
        fault, result = event.get("error"), event.get("result")
        if isinstance(fault, dict):
            said = text_of(fault.get("message"))
            code = "session_not_found" if "no rollout found" in said else "usage"
            raise failure(InvalidRequestError, NAME, said, code=code)
        if not isinstance(result, dict):
            into.append(ProviderEvent(text_of(event.get("type")) or "event", event))
            return
        self._started(result, into)
        turn = result.get("turn")
        if isinstance(turn, dict):
            self._turn = text_of(turn.get("id"))

    def _started(self, params: dict[str, Json], into: list[Chunk]) -> None:
        self._session.known(text_of(object_of(params.get("thread")).get("id")), into)

    def _began(self, params: dict[str, Json], into: list[Chunk]) -> None:
        self._session.known(text_of(params.get("threadId")), into)
        turn = params.get("turn")
        self._turn = text_of(turn.get("id")) if isinstance(turn, dict) else self._turn

    def _ours(self, params: dict[str, Json]) -> bool:
        return self._turn is not None and params.get("turnId") == self._turn

    def _delta(self, params: dict[str, Json], into: list[Chunk]) -> None:
        self._text.piece(text_of(params.get("delta")), text_of(params.get("itemId")), into)

    def _thought(self, params: dict[str, Json], into: list[Chunk]) -> None:
        self._thinking.piece(text_of(params.get("delta")), text_of(params.get("itemId")), into)

    def _item_started(self, params: dict[str, Json], into: list[Chunk]) -> None:
        item = params.get("item")
        if isinstance(item, dict) and item.get("type") in _TOOLS:
            self._call(item, into)

    def _item_completed(self, params: dict[str, Json], into: list[Chunk]) -> None:
        item = params.get("item")
        if not isinstance(item, dict):
            return
        kind, id = text_of(item.get("type")), text_of(item.get("id"))
        if kind == "agentMessage":
            self._text.whole(text_of(item.get("text")), id, into)
        elif kind == "reasoning":
            said = item.get("summary") or item.get("content") or ()
            self._thinking.whole("\n\n".join(map(text_of, said)), id, into)
        elif kind in _TOOLS:
            self._result(item, id, into)
        elif kind != "userMessage":
            into.append(ProviderEvent(f"item.{kind}", item))

    def _call(self, item: dict[str, Json], into: list[Chunk]) -> None:
        id = text_of(item.get("id"))
        if id not in self._running:
            self._running.add(id)
            name, arguments = called(item)
            into.append(tool_call(id, name, arguments, item=item))

    def _result(self, item: dict[str, Json], id: str, into: list[Chunk]) -> None:
        self._call(item, into)
        self._running.discard(id)
        failed = item.get("status") in ("failed", "declined") or bool(item.get("error"))
        failed = failed or item.get("success") is False
        content = item.get("aggregatedOutput") or item.get("contentItems") or item.get("error")
        result = item.get("result")
        if isinstance(result, dict):
            content = result.get("content", content)
            failed = failed or bool(result.get("isError") or result.get("is_error"))
        into.append(tool_result(id, content, is_error=failed, item=item))

    def _used(self, params: dict[str, Json], into: list[Chunk]) -> None:
        usage = params.get("tokenUsage")
        if not self._ours(params) or not isinstance(usage, dict):
            return  # a thread that is resumed tells the last turn's once more
        last, total = usage.get("last") or {}, usage.get("total") or {}
        for name, theirs in _COUNTS.items():
            self._tokens[name] = self._tokens.get(name, 0) + number(last.get(theirs))
        totals = {name: number(total.get(theirs)) for name, theirs in _COUNTS.items()}
        into.append(State({"totals": totals}))

    def _error(self, params: dict[str, Json], into: list[Chunk]) -> None:
        # Not the end: a failure stands in ``turn/completed`` once more.
        again = bool(params.get("willRetry"))
        into.append(ProviderEvent("retrying" if again else "error", params))
        fault = object_of(params.get("error"))
        said = text_of(fault.get("additionalDetails")) or text_of(fault.get("message"))
        if again and not self._retries and self._ours(params) and not over_websocket(said):
            raise self._of(said, fault)

    def _completed(self, params: dict[str, Json], into: list[Chunk]) -> None:
        turn = params.get("turn")
        if not isinstance(turn, dict) or text_of(turn.get("id")) != self._turn:
            return
        self._running.clear()
        if self._tokens:
            into.append(turn_usage(self._tokens, dict(self._tokens)))
        status = text_of(turn.get("status"))
        if status != "completed":
            raise self._failure(status, object_of(turn.get("error")))
        into += ended(self._text.last, Finish("stop", raw=status))
        self.complete = True

    def _failure(self, status: str, fault: dict[str, Json]) -> PenstockError:
        if status == "interrupted":
            return failure(TruncatedError, NAME, "the turn was interrupted", code=status)
        return self._of(text_of(fault.get("message")), fault)

    def _of(self, said: str, fault: dict[str, Json]) -> PenstockError:
        return turn_failure(
            said,
            info=fault.get("codexErrorInfo"),
            now=self._now(),
            zone=self._zone,
        )
