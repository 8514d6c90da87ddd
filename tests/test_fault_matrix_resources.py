"""Rows 22 to 31 of the fault matrix, over real HTTP: connections, cancels, loops and growth."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator

import pytest
from tests.road import KEY, TRANSPORTS, Road, at_rest, clocks, fails, transport_of, until
from tests.transports.peers import CHUNKED, END, Connection, Peer, chunk

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import MissingCredentialsError, RateLimitError
from penstock.pipeline.partial import partial_json
from penstock.simulator import Simulator, SimulatorThread

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
AT_ONCE = 20
"""Turns of the loop: it takes 3 on a quiet machine and as many on a busy one."""


@pytest.fixture(params=TRANSPORTS, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test over each transport."""
    monkeypatch.setattr("tests.road.TRANSPORT", request.param)


@pytest.fixture
def server() -> Iterator[SimulatorThread]:
    """A simulator in a thread, for tests with loops of their own."""
    with Simulator().thread() as thread:
        yield thread
    gc.collect()  # what asyncio says of sockets whose loop has ended is said in that test


# asyncio has no way to close a socket of a loop that has ended, and warns when it is collected.
loops_end = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["chat", "read", "text"])
async def test_row_22_a_whole_answer_gives_its_connection_back(road: Road, way: str) -> None:
    """Row 22: after the last event the connection is idle in the pool, and used again."""
    client = road.client("text?tokens=3")

    for _ in range(4):
        if way == "chat":
            await client.chat(None, "hi")
        else:
            async with client.stream(None, "hi") as stream:
                source = stream if way == "read" else stream.text()
                assert 3 <= len([each async for each in source])
        await at_rest(client)

    assert [1, 1, 1, 1] == [request.connection for request in road.sim.requests]
    assert 1 == transport_of(client).stats().idle


@pytest.mark.asyncio
async def test_row_22_a_terminator_that_comes_late_is_drained() -> None:
    """Row 22: the end of the body that follows the terminal event frees its connection."""
    text = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'

    async def handle(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(CHUNKED + chunk(text))
            await asyncio.sleep(0.005)  # a drain lasts 0.1 s
            await connection.send(END)

    async with Peer(handle) as peer:
        base = peer.url.removesuffix("/chat/completions")
        async with Client(deployments={"m": Deployment(base)}, max_retries=0) as client:
            texts = [(await client.chat("m", "hi")).text for _ in range(3)]
            await at_rest(client)
            opened = peer.opened

    assert ["x", "x", "x"] == texts
    assert 1 == opened


@pytest.mark.asyncio
async def test_row_22_a_drain_ends_without_its_caller(road: Road) -> None:
    """Row 22: a caller who is cancelled while the rest is read leaves no connection to it."""
    client = road.client("echo?fault=stall-after-done")
    task = asyncio.create_task(client.chat(None, "hi"))
    await until(lambda: bool(road.sim.requests) and road.sim.requests[0].answered is not None)
    await asyncio.sleep(0.03)
    task.cancel()
    await asyncio.wait([task])

    await at_rest(client)
    await until(lambda: road.sim.connections.open == 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["stall-after-done", "endless-tail", "tail&length=1000000"])
async def test_row_22_the_drain_has_a_bound(road: Road, fault: str) -> None:
    """Row 22: what follows the terminal event without end costs the connection, not the caller."""
    client = road.client(f"echo?fault={fault}")

    reply = await client.chat(None, "hi")
    await at_rest(client)

    assert "hi" == reply.text
    assert 0 == transport_of(client).stats().connections


@pytest.mark.asyncio
async def test_row_23_refusals_give_everything_back(road: Road) -> None:
    """Row 23: a thousand 429 leave no call, no place and no busy connection."""
    asyncio.get_running_loop().set_debug(False)  # which would cost ten times the calls
    client = road.client("echo?fault=rate-limit")
    requests = ({"messages": "hi"} for _ in range(1000))

    kinds = [
        type(result.error) async for result in client.map(requests, concurrency=50, ordered=False)
    ]
    await at_rest(client)

    assert [RateLimitError] * 1000 == kinds
    assert 1000 == len(road.sim.requests)
    assert 50 >= transport_of(client).stats().connections


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "behavior",
    [
        *["echo?fault=endless-error-body", "echo?fault=error-body-stalls", "echo?fault=html"],
        *["echo?fault=early-413", "echo?fault=error", "echo?fault=html-200"],
        *["echo?fault=bad-chunk-size@1", "echo?fault=bad-status-line", "echo?fault=silent"],
    ],
)
async def test_row_23_every_way_out_gives_everything_back(road: Road, behavior: str) -> None:
    """Row 23: whatever ends a call, nothing of it is left."""
    client = road.client(behavior, timeouts=clocks(response=0.2, idle=0.2))

    await fails(client.chat(None, "hi"))

    await at_rest(client)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["cancel", "leave"])
