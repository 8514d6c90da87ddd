"""An agent as a provider, put together from the stages: a child a turn, or one that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from penstock.agents.cli.backend import Start
from penstock.agents.cli.conversation import Conversation
from penstock.agents.cli.keep import Kept
from penstock.agents.cli.options import AGENT_TIMEOUTS
from penstock.agents.cli.prompt import turn_of
from penstock.agents.cli.surroundings import Scratch, child_environment, secrets_in
from penstock.chunks import Finish, ProviderEvent, State
from penstock.errors import ConfigurationError, PenstockError, StreamClosedError
from penstock.interfaces import CallRecord
from penstock.pipeline.stream import BatchStream
from penstock.providers.blame import Blame
from penstock.providers.source import HttpSource, decoder_for
from penstock.request import ChatRequest
from penstock.transports.process import ProcessCall, ProcessTransport
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.agents.cli.backend import Backend, Command, Turn
    from penstock.agents.cli.conversation import AgentResult
    from penstock.agents.cli.policy import Retries
    from penstock.agents.cli.session import Session
    from penstock.chunks import Chunk
    from penstock.dialects.agents.answer import AgentAnswer
    from penstock.interfaces import Ending, Stream, Watch, Wire
    from penstock.limits import Timeouts
    from penstock.request import ItemT, Request

__all__ = ["Agent"]


# JSON as an agent printed it.
Json: TypeAlias = Any


class Agent:
    """A coding agent: a `penstock.interfaces.Provider`, and `run` for those who want the result.

    It pickles: what it is told, not the children that it has.

    Args:
        backend: Which agent, and what it is told.
        transport: Starts its children.
    """

    def __init__(self, backend: Backend, *, transport: ProcessTransport | None = None) -> None:
        self.backend = backend
        self._transport = transport or ProcessTransport()
        self._kept = Kept(backend.options, grace=self._transport.grace)
        self._starting: set[Scratch] = set()

    def __repr__(self) -> str:
        return f"Agent({self.backend.name})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.backend,))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Ask; return when the first content is in hand.

        A conversation whose last answer is this agent's goes on in its session.

        Raises:
            PenstockError: There is no answer, or it is an error; the child has been ended.
        """
        chat = cast("ChatRequest", request)  # the only kind of request that agents answer
        record = self._record(chat)
        turn = await turn_of(chat, agent=self.backend.name, dropped=record.dropped)
        return cast("Stream[ItemT]", await self._begin(chat, turn, record))

    async def run(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        on_chunk: Callable[[Chunk], object] | None = None,
    ) -> AgentResult:
        """Ask, and wait for the end of the turn.

        Args:
            prompt: The user's words.
            session: The conversation to go on with, of this machine or another.
            timeouts: Clocks of this turn.
            retries: When a failed turn is asked again; default never.
            on_chunk: Sees every chunk as it comes: text, tools at work. Where it returns something
                to be awaited, no more is read before that is done.

        Raises:
            PenstockError: The turn failed; ``partial`` has what came. Use `converse` for the
                session of a failed turn.
        """
        conversation = self.converse(session)
        return await conversation.run(prompt, timeouts=timeouts, retries=retries, on_chunk=on_chunk)

    def converse(self, session: Session | None = None) -> Conversation:
        """Return a conversation, which knows its session after every turn, failed ones too.

        Raises:
            ConfigurationError: The session is another agent's.
        """
        if session is not None and session.agent != self.backend.name:
            raise ConfigurationError(
                f"the session is {session.agent}'s, not {self.backend.name}'s", param="session"
            )
        return Conversation(self, session)

    async def aclose(self) -> None:
        """End the children that are left, and wait for them."""
        for scratch in [*self._starting]:
            scratch.close()
        await self._kept.aclose()
        await self._transport.aclose()

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the files of the session of that id, from its child where that is there."""
        files = await self._kept.capture(id)
        return await self.backend.capture(id, environment) if files is None else files

    def environment(self, command: Command | None = None) -> dict[str, str]:
        """Return a child's whole environment."""
        options = self.backend.options
        return child_environment(
            self.backend.credentials,
            {} if command is None else command.environment,
            options.environment,
            home=options.home,
        )

    async def begin(
        self, turn: Turn, *, timeouts: Timeouts | None, state: dict[str, Json]
    ) -> BatchStream[Chunk]:
        """Ask `turn`, for a `Conversation`; `state` takes what the agent says of its session."""
        request = ChatRequest(model=self._model(""), messages=turn.prompt, timeouts=timeouts)
        return await self._begin(request, turn, self._record(request), state)

    async def _begin(
        self,
        request: ChatRequest,
        turn: Turn,
        record: CallRecord,
        state: dict[str, Json] | None = None,
    ) -> BatchStream[Chunk]:
        options = self.backend.options
        options.check()
        timeouts = AGENT_TIMEOUTS.override(options.timeouts).override(request.timeouts)
        turn = replace(
            turn,
            model=record.wire_model or None,
            system=turn.system or options.system,
            total=timeouts.total,
        )
        scratch = Scratch()
        watch = Watchdog(timeouts, limits=options.limits)
        start: Start | None = None
        try:
            command = await self._command(turn, scratch)
            environment = self.environment(command)
            blame = Blame(
                record, secrets_in(environment), partial(_texts, turn.prompt, turn.system)
            )
            start = Start(turn, command, environment, scratch, self._transport)
            answer = _Alive(self.backend.answer(turn.totals), watch, {} if state is None else state)
            try:
                wire = await self._wire(start, record, watch)
                stream = await self._stream(wire, answer, record, blame)
            except PenstockError as error:
                raise blame(error) from error.__cause__
        except BaseException:
            watch.stop()
            scratch.close() if start is None else start.close()
            raise
        stream.on_close.append(lambda _: start.close())
        return stream

    async def _command(self, turn: Turn, scratch: Scratch) -> Command:
        """How `turn` is asked; what is asked of a program for that ends with us."""
        self._starting.add(scratch)
        try:
            command = await asyncio.to_thread(self.backend.command, turn, scratch)
            if scratch.closed:  # nobody would end the child
                raise StreamClosedError("the agent was closed before its turn had begun")
            return command
        finally:
            self._starting.discard(scratch)

    async def _wire(self, start: Start, record: CallRecord, watch: Watchdog) -> Wire:
        """A child of the turn's own, or the one that is in its session."""
        options = self.backend.options
        if options.keep_alive:
            begin = partial(self.backend.live, start)
            return await self._kept.open(start.turn, begin, watch=watch, timings=record.timings)
        call = ProcessCall(
            argv=start.command.argv,
            stdin=start.command.stdin,
            environment=start.environment,
            directory=options.directory,
            scratch=start.scratch.folder,
            watch=watch,
            limits=options.limits,
            timings=record.timings,
        )
        return await self._transport.open(call)

    async def _stream(
        self, wire: Wire, answer: _Alive, record: CallRecord, blame: Blame
    ) -> BatchStream[Chunk]:
        source = HttpSource(
            wire,
            decoder=decoder_for("json_lines", self.backend.options.limits),
            answer=answer,
            watch=answer.watch,
            timings=record.timings,
        )
        record.buffered = source.buffered
        stream = BatchStream(source, record, blame)
        try:
            await stream.prime(_ends_the_wait)
        except BaseException as error:
            wire.abort()
            if isinstance(error, Exception):  # a cancelled caller does not wait for the child
                await wire.aclose()
            raise
        return stream

    def _record(self, request: ChatRequest) -> CallRecord:
        name = self.backend.name
        return CallRecord(
            model=request.model,
            provider=name,
            deployment=name,
            wire_model=self._model(request.model),
            dialect=name,
            origin=f"process://{name}",
            metadata=request.metadata,
        )

    def _model(self, asked: str) -> str:
        """The model in the agent's words: what a request says behind the agent's name, or ours."""
        prefix, _, rest = asked.partition("/")
        names = (self.backend.name, self.backend.name.removesuffix("_sdk"))
        named = rest if prefix.replace("-", "_") in names else ""
        return named or self.backend.options.model or ""


