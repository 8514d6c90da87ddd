"""A close that was cancelled is made again, and ends what the first one left."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

import penstock as ps
from penstock.errors import StreamClosedError
from penstock.simulator import Simulator
from penstock.transports.aiohttp import AiohttpTransport


@pytest.mark.asyncio
async def test_a_second_close_closes_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session has no connection by then, and is shut all the same."""
    sessions: list[aiohttp.ClientSession] = []
    begin = aiohttp.ClientSession.__init__

    def noted(session: aiohttp.ClientSession, **options: object) -> None:
        sessions.append(session)
        begin(session, **options)  # type: ignore[arg-type]  # its own options

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", noted)
    transport = AiohttpTransport()
    async with Simulator() as simulator:
        there = ps.Deployment(
            base_url=f"{simulator.url}/v1", api_key="k", model="text?fault=hang@2"
        )
        client = ps.Client(deployments={"m": there}, transport=transport)
        async with client.stream("m", "hi") as stream:
            await anext(stream)
            closing = asyncio.create_task(transport.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            await transport.aclose()
            await client.aclose()
            with pytest.raises(StreamClosedError):
                _ = [chunk async for chunk in stream]

    assert [True] == [session.closed for session in sessions]
