"""Rows 1 to 7 of the fault matrix, over real HTTP: time and liveness."""

from __future__ import annotations

import re

import pytest
from tests.road import Road, clocks, fails

from penstock import sse
from penstock.errors import DeadlineError
from penstock.limits import Limits

pytestmark = pytest.mark.asyncio

SHORT = 0.15
"""Seconds of a clock that is to run out."""
LONG = 20.0
"""Seconds of one that must not."""
ALIVE = 0.6
"""Seconds of one that a peer meets which says something every 0.02 s, on a busy machine too."""


async def ends(road: Road, behavior: str, **limits: float | None) -> DeadlineError:
    """The expired clock that ends a call which asks for `behavior`."""
    error = await fails(road.client(behavior, timeouts=clocks(**limits)).chat(None, "hi"))
    assert isinstance(error, DeadlineError), repr(error)
    return error


@pytest.mark.parametrize("fault", ["silent", "headers-then-silence"])
async def test_row_1_ttft_runs_without_a_chunk(road: Road, fault: str) -> None:
    """Row 1: a silent server is ended by ``ttft``, though no chunk ever came to check it."""
    error = await ends(road, f"echo?fault={fault}", ttft=SHORT, total=LONG)

    assert ("ttft", SHORT) == (error.phase, error.limit)
    assert not error.committed
    assert error.retryable


async def test_row_1_ttft_counts_for_each_try(road: Road) -> None:
    """Row 1: a deployment that is silent until ``ttft`` leaves the call to the next one."""
    # The second one answers at once, and has as long as the first: on a busy machine, too.
    behaviors = {"a": "echo?fault=silent", "b": "echo"}
    patience = clocks(ttft=2 * ALIVE, total=LONG)
    client = road.client(behaviors, fallbacks={"a": ["b"]}, timeouts=patience)

    reply = await client.chat("a", "hi")

    assert ("hi", "b") == (reply.text, reply.deployment)
    assert ["DeadlineError", None] == [attempt.error for attempt in reply.attempts]


@pytest.mark.parametrize(
    ("behavior", "phase"),
    [
        ("echo?fault=silent", "response"),
        ("echo?fault=drip-headers&interval=0.02", "ttft"),
        ("echo?fault=headers-then-silence", "idle"),
        ("echo?fault=hang@1", "idle"),
        ("echo?fault=pings@1&interval=0.02", "progress"),
        ("text?tokens=1000&rate=50", "total"),
    ],
)
async def test_row_2_each_limit_is_its_own(road: Road, behavior: str, phase: str) -> None:
    """Row 2: each clock ends what it is for, by its own name, with the others off."""
    error = await ends(road, behavior, **{phase: 2 * SHORT})

    assert phase == error.phase
    assert 2 * SHORT == error.limit
    assert error.elapsed is not None
    assert error.elapsed >= 2 * SHORT


async def test_row_2_ttft_does_not_cut_a_long_answer(road: Road) -> None:
    """Row 2: an answer that takes twice ``ttft``, ``idle`` and ``progress`` is whole."""
    timeouts = clocks(ttft=ALIVE, response=ALIVE, idle=ALIVE, progress=ALIVE)
    client = road.client("text?tokens=62&rate=50", timeouts=timeouts)

    reply = await client.chat(None, "hi")

    assert ("stop", 62) == (reply.finish_reason, len(reply.text.split()))
    assert reply.timings.total is not None
    assert reply.timings.total > 2 * ALIVE


@pytest.mark.parametrize(
    "fault",
    [
        "role-then-silence",
        "role-forever&interval=0.02",
        "pings&interval=0.02",
        "comments&interval=0.02",
    ],
)
async def test_row_3_only_content_ends_the_wait(road: Road, fault: str) -> None:
    """Row 3: headers, roles, pings and comments do not satisfy ``ttft``."""
    error = await ends(road, f"echo?fault={fault}", ttft=SHORT, idle=LONG, total=LONG)

    assert "ttft" == error.phase
    assert 1 == len(road.sim.requests)


async def test_row_4_pings_keep_a_thinking_model_alive(road: Road) -> None:
    """Row 4: any byte resets ``idle``, only content ``progress``; the error tells of both."""
    error = await ends(
        road, "echo?fault=pings@1&interval=0.02", idle=ALIVE, progress=ALIVE + SHORT, total=LONG
    )

    assert "progress" == error.phase
    assert "the last content" in error.message
    last = re.search(r"bytes had arrived, the last ([0-9.]+) s ago", error.message)
    assert last is not None
    assert float(last[1]) < ALIVE
    assert error.committed


async def test_row_4_endless_comments_are_no_life(road: Road) -> None:
    """Row 4: comments count as a sign of life up to ``max_silence``, and no further."""
    client = road.client(
        "text?tokens=3&fault=comments@1&interval=0.002",
        timeouts=clocks(idle=SHORT, total=LONG),
        limits=Limits(max_silence=1024),
    )

    error = await fails(client.chat(None, "hi"))

    assert isinstance(error, DeadlineError)
    assert "idle" == error.phase


async def test_row_5_a_silent_peer_is_ended_by_the_idle_clock(road: Road) -> None:
    """Row 5: a read that nothing wakes ends within ``idle``, with what had come."""
    client = road.client("text?tokens=5&fault=hang@3", timeouts=clocks(idle=SHORT))

    error = await fails(client.chat(None, "hi"))

    assert isinstance(error, DeadlineError)
    assert "idle" == error.phase
    assert error.partial is not None
    assert 3 == len(error.partial.text.split())


@pytest.mark.parametrize("phase", ["progress", "total"])
async def test_row_6_a_slow_drip_ends(road: Road, phase: str) -> None:
    """Row 6: a byte just inside each read's limit is ended by ``progress`` and by ``total``."""
    limits = {"idle": ALIVE, phase: ALIVE + SHORT}

    error = await ends(road, "echo?fault=drip@1&interval=0.02", **limits)

    assert phase == error.phase


async def test_row_6_a_minimum_rate_ends_a_trickle(road: Road) -> None:
    """Row 6: content that comes, but slower than ``min_rate``, ends after a progress window."""
    error = await ends(road, "text?tokens=500&rate=40", min_rate=1e6, progress=SHORT, idle=LONG)

    assert ("min_rate", 1e6) == (error.phase, error.limit)


async def test_row_7_a_gateway_pings_by_itself(road: Road) -> None:
    """Row 7: while the answer is silent, re-streamed events have keep-alive comments."""
    client = road.client("text?tokens=2&ttft=0&fault=hang@1", timeouts=clocks(idle=4 * SHORT))
    async with client.stream(None, "hi") as stream:
        events = [event async for event in sse.encode(stream, keep_alive=SHORT / 2)]

    assert b": keep-alive\n\n" in events
    assert events[-1].startswith(b'data: {"error"')
