"""One run of a tool loop: its events, its clock, its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from msgspec.structs import replace

from penstock.agents.calls import Calls
from penstock.agents.events import (
    FinalEvent,
    LoopEvent,
    LoopResult,
    ReasoningEvent,
    StepEvent,
    TextEvent,
    ToolCallEvent,
)
from penstock.agents.history import Pending
from penstock.chunks import Chunk, ReasoningDelta, TextDelta, Usage
from penstock.cutting import interruptible
from penstock.errors import (
    DeadlineError,
    LimitExceededError,
    PenstockError,
    StreamClosedError,
    UsageError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.agents.history import History
    from penstock.agents.limits import LoopLimits
    from penstock.agents.toolbox import Toolbox
    from penstock.agents.tools import Approve
    from penstock.conversations import Conversation
    from penstock.cutting import Interruptible
    from penstock.response import Reply, ToolCall
    from penstock.stream import ChatStream

__all__ = ["Job", "ToolRun"]

T = TypeVar("T")


@dataclass(slots=True)
class Job:
    """What a run is to do, and how far it is."""

    ask: Callable[[Conversation, list[Any]], Awaitable[ChatStream]]  # Any: schemas
    history: History
    messages: Any  # Any: what a run begins with; `History.add` checks it
    system: str | None
    box: Toolbox
    own: bool
    """Whether the tools are this run's alone, and end with it."""
    limits: LoopLimits
    approve: Approve | None
    leaving: set[asyncio.Task[Any]]  # Any: whatever a task gives
    steps: int = 0
    calls: int = 0
    usage: Usage | None = None
    cost: float | None = None
    reply: Reply | None = None
    result: LoopResult | None = None
    started: float = 0.0
    repeats: Repeats = field(default_factory=lambda: Repeats())  # made below

    def took(self, reply: Reply) -> None:
        """Count a step's answer."""
        self.reply = reply
        self.usage = _sum(self.usage, reply.usage)
        if reply.cost is not None:
            self.cost = (self.cost or 0.0) + reply.cost

    @property
    def partial(self) -> Reply | None:
        """The last answer, for an error: without the request, in which the prompt is."""
        return None if self.reply is None else replace(self.reply, command=None)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return asyncio.get_running_loop().time() - self.started

    @property
    def left(self) -> float | None:
        """Seconds until the run has to end; None without a bound."""
        timeout = self.limits.timeout
        return None if timeout is None else max(timeout - self.elapsed, 0.0)


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


class Repeats:
    """Counts calls that are the same as the one before, and steps that are."""

    def __init__(self) -> None:
        self._last: tuple[str, str] | None = None
        self._step: list[tuple[str, str]] = []
        self._calls = self._steps = 0

    def most(self, calls: list[ToolCall]) -> int:
        """Return how often in a row a call, or a set of calls, was made: this step's included."""
        said = [(call.name, _canonical(call.arguments)) for call in calls]
        most = 0
        for one in said:
            self._calls = self._calls + 1 if one == self._last else 1
            self._last = one
            most = max(most, self._calls)
        self._steps = self._steps + 1 if sorted(said) == self._step else 1
        self._step = sorted(said)
        return max(most, self._steps)


async def _events(job: Job) -> AsyncGenerator[LoopEvent, None]:
    """Yield what happens; whatever is open at any point is closed when this is."""
    job.started = asyncio.get_running_loop().time()
    try:
        await _in_time(job, _begin(job))
        pending = await _in_time(job, job.history.pending())
        while True:
            if pending:
                for event in _announced(job, pending):
                    yield event
                calls = _called(job, pending)
                try:
                    while events := await _in_time(job, calls.read()):
                        for event in events:
                            yield event
                finally:
                    await calls.aclose()
            await _in_time(job, _refreshed(job))
            answer = await _Answer.to(job)
            try:
                async for event in answer:
                    yield event
            finally:
                await answer.aclose()
            reply = await _in_time(job, answer.kept())
            yield _stepped(job, reply)
            if not reply.tool_calls:
                yield _final(job, reply)
                return
            _check_reply(job, reply)
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
    _check_step(job)
    await job.box.refresh()


class _Answer:
    """The model's answer in one step: events as they come, cut off when the run's time is up.

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
    async def to(cls, job: Job) -> _Answer:
        """Ask the model."""
        stream = await _in_time(job, job.ask(job.history.conversation, job.box.schemas))
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
        raise _overtime(self._job, replace(self._stream.response, command=None))


async def _in_time(job: Job, waiting: Awaitable[T]) -> T:
    """Wait for `waiting`, for as long as the run may take."""
    clock = asyncio.timeout(job.left)
    try:
        async with clock:
            return await waiting
    except TimeoutError:
        if not clock.expired():
            raise
    except PenstockError as error:
        error.partial = error.partial or job.partial
        raise
    raise _overtime(job, job.partial)


def _overtime(job: Job, partial: Reply | None) -> DeadlineError:
    return DeadlineError(
        f"the run has no answer after {job.elapsed:.1f} seconds, in step {job.steps}: "
        f"LoopLimits.timeout is {job.limits.timeout:g}",
        phase="timeout",
        limit=job.limits.timeout,
        elapsed=job.elapsed,
        partial=partial,
        retryable=False,
        elsewhere=False,
        peer_fault=False,
    )


def _exceeded(job: Job, name: str, reached: float) -> LimitExceededError:
    limit = getattr(job.limits, name)
    return LimitExceededError(
        f"the run exceeds LoopLimits.{name}: {reached:g} over {limit:g}, in step {job.steps}",
        phase=name,
        limit=limit,
        elapsed=reached,
        partial=job.partial,
        elsewhere=False,
    )


def _check_step(job: Job) -> None:
    """Refuse another question where there were enough."""
    most = job.limits.max_steps
    if most is not None and job.steps >= most:
        raise _exceeded(job, "max_steps", job.steps + 1)


def _check_reply(job: Job, reply: Reply) -> None:
    """Refuse to make calls whose results nobody would read, or that lead nowhere."""
    _check_step(job)
    cost, most = job.limits.max_cost, job.limits.max_repeats
    if cost is not None and job.cost is not None and job.cost > cost:
        raise _exceeded(job, "max_cost", job.cost)
    repeated = job.repeats.most(reply.tool_calls)
    if most is not None and repeated > most:
        raise _exceeded(job, "max_repeats", repeated)


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


def _event(chunk: Chunk, step: int) -> LoopEvent | None:
    """Return what a chunk of the first choice is to the reader of a run."""
    if chunk.choice != 0:
        return None
    if isinstance(chunk, TextDelta):
        return TextEvent(step=step, text=chunk.text)
    if isinstance(chunk, ReasoningDelta) and chunk.reasoning:
        return ReasoningEvent(step=step, reasoning=chunk.reasoning)
    return None


def _canonical(arguments: str) -> str:
    """Return arguments so that the same ones are the same text, however they are spelt."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic").decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return arguments


_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost")


def _sum(so_far: Usage | None, more: Usage | None) -> Usage | None:
    """Return the tokens of both; what neither says stays unsaid."""
    if so_far is None or more is None:
        return so_far or (more and replace(more, raw=None))
    sums: dict[str, Any] = {n: getattr(so_far, n) + getattr(more, n) for n in _COUNTS}
    for name in _DETAILS:
        said = [v for v in (getattr(so_far, name), getattr(more, name)) if v is not None]
        sums[name] = sum(said) if said else None
    return replace(so_far, raw=None, **sums)