async def test_row_25_two_hundred_abandoned_streams_fill_no_cap(road: Road, how: str) -> None:
    """Row 25: after 200 streams that were cut in the middle the next call is answered."""
    # No clock of the client's: a busy machine may take longer than ``connect`` for fifty at once.
    behaviors = {"m": "text?tokens=9&fault=hang@2", "ok": "echo"}
    client = road.client(behaviors, timeouts=clocks())

    async def read() -> None:
        async with client.stream("m", "hi") as stream:
            async for chunk in stream:
                if how == "leave" and chunk.text:
                    break

    asyncio.get_running_loop().set_debug(False)  # which would cost ten times the calls
    for _ in range(4):
        tasks = [asyncio.create_task(read()) for _ in range(50)]
        if how == "cancel":
            await until(lambda: client.stats().open_streams == 50)
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)

    assert "hi" == (await client.chat("ok", "hi")).text
    await at_rest(client)
    await until(lambda: road.sim.connections.open <= 1)


@pytest.mark.asyncio
async def test_row_26_another_task_may_close(road: Road) -> None:
    """Row 26: a stream that one task opened, another reads and a third closes."""
    client = road.client("text?tokens=9&fault=hang@2")
    stream = client.stream(None, "hi")
    await asyncio.create_task(stream.__aenter__())

    async def read() -> Exception:
        async def all_of_it() -> None:
            async for _ in stream:
                pass

        return await fails(all_of_it())

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    await asyncio.create_task(stream.aclose())

    assert "StreamClosedError" == type(await reading).__name__
    await at_rest(client)


@pytest.mark.asyncio
async def test_row_27_a_cancelled_call_ends_in_its_task(road: Road) -> None:
    """Row 27: cancellation is raised, not absorbed, wherever the call waits."""
    client = road.client({"silent": "echo?fault=silent", "hang": "text?fault=hang@2"})
    for model in ("silent", "hang"):
        task = asyncio.create_task(client.chat(model, "hi"))
        await asyncio.sleep(0.05)
        task.cancel()
        for _ in range(AT_ONCE):
            await asyncio.sleep(0)

        assert task.cancelled()
    await at_rest(client)


@loops_end
def test_row_29_a_client_outlives_its_loops(server: SimulatorThread) -> None:
    """Row 29: one client in two ``asyncio.run``, the first of which closes nothing."""
    client = Client(deployments={"m": Deployment(f"{server.url}/v1", KEY, model="echo")})

    async def ask(text: str) -> str:
        return (await client.chat("m", text)).text

    async def last() -> str:
        async with client:
            return await ask("two")

    assert ["one", "two"] == [asyncio.run(ask("one")), asyncio.run(last())]
    server.idle(connections=True)


@loops_end
def test_row_29_ten_threads_share_a_client(server: SimulatorThread) -> None:
    """Row 29: one client in the loops of ten threads, each with connections of its own."""
    client = Client(deployments={"m": Deployment(f"{server.url}/v1", KEY, model="echo")})
    answers: dict[int, list[str]] = {}

    def work(number: int) -> None:
        async def ask() -> list[str]:
            return [(await client.chat("m", f"{number} {turn}")).text for turn in range(5)]

        answers[number] = asyncio.run(ask())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {n: [f"{n} {turn}" for turn in range(5)] for n in range(10)} == answers
    asyncio.run(client.aclose())