class _Alive:
    """An answer whose every line is a sign of life, and whose tools may be silent."""

    def __init__(self, answer: AgentAnswer, watch: Watch, state: dict[str, Json]) -> None:
        self.complete = False
        self.watch = watch
        self._answer = answer
        self._state = state

    @property
    def settled(self) -> bool:
        return self._answer.settled

    def feed(self, frames: Sequence[bytes], into: list[Chunk]) -> None:
        if frames:
            self.watch.content()
        self._through(lambda new: self._answer.feed(frames, new), into)
        if self._answer.busy:
            self.watch.end("idle")
            self.watch.end("progress")

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        self._through(lambda new: self._answer.finish(ending, new), into)

    def _through(self, take: Callable[[list[Chunk]], None], into: list[Chunk]) -> None:
        """Keep what is said of the session, also where the turn fails before its first content."""
        new: list[Chunk] = []
        try:
            take(new)
        finally:
            for chunk in new:
                if isinstance(chunk, State):
                    self._state |= chunk.data
            into += new
            self.complete = self._answer.complete


def _ends_the_wait(chunk: Chunk) -> bool:
    """Content, or a tool at work: it may have had effects, and nobody else begins after it."""
    working = isinstance(chunk, ProviderEvent) and chunk.name == "tool_call"
    return working or chunk.content or isinstance(chunk, Finish)


def _texts(prompt: str, system: str | None) -> list[str]:
    return [prompt, system or ""]
