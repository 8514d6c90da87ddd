"""What a client holds right now: streams, bytes, connections, and how late its loop is."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from tests.road import KEY, PATIENCE, Road, at_rest, until

from penstock.client import Client
from penstock.errors import StreamClosedError
from penstock.simulator import Simulator
from penstock.stats import ClientStats, resident

pytestmark = pytest.mark.asyncio


async def test_a_new_client_holds_nothing() -> None:
    """Nothing is opened, nor counted, before the first call."""
    assert ClientStats(0, 0, 0, None) == Client().stats()


async def test_open_streams_are_counted(road: Road) -> None:
    """From the begin of a call to its end, however it ends."""
    client = road.client({"m": "text?tokens=3", "silent": "echo?fault=silent"})
    opening = asyncio.create_task(client.chat("silent", "hi"))
    await until(lambda: len(road.sim.requests) == 1)
    assert 1 == client.stats().open_streams
    async with client.stream("m", "hi") as stream:
        assert 2 == client.stats().open_streams
        await stream.collect()
        assert 1 == client.stats().open_streams
    async with client.stream("m", "hi"):
        assert 2 == client.stats().open_streams
    opening.cancel()
    await asyncio.wait([opening])

    assert 0 == client.stats().open_streams
    await at_rest(client)


async def test_connections_are_counted(road: Road) -> None:
    """Idle ones too, until the client closes."""
    client = road.client()
    await asyncio.gather(*(client.chat(None, "hi") for _ in range(3)))
    await at_rest(client)
    held = client.stats().connections

    assert 1 <= held <= 3
    await client.aclose()
    assert 0 == client.stats().connections


async def test_buffered_bytes_are_those_not_handed_out(road: Road) -> None:
    """The bytes of an event that is not whole yet are counted, and no longer once it is closed."""
    client = road.client("text?tokens=3&fault=drip@1&interval=0.002")
    async with client.stream(None, "hi") as stream:
        reading = asyncio.create_task(stream.collect())
        await until(lambda: client.stats().bytes_buffered > 20)
        assert client.stats().bytes_buffered == stream.buffered
    await asyncio.wait([reading])

    assert isinstance(reading.exception(), StreamClosedError)
    assert 0 == client.stats().bytes_buffered


async def test_the_loops_lag_is_seen(road: Road) -> None:
    """A callback that keeps the loop shows in the lag, while a stream is open."""
    client = road.client("text?fault=hang@1")
    asyncio.get_running_loop().set_debug(False)
    async with client.stream(None, "hi"):
        # A loop that was late already may tick before it is kept, and once more on time after: it
        # is kept again until a tick falls into it.
        async with asyncio.timeout(PATIENCE):
            while (client.stats().loop_lag or 0) <= 0.1:
                _keep(0.4)
                await asyncio.sleep(0)

    assert client.stats().loop_lag is None


def _keep(seconds: float) -> None:
    """Keep the thread, as a slow callback does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_streams_of_other_loops_are_counted(road: Road) -> None:
    """A stream that another thread's loop reads is one of the client's."""
    with Simulator().thread() as server:
        client = road.client(
            deployments={
                "t": road.deployment("text?fault=hang@1", base_url=f"{server.url}/v1", api_key=KEY)
            }
        )
        opened, done = threading.Event(), threading.Event()

        async def read() -> None:
            async with client.stream("t", "hi"):
                opened.set()
                await asyncio.to_thread(done.wait)

        thread = asyncio.create_task(asyncio.to_thread(asyncio.run, read()))
        await asyncio.to_thread(opened.wait)
        counted = client.stats()
        done.set()
        await thread

    assert (1, None) == (counted.open_streams, counted.loop_lag)
    assert 0 == client.stats().open_streams


async def test_memory_is_seen() -> None:
    """The process's own, at least the interpreter's few MiB, where the system says it."""
    size = resident()

    assert size is None or size > 4 * 1024 * 1024


async def test_memory_is_seen_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no descriptor left asks the system itself, whose unit is another."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    seen = resident()
    monkeypatch.setattr("penstock.stats.open", refused, raising=False)
    peak = resident()

    assert seen is None or (peak is not None and seen <= 2 * peak < 200 * seen)
