"""Claude Code that stays: ``claude -p --input-format stream-json --output-format stream-json``.

Its turns are read by `penstock.dialects.agents.claude_code` like those of a child each. Source:
recorded output of 2.1.329 (tests/vectors/agents/claude_code, the ``stream-input`` ones).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from penstock.dialects.agents.talk import NOTHING, Asked, Heard, Question

__all__ = ["ClaudeCodeTalk"]

# JSON as the agent printed it.
Json: TypeAlias = Any

_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct):
    type: Json = None
    session_id: Json = None
    request_id: Json = None
    request: Json = None


_LINE = msgspec.json.Decoder(_Line)


class ClaudeCodeTalk:
    """One child, one session."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self._asked = 0

    def ask(self, turn: Asked) -> tuple[bytes, ...]:
        """Return the line that begins `turn`."""
        message = {"role": "user", "content": turn.prompt}
        return (_encode({"type": "user", "message": message}),)

    def hear(self, line: bytes) -> Heard:
        """Return what `line` amounts to."""
        try:
            event = _LINE.decode(line)
        except msgspec.MsgspecError:
            return NOTHING
        if isinstance(event.session_id, str) and event.session_id:
            self.session_id = event.session_id
        match event.type:
            case "result":
                return Heard(over=True)
            case "control_response" | "control_cancel_request":
                return Heard(kept=False)
            case "control_request":
                return self._requested(event)
        return NOTHING

    def interrupt(self) -> tuple[bytes, ...]:
        """Return the line that ends the running turn."""
        self._asked += 1
        request = {"subtype": "interrupt"}
        name = f"penstock-{self._asked}"
        return (_encode({"type": "control_request", "request_id": name, "request": request}),)

    def decide(self, question: Question, reason: str | None) -> bytes:
        """Return the answer to `question`."""
        if reason is None:
            said: Json = {"behavior": "allow", "updatedInput": question.arguments}
        else:
            said = {"behavior": "deny", "message": reason}
        answer = {"subtype": "success", "request_id": question.id, "response": said}
        return _encode({"type": "control_response", "response": answer})

    def _requested(self, event: _Line) -> Heard:
        request = event.request if isinstance(event.request, dict) else {}
        if request.get("subtype") == "can_use_tool":
            tool = str(request.get("tool_name"))
            server = tool.split("__")[1] if tool.startswith("mcp__") else None
            question = Question(
                id=event.request_id,
                call=str(request.get("tool_use_id") or ""),
                tool=tool,
                arguments=request.get("input"),
                server=server,
            )
            return Heard(kept=False, question=question)
        refused = {
            "subtype": "error",
            "request_id": event.request_id,
            "error": f"penstock answers no {request.get('subtype')}",
        }
        reply = _encode({"type": "control_response", "response": refused})
        return Heard(kept=False, replies=(reply,))
