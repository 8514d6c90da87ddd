"""An agent as a provider: one child for each turn, put together from the stages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from penstock.agents.cli.backend import Turn
from penstock.agents.cli.options import AGENT_TIMEOUTS
from penstock.agents.cli.policy import Retries
from penstock.agents.cli.prompt import turn_of
from penstock.agents.cli.session import Session
from penstock.agents.cli.surroundings import Scratch, child_environment, secrets_in
from penstock.chunks import Finish, ProviderEvent, State
from penstock.errors import ConfigurationError, PenstockError
from penstock.interfaces import CallRecord
from penstock.pipeline.fold import Fold
from penstock.pipeline.stream import BatchStream
from penstock.providers.blame import Blame
from penstock.providers.source import HttpSource, decoder_for
from penstock.request import ChatRequest
from penstock.transports.process import ProcessCall, ProcessTransport
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.agents.cli.backend import Backend, Command
    from penstock.chunks import Chunk
    from penstock.dialects.agents.answer import AgentAnswer
    from penstock.interfaces import Ending, Stream, Watch
    from penstock.limits import Timeouts
    from penstock.request import ItemT, Request
    from penstock.response import Reply

__all__ = ["Agent", "AgentResult", "Conversation"]


# JSON as an agent printed it.
Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What a turn came to."""

    text: str
    """The last message; `reply` has the text of all of them."""
    reply: Reply
    """The whole answer: usage, reasoning, timings."""
    session: Session | None
    """Where the conversation stands; None where the agent kept nothing."""


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
            on_chunk: Sees every chunk as it comes: text, tools at work.

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
        await self._transport.aclose()

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
        turn = replace(turn, model=record.wire_model or None, system=turn.system or options.system)
        scratch = Scratch()
        timeouts = AGENT_TIMEOUTS.override(options.timeouts).override(request.timeouts)
        watch = Watchdog(timeouts, limits=options.limits)
        try:
            command = await asyncio.to_thread(self.backend.command, turn, scratch)
            environment = self.environment(command)
            blame = Blame(
                record, secrets_in(environment), partial(_texts, turn.prompt, turn.system)
            )
            answer = _Alive(self.backend.answer(turn.totals), watch, {} if state is None else state)
            try:
                stream = await self._start(command, environment, answer, record, blame)
            except PenstockError as error:
                raise blame(error) from error.__cause__
        except BaseException:
            watch.stop()
            scratch.close()
            raise
        stream.on_close.append(lambda _: scratch.close())
        return stream

    async def _start(
        self,
        command: Command,
        environment: dict[str, str],
        answer: _Alive,
        record: CallRecord,
        blame: Blame,
    ) -> BatchStream[Chunk]:
        options = self.backend.options
        call = ProcessCall(
            argv=command.argv,
            stdin=command.stdin,
            environment=environment,
            directory=options.directory,
            watch=answer.watch,
            limits=options.limits,
            timings=record.timings,
        )
        wire = await self._transport.open(call)
        source = HttpSource(
            wire,
            decoder=decoder_for("json_lines", options.limits),
            answer=answer,
            watch=answer.watch,
            timings=record.timings,
            blame=blame,
        )
        record.buffered = source.buffered
        stream = BatchStream(source, record)
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
        named = rest if prefix.replace("-", "_") == self.backend.name else ""
        return named or self.backend.options.model or ""


class Conversation:
    """Turns of one session, one after the other.

    Args:
        agent: Who answers.
        session: Where it stands; None begins a new one.
    """

    def __init__(self, agent: Agent, session: Session | None = None) -> None:
        self.session = session
        """Where it stands, after every turn: failed ones too."""
        self._agent = agent
        self._restored = session is None
        self._file: str | None = None
        self._unseen: _Heard | None = None

    async def run(
        self,
        prompt: str,
        *,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        on_chunk: Callable[[Chunk], object] | None = None,
    ) -> AgentResult:
        """Ask, and wait for the end of the turn; see `Agent.run`.

        Raises:
            PenstockError: The turn failed; ``partial`` has what came.
        """
        rules, tried = retries or Retries(), 0
        while True:
            tried += 1
            try:
                return await self._turn(prompt, timeouts, on_chunk)
            except PenstockError as error:
                wait = rules.delay(error, tried=tried, now=time())
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    async def recover(self) -> Session | None:
        """Return where it stands after a turn that was cancelled; first await `Agent.aclose`.

        Whoever cancels a turn is free at once, and its session has not been looked at.
        """
        if self._unseen is not None:
            await self._capture(self._unseen)
        return self.session

    async def _turn(
        self,
        prompt: str,
        timeouts: Timeouts | None,
        on_chunk: Callable[[Chunk], object] | None,
    ) -> AgentResult:
        await self._restore()
        session = self.session
        turn = Turn(
            prompt=prompt,
            session_id=None if session is None else session.id,
            session_file=self._file,
            totals={} if session is None else session.totals,
        )
        heard = self._unseen = _Heard(Fold(self._agent.backend.options.limits), on_chunk)
        try:
            stream = await self._agent.begin(turn, timeouts=timeouts, state=heard.state)
        except PenstockError:
            await self._capture(heard)
            raise
        try:
            while batch := await stream.read():
                heard.take(batch)
        except PenstockError as error:
            error.partial = error.partial or heard.fold.reply(stream.record)
            await self._ended(stream, heard)
            raise
        except Exception:  # the caller's own, of `on_chunk`
            await self._ended(stream, heard)
            raise
        # Whoever is cancelled is free at once: the read has ended the child by then.
        await self._ended(stream, heard)
        return AgentResult(heard.text(), heard.fold.reply(stream.record), self.session)

    async def _ended(self, stream: BatchStream[Chunk], heard: _Heard) -> None:
        await stream.aclose()
        await self._capture(heard)

    async def _restore(self) -> None:
        if not self._restored and self.session is not None:
            backend = self._agent.backend
            self._file = await backend.restore(self.session, self._environment())
            self._restored = True

    async def _capture(self, heard: _Heard) -> None:
        self._unseen = None
        id = heard.state.get("session_id") or (self.session and self.session.id)
        if not id:
            return
        before = self.session
        same = before is not None and before.id == id
        files = await self._agent.backend.capture(id, self._environment())
        totals = heard.state.get("totals") or (before.totals if before and same else {})
        self.session = Session(
            agent=self._agent.backend.name,
            id=id,
            files=files or (before.files if before and same else {}),
            totals=totals,
            versions=heard.versions or (dict(before.versions) if before else {}),
        )

    def _environment(self) -> dict[str, str]:
        backend = self._agent.backend
        scratch = Scratch()
        try:
            return self._agent.environment(backend.command(Turn(prompt="-"), scratch))
        finally:
            scratch.close()


@dataclass(slots=True)
class _Heard:
    """What a turn has said so far."""

    fold: Fold
    tell: Callable[[Chunk], object] | None
    state: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    final: str | None = None

    def take(self, batch: Sequence[Chunk]) -> None:
        self.fold.add(batch)
        for chunk in batch:
            if isinstance(chunk, ProviderEvent):
                self._note(chunk)
            if self.tell is not None:
                self.tell(chunk)

    def text(self) -> str:
        return self.fold.text if self.final is None else self.final

    def _note(self, event: ProviderEvent) -> None:
        if event.name == "final_text":
            self.final = event.data
        elif event.name == "init" and isinstance(event.data, Mapping):
            version = event.data.get("claude_code_version")
            if isinstance(version, str):
                self.versions["claude_code"] = version


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
