"""Loads of which something is not answered: what is counted, said and kept, and how a run ends."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.bench.bed import USERS, bed, endless, one
from tests.road import until

from penstock import Client, Deployment
from penstock.bench import (
    Bench,
    Load,
    RequestRecord,
    Settings,
)
from penstock.errors import ConnectError, UsageError

pytestmark = pytest.mark.asyncio


FAILURES = {
    "text?status=429": "rate_limit",
    "text?fault=reset": "transport",
    "text?tokens=9&fault=reset@3": "truncated",
    "text?status=503": "unavailable",
}


@pytest.mark.parametrize("model", FAILURES)
async def test_failures_are_told_by_kind(model: str) -> None:
    """Each has its kind and message; the ones that were cut have no end."""
    async with bed(model) as it:
        point = await it.point(requests=3)
    record = it.records[0]

    assert {FAILURES[model]: 3} == point.summary.errors
    assert (None, None, FAILURES[model]) == (record.e2e, record.tpot, record.error)
    assert record.message
    assert {"start_delay"} == point.summary.metrics.keys()


async def test_retries_are_counted() -> None:
    """The first try of each key fails; the latency is that of both."""
    async with bed("text?tokens=2&fail=1&status=500&key=a", max_retries=1) as it:
        point = await it.point(requests=4)

    assert (1, 0, 0) == (point.summary.retries, point.summary.failed, point.summary.fallbacks)
    assert [0, 0, 0, 1] == sorted(each.retries for each in it.records)


async def test_fallbacks_are_counted() -> None:
    """By who answered in the end."""
    async with bed("text?status=500") as it:
        point = await it.point(requests=3, options={"fallbacks": ("other",)})

    assert (3, {"other": 3}) == (point.summary.fallbacks, point.summary.deployments)
    assert 2 == point.summary.metrics["output_tokens"].max


async def test_a_mistake_in_the_call_ends_the_run() -> None:
    """It would befall every request: it is raised, and nothing was sent."""
    async with bed() as it:
        with pytest.raises(UsageError, match="nonsense"):
            await it.run(requests=100, options={"nonsense": 1})

        assert [] == it.chats


async def test_a_server_that_is_not_there_ends_the_run() -> None:
    """Before a hundred requests say the same."""
    places = {"m": Deployment("http://127.0.0.1:9/v1", "key")}
    async with Client(deployments=places, transport="direct") as client:
        bench = Bench(client, Settings(model="m", loads=(USERS,), requests=100), endless)
        with pytest.raises(ConnectError):
            await bench.run()


@pytest.mark.parametrize("said", [b"", b"what?\r\n\r\n"])
async def test_a_server_without_a_list_of_models_is_measured(said: bytes) -> None:
    """Whether it hangs up when it is asked for it, or answers what is no HTTP."""
    text = {"index": 0, "delta": {"content": "yes"}, "finish_reason": "stop"}
    event = f"data: {json.dumps({'choices': [text]})}\n\ndata: [DONE]\n\n".encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if length := re.search(rb"content-length: (\d+)", asked.lower()):
            await reader.readexactly(int(length[1]))
        writer.write(said if asked.startswith(b"GET") else head + event)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        places = {"m": Deployment(f"http://127.0.0.1:{port}/v1", "key")}
        async with Client(deployments=places, transport="direct", max_retries=0) as client:
            bench = Bench(client, Settings(model="m", loads=(USERS,), requests=3), endless)
            (point,) = (await bench.run()).points

    assert (3, {"stop": 3}) == (point.summary.succeeded, point.summary.finish_reasons)


async def test_a_run_can_be_stopped() -> None:
    """What was answered by then is the result; what was under way is cancelled, and counted so."""
    async with bed("text?tokens=1&ttft=0.02") as it:
        records: list[RequestRecord] = []

        def noted(record: RequestRecord) -> None:
            records.append(record)
            if len(records) == 5:
                bench.stop()

        bench = Bench(
            it.client,
            Settings(model="m", loads=(USERS, USERS), requests=10_000),
            endless,
            on_record=noted,
        )
        result = await bench.run()
    (point,) = result.points
    dropped = [each for each in records if each.error == "cancelled"]

    assert (True, 5, 1) == (result.interrupted, point.summary.requests, len(dropped))
    assert (0, {}, 1) == (point.summary.failed, point.summary.errors, point.summary.cancelled)
    assert point.summary.duration >= dropped[0].ended - records[0].scheduled
    assert (None, None) == (dropped[0].e2e, dropped[0].good)
    assert 5 == point.summary.metrics["ttft"].count


async def test_what_waits_for_a_place_is_cancelled_too() -> None:
    """Of five requests that are due, one may be sent: neither it nor the others are answered."""
    load = Load(kind="constant", rate=1e6, concurrency=1)
    records: list[RequestRecord] = []
    async with bed("text?tokens=1&ttft=30") as it:
        settings = Settings(model="m", loads=(load,), requests=5)
        bench = Bench(it.client, settings, endless, on_record=records.append)
        running = asyncio.create_task(bench.run())
        await until(
            lambda: (
                it.simulator.stats().answering == 1
                and bench.run_now is not None
                and bench.run_now.sent == 5
            )
        )
        await asyncio.sleep(0)  # the last one's task begins
        bench.stop()
        (point,) = (await running).points

    assert (0, 5, {}) == (point.summary.requests, point.summary.cancelled, point.summary.metrics)
    assert [False] * 4 + [True] == sorted(each.started < each.ended for each in records)


async def test_a_run_can_be_stopped_before_its_first_load() -> None:
    """A server that lets its list of models wait is not waited for."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        places = {"m": Deployment(f"http://127.0.0.1:{port}/v1", "key")}
        async with Client(deployments=places, transport="direct") as client:
            bench = Bench(client, Settings(model="m", loads=(USERS,), requests=1), endless)
            running = asyncio.create_task(bench.run())
            await asked.wait()
            bench.stop()
            result = await running

    assert (True, ()) == (result.interrupted, result.points)