@loops_end
def test_row_29_a_client_closes_streams_of_other_loops(server: SimulatorThread) -> None:
    """Row 29: closing a client ends the streams that other threads' loops still read."""
    client = Client(
        deployments={"m": Deployment(f"{server.url}/v1", KEY, model="text?fault=hang@2")}
    )
    ended: list[str] = []
    reading = threading.Event()

    def work() -> None:
        async def read() -> None:
            async with client.stream("m", "hi") as stream:
                async for _ in stream:
                    reading.set()

        try:
            asyncio.run(read())
        except Exception as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    reading.wait()
    asyncio.run(client.aclose())
    thread.join()

    assert ["StreamClosedError"] == ended
    server.idle(connections=True)


@loops_end
def test_row_30_a_client_pickles_as_its_configuration(
    server: SimulatorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 30: a pickled client connects anew; a key travels by its variable's name alone."""
    monkeypatch.setenv("ROAD_KEY", KEY)
    client = Client(
        deployments={"m": Deployment(f"{server.url}/v1", "env:ROAD_KEY", model="echo")},
        default_model="m",
    )
    asyncio.run(client.chat(None, "one"))

    data = pickle.dumps(client)
    copy = pickle.loads(data)

    assert KEY.encode() not in data
    assert "two" == asyncio.run(copy.chat(None, "two")).text
    assert f"Bearer {KEY}" == server.requests[-1].headers["authorization"]
    asyncio.run(client.aclose())
    asyncio.run(copy.aclose())


def test_row_30_a_literal_key_stays_behind() -> None:
    """Row 30: a key that is only in memory is not in the pickle, and its lack is an error."""
    client = Client(deployments={"m": Deployment("http://127.0.0.1:1/v1", KEY)})

    data = pickle.dumps(client)

    assert KEY.encode() not in data


@loops_end
@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
def test_row_30_a_fork_has_connections_of_its_own(server: SimulatorThread) -> None:
    """Row 30: parent and child go on after a fork, and share no connection."""
    client = Client(deployments={"m": Deployment(f"{server.url}/v1", KEY, model="echo")})
    results = multiprocessing.get_context("fork").SimpleQueue()

    def child() -> None:
        results.put(asyncio.run(client.chat("m", "child")).text)

    async def parent() -> list[str]:
        before = (await client.chat("m", "before")).text
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        text = await asyncio.to_thread(results.get)
        await asyncio.to_thread(process.join)
        after = (await client.chat("m", "after")).text
        await client.aclose()
        return [before, text, after]

    assert ["before", "child", "after"] == asyncio.run(parent())
    by_text = {request.body.split(b'"content":"')[1][:5]: request for request in server.requests}
    assert by_text[b"befor"].connection == by_text[b"after"].connection
    assert by_text[b"befor"].connection != by_text[b"child"].connection


@pytest.mark.asyncio
async def test_row_31_arguments_are_parsed_in_linear_time(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 31: 100,000 deltas of arguments are parsed a few times over, not 100,000 times."""
    module = __import__("pydantic_core")
    parsed = 0
    real = module.from_json

    def counting(data: bytes, **options: object) -> object:
        nonlocal parsed
        parsed += len(data)
        return real(data, **options)

    monkeypatch.setattr(module, "from_json", counting)
    seen = []
    client = road.client("tools?fault=huge-arguments&length=100000&size=1&chunks=100")

    reply = await client.chat(None, "hi", tools=TOOLS, middleware=[partial_json(seen.append)])

    size = len(reply.tool_calls[0].arguments)
    assert size > 99_000
    assert seen[-1].done
    assert parsed <= 20 * size


def test_row_30_a_missing_key_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 30: a client unpickled where the variable is missing names the variable."""
    monkeypatch.setenv("ROAD_KEY", KEY)
    client = Client(deployments={"m": Deployment("http://127.0.0.1:1/v1", "env:ROAD_KEY")})
    copy = pickle.loads(pickle.dumps(client))
    monkeypatch.delenv("ROAD_KEY")

    error = asyncio.run(fails(copy.chat("m", "hi")))

    assert isinstance(error, MissingCredentialsError)
    assert "ROAD_KEY" in error.message
