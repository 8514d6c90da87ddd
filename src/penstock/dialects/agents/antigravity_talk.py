"""What is said to the child that runs Antigravity's SDK, a program of our own.

Source: `penstock.agents.cli.antigravity_worker`, which says what its lines are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from penstock.dialects.agents.talk import NOTHING, Asked, Heard, Question

__all__ = ["AntigravityTalk"]

# JSON of the child's.
Json: TypeAlias = Any

_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct):
    session: str | None = None
    done: bool = False
    python_exception: str | None = None
    ask: int | None = None
    tool: str | None = None
    call: str | None = None
    arguments: Json = None
    server: str | None = None


_LINE = msgspec.json.Decoder(_Line)


class AntigravityTalk:
    """One child, one conversation.

    Args:
        config: What the SDK is told of its agent, apart from the first turn's own.
    """

    def __init__(self, config: Mapping[str, Json]) -> None:
        self.session_id: str | None = None
        self._config: Mapping[str, Json] | None = config

    def ask(self, turn: Asked) -> tuple[bytes, ...]:
        """Return the lines that begin `turn`."""
        prompt = _encode({"prompt": turn.prompt})
        config, self._config = self._config, None
        if config is None:
            return (prompt,)
        told = {"model": turn.model, "system": turn.system, "conversation_id": turn.session_id}
        return (_encode({"config": {**config, **told}}), prompt)

    def hear(self, line: bytes) -> Heard:
        """Return what `line` amounts to."""
        try:
            event = _LINE.decode(line)
        except msgspec.MsgspecError:
            return NOTHING
        self.session_id = event.session or self.session_id
        if event.ask is not None:
            question = Question(
                id=event.ask,
                call=event.call or "",
                tool=event.tool or "",
                arguments=event.arguments,
                server=event.server,
            )
            return Heard(kept=False, question=question)
        return Heard(over=True) if event.done or event.python_exception else NOTHING

    def interrupt(self) -> tuple[bytes, ...]:
        """Return the line that ends the running turn."""
        return (b'{"cancel":true}',)

    def decide(self, question: Question, reason: str | None) -> bytes:
        """Return the answer to `question`; a reason has no place in it."""
        return _encode({"decide": question.id, "allow": reason is None})
