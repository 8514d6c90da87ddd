"""A user's own httpx or httpx2 client, mocked ones too."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
import respx
from tests.transports.peers import (
    CHUNKED,
    END,
    Connection,
    Pieces,
    Request,
    Small,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    read_all,
    silent_after,
)

import penstock as ps
from penstock.errors import ConnectError, DeadlineError, TransportError
from penstock.interfaces import Ending
from penstock.limits import Timeouts
from penstock.transports import HttpxTransport

pytestmark = pytest.mark.asyncio
URL = "https://llm.example/v1/chat/completions"


def own(use: str, **options: Any) -> Any:
    """A client as a user makes it."""
    return {"httpx": httpx, "httpx2": httpx2}[use].AsyncClient(**options)


async def test_a_users_client_is_used_and_stays_open(stage: Stage, use: str) -> None:
    """Its headers and authentication hold, and it is the user's to close."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        while True:
            seen.append(await connection.request())
            await connection.send(CHUNKED + chunk(b"data") + END)

    peer = await stage.peer(handle)
    async with own(use, headers={"x-mine": "1"}, auth=("me", "pass")) as client:
        transport = HttpxTransport(client=client)
        for body in (Small(), Pieces(b"a" * 70_000, b"b")):
            wire = await transport.open(call_to(peer.url, body, headers=[("x-ours", "2")]))
            assert b"data" == await read_all(wire)
            assert Ending(clean=True) == wire.ending
            await wire.aclose(reuse=True)
        assert use == transport.library
        await transport.aclose()
        assert not client.is_closed

    assert 1 == peer.opened
    assert 70_001 == len(seen[1].body)
    for request in seen:
        headers = request.headers
        assert (b"1", b"2") == (headers[b"x-mine"], headers[b"x-ours"])
        assert headers[b"authorization"].startswith(b"Basic ")
        assert b"identity" == headers[b"accept-encoding"]


async def test_a_call_without_a_body(stage: Stage, use: str) -> None:
    """A GET has no body and frames none, over our clients and a user's."""
    seen: list[Request] = []

    async def handle(connection: Connection) -> None:
        while True:
            seen.append(await connection.head())
            await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    async with own(use) as client:
        transports = [HttpxTransport(client=client), stage.transport(use=use)]
        for transport in transports:
            call = call_to(peer.url, method="GET")
            call.body = None
            assert b"ok" == await read_all(await transport.open(call))
            await transport.aclose()

    for request in seen:
        assert b"GET /v1/chat/completions HTTP/1.1" == request.line
        assert not {b"content-length", b"transfer-encoding"} & request.headers.keys()


async def test_a_users_timeout_is_not_ours(stage: Stage, use: str) -> None:
    """The clocks are penstock's: the client's own 5 s do not cut a long thought."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    async with own(use, timeout=0.05) as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(peer.url, timeouts=Timeouts(idle=0.5)))
        await wire.read()
        with pytest.raises(DeadlineError) as caught:
            await wire.read()
        assert "idle" == caught.value.phase
        await transport.aclose()


async def test_no_redirect_even_where_the_client_follows(stage: Stage, use: str) -> None:
    """Row 40: a user's client that follows redirects does not do so with our key."""
    peer = await stage.peer(always(answer(b"", b"Location: /elsewhere", status=b"307 Go")))
    async with own(use, follow_redirects=True) as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(peer.url))
        assert 307 == wire.status
        await transport.aclose()


@pytest.mark.parametrize("step", ["read", "close", "abort"])
async def test_a_given_up_call_leaves_nothing(stage: Stage, use: str, step: str) -> None:
    """A user's client gets its connection back or closed, however the call ends."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"x") * 2000))
    async with own(use) as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(peer.url))
        if step == "read":
            await wire.read()
        if step == "abort":
            wire.abort()
        await wire.aclose()
        stats = transport.stats()
        assert (0, 0) == (stats.calls, stats.connections)
        await transport.aclose()


async def test_a_silent_server_meets_the_clock(stage: Stage, use: str) -> None:
    """The clocks hold over a user's client."""

    async def mute(connection: Connection) -> None:
        await connection.closed()

    peer = await stage.peer(mute)
    async with own(use) as client:
        transport = HttpxTransport(client=client)
        with pytest.raises(DeadlineError) as caught:
            await transport.open(call_to(peer.url, timeouts=Timeouts(response=0.1)))
        assert "response" == caught.value.phase
        await transport.aclose()


@respx.mock
async def test_respx_mocks_hold() -> None:
    """A user's tests with respx go on working over a client of their own."""
    route = respx.post(URL).respond(200, text="mocked")
    async with httpx.AsyncClient() as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(URL, Pieces(b"a", b"b")))

        assert (200, b"mocked") == (wire.status, await read_all(wire))
        assert b"ab" == route.calls.last.request.content
        await transport.aclose()


@respx.mock
async def test_a_mocked_failure_is_translated() -> None:
    """What a mock raises comes out as penstock's errors."""
    respx.post(URL).mock(side_effect=[httpx.ConnectError("no"), httpx.ReadError("gone")])
    async with httpx.AsyncClient() as client:
        transport = HttpxTransport(client=client)
        with pytest.raises(ConnectError):
            await transport.open(call_to(URL))
        with pytest.raises(TransportError):
            await transport.open(call_to(URL))
        await transport.aclose()


async def test_pytest_httpx2_mocks_hold(httpx2_mock: respx.Router) -> None:
    """A user's tests with pytest-httpx2 go on working over a client of their own."""
    httpx2_mock.post(URL).respond(200, text="mocked")
    async with httpx2.AsyncClient() as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(URL))

        assert (200, b"mocked") == (wire.status, await read_all(wire))
        await transport.aclose()


WHOLE = {"choices": [{"message": {"content": "mocked"}, "finish_reason": "stop"}]}
DEPLOYMENT = ps.Deployment(URL.removesuffix("/chat/completions"), "none", model="m")


@respx.mock
async def test_one_switch_lets_mocks_of_httpx_hold() -> None:
    """`transport="httpx"` is httpx, also where httpx2 is installed, which respx does not see."""
    respx.post(URL).respond(json=WHOLE)
    async with ps.Client(deployments={"m": DEPLOYMENT}, transport="httpx") as client:
        assert "mocked" == (await client.chat("m", "hi", stream=False)).text


async def test_one_switch_lets_mocks_of_httpx2_hold(httpx2_mock: respx.Router) -> None:
    """`transport="httpx2"` is httpx2."""
    httpx2_mock.post(URL).respond(json=WHOLE)
    async with ps.Client(deployments={"m": DEPLOYMENT}, transport="httpx2") as client:
        assert "mocked" == (await client.chat("m", "hi", stream=False)).text


async def test_a_mock_transport_holds(use: str) -> None:
    """A client over a mock transport, which tells nothing of its connection, works too."""
    library = {"httpx": httpx, "httpx2": httpx2}[use]

    def handle(_: Any) -> Any:
        return library.Response(200, headers={"x-a": "b"}, text="mocked")

    async with library.AsyncClient(transport=library.MockTransport(handle)) as client:
        transport = HttpxTransport(client=client)
        wire = await transport.open(call_to(URL))

        assert ("b", b"mocked") == (wire.headers["x-a"], await read_all(wire))
        await transport.aclose()
