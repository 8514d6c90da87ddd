"""How far a run is, and what it may not exceed: its time, its steps, its cost, its repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from penstock.errors import DeadlineError, LimitExceededError, PenstockError

if TYPE_CHECKING:
    from penstock.agents.events import LoopResult
    from penstock.agents.history import History
    from penstock.agents.limits import LoopLimits
    from penstock.agents.toolbox import Toolbox
    from penstock.agents.tools import Approve
    from penstock.chunks import Usage
    from penstock.conversations import Conversation
    from penstock.response import Reply, ToolCall
    from penstock.stream import ChatStream

__all__ = ["Job", "Repeats"]

T = TypeVar("T")

_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost")


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
    repeats: Repeats = field(default_factory=Repeats)

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

    async def in_time(self, waiting: Awaitable[T]) -> T:
        """Wait for `waiting`, for as long as the run may take."""
        clock = asyncio.timeout(self.left)
        try:
            async with clock:
                return await waiting
        except TimeoutError:
            if not clock.expired():
                raise
        except PenstockError as error:
            error.partial = error.partial or self.partial
            raise
        raise self.overtime(self.partial)

    def overtime(self, partial: Reply | None) -> DeadlineError:
        """Return the error of a run whose time is up, with what there is of its answer."""
        return DeadlineError(
            f"the run has no answer after {self.elapsed:.1f} seconds, in step {self.steps}: "
            f"LoopLimits.timeout is {self.limits.timeout:g}",
            phase="timeout",
            limit=self.limits.timeout,
            elapsed=self.elapsed,
            partial=partial,
            retryable=False,
            elsewhere=False,
            peer_fault=False,
        )

    def check_step(self) -> None:
        """Refuse another question where there were enough."""
        most = self.limits.max_steps
        if most is not None and self.steps >= most:
            raise self._exceeded("max_steps", self.steps + 1)

    def check_reply(self, reply: Reply) -> None:
        """Refuse to make calls whose results nobody would read, or that lead nowhere."""
        self.check_step()
        cost, most = self.limits.max_cost, self.limits.max_repeats
        if cost is not None and self.cost is not None and self.cost > cost:
            raise self._exceeded("max_cost", self.cost)
        repeated = self.repeats.most(reply.tool_calls)
        if most is not None and repeated > most:
            raise self._exceeded("max_repeats", repeated)

    def _exceeded(self, name: str, reached: float) -> LimitExceededError:
        limit = getattr(self.limits, name)
        return LimitExceededError(
            f"the run exceeds LoopLimits.{name}: {reached:g} over {limit:g}, in step {self.steps}",
            phase=name,
            limit=limit,
            elapsed=reached,
            partial=self.partial,
            elsewhere=False,
        )


def _canonical(arguments: str) -> str:
    """Return arguments so that the same ones are the same text, however they are spelt."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic").decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return arguments


def _sum(so_far: Usage | None, more: Usage | None) -> Usage | None:
    """Return the tokens of both; what neither says stays unsaid."""
    if so_far is None or more is None:
        return so_far or (more and replace(more, raw=None))
    sums: dict[str, Any] = {n: getattr(so_far, n) + getattr(more, n) for n in _COUNTS}
    for name in _DETAILS:
        said = [v for v in (getattr(so_far, name), getattr(more, name)) if v is not None]
        sums[name] = sum(said) if said else None
    return replace(so_far, raw=None, **sums)
