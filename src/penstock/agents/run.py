"""One run of a tool loop: its steps as events, and its end from any task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Self

from penstock.agents.answer import Answer
from penstock.agents.calls import Calls
from penstock.agents.events import FinalEvent, LoopEvent, LoopResult, StepEvent, ToolCallEvent
from penstock.agents.history import Pending
from penstock.cutting import interruptible
from penstock.errors import StreamClosedError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.agents.job import Job
    from penstock.chunks import Usage
    from penstock.conversations import Conversation
    from penstock.cutting import Interruptible
    from penstock.response import Reply

__all__ = ["ToolRun"]


class ToolRun:
    """A run: an asynchronous iterator of events, made by `penstock.agents.ToolLoop.run`.

    Leaving its ``async with``, or `aclose`, cuts the model's answer and cancels the calls; a task
    that reads it then gets `penstock.errors.StreamClosedError`. After an error the conversation has
    all that came before it, and another run goes on from there.

    Args:
        job: What it is to do.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._events = _events(job)
        self._reader: asyncio.Task[Any] | None = None  # Any: whatever it gives
        self._reading: Interruptible | None = None
        self._left = asyncio.Event()
        self._closing = asyncio.Lock()
        self._closed = False

    @property
    def conversation(self) -> Conversation:
        """The history."""
        return self._job.history.conversation

    @property
    def steps(self) -> int:
        """How often the model was asked so far."""
        return self._job.steps

    @property
    def usage(self) -> Usage | None:
        """The tokens of all steps so far."""
        return self._job.usage

    @property
    def cost(self) -> float | None:
        """The cost of all steps so far, US dollars, as far as the provider reports it."""
        return self._job.cost

    @property
    def result(self) -> LoopResult:
        """What the run amounts to.

        Raises:
            UsageError: It has not come to its end.
        """
        if self._job.result is None:
            raise UsageError("this run has no result: it has not come to its end")
        return self._job.result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LoopEvent:
        if asyncio._get_running_loop() is None:
            raise UsageError("a tool loop needs asyncio")
        if self._reader is not None:
            raise UsageError("this run is being read: it has one reader at a time")
        if self._closed and self._job.result is None:
            raise StreamClosedError("the run was closed before it had its answer")
        self._reader = asyncio.current_task()
        self._reading = interruptible()  # by `aclose`
        self._left.clear()
        try:
            with self._reading:
                return await self._events.__anext__()
        finally:
            self._reader = None
            self._left.set()
        raise StreamClosedError("the run was closed before it had its answer")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def collect(self) -> LoopResult:
        """Run to the end, and return what it amounts to."""
        try:
            async for _ in self:
                pass
        finally:
            await self.aclose()
        return self.result

    async def aclose(self) -> None:
        """End the run, wherever it is, from any task; idempotent."""
        self._closed = True
        async with self._closing:
            if self._reader is not None and self._reader is not asyncio.current_task():
                if self._reading is not None and not self._reader.cancelling():
                    self._reading.cancel()
                await self._left.wait()
            await self._events.aclose()


async def _events(job: Job) -> AsyncGenerator[LoopEvent, None]:
    """Yield what happens; whatever is open at any point is closed when this is."""
    job.started = asyncio.get_running_loop().time()
    try:
        await job.in_time(_begin(job))
        pending = await job.in_time(job.history.pending())
        while True:
            if pending:
                for event in _announced(job, pending):
                    yield event
                calls = _called(job, pending)
                try:
                    while events := await job.in_time(calls.read()):
                        for event in events:
                            yield event
                finally:
                    await calls.aclose()
            await job.in_time(_refreshed(job))
            answer = await Answer.to(job)
            try:
                async for event in answer:
                    yield event
            finally:
                await answer.aclose()
            reply = await job.in_time(answer.kept())
            yield _stepped(job, reply)
            if not reply.tool_calls:
                yield _final(job, reply)
                return
            job.check_reply(reply)
            pending = [Pending(at, call) for at, call in enumerate(reply.tool_calls)]
    finally:
        if job.own:
            await job.box.aclose()


async def _begin(job: Job) -> None:
    """Begin an empty conversation, and start the servers: calls may be left to be made."""
    await job.box.refresh()
    if job.system is not None and not await job.history.conversation.length():
        await job.history.add({"role": "system", "content": job.system})


async def _refreshed(job: Job) -> None:
    """Append what the run begins with, behind the results of calls that were left."""
    messages, job.messages = job.messages, None
    await job.history.add(messages)
    job.check_step()
    await job.box.refresh()


def _called(job: Job, pending: list[Pending]) -> Calls:
    job.calls += len(pending)
    return Calls(
        pending,
        job.box,
        job.history,
        step=job.steps,
        limits=job.limits,
        approve=job.approve,
        leaving=job.leaving,
    )


def _announced(job: Job, pending: list[Pending]) -> list[LoopEvent]:
    found = [(each.call, job.box.find(each.call.name)) for each in pending]
    return [
        ToolCallEvent(step=job.steps, call=call, server=None if tool is None else tool.server)
        for call, tool in found
    ]


def _stepped(job: Job, reply: Reply) -> StepEvent:
    return StepEvent(
        step=job.steps,
        finish_reason=reply.finish_reason,
        calls=len(reply.tool_calls),
        usage=reply.usage,
        cost=reply.cost,
    )


def _final(job: Job, reply: Reply) -> FinalEvent:
    job.result = LoopResult(
        text=reply.text,
        reply=reply,
        steps=job.steps,
        calls=job.calls,
        usage=job.usage,
        cost=job.cost,
        elapsed=job.elapsed,
    )
    return FinalEvent(step=job.steps, result=job.result)
