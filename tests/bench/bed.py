"""What a run of the bench is tested on: a simulator, a client, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from penstock import Client, Deployment
from penstock.bench import (
    Ask,
    Bench,
    Conversation,
    Load,
    Point,
    RequestRecord,
    Result,
    Settings,
    Source,
)
from penstock.simulator import RequestRecord as Served
from penstock.simulator import Simulator

USERS = Load(kind="concurrency", concurrency=2)


ASK = Ask(({"role": "user", "content": "hi"},))


def one(text: str = "hi", **fields: Any) -> Conversation:
    """Return a conversation of one turn."""
    return Conversation((Ask(({"role": "user", "content": text},), **fields),))


def endless(_: int) -> Iterator[Conversation]:
    """Ask the same for ever."""
    while True:
        yield one()


class Bed:
    """A simulator, a client whose model ``m`` it serves, and what came of the runs."""

    def __init__(self, simulator: Simulator, client: Client) -> None:
        self.simulator, self.client = simulator, client
        self.records: list[RequestRecord] = []

    async def run(
        self, source: Source = endless, *, load: Load = USERS, options: Any = None, **settings: Any
    ) -> Result:
        """Run one load."""
        self.records.clear()
        made = Settings(model="m", loads=(load,), **settings)
        bench = Bench(self.client, made, source, options=options, on_record=self.records.append)
        return await bench.run()

    async def point(self, *arguments: Any, **settings: Any) -> Point:
        """Run one load, and return what came of it."""
        (point,) = (await self.run(*arguments, **settings)).points
        return point

    @property
    def chats(self) -> list[Served]:
        """What the simulator was asked, without the list of models."""
        return [each for each in self.simulator.requests if each.method == "POST"]


@asynccontextmanager
async def bed(model: str = "text?tokens=3", **client: Any) -> AsyncIterator[Bed]:
    """Serve ``m`` as `model` says, and ``other`` well."""
    async with Simulator() as simulator:
        places = {
            name: Deployment(f"{simulator.url}/v1", "key", model=served)
            for name, served in (("m", model), ("other", "text?tokens=2"))
        }
        client = {"deployments": places, "transport": "direct", "max_retries": 0} | client
        async with Client(**client) as made:
            yield Bed(simulator, made)
