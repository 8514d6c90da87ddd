"""Penstock's own providers keep the seam that everyone else's is held to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

import penstock
from penstock.interfaces import Provider
from penstock.policies.budget import RetryBudget
from penstock.policies.router import Router
from penstock.request import ChatRequest
from penstock.simulator import Simulator
from penstock.testing import Trial, around_scripts, check_provider
from penstock.testing.check_provider import Scenario

pytestmark = pytest.mark.asyncio

BEHAVIORS: dict[Scenario, str] = {
    "answer": "sim/text?tokens=40&rate=2000",
    "slow": "sim/text?tokens=40&rate=2000&ttft=0.005",
    "error": "sim/text?tokens=40&rate=2000&fault=reset@30",
    "stall": "sim/text?tokens=40&fault=hang@3",
    "refuse": "sim/text?fault=server-error",
}


@dataclass(frozen=True)
class Only:
    """A route to a provider."""

    provider: Provider
    deployment: str = "only"
    model: str = "only"
    total: float | None = None


async def test_the_router_keeps_the_seam() -> None:
    """Fallbacks and retries change nothing of what a stream promises."""

    def wrap(inner: Provider) -> Provider:
        return Router(
            lambda _: [Only(inner)], max_retries=0, budget=RetryBudget(), sleep=anyio.sleep
        )

    await check_provider(around_scripts(wrap))


@pytest.mark.timeout(120)
async def test_the_road_over_http_keeps_the_seam() -> None:
    """Dialect, transport, decoder and router together, on real sockets."""
    async with Simulator() as simulator:

        @asynccontextmanager
        async def make(scenario: Scenario) -> AsyncIterator[Trial]:
            deployment = penstock.Deployment(
                base_url=f"{simulator.url}/v1", api_key="x", model=BEHAVIORS[scenario]
            )
            async with penstock.Client(deployments={"it": deployment}, max_retries=0) as client:
                transport = client._connections.transport
                request = ChatRequest(model="it", messages="hello")
                yield Trial(client._router, request, lambda: transport.stats().calls)  # type: ignore[attr-defined]

        await check_provider(make)
