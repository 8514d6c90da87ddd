"""Loads as they are run against the simulator: who is sent when, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from tests.bench.bed import ASK, USERS, bed, endless, one
from tests.road import until

from penstock import Client, Deployment
from penstock.bench import (
    Ask,
    Bench,
    Conversation,
    Load,
    RequestRecord,
    Settings,
)
from penstock.bench.run import Run
from penstock.bench.sweep import knee
from penstock.simulator import Simulator

pytestmark = pytest.mark.asyncio


async def test_requests_bound_a_load() -> None:
    """So many are measured, after so many to warm up; no more is sent."""
    async with bed() as it:
        point = await it.point(requests=7, warmup=3)

        assert (7, 10, 10) == (point.summary.requests, len(it.records), len(it.chats))
        assert [True] * 3 + [False] * 7 == [
            each.warmup for each in sorted(it.records, key=lambda record: record.number)
        ]
        assert 2 == point.summary.peak_concurrency


async def test_time_bounds_a_load() -> None:
    """No request begins after the end; those under way are waited for."""
    async with bed("text?tokens=2&ttft=0.05") as it:
        point = await it.point(duration=0.12)

    began = min(each.started for each in it.records)

    assert all(each.started - began < 0.12 for each in it.records)
    assert max(each.ended - began for each in it.records) > 0.12
    assert point.summary.succeeded == len(it.records)


async def test_a_workload_may_end_first() -> None:
    """A trace or a short list is done when it is done."""
    async with bed() as it:
        point = await it.point(lambda _: iter([one(), one(), one()]))

    assert 3 == point.summary.succeeded


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    """Ten requests are due within 45 ms, and all are sent, though none is answered."""
    settings = Settings(model="m", loads=(Load(kind="constant", rate=200),), requests=10)
    async with bed("text?tokens=1&ttft=30") as it:
        bench = Bench(it.client, settings, endless)
        running = asyncio.create_task(bench.run())
        await until(lambda: it.simulator.stats().answering == 10)
        bench.stop()
        result = await running

    assert (10, 0) == (
        result.points[0].summary.peak_concurrency,
        result.points[0].summary.requests,
    )


async def test_requests_are_due_at_the_rate() -> None:
    """Whatever becomes of them: 20 ms apart at fifty a second."""
    async with bed() as it:
        await it.run(load=Load(kind="constant", rate=50), requests=5)

    assert [0, 0.02, 0.04, 0.06, 0.08] == pytest.approx(
        sorted(each.scheduled for each in it.records), abs=1e-6
    )


async def test_waiting_counts_from_when_a_request_was_due() -> None:
    """One at a time, each 50 ms long, all due at once: the fifth took a quarter of a second."""
    load = Load(kind="constant", rate=1e6, concurrency=1)
    async with bed("text?tokens=1&ttft=0.05") as it:
        point = await it.point(load=load, requests=5)
    last = max(it.records, key=lambda record: record.ended)

    assert 1 == it.simulator.stats().peak
    assert last.e2e is not None
    assert last.e2e >= 0.25
    assert last.ended - last.started < last.e2e
    assert point.summary.metrics["ttft"].max >= 0.25
    assert () == tuple(w for w in point.health.warnings if "after they were due" in w)


async def test_a_trace_keeps_its_times() -> None:
    """At twice its speed, half of them; turns come when the one before is answered, or later."""
    follow = (
        Ask(({"role": "user", "content": "one"},)),
        Ask(({"role": "user", "content": "two"},), due=1.2),
    )
    made = [Conversation(follow, 0.0), Conversation((follow[0],), 0.2)]
    async with bed() as it:
        await it.run(lambda _: iter(made), load=Load(kind="trace", speed=2.0))

    assert [0.0, 0.1, 0.6] == pytest.approx(sorted(each.scheduled for each in it.records), abs=1e-6)


async def test_a_traces_time_begins_after_the_warm_up() -> None:
    """Warming up takes the first conversations; none of their time is waited for."""
    talks = [Conversation((ASK, replace(ASK, due=500.0)), 0.0) for _ in range(4)]
    rest = [Conversation((ASK,), due) for due in (1000.0, 1000.05)]
    async with bed() as it:
        point = await it.point(
            lambda _: iter([*talks, *rest]), load=Load(kind="trace", speed=1.0), warmup=5
        )

    assert 2 == point.summary.requests
    assert [0.0, 0.05] == pytest.approx(
        sorted(each.scheduled for each in it.records if not each.warmup), abs=1e-6
    )


async def test_users_begin_one_after_the_other_where_asked() -> None:
    """Over 80 ms: four users, 20 ms apart."""
    load = Load(kind="concurrency", concurrency=4, ramp_up=0.08)
    async with bed("text?tokens=1&ttft=0.3") as it:
        await it.run(load=load, requests=4)
    began = sorted(each.started for each in it.records)

    assert all(at >= number * 0.02 for number, at in enumerate(began))


async def test_a_conversation_remembers() -> None:
    """Each turn brings what was said before, the model's own answers among it."""
    talk = Conversation(tuple(Ask(({"role": "user", "content": t},)) for t in ("a", "b", "c")))
    async with bed("echo") as it:
        await it.run(lambda _: iter([talk]))
        last = json.loads(it.chats[-1].body)["messages"]

    assert [("user", "a"), ("assistant", "a"), ("user", "b"), ("assistant", "b")] == [
        (each["role"], each["content"]) for each in last[:4]
    ]
    assert [0, 1, 2] == [each.turn for each in it.records]


