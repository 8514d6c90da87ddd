"""What the client says of itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.bench import Summary, load
from penstock.bench.health import HealthWatch

SUMMARY = load(Path(__file__).parent / "data" / "bench.json").points[0].summary


def late(seconds: float) -> Summary:
    """Return a summary whose requests were sent so late."""
    delay = SUMMARY.metrics["start_delay"]
    moved = replace(delay, percentiles=dict.fromkeys(delay.percentiles, seconds))
    return replace(SUMMARY, metrics=SUMMARY.metrics | {"start_delay": moved})


@pytest.mark.asyncio
async def test_a_stall_counts_for_all_timers_that_it_held_up() -> None:
    """Of 0.3 s spent in one callback, timers were late by 0.28, 0.26, ... : most of the time."""
    watch = HealthWatch()
    async with watch:
        await asyncio.sleep(0.05)
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0.05)
    health = watch.judge(SUMMARY, capped=False)
    lag = health.loop_lag

    assert lag is not None
    assert lag.max > 0.25
    assert lag.count > 13
    assert health.limited
    assert "the client was the limit" in health.warnings[0]


def lagging(milliseconds: float, **times: float) -> tuple[str, ...]:
    """Return the warnings of a loop that was so late, where times were so many milliseconds."""
    watch = HealthWatch()
    for _ in range(100):
        watch._lag.add(milliseconds / 1000)
    known = SUMMARY.metrics["ttft"]
    metrics = {
        name: replace(known, percentiles=dict.fromkeys(known.percentiles, each / 1000))
        for name, each in times.items()
    }
    return watch.judge(replace(SUMMARY, metrics=metrics), capped=False).warnings


@pytest.mark.parametrize(
    ("milliseconds", "times"),
    [
        (3.0, {"itl": 20.0, "ttft": 800.0}),
        (9.0, {"ttft": 300.0}),
        (4.0, {"itl": 0.0}),
        (30.0, {"e2e": 1000.0}),
    ],
)
def test_a_lag_beyond_the_precision_is_said(milliseconds: float, times: dict[str, float]) -> None:
    """More than 2 % of a time, and more than a millisecond beside the timer's own."""
    (said,) = lagging(milliseconds, **times)

    assert f"the client was the limit: its event loop came {milliseconds:.1f} ms late" in said


@pytest.mark.parametrize(
    ("milliseconds", "times"),
    [
        (1.9, {"itl": 20.0, "ttft": 30.0}),
        (3.0, {"itl": 200.0, "ttft": 800.0}),
        (15.0, {"ttft": 1000.0, "tpot": 10.0}),
        (50.0, {}),
    ],
)
def test_a_lag_within_the_precision_is_none(milliseconds: float, times: dict[str, float]) -> None:
    """What the figures promise holds all the same."""
    assert () == lagging(milliseconds, **times)


def test_the_largest_part_is_named() -> None:
    """Of 6 ms, one is the timer's own: a quarter of 20 ms, and less of the others."""
    (said,) = lagging(6.0, itl=20.0, ttft=100.0, e2e=200.0)

    assert "at least 25% of the ITL's p" in said


@pytest.mark.asyncio
async def test_a_busy_core_is_said() -> None:
    """More than four fifths of the time at work: what comes waits for it."""
    watch = HealthWatch()
    async with watch:
        until = time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
    watch._cpu = 0.93  # what a machine with other work leaves us is not the question

    assert "its core was busy 93%" in watch.judge(SUMMARY, capped=False).warnings[0]


def judged(summary: Summary, *, capped: bool = False) -> tuple[str, ...]:
    """Return the warnings of a client that had nothing to do."""
    return HealthWatch().judge(summary, capped=capped).warnings


def test_an_idle_client_is_no_limit() -> None:
    """Nothing to warn of."""
    assert () == judged(late(0.001))


def test_late_requests_are_said_but_where_a_bound_holds_them() -> None:
    """With a bound on concurrency the waiting is what was asked for."""
    assert ("requests were sent up to 50 ms after they were due (p99)",) == judged(late(0.05))
    assert () == judged(late(0.05), capped=True)


def test_a_full_pool_is_said() -> None:
    """Requests that the client itself refused."""
    summary = replace(late(0.0), errors={"pool": 3})

    assert ("3 requests got no connection from the client's own pool",) == judged(summary)


def test_a_client_without_sockets_is_said() -> None:
    """What the system refuses to the client is no fault of the server's."""
    said = "no connection to http://127.0.0.1:1: [Errno 24] Too many open files"
    summary = replace(late(0.0), errors={"connect": 3}, messages={"connect": said})
    (warning,) = judged(summary)

    assert warning.startswith("the client was the limit: it may open no more sockets")
    assert judged(replace(summary, messages={"connect": "[Errno 111] Connection refused"})) == ()
