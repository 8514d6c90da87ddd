"""The whole road for a test: a simulator, clients to it, and a check that nothing is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

import pytest_asyncio

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.limits import Timeouts
from penstock.simulator import Simulator

KEY = "sk-road-0123456789abcdef"
"""The key of every deployment."""
PATIENCE = 20.0
"""Seconds after which a test has failed, whatever it waits for."""

TRANSPORT = os.environ.get("PENSTOCK_TRANSPORT", "direct")
"""What carries the calls of these tests: the default; ``httpx`` runs all of them over it."""

TRANSPORTS = ("httpx", "direct", *(["aiohttp"] if find_spec("aiohttp") else []))
"""What calls can be carried by."""

Until = Callable[[], bool]


class Road(AsyncExitStack):
    """Simulators and clients that end with their test."""

    def __init__(self) -> None:
        super().__init__()
        self.sim: Simulator
        """The simulator that `client` calls."""

    async def __aenter__(self) -> Road:
        await super().__aenter__()
        self.sim = await self.simulator()
        return self

    async def simulator(self, **options: Any) -> Simulator:
        """Start one more."""
        return await self.enter_async_context(Simulator(**options))

    def deployment(self, behavior: str = "echo", **options: Any) -> Deployment:
        """A deployment at the simulator, whose model asks for `behavior`."""
        options.setdefault("base_url", f"{self.sim.url}/v1")
        return Deployment(api_key=options.pop("api_key", KEY), model=behavior, **options)

    def client(self, behaviors: str | Mapping[str, str] = "echo", **options: Any) -> Client:
        """A client with a deployment for each of `behaviors`; one alone is the default model.

        It does not retry unless asked to, and never waits for the sake of jitter.
        """
        named = {"m": behaviors} if isinstance(behaviors, str) else behaviors
        deployments = {name: self.deployment(each) for name, each in named.items()}
        options.setdefault("default_model", next(iter(named)))
        options.setdefault("max_retries", 0)
        options.setdefault("transport", TRANSPORT)
        client = Client(deployments=deployments | options.pop("deployments", {}), **options)
        client._router._random = lambda: 0.0
        self.push_async_callback(client.aclose)
        return client

    def served(self) -> list[str]:
        """The behaviors of the requests that have come, in order."""
        return [request.behavior for request in self.sim.requests]


@pytest_asyncio.fixture
async def road() -> AsyncIterator[Road]:
    """A simulator and the clients that a test makes."""
    async with Road() as made:
        yield made


def clocks(**limits: float | None) -> Timeouts:
    """Clocks of which only `limits` run."""
    off: dict[str, float | None] = dict.fromkeys(
        ("pool", "connect", "write", "response", "ttft", "idle", "progress", "total")
    )
    return Timeouts(**(off | limits))  # type: ignore[typeddict-item]  # the names are the clocks'


async def until(true: Until) -> None:
    """Wait until `true()`; the test's own limit says how long at most."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  # what changes is in another task, without an event
            await asyncio.sleep(0.001)


def transport_of(client: Client) -> Any:  # Any: a transport of either kind
    """The client's transport, for its counts."""
    transport = client._connections.transport
    assert hasattr(transport, "stats")
    return transport


async def at_rest(client: Client) -> None:
    """Wait until no call of `client` has a place, and no connection of its pools is busy."""

    def rests() -> bool:
        now = transport_of(client).stats()
        return now.calls == 0 and now.waiting == 0 and now.connections == now.idle

    await until(rests)
    assert 0 == client.stats().open_streams


async def fails(waiting: Awaitable[object]) -> Exception:
    """The exception that `waiting` ends with."""
    try:
        found = await waiting
    except Exception as error:
        return error
    raise AssertionError(f"it did not fail: {found!r:.200}")
