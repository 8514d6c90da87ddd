"""A call that is given up while it connects leaves no connection, socket or task."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.transports.peers import call_to

from penstock.transports.aiohttp import AiohttpTransport
from penstock.transports.aiohttp import session as sessions

TRUSTED = ssl.create_default_context()
LOOPS = [
    asyncio.new_event_loop,
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(sys.platform == "win32", reason="platform: no uvloop"),
    ),
]


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, set[asyncio.StreamWriter]]]:
    """A peer that says nothing, and who is there."""
    there: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.add(writer)
        try:
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
            there.discard(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], there
    finally:
        server.close()
        await server.wait_closed()


async def given_up(scheme: str, turns: int, made: list[Any]) -> tuple[int, int, int]:
    """Return the connections and jobs that are left of a call, and how many its peer still has."""
    async with silent() as (port, there):
        transport = AiohttpTransport(verify=TRUSTED)
        task = asyncio.ensure_future(transport.open(call_to(f"{scheme}://127.0.0.1:{port}/")))
        while not made:  # noqa: ASYNC110 - a thread makes the context first, and turns are counted
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        for _ in range(1000):
            if not (there or any(each.open or each.jobs for each in made)):
                break
            await asyncio.sleep(0.001)
        (connector,) = made
        made.clear()
        left = len(connector.open), len(connector.jobs), len(there)
        await transport.aclose()
        return left


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_left(loop: Any, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any number of the loop's turns, in a handshake that is never answered, too."""
    if loop == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop
    made: list[Any] = []
    real: Callable[..., Any] = sessions.connector

    def noted(*how: Any) -> Any:
        made.append(real(*how))
        return made[-1]

    monkeypatch.setattr(sessions, "connector", noted)
    with asyncio.Runner(loop_factory=loop) as runner:
        found = [runner.run(given_up(scheme, turns, made)) for turns in range(25)]

    assert [(0, 0, 0)] * 25 == found
