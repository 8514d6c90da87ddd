"""The model's answer in one step of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec.structs import replace

from penstock.agents.events import LoopEvent, ReasoningEvent, TextEvent
from penstock.chunks import Chunk, ReasoningDelta, TextDelta
from penstock.errors import StreamClosedError

if TYPE_CHECKING:
    from penstock.agents.job import Job
    from penstock.response import Reply
    from penstock.stream import ChatStream

__all__ = ["Answer"]

T = TypeVar("T")


class Answer:
    """An answer: events as they come, cut off when the run's time is up.

    Args:
        job: The run.
        stream: The answer.
    """

    def __init__(self, job: Job, stream: ChatStream) -> None:
        self._job, self._stream = job, stream
        self._step = job.steps
        self._late = False
        self._closing: asyncio.Task[None] | None = None
        loop, left = asyncio.get_running_loop(), job.left
        self._timer = None if left is None else loop.call_later(left, self._cut)

    @classmethod
    async def to(cls, job: Job) -> Answer:
        """Ask the model."""
        stream = await job.in_time(job.ask(job.history.conversation, job.box.schemas))
        job.steps += 1
        answer = cls(job, stream)
        try:
            await answer._saying(stream.__aenter__())
        except BaseException:
            await answer.aclose()
            raise
        return answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LoopEvent:
        while True:
            event = _event(await self._saying(self._stream.__anext__()), self._step)
            if event is not None:
                return event

    async def kept(self) -> Reply:
        """Keep the answer's message, and return the answer."""
        reply = self._stream.response
        if not reply.tool_calls:
            reply = await self._stream.collect()
        await self._job.history.ask(reply.message)
        self._job.took(reply)
        return reply

    async def aclose(self) -> None:
        """Cut it if it has not ended; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        await self._stream.aclose()

    def _cut(self) -> None:
        self._late = True
        self._closing = asyncio.get_running_loop().create_task(self._stream.aclose())

    async def _saying(self, waiting: Awaitable[T]) -> T:
        """Wait for the stream, whose end before its time is the run's."""
        try:
            return await waiting
        except StreamClosedError:
            if not self._late:
                raise
        raise self._job.overtime(replace(self._stream.response, command=None))


def _event(chunk: Chunk, step: int) -> LoopEvent | None:
    """Return what a chunk of the first choice is to the reader of a run."""
    if chunk.choice != 0:
        return None
    if isinstance(chunk, TextDelta):
        return TextEvent(step=step, text=chunk.text)
    if isinstance(chunk, ReasoningDelta) and chunk.reasoning:
        return ReasoningEvent(step=step, reasoning=chunk.reasoning)
    return None
