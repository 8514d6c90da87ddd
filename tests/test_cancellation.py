"""Cancelled and abandoned calls, through the client: free at once, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.road import TRANSPORTS, Road, at_rest, clocks, transport_of, until

from penstock.chunks import Chunk
from penstock.client import Client
from penstock.errors import PenstockError, StreamClosedError
from penstock.stream import ChatStream

pytestmark = pytest.mark.asyncio

TURNS = 12
"""Turns of the loop in which a cancelled caller is free: none of them waits for the network."""
NUMBERS = count()
"""Each retried call has a failure of its own."""
MOST = 2000
"""Turns of a whole call; far more than any of them takes."""


@pytest.fixture(params=TRANSPORTS, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test over each transport."""
    monkeypatch.setattr("tests.road.TRANSPORT", request.param)


async def passed_on(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """A middleware at the edge, with a turn of the loop of its own."""
    async for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def chat(client: Client) -> object:
    """A whole call."""
    return (await client.chat(None, "hi")).text


async def streamed(client: Client) -> object:
    """A stream that is left in its middle, and closed."""
    async with client.stream(None, "hi") as stream:
        async for chunk in stream:
            if chunk.text:
                break
    return True


async def edged(client: Client) -> object:
    """A stream with middleware at the edge, read to its end."""
    async with client.stream(None, "hi", middleware=[passed_on]) as stream:
        return [chunk async for chunk in stream]


async def large(client: Client) -> object:
    """A call whose body does not fit in the buffer."""
    return (await client.chat(None, "x" * 200_000)).text


async def retried(client: Client) -> object:
    """A call whose first try fails."""
    fault = f"status=503&fail=1&key={next(NUMBERS)}&retry-after=0"
    reply = await client.chat(None, "hi", max_retries=1, extra_headers={"x-penstock-sim": fault})
    return reply.text


async def mapped(client: Client) -> object:
    """Several calls at once."""
    requests = ({"messages": "hi"} for _ in range(3))
    return [result async for result in client.map(requests, concurrency=2)]


async def captured(client: Client) -> object:
    """A call that is written to a file."""
    return (await client.chat(None, "hi", capture="/dev/null")).text


async def warmed(client: Client) -> object:
    """A connection that is opened ahead."""
    await client.warm()
    return True


CALLS: dict[str, tuple[str, Callable[[Client], Awaitable[object]]]] = {
    "chat": ("text?tokens=3&chunks=1", chat),
    "left": ("text?tokens=9&fault=hang@4", streamed),
    "edge": ("text?tokens=3", edged),
    "large body": ("text?tokens=2", large),
    "retry": ("text?tokens=2", retried),
    "refused": ("text?fault=invalid-key", chat),
    "cut": ("text?tokens=4&fault=reset@2", chat),
    "whole": ("text?tokens=3&fault=json-answer", chat),
    "map": ("text?tokens=2", mapped),
    "capture": ("text?tokens=2", captured),
    "warm": ("text", warmed),
}


def descriptors() -> int:
    """Open descriptors of this process, where the system shows them."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def is_done(task: asyncio.Task[Any], turns: int) -> int | None:
    """The turns after which `task` had ended; None where it took more than `turns`."""
    for turn in range(turns):
        if task.done():
            return turn
        await asyncio.sleep(0)
    return None


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("name", CALLS)
async def test_row_24_cancelled_at_every_turn(road: Road, name: str, twice: bool) -> None:
    """Row 24: one cancel, and two, at every turn of the loop from a call's start to its end.

    Each time the caller is free within a few turns (row 27: none of them waits, so that is far
    below 100 ms), no task, place or busy connection is left, and the client answers.
    """
    asyncio.get_running_loop().set_debug(False)
    behavior, call = CALLS[name]
    client = road.client({"m": behavior, "ok": "echo"})
    assert "ok" == (await client.chat("ok", "ok")).text
    before = asyncio.all_tasks()
    open_before = descriptors()
    turn = ended = 0
    while ended < 3:
        task = asyncio.ensure_future(call(client))
        if await is_done(task, turn) is None:
            task.cancel()
            if twice:
                await asyncio.sleep(0)
                task.cancel()
            assert await is_done(task, TURNS) is not None, f"held up at turn {turn}"
        else:
            ended += 1
        await asyncio.wait([task])
        assert task.cancelled() or isinstance(task.exception(), PenstockError | None)
        await at_rest(client)
        await until(lambda: not _extra(before))  # it is asked at once
        turn += 1
        assert turn < MOST

    assert turn > 5
    assert "again" == (await client.chat("ok", "again")).text
    await client.aclose()
    await until(lambda: road.sim.connections.open == 0)
    await until(lambda: descriptors() <= open_before)


def _extra(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that are not of the simulator and were not there before."""
    now = asyncio.all_tasks() - before
    return {task for task in now if "Simulator" not in repr(task.get_coro())}


@pytest.mark.parametrize("middleware", [[], [passed_on]], ids=["batches", "edge"])
async def test_abandoned_at_every_chunk(road: Road, middleware: list[Any]) -> None:
    """A stream that is left after any number of chunks leaves nothing."""
    client = road.client("text?tokens=4&slice=40")
    whole = 0
    async with client.stream(None, "hi", middleware=middleware) as stream:
        async for _ in stream:
            whole += 1

    for some in range(whole + 1):
        seen = 0
        async with client.stream(None, "hi", middleware=middleware) as stream:
            while seen < some:
                await anext(stream)
                seen += 1
        await at_rest(client)

    assert 7 == whole
    assert "hi" == (await road.client("echo").chat(None, "hi")).text


@pytest.mark.parametrize("part", ["stream", "chunks", "text", "map", "unopened"])
async def test_what_is_never_iterated_leaves_nothing(road: Road, part: str) -> None:
    """A stream, its texts or a map that nobody reads cost nothing but their request."""
    client = road.client("text?tokens=4")

    if part == "map":
        await client.map([{"messages": "hi"}]).aclose()
    elif part == "unopened":
        client.stream(None, "hi")
    else:
        async with client.stream(None, "hi") as stream:
            if part == "chunks":
                aiter(stream)
            elif part == "text":
                stream.text()

    await at_rest(client)
    assert (0 if part in ("map", "unopened") else 1) == len(road.sim.requests)


@pytest.mark.parametrize("middleware", [[], [passed_on]], ids=["batches", "edge"])
async def test_a_read_that_times_out_ends_the_stream(road: Road, middleware: list[Any]) -> None:
    """A cancelled read is the stream's end, and no later read takes it for the answer's."""
    client = road.client("text?tokens=4&fault=hang@2")

    async with client.stream(None, "hi", middleware=middleware) as stream:
        with pytest.raises(TimeoutError):
            await _read_within(0.05, stream)
        with pytest.raises(StreamClosedError):
            await anext(stream)
        with pytest.raises(StreamClosedError):
            await stream.collect()

    await at_rest(client)


async def _read_within(seconds: float, stream: ChatStream) -> None:
    async with asyncio.timeout(seconds):
        async for _ in stream:
            pass


@pytest.mark.parametrize("middleware", [[], [passed_on]], ids=["batches", "edge"])
@pytest.mark.parametrize("when", ["waiting", "thinking"])
async def test_closed_by_another_task(road: Road, when: str, middleware: list[Any]) -> None:
    """Whether its reader waits for a chunk or works on one, it learns that the stream is closed."""
    client = road.client("text?tokens=4&fault=hang@2")
    closed, reading = asyncio.Event(), asyncio.Event()
    seen: list[Exception] = []

    async def read(stream: ChatStream) -> None:
        try:
            async for chunk in stream:
                if chunk.text:
                    reading.set()
                    if when == "thinking":
                        await closed.wait()
        except PenstockError as error:
            seen.append(error)

    async with client.stream(None, "hi", middleware=middleware) as stream:
        task = asyncio.create_task(read(stream))
        await reading.wait()
        await asyncio.sleep(0.01)
        await stream.aclose()
        closed.set()
        await task

    assert [StreamClosedError] == [type(error) for error in seen]
    await at_rest(client)


async def test_closed_while_it_opens(road: Road) -> None:
    """A stream that is closed before its first chunk is not entered."""
    client = road.client("text?ttft=30")
    stream = client.stream(None, "hi")
    opening = asyncio.create_task(stream.__aenter__())
    await until(lambda: bool(road.sim.requests))

    await stream.aclose()

    with pytest.raises(StreamClosedError):
        await opening
    await at_rest(client)


@pytest.mark.parametrize("what", ["opening", "waiting", "retrying"])
async def test_a_client_that_closes_ends_its_calls(road: Road, what: str) -> None:
    """Whatever a call waits for, closing the client ends it, and nothing begins afterwards."""
    behaviors = {
        "opening": "echo?fault=silent",
        "waiting": "text?fault=hang@2",
        "retrying": "echo?fault=rate-limit&retry-after=20",
    }
    client = road.client(behaviors[what], max_retries=1, timeouts=clocks())
    task = asyncio.create_task(client.chat(None, "hi"))
    await until(lambda: bool(road.sim.requests))
    await asyncio.sleep(0.05)  # into what it waits for

    await client.aclose()
    await asyncio.wait([task])

    assert isinstance(task.exception(), StreamClosedError)
    assert 1 == len(road.sim.requests)
    with pytest.raises(StreamClosedError):
        await client.chat(None, "hi")
    assert 0 == transport_of(client).stats().calls


async def test_closing_waits_for_grace(road: Road) -> None:
    """Within ``grace`` an open stream ends by itself; after it, it is cut."""
    client = road.client({"short": "text?tokens=3&rate=50", "long": "text?fault=hang@1"})
    short = asyncio.create_task(client.chat("short", "hi"))
    long = asyncio.create_task(client.chat("long", "hi"))
    await until(lambda: client.stats().open_streams == 2 and len(road.sim.requests) == 2)
    await asyncio.sleep(0.02)

    await client.aclose(grace=1.5)
    await asyncio.wait([short, long])

    assert 3 == len(short.result().text.split())
    assert isinstance(long.exception(), StreamClosedError)


async def test_a_cancelled_close_leaves_nothing(road: Road) -> None:
    """A caller who is cancelled while the client closes still has no connection left."""
    client = road.client("text?fault=hang@2")
    reading = asyncio.create_task(client.chat(None, "hi"))
    await until(lambda: client.stats().open_streams == 1 and bool(road.sim.requests))

    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([reading, closing])
    await client.aclose()

    assert isinstance(reading.exception(), StreamClosedError)
    assert 0 == client.stats().open_streams
    await until(lambda: road.sim.connections.open == 0)