async def test_a_conversation_ends_where_it_is_not_answered() -> None:
    """There is nothing to go on from."""
    talk = Conversation(tuple(Ask(({"role": "user", "content": t},)) for t in ("a", "b")))
    async with bed("echo?status=500") as it:
        point = await it.point(lambda _: iter([talk]))

    assert ({"server": 1}, 1) == (point.summary.errors, len(it.chats))


async def test_the_limit_and_the_options_are_sent() -> None:
    """Whatever is asked of every request, in the vendor's words."""
    options = {"extra_body": {"top_k": 5}, "extra_headers": {"x-tag": "bench"}}
    async with bed("echo") as it:
        await it.run(lambda _: iter([one(output_tokens=9)]), options=options)
        sent = it.chats[-1]
        body = json.loads(sent.body)

    assert (5, "bench") == (body["top_k"], sent.headers["x-tag"])
    assert 9 == body.get("max_completion_tokens", body.get("max_tokens"))


async def test_several_loads_are_several_points() -> None:
    """Each asks something else, and the knee is among them."""
    asked: list[int] = []

    def source(place: int) -> Iterator[Conversation]:
        asked.append(place)
        return islice(endless(place), 6)

    loads = tuple(Load(kind="concurrency", concurrency=users) for users in (1, 2))
    async with bed("text?tokens=2&ttft=0.02") as it:
        result = await Bench(it.client, Settings(model="m", loads=loads), source).run()

    assert ([0, 1], [6, 6]) == (asked, [point.summary.succeeded for point in result.points])
    assert loads == tuple(point.load for point in result.points)
    assert result.knee is not None
    assert knee(result.points) == result.knee


async def test_a_sweep_ends_where_the_server_does() -> None:
    """Two are answered at once, and more are refused: four users, or eight, end it."""
    settings = Settings(
        model="m", loads=(Load(kind="concurrency", concurrency=1),), sweep=True, requests=16
    )
    async with bed("text?tokens=1&ttft=0.1&concurrency=2") as it:
        points = (await Bench(it.client, settings, endless).run()).points
    users = [point.load.concurrency for point in points]

    assert users in ([1, 2, 4], [1, 2, 4, 8])
    assert [0, 0] == [point.summary.failed for point in points[:2]]
    assert points[-1].summary.failed > points[-1].summary.succeeded


async def test_nothing_is_kept_of_a_request() -> None:
    """Of a run that is held, only figures are kept: no task, and a few hundred records."""
    async with bed("text?tokens=1") as it:
        runs: list[Run] = []

        def noted(_: RequestRecord) -> None:
            assert bench.run_now is not None
            runs.append(bench.run_now)

        settings = Settings(model="m", loads=(USERS,), requests=210)
        bench = Bench(it.client, settings, endless, on_record=noted)
        await bench.run()

    assert (210, 200, 0) == (runs[-1].done, len(runs[-1].recent), len(runs[-1]._tasks))
    assert all(len(run._tasks) <= 2 for run in runs)


async def test_a_burst_of_what_is_due_stops_at_the_end() -> None:
    """A thousand requests are due at once, and five were asked for."""
    async with bed("text?tokens=1") as it:
        point = await it.point(load=Load(kind="constant", rate=1e9), requests=5)

    assert (5, 5) == (point.summary.requests, len(it.chats))


DIALECTS = {
    # the dialect: the path of its addresses
    "openai_chat": "/v1",
    "openai_responses": "/v1",
    "anthropic_messages": "/v1",
    "gemini": "/v1beta",
    "mistral": "/v1",
    "cohere": "/v2",
    "ollama": "",
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_any_dialect_is_measured(dialect: str) -> None:
    """By the same definitions, with the tokens that its provider counts."""
    async with Simulator() as simulator:
        url = simulator.url + DIALECTS[dialect]
        place = Deployment(url, "key", model="text?tokens=5&usage=always", dialect=dialect)
        async with Client(deployments={"m": place}, transport="direct") as client:
            settings = Settings(model="m", loads=(USERS,), requests=3)
            (point,) = (await Bench(client, settings, endless).run()).points
    metrics = point.summary.metrics

    assert ({}, 3) == (point.summary.errors, point.summary.succeeded)
    assert {"ttft", "ttfot", "itl", "icl", "tpot", "e2e", "output_tokens"} <= metrics.keys()
    assert 5 == metrics["output_tokens"].max


@pytest.mark.parametrize(
    ("ends", "shares"),
    [
        ({"requests": 4}, [0.25, 0.5, 0.75, 1.0]),
        ({"requests": 4, "duration": 600.0}, [0.25, 0.5, 0.75, 1.0]),
        ({}, [None] * 4),
    ],
)
async def test_progress_is_known_where_an_end_is(
    ends: dict[str, Any], shares: list[float | None]
) -> None:
    """By requests or by time, whichever is further; of a trace nobody knows."""
    found: list[float | None] = []

    def noted(_: RequestRecord) -> None:
        assert bench.run_now is not None
        found.append(bench.run_now.progress)

    async with bed("text?tokens=1") as it:
        settings = Settings(model="m", loads=(Load(kind="concurrency", concurrency=1),), **ends)
        bench = Bench(it.client, settings, lambda _: islice(endless(0), 4), on_record=noted)
        await bench.run()

    assert shares == found
