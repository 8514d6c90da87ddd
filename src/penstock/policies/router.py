"""A provider over providers: one call, its deployments in order, by the plan of `attempts`."""

from __future__ import annotations

from math import inf
from random import random as uniform
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from penstock.errors import AllProvidersFailedError, Attempt, PenstockError
from penstock.policies.attempts import Again, AttemptPlan, Elsewhere, GiveUp, Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from penstock.interfaces import Provider, Stream
    from penstock.policies.budget import RetryBudget
    from penstock.request import ItemT, Request

__all__ = ["Route", "Router"]


class Route(Protocol):
    """One deployment that can serve a call."""

    @property
    def deployment(self) -> str:
        """The deployment's key."""
        ...

    @property
    def model(self) -> str:
        """The model's name on the wire."""
        ...

    @property
    def total(self) -> float | None:
        """Seconds that a call may take there at most; None for as long as it likes."""
        ...

    @property
    def provider(self) -> Provider:
        """Who answers."""
        ...


class Router:
    """Answers requests by the first deployment of the request's plan that can.

    Args:
        routes: Finds the deployments of a request, the model's own first and its fallbacks after.
        max_retries: Tries beyond the first, where the request names no other number.
        budget: The client's store of retries.
        sleep: Waits for so many seconds.
        clock: A steady clock, in seconds.
        random: A source of numbers in [0, 1), for the jitter.
        note: Is told of every try that failed, and in words what comes next.
    """

    def __init__(
        self,
        routes: Callable[[Request[Any]], Sequence[Route]],  # Any: whatever it answers with
        *,
        max_retries: int,
        budget: RetryBudget,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float] = monotonic,
        random: Callable[[], float] = uniform,
        note: Callable[[Attempt, str], None] | None = None,
    ) -> None:
        self._routes = routes
        self._max_retries = max_retries
        self._budget = budget
        self._sleep = sleep
        self._clock = clock
        self._random = random
        self._note = note

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Return the first stream that one of the deployments begins.

        Raises:
            AllProvidersFailedError: Every deployment of a list failed.
            PenstockError: The only deployment failed, or one in a way that no other can help.
        """
        routes = self._routes(request)
        plan: AttemptPlan | None = None  # what goes well at once needs none
        started = began = self._clock()
        self._budget.called(started)
        attempts: list[Attempt] = []
        at = 0
        while True:
            route = routes[at]
            try:
                stream = await route.provider.open(request)
                break
            except PenstockError as error:
                attempts.append(_failed(error, route, began - started, self._clock() - began))
                plan = plan or self._plan(request, len(routes))
                since = started if request.started is None else request.started
                left = _total(request, route) - (self._clock() - since)
                step = self._step(plan, error, attempts[-1], left)
                if isinstance(step, GiveUp):
                    verdict = _verdict(error, attempts, step, listed=len(routes) > 1)
                    # An error that is its own cause is a cycle that only the collector frees.
                    raise verdict from (error.__cause__ if verdict is error else error)
            if isinstance(step, Elsewhere):
                at += 1
            elif isinstance(step, Again):
                await self._sleep(step.after)
            began = self._clock()
            if request.started is None:  # the first try's clocks began with it
                request = replace(request, started=started)
        record = stream.record
        if self._budget.owed:
            self._budget.succeeded(retried=len(attempts) > at)
        attempts.append(
            Attempt(
                deployment=route.deployment,
                model=route.model,
                error=None,
                status=record.status,
                started=began - started,
                elapsed=self._clock() - began,
                request_id=record.request_id,
                dropped=tuple(record.dropped),
            )
        )
        record.attempts = attempts
        return stream

    def _step(self, plan: AttemptPlan, error: PenstockError, attempt: Attempt, left: float) -> Step:
        """Return what comes after an `attempt` that ended with `error`, and tell of it."""
        step = plan.after(error, now=self._clock(), remaining=left)
        if self._note is not None:
            self._note(attempt, _in_words(step))
        return step

    def _plan(self, request: Request[Any], deployments: int) -> AttemptPlan:
        return AttemptPlan(
            deployments,
            max_retries=self._max_retries if request.max_retries is None else request.max_retries,
            budget=self._budget,
            random=self._random,
            fallback_on=request.fallback_on,
        )


def _in_words(step: Step) -> str:
    match step:
        case Again(after):
            return f"once more in {after:.3f} s"
        case Elsewhere():
            return "the next deployment"
        case _:
            return "no more tries"


def _total(request: Request[Any], route: Route) -> float:
    """Return the seconds that the call may take there: its own clock comes over the route's."""
    total = route.total
    if request.timeouts is not None and "total" in request.timeouts.given:
        total = request.timeouts.total
    return inf if total is None else total


def _verdict(
    error: PenstockError, attempts: list[Attempt], step: GiveUp, *, listed: bool
) -> PenstockError:
    error.attempts = tuple(attempts)
    if not (listed and step.exhausted) or error.committed:
        return error
    tried = "; ".join(f"{a.deployment}: {a.error}: {a.message}" for a in attempts)
    return AllProvidersFailedError(
        f"all {len({a.deployment for a in attempts})} deployments failed: {tried}",
        provider=error.provider,
        model=error.model,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        retry_after=error.retry_after,
        reset_at=error.reset_at,
        dropped=error.dropped,
        attempts=attempts,
        metadata=error.metadata,
        retryable=error.retryable,
    )


def _failed(error: PenstockError, route: Route, started: float, elapsed: float) -> Attempt:
    return Attempt(
        deployment=route.deployment,
        model=route.model,
        error=type(error).__name__,
        message=error.message,
        status=error.status,
        retry_after=error.retry_after,
        started=started,
        elapsed=elapsed,
        request_id=error.request_id,
        dropped=error.dropped,
    )
