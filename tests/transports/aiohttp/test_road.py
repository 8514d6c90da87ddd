"""What is aiohttp's alone; the rest of its road is in the suite that all transports pass."""

from __future__ import annotations

import pytest
from tests.transports.peers import (
    CHUNKED,
    END,
    Connection,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    read_all,
    silent_after,
)

import penstock as ps
from penstock.errors import LimitExceededError, MissingExtraError
from penstock.limits import Limits
from penstock.transports.aiohttp import AiohttpTransport

aio = pytest.mark.asyncio


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client is made, not in the first call."""
    monkeypatch.setattr("penstock.connections.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"penstock\[fast\]"):
        ps.Client(transport="aiohttp")

    monkeypatch.setattr("penstock.transports.aiohttp.transport.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"penstock\[fast\]"):
        AiohttpTransport()


@aio
async def test_a_call_without_a_body_is_sent_at_once(stage: Stage) -> None:
    """What is left to wait for is the answer: the clock of writing does not run."""
    peer = await stage.peer(silent_after(b""))
    call = call_to(peer.url, timeouts=ps.Timeouts(write=0.2, response=0.2))
    call.body = None
    call.method = "GET"
    with pytest.raises(ps.errors.DeadlineError) as caught:
        await stage.transport(use="aiohttp").open(call)

    assert "response" == caught.value.phase


@aio
async def test_a_heads_bound_is_aiohttps_above_100_kib(stage: Stage) -> None:
    """A call may ask for less; what it allows beyond is refused all the same."""
    many = b"".join(b"X-%d: %b\r\n" % (count, b"x" * 1000) for count in range(120))
    peer = await stage.peer(always(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + many + b"\r\n"))
    limits = Limits(max_response_headers=1_000_000, max_response_header_count=1000)
    with pytest.raises(LimitExceededError) as caught:
        await stage.transport(use="aiohttp").open(call_to(peer.url, limits=limits))

    assert ("max_response_headers", 100 * 1024) == (caught.value.phase, caught.value.limit)


@aio
async def test_what_nobody_asked_for_ends_a_connection(stage: Stage) -> None:
    """Bytes that come while a connection waits are not the next call's answer."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"first"))
        await connection.send(answer(b"forged"))
        await connection.closed()

    peer = await stage.peer(handle)
    transport = stage.transport(use="aiohttp")
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    peer.handle = always(CHUNKED + chunk(b"second") + END)

    assert b"second" == await read_all(await transport.open(call_to(peer.url)))
