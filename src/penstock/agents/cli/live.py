"""A session of an agent that stays: one turn after the other, while approvals go up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from penstock.agents.tools import ToolRequest, refusal
from penstock.errors import ToolCrashedError
from penstock.limits import Timeouts
from penstock.providers.source import decoder_for
from penstock.transports.process import ProcessCall
from penstock.transports.process.channel import Channel
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start
    from penstock.agents.cli.options import AgentOptions
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.talk import Asked, Question, Talk
    from penstock.interfaces import Ending
    from penstock.transports.process import ProcessWire
    from penstock.transports.process.channel import TurnWire

__all__ = ["NO_CLOCKS", "Live", "TalkingChild", "child_of", "talking", "verdict"]

NO_CLOCKS = Timeouts(
    pool=None,
    connect=None,
    write=None,
    response=None,
    ttft=None,
    idle=None,
    progress=None,
    total=None,
)
"""The child's own: its turns have theirs."""


class Live(Protocol):
    """A session that takes turns, never two at once."""

    @property
    def alive(self) -> bool:
        """Whether it can take another turn."""
        ...

    @property
    def session_id(self) -> str | None:
        """The session that it is in, once that is known."""
        ...

    async def begin(self, turn: Asked, wire: TurnWire) -> None:
        """Ask `turn`; what is said goes to `wire`, its end too.

        Raises:
            PenstockError: It cannot be asked.
        """
        ...

    async def capture(self) -> dict[str, bytes] | None:
        """Return the session's files; None where they lie on the disk.

        Raises:
            PenstockError: It does not answer.
        """
        ...

    def interrupt(self) -> None:
        """Ask for the end of the running turn."""
        ...

    def kill(self) -> None:
        """End the session's child, and so the turn."""
        ...

    async def aclose(self) -> None:
        """End it, and wait for its end; idempotent."""
        ...


async def verdict(options: AgentOptions, question: Question) -> str | None:
    """Ask the caller whether a tool may run: None says yes, a reason no."""
    if options.approve is None:
        return "nobody is there who could allow it"
    request = ToolRequest(
        id=question.call or str(question.id),
        name=question.tool,
        arguments=question.arguments,
        server=question.server,
    )
    return await refusal(options.approve, request)


class TalkingChild:
    """A child that takes lines on its stdin: one session of an agent.

    Args:
        child: It.
        talk: Its words.
        options: The agent's bounds, and who approves.
        scratch: Its files, which end with it.
    """

    def __init__(
        self, child: ProcessWire, talk: Talk, *, options: AgentOptions, scratch: Scratch
    ) -> None:
        self._child = child
        self._talk = talk
        self._options = options
        self._scratch = scratch
        self._turn: TurnWire | None = None
        self._ending: Ending | None = None
        self._deciding: set[asyncio.Task[None]] = set()
        decoder = decoder_for("json_lines", options.limits)
        self._channel = Channel(child, decoder, hear=self._hear, lost=self._lost)

    @property
    def alive(self) -> bool:
        """Whether it can take another turn."""
        return self._channel.alive

    @property
    def session_id(self) -> str | None:
        """The session that it is in, once that is known."""
        return self._talk.session_id

    async def begin(self, turn: Asked, wire: TurnWire) -> None:
        """Ask `turn`; what is said goes to `wire`, its end too."""
        wire.begin()
        if self._ending is not None:  # it was gone before it was asked
            wire.finish(self._ending)
            return
        self._turn = wire
        for line in self._talk.ask(turn):
            await self._child.send(line + b"\n", wire.watch)

    async def capture(self) -> dict[str, bytes] | None:
        """Return None: the agent writes as it speaks."""
        return None

    def interrupt(self) -> None:
        """Ask for the end of the running turn."""
        self._say(self._talk.interrupt())

    def kill(self) -> None:
        """End the child's group."""
        self._child.abort()

    async def aclose(self) -> None:
        """End the child's group, and wait for its end."""
        await self._channel.aclose()

    def _say(self, lines: tuple[bytes, ...]) -> None:
        for line in lines:
            self._child.write(line + b"\n")

    def _hear(self, line: bytes) -> None:
        heard, turn = self._talk.hear(line), self._turn
        if turn is not None and heard.kept:
            turn.put(line)
        self._say(heard.replies)
        if heard.question is not None:
            task = asyncio.ensure_future(self._decide(heard.question))
            self._deciding.add(task)
            task.add_done_callback(self._deciding.discard)
        if turn is not None and heard.over:
            self._over(turn)

    def _lost(self, ending: Ending) -> None:
        self._ending = ending
        self._scratch.close()
        if self._turn is not None:
            self._over(self._turn, ending)

    def _over(self, turn: TurnWire, ending: Ending | None = None) -> None:
        self._turn = None
        for task in self._deciding:
            task.cancel()
        turn.finish(ending)

    async def _decide(self, question: Question) -> None:
        turn = self._turn
        try:
            reason = await verdict(self._options, question)
        except Exception as exc:  # the caller's own, which ends the turn that asked
            if turn is not None:
                error = ToolCrashedError(f"approve() failed: {type(exc).__name__}")
                error.__cause__ = exc
                turn.abort(error)
            return
        self._say((self._talk.decide(question, reason),))


async def talking(start: Start, talk: Talk, options: AgentOptions) -> TalkingChild:
    """Start a child that takes lines on its stdin.

    Raises:
        PenstockError: It cannot be started.
    """
    child = await child_of(start, options)
    return TalkingChild(child, talk, options=options, scratch=start.scratch)


async def child_of(start: Start, options: AgentOptions) -> ProcessWire:
    """Start a child that stays; the files of `start` are its own from now on.

    Raises:
        PenstockError: It cannot be started.
    """
    call = ProcessCall(
        argv=start.command.argv,
        keep_open=True,
        environment=start.environment,
        directory=options.directory,
        scratch=start.scratch.folder,
        watch=Watchdog(NO_CLOCKS, limits=options.limits),
        limits=options.limits,
    )
    child = await start.transport.open(call)
    start.taken = True
    return child
