"""The driver of the plan: `penstock.policies.router`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from penstock.errors import (
    AllProvidersFailedError,
    InvalidRequestError,
    PenstockError,
    RateLimitError,
    ServerError,
)
from penstock.interfaces import CallRecord, Stream
from penstock.policies.budget import RetryBudget
from penstock.policies.router import Router
from penstock.request import ChatRequest

pytestmark = pytest.mark.asyncio


class FakeStream:
    """As much of a stream as the router touches."""

    def __init__(self) -> None:
        self.record = CallRecord(status=200, request_id="req-2")


@dataclass
class FakeRoute:
    """A deployment that fails with its errors in turn and then answers."""

    deployment: str
    errors: list[PenstockError] = field(default_factory=list)
    model: str = "wire"
    total: float | None = 100.0
    asked: int = 0
    started: list[float | None] = field(default_factory=list)

    @property
    def provider(self) -> FakeRoute:
        """The route is its own provider."""
        return self

    async def open(self, request: Any) -> Any:
        """Fail, or answer."""
        self.asked += 1
        self.started.append(request.started)
        if self.errors:
            raise self.errors.pop(0)
        return FakeStream()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds


def routed(routes: Sequence[FakeRoute], clock: Clock) -> Router:
    """Return a router over `routes` on `clock`."""
    return Router(
        lambda _: routes,  # type: ignore[arg-type,return-value]  # the fake has what is used
        max_retries=2,
        budget=RetryBudget(),
        sleep=clock.sleep,
        clock=clock,
        random=lambda: 0.5,
    )


async def ask(*routes: FakeRoute, clock: Clock | None = None) -> Stream[Any]:
    """Open a call over `routes`."""
    return await routed(routes, clock or Clock()).open(ChatRequest(model="m", messages=[]))


async def test_the_first_that_answers_is_the_answer() -> None:
    """A fallback comes at once, and the record lists both tries."""
    clock = Clock()
    stream = await ask(FakeRoute("a", [ServerError("no", status=500)]), FakeRoute("b"), clock=clock)

    assert [] == clock.slept
    assert [("a", "ServerError", 500), ("b", None, 200)] == [
        (attempt.deployment, attempt.error, attempt.status) for attempt in stream.record.attempts
    ]


async def test_a_single_deployment_raises_its_own_error() -> None:
    """Not `AllProvidersFailedError`: there was no list."""
    with pytest.raises(ServerError, match="third") as caught:
        await ask(
            FakeRoute("a", [ServerError("first"), ServerError("second"), ServerError("third")])
        )

    assert ["first", "second", "third"] == [a.message for a in caught.value.attempts]


async def test_a_list_that_fails_says_how_each_failed() -> None:
    """`AllProvidersFailedError` has every try, and what the last one said."""
    failing = [RateLimitError("slow", retry_after=90, status=429) for _ in range(3)]
    with pytest.raises(AllProvidersFailedError) as caught:
        await ask(FakeRoute("a", [ServerError("down")]), FakeRoute("b", list(failing)))

    assert ["a", "b"] == [attempt.deployment for attempt in caught.value.attempts]
    assert 90 == caught.value.retry_after
    assert isinstance(caught.value.__cause__, RateLimitError)


async def test_an_error_that_no_other_can_help_is_raised_at_once() -> None:
    """A request that is wrong is wrong everywhere."""
    behind = FakeRoute("b")
    with pytest.raises(InvalidRequestError):
        await ask(FakeRoute("a", [InvalidRequestError("bad")]), behind)

    assert 0 == behind.asked


async def test_the_call_is_one_clock() -> None:
    """The first try begins with it; the next where that ended, told when the call began."""
    clock, route = Clock(), FakeRoute("a", [ServerError(), ServerError()])
    await ask(route, clock=clock)

    assert [0.25, 0.5] == clock.slept
    assert [None, 0.0, 0.0] == route.started


async def test_a_call_within_a_call_keeps_its_clock() -> None:
    """What a router around this one says of its beginning holds for every try."""
    route = FakeRoute("a", [ServerError()])
    await routed([route], Clock()).open(ChatRequest(model="m", messages=[], started=-3.0))

    assert [-3.0, -3.0] == route.started


async def test_a_call_within_a_call_waits_no_longer_than_that_has_left() -> None:
    """Where 97.5 of its 100 s had passed before it, it does not wait for 3 more and then fail."""
    clock = Clock()
    route = FakeRoute("a", [RateLimitError("slow", retry_after=3.0)])
    router = routed([route], clock)
    with pytest.raises(RateLimitError, match="slow"):
        await router.open(ChatRequest(model="m", messages=[], started=-97.5))
    assert [] == clock.slept

    route.errors.append(RateLimitError("slow", retry_after=3.0))
    await router.open(ChatRequest(model="m", messages=[], started=-96.0))
    assert [3.25] == clock.slept


async def test_cancellation_passes_untouched() -> None:
    """Row 20, row 27: a cancelled call is no failure of the deployment."""

    class Hanging(FakeRoute):
        async def open(self, request: Any) -> Any:
            self.asked += 1
            await asyncio.Event().wait()

    behind, first = FakeRoute("b"), Hanging("a")
    task = asyncio.ensure_future(ask(first, behind))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (1, 0) == (first.asked, behind.asked)
