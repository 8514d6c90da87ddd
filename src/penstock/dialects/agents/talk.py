"""What is said to an agent that stays: lines up, and what the lines that come down ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

__all__ = ["NOTHING", "Asked", "Heard", "Question", "Talk"]

# JSON of an agent's own.
Json: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A turn in the words that a talk needs."""

    prompt: str
    model: str | None = None
    system: str | None = None
    effort: str | None = None
    session_id: str | None = None
    directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether a tool may run."""

    id: Json
    """What the answer has to name."""
    call: str
    """The call's id, where it has one."""
    tool: str
    """The tool's name, as its call is told of."""
    arguments: Json
    """What it is called with."""
    server: str | None = None
    """The MCP server that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a line amounts to, apart from the chunks that it is."""

    kept: bool = True
    """Whether it is part of the turn."""
    over: bool = False
    """Whether the turn ends with it."""
    replies: tuple[bytes, ...] = ()
    """What is to be said at once."""
    question: Question | None = None
    """What somebody has to decide."""


NOTHING = Heard()
"""A line of the turn like most."""


class Talk(Protocol):
    """One child's conversation, whose every line goes through `hear`: no IO, no clock."""

    session_id: str | None
    """The session that it is in, once that is known."""

    def ask(self, turn: Asked) -> tuple[bytes, ...]:
        """Return the lines that begin `turn`; of the first one a greeting too."""
        ...

    def hear(self, line: bytes) -> Heard:
        """Return what `line` amounts to."""
        ...

    def interrupt(self) -> tuple[bytes, ...]:
        """Return the lines that end the running turn; none where it has not begun yet."""
        ...

    def decide(self, question: Question, reason: str | None) -> bytes:
        """Return the answer to `question`: None allows it, a reason denies it."""
        ...