async def test_a_cancelled_run_leaves_no_task() -> None:
    """Its requests end with it."""
    async with bed("text?tokens=1&ttft=30") as it:
        running = asyncio.create_task(it.run(requests=10))
        await until(lambda: it.simulator.stats().answering == 2)
        running.cancel()
        await asyncio.wait([running])
        await it.simulator.idle()

        assert running.cancelled()
        assert 0 == it.client.stats().open_streams


async def test_uncounted_tokens_are_warned_of() -> None:
    """Chunks stand for tokens, and the report says so."""
    async with bed("text?tokens=5&usage=never") as it:
        result = await it.run(requests=2)
    summary = result.points[0].summary

    assert (10, 2, None) == (summary.tokens.output, summary.tokens.uncounted, summary.tokens.input)
    assert any("did not count the tokens of 2 answers" in each for each in result.warnings)


async def test_answers_that_come_at_once_are_warned_of() -> None:
    """A proxy that holds them back makes a fast model of a slow one."""
    async with bed("text?tokens=5") as it:
        at_once = await it.run(requests=4)
    async with bed("text?tokens=5&rate=200") as it:
        paced = await it.run(requests=4)

    assert [True, False] == [
        any("2 users: 4 of 4 answers came at once" in each for each in result.warnings)
        for result in (at_once, paced)
    ]


async def test_a_line_that_cannot_be_sent_is_one_failed_request() -> None:
    """Not the first: the figures of those before it are kept."""
    said = ["hi", "hi", "half a character: \ud83d", "hi"]
    load = Load(kind="concurrency", concurrency=1)
    async with bed() as it:
        point = await it.point(lambda _: map(one, said), load=load, goodput={"e2e": 60.0})

    assert (3, {"encode": 1}) == (point.summary.succeeded, point.summary.errors)
    assert [True, True, False, True] == [each.good for each in it.records]
