"""Many calls at once: order, errors, memory and an early end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.road import Road, at_rest, fails, until

from penstock.errors import AuthenticationError, UsageError

pytestmark = pytest.mark.asyncio


def numbered(count: int, **more: Any) -> Iterator[dict[str, Any]]:
    """Requests that say their number."""
    for number in range(count):
        yield {"messages": str(number), **more}


async def test_results_come_in_order(road: Road) -> None:
    """By default the results follow the requests, whichever was ready first."""
    client = road.client({"m": "echo", "slow": "echo?ttft=0.1"})
    requests = [{"model": "slow" if n % 3 == 0 else "m", "messages": str(n)} for n in range(9)]

    results = [result async for result in client.map(requests, concurrency=4)]

    assert list(range(9)) == [result.index for result in results]
    assert [str(n) for n in range(9)] == [result.reply.text for result in results if result.reply]


async def test_results_come_as_they_are_ready(road: Road) -> None:
    """Unordered, a slow call holds back nobody, and every result has its place."""
    client = road.client({"m": "echo", "slow": "echo?ttft=1"})
    requests = [{"model": "slow" if n == 0 else "m", "messages": str(n)} for n in range(6)]

    results = [r async for r in client.map(requests, concurrency=3, ordered=False)]

    assert 0 == results[-1].index
    assert set(range(6)) == {result.index for result in results}
    assert all(r.reply is not None and r.reply.text == str(r.index) for r in results)


@pytest.mark.parametrize("ordered", [True, False])
async def test_each_error_is_a_result(road: Road, ordered: bool) -> None:
    """One call's error, or its caller's mistake, ends no other call."""
    client = road.client({"m": "echo", "bad": "echo?fault=invalid-key"})
    requests: list[dict[str, Any]] = [
        {"messages": "a"},
        {"model": "bad", "messages": "b"},
        {"messages": "c", "temprature": 1},
        {"messages": "d"},
    ]

    results = [r async for r in client.map(requests, ordered=ordered)]

    by_index = {result.index: result for result in results}
    assert [None, AuthenticationError, UsageError, None] == [
        None if by_index[n].error is None else type(by_index[n].error) for n in range(4)
    ]
    assert ["a", None, None, "d"] == [
        r.reply.text if (r := by_index[n]).reply is not None else None for n in range(4)
    ]


@pytest.mark.parametrize("ordered", [True, False])
async def test_what_is_no_error_of_penstock_is_a_result_too(road: Road, ordered: bool) -> None:
    """A request that is none, and a caller's function that fails, end no other call."""

    def failing() -> list[dict[str, str]]:
        raise KeyError("mine")

    requests: list[Any] = [
        *({"messages": "a"}, "no mapping", None, {1: 2}, {"no_such": 1}),
        *({"messages": failing}, {"messages": "b", "middleware": 5}, {"messages": "d"}),
    ]

    results = [r async for r in road.client().map(requests, ordered=ordered)]

    by_index = {result.index: result for result in results}
    kinds = [type(by_index[n].error) for n in range(len(requests))]
    assert ["a", "d"] == [by_index[n].reply.text for n in (0, 7)]  # type: ignore[union-attr]
    assert [UsageError] * 4 == kinds[1:5]
    assert KeyError in (kinds[5], type(by_index[5].error.__cause__))  # type: ignore[union-attr]
    assert issubclass(kinds[6], Exception)


@pytest.mark.parametrize("ordered", [True, False])
async def test_concurrency_is_a_bound(road: Road, ordered: bool) -> None:
    """No more calls than asked for are under way at once, and as many are."""
    client = road.client("echo?ttft=0.6")  # all four begin in that time, on a busy machine too

    count = 0
    async for _ in client.map(numbered(8), concurrency=4, ordered=ordered):
        count += 1

    assert 8 == count
    assert 4 == road.sim.stats().peak


async def test_requests_are_taken_as_results_are(road: Road) -> None:
    """A source of any length is read no further than the calls that are begun and not taken."""
    taken = 0

    def source() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for request in numbered(10_000):
            taken += 1
            yield request

    client = road.client()
    results = client.map(source(), concurrency=5)
    for _ in range(10):
        await anext(results)
    await asyncio.sleep(0.05)

    assert taken <= 10 + 5 + 1
    await results.aclose()
    await at_rest(client)


async def test_a_slow_source_holds_back_no_result(road: Road) -> None:
    """A result is there before the next request is, though there is room for more calls."""
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        yield {"messages": "first"}
        await go_on.wait()
        yield {"messages": "second"}

    results = road.client().map(source(), concurrency=10)

    first = await anext(results)
    go_on.set()
    second = await anext(results)

    assert ["first", "second"] == [r.reply.text for r in (first, second) if r.reply]
    assert [] == [result async for result in results]


@pytest.mark.parametrize("ordered", [True, False])
async def test_an_early_end_cancels_the_rest(road: Road, ordered: bool) -> None:
    """Closing the map cancels what is under way and leaves nothing."""
    client = road.client({"m": "echo", "silent": "echo?fault=silent"})
    requests = [{"messages": "a"}] + [{"model": "silent", "messages": "b"}] * 9

    results = client.map(requests, concurrency=5, ordered=ordered)
    assert (await anext(results)).reply is not None
    await until(lambda: len(road.sim.requests) >= 5)
    await results.aclose()

    await at_rest(client)
    assert 1 + 5 >= len(road.sim.requests)
    assert [] == [result async for result in results]


async def test_a_source_that_fails_ends_the_map(road: Road) -> None:
    """What the source raises reaches the caller, after what was asked before is cancelled."""

    def source() -> Iterator[dict[str, Any]]:
        yield {"model": "silent", "messages": "a"}
        raise KeyError("source")

    client = road.client({"silent": "echo?fault=silent"})

    error = await fails(_all(client.map(source())))

    assert isinstance(error, KeyError)
    await at_rest(client)


async def test_a_map_of_nothing_is_empty(road: Road) -> None:
    """No requests, no results."""
    assert [] == [result async for result in road.client().map([])]


async def test_no_concurrency_is_a_mistake(road: Road) -> None:
    """Fewer than one call at once is refused."""
    assert isinstance(await fails(_all(road.client().map([], concurrency=0))), UsageError)


async def _all(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]
