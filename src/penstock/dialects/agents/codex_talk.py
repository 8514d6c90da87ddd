"""What is said to ``codex app-server``: a greeting, threads, turns, approvals.

Source: recorded exchanges of 0.169.0 (tests/vectors/agents/codex_server) and the schema that it
prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from penstock.dialects.agents.talk import NOTHING, Asked, Heard, Question

__all__ = ["CodexTalk"]

# JSON-RPC of the agent's.
Json: TypeAlias = Any

_encode = msgspec.json.Encoder().encode
_CLIENT = {"name": "penstock", "title": "penstock", "version": "0"}


class _Line(msgspec.Struct):
    id: Json = None
    method: Json = None
    params: Json = None
    result: Json = None
    error: Json = None


_LINE = msgspec.json.Decoder(_Line)


class CodexTalk:
    """One child, one thread.

    Args:
        settings: Of the thread: sandbox, approvalPolicy, ...
        preface: What the thread is told before its first prompt.
    """

    def __init__(self, settings: Mapping[str, Json] | None = None, *, preface: str = "") -> None:
        self.session_id: str | None = None
        self._preface = preface
        self._settings = dict(settings or {})
        self._last_id = -1
        self._awaited: dict[int, str] = {}
        self._turn: Asked | None = None
        self._turn_id: str | None = None
        self._cut = False

    def ask(self, turn: Asked) -> tuple[bytes, ...]:
        """Return the lines that begin `turn`."""
        self._turn, self._turn_id, self._cut = turn, None, False
        if self.session_id is not None:
            return (self._start(turn, self.session_id),)
        return (self._request("initialize", {"clientInfo": _CLIENT}),)

    def hear(self, line: bytes) -> Heard:
        """Return what `line` amounts to."""
        try:
            event = _LINE.decode(line)
        except msgspec.MsgspecError:
            return NOTHING
        params = event.params if isinstance(event.params, dict) else {}
        if event.method is None:
            return self._answered(event)
        if event.id is not None:
            return self._requested(event, params)
        if event.method == "turn/completed":
            turn = params.get("turn")
            ours = isinstance(turn, dict) and turn.get("id") == self._turn_id
            return Heard(over=True) if ours else NOTHING
        return NOTHING

    def interrupt(self) -> tuple[bytes, ...]:
        """Return the line that ends the running turn; before it runs, it is ended as it begins."""
        self._cut = True
        if self._turn_id is None or self.session_id is None:
            return ()
        params = {"threadId": self.session_id, "turnId": self._turn_id}
        return (self._request("turn/interrupt", params),)

    def decide(self, question: Question, reason: str | None) -> bytes:
        """Return the answer to `question`."""
        if question.tool == "elicitation":
            said: Json = {"action": "decline" if reason is not None else "accept", "content": {}}
        else:
            said = {"decision": "decline" if reason is not None else "accept"}
        return _encode({"id": question.id, "result": said})

    def _request(self, method: str, params: Json) -> bytes:
        self._last_id += 1
        self._awaited[self._last_id] = method
        return _encode({"id": self._last_id, "method": method, "params": params})

    def _start(self, turn: Asked, thread: str) -> bytes:
        params: dict[str, Json] = {"threadId": thread}
        texts, self._preface = (self._preface, turn.prompt), ""
        params["input"] = [{"type": "text", "text": text} for text in texts if text]
        return self._request("turn/start", params)

    def _answered(self, event: _Line) -> Heard:
        """Say what comes next, or that nothing does: a refusal ends a turn before it began."""
        method = self._awaited.pop(event.id, None) if isinstance(event.id, int) else None
        if method in (None, "turn/interrupt"):
            return Heard(kept=False)
        if event.error is not None:
            return Heard(over=True)
        result = event.result if isinstance(event.result, dict) else {}
        turn = self._turn
        if turn is None:
            return NOTHING
        if method == "initialize":
            return Heard(replies=(_encode({"method": "initialized"}), self._thread(turn)))
        if method == "turn/start":
            self._turn_id = (result.get("turn") or {}).get("id")
            return Heard(replies=self.interrupt() if self._cut else ())
        self.session_id = (result.get("thread") or {}).get("id")
        if self.session_id is None:
            return Heard(over=True)
        return Heard(replies=(self._start(turn, self.session_id),))

    def _thread(self, turn: Asked) -> bytes:
        params = {"cwd": turn.directory, "model": turn.model, "developerInstructions": turn.system}
        params = {name: value for name, value in params.items() if value} | self._settings
        if turn.session_id is None:
            return self._request("thread/start", params)
        return self._request("thread/resume", {"threadId": turn.session_id, **params})

    def _requested(self, event: _Line, params: dict[str, Json]) -> Heard:
        """Read what the server asks of us."""
        found = _question(event.id, str(event.method), params)
        if found is not None:
            return Heard(kept=False, question=found)
        fault = {"code": -32601, "message": f"penstock answers no {event.method}"}
        return Heard(kept=False, replies=(_encode({"id": event.id, "error": fault}),))


def _question(id: Json, method: str, params: dict[str, Json]) -> Question | None:
    call = str(params.get("itemId") or "")
    match method:
        case "item/commandExecution/requestApproval":
            said = {name: params.get(name) for name in ("command", "cwd", "reason")}
            return Question(id=id, call=call, tool="command", arguments=said)
        case "item/fileChange/requestApproval":
            said = {name: params.get(name) for name in ("grantRoot", "reason")}
            return Question(id=id, call=call, tool="file_change", arguments=said)
        case "mcpServer/elicitation/request":
            said = {name: params.get(name) for name in ("mode", "message", "requestedSchema")}
            server = str(params.get("serverName"))
            return Question(id=id, call=call, tool="elicitation", arguments=said, server=server)
    return None
