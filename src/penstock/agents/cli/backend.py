"""What each agent is to the provider: an argument vector, an answer, and where sessions are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from penstock.errors import ConfigurationError, ConversationError

if TYPE_CHECKING:
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.options import AgentOptions
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer
    from penstock.transports.process import ProcessTransport

__all__ = ["Backend", "Command", "Start", "Turn"]

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is asked.

    Its messages and its model may come from another program, and become arguments.

    Raises:
        ConversationError: The session's id is none, and may be an option of the agent's.
        ConfigurationError: The model or the effort looks like one.
    """

    prompt: str = field(repr=False)
    """The user's words."""
    system: str | None = field(default=None, repr=False)
    """The system prompt."""
    model: str | None = None
    """The model's id in the agent's own words."""
    session_id: str | None = None
    """The session to go on with."""
    session_file: str | None = None
    """The file that it stands in, where it was restored to one."""
    totals: Mapping[str, float] = field(default_factory=dict)
    """What that has cost so far."""
    effort: str | None = None
    """How hard the model is to think."""
    total: float | None = None
    """Seconds that it may take, for an agent that has a clock itself; None is no bound."""

    def __post_init__(self) -> None:
        id: object = self.session_id  # whatever a kept message has there
        if id is not None and not (isinstance(id, str) and _ID.fullmatch(id)):
            raise ConversationError(f"an agent's session may not be {id!r:.80}", code="damaged")
        for name, value in (("model", self.model), ("effort", self.effort)):
            if value is not None and value.startswith("-"):
                raise ConfigurationError(f"{name} may not be {value!r:.80}", param=name)


@dataclass(frozen=True, slots=True)
class Command:
    """How the child is started."""

    argv: tuple[str, ...] = field(repr=False)
    """The program and its arguments."""
    stdin: bytes = field(repr=False)
    """The prompt."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that the backend sets."""


@dataclass(slots=True)
class Start:
    """A turn that is about to start a child."""

    turn: Turn
    command: Command
    environment: Mapping[str, str] = field(repr=False)
    """The child's whole environment."""
    scratch: Scratch
    transport: ProcessTransport
    taken: bool = False
    """Whether a child that stays has the files of `scratch` by now."""

    def close(self) -> None:
        """Remove the turn's files, unless they are a child's."""
        if not self.taken:
            self.scratch.close()


class Backend(Protocol):
    """One agent; values that pickle."""

    @property
    def name(self) -> str:
        """The agent's name, its dialect's too."""
        ...

    @property
    def program(self) -> str:
        """Its usual program."""
        ...

    @property
    def credentials(self) -> frozenset[str]:
        """Variables of ours that it may see."""
        ...

    @property
    def options(self) -> AgentOptions:
        """What the caller says."""
        ...

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how `turn` is asked."""
        ...

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        ...

    async def live(self, start: Start) -> Live:
        """Return a session whose child stays.

        Raises:
            PenstockError: It cannot be started.
        """
        ...

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the files of the session of that id; called after its turn has ended."""
        ...

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Put the files of `session` where the agent will find them; return the one to name."""
        ...
