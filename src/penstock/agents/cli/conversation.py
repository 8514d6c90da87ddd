"""Turns of one session, and the session after each: failed ones too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.cli.backend import Turn
from penstock.agents.cli.policy import Retries
from penstock.agents.cli.session import Session
from penstock.agents.cli.surroundings import Scratch
from penstock.chunks import ProviderEvent
from penstock.errors import PenstockError
from penstock.pipeline.fold import Fold

if TYPE_CHECKING:
    from penstock.agents.cli.agent import Agent
    from penstock.chunks import Chunk
    from penstock.limits import Timeouts
    from penstock.pipeline.stream import BatchStream
    from penstock.response import Reply

__all__ = ["AgentResult", "Conversation"]

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
                await heard.take(batch)
        except PenstockError as error:
            error.partial = error.partial or heard.fold.reply(stream.record)
            await self._ended(stream, heard)
            raise
        except Exception:  # the caller's own, of `on_chunk`
            await self._ended(stream, heard)
            raise
        except BaseException:  # whoever is cancelled is free at once
            stream.cancel()
            raise
        await self._ended(stream, heard)
        return AgentResult(heard.text(), heard.fold.reply(stream.record), self.session)

    async def _ended(self, stream: BatchStream[Chunk], heard: _Heard) -> None:
        await stream.aclose()
        await self._capture(heard)

    async def _restore(self) -> None:
        if not self._restored and self.session is not None:
            backend = self._agent.backend
            self._file = await backend.restore(self.session, await self._environment())
            self._restored = True

    async def _capture(self, heard: _Heard) -> None:
        self._unseen = None
        id = heard.state.get("session_id") or (self.session and self.session.id)
        if not id:
            return
        before = self.session
        same = before is not None and before.id == id
        files = await self._agent.capture(id, await self._environment())
        totals = heard.state.get("totals") or (before.totals if before and same else {})
        self.session = Session(
            agent=self._agent.backend.name,
            id=id,
            files=files or (before.files if before and same else {}),
            totals=totals,
            versions=heard.versions or (dict(before.versions) if before else {}),
        )

    async def _environment(self) -> dict[str, str]:
        return await asyncio.to_thread(_environment_of, self._agent)


def _environment_of(agent: Agent) -> dict[str, str]:
    """A child's environment for an errand: no file of a turn's is there."""
    scratch = Scratch()
    try:
        return agent.environment(agent.backend.command(Turn(prompt="-"), scratch))
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

    async def take(self, batch: Sequence[Chunk]) -> None:
        self.fold.add(batch)
        for chunk in batch:
            if isinstance(chunk, ProviderEvent):
                self._note(chunk)
            if self.tell is not None:
                done = self.tell(chunk)
                if isawaitable(done):
                    await done

    def text(self) -> str:
        return self.fold.text if self.final is None else self.final

    def _note(self, event: ProviderEvent) -> None:
        if event.name == "final_text":
            self.final = event.data
        elif event.name == "init" and isinstance(event.data, Mapping):
            version = event.data.get("claude_code_version")
            if isinstance(version, str):
                self.versions["claude_code"] = version
