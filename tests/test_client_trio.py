"""The client on trio beside plain calls: retries, closing, and what needs asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import PenstockError, StreamClosedError, UsageError
from penstock.simulator import Simulator, SimulatorThread


@pytest.fixture
def server() -> Iterator[SimulatorThread]:
    """A simulator in a thread with asyncio."""
    with Simulator().thread() as thread:
        yield thread


def run(server: SimulatorThread, behavior: str, main: Any, **options: Any) -> Any:
    """Run `main` on trio with a client to `behavior`."""

    async def with_client() -> Any:
        deployments = {"m": Deployment(f"{server.url}/v1", model=behavior)}
        async with Client(deployments=deployments, default_model="m", **options) as client:
            client._router._random = lambda: 0.0
            return await main(client)

    return trio.run(with_client)


def test_a_retry_waits_on_trio(server: SimulatorThread) -> None:
    """The wait between two tries is the running loop's."""

    async def main(client: Client) -> Any:
        return await client.chat(messages="hi")

    reply = run(server, "echo?status=503&fail=1&retry-after=0.02", main)

    assert ("hi", [503, 200]) == (reply.text, [attempt.status for attempt in reply.attempts])


def test_another_task_closes_a_stream(server: SimulatorThread) -> None:
    """A pending read learns that its stream was closed."""

    async def main(client: Client) -> list[str]:
        seen: list[str] = []
        two = trio.Event()
        stream = client.stream(messages="hi")
        await stream.__aenter__()

        async def read() -> None:
            try:
                async for _ in stream.text():
                    seen.append("text")  # what came is looked at meanwhile
                    if len(seen) == 2:
                        two.set()
            except StreamClosedError:
                seen.append("closed")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await two.wait()
            await trio.sleep(0.01)
            await stream.aclose()
        return seen

    assert ["text", "text", "closed"] == run(server, "text?fault=hang@2", main)


def test_a_closed_client_ends_a_wait(server: SimulatorThread) -> None:
    """A call that waits for its retry ends with the client."""

    async def main(client: Client) -> list[type[BaseException]]:
        ended: list[type[BaseException]] = []

        async def call() -> None:
            try:
                await client.chat(messages="hi")
            except PenstockError as error:
                ended.append(type(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.sleep(0.2)  # into the wait, which lasts thirty seconds
            await client.aclose()
        return ended

    found = run(server, "echo?fault=rate-limit&retry-after=30", main)

    assert [StreamClosedError] == found
    assert 1 == len(server.requests)


def test_a_map_needs_asyncio(server: SimulatorThread) -> None:
    """It says so, instead of failing inside."""

    async def main(client: Client) -> list[Any]:
        return [result async for result in client.map([{"messages": "hi"}])]

    with pytest.raises(UsageError, match="asyncio"):
        run(server, "echo", main)
