"""TLS over bytes in memory: what it says, and how it ends; `tests.transports.test_tls` has whom."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

import pytest
import trustme
from tests.transports.authorities import serving, trusting
from tests.transports.direct.own import own
from tests.transports.peers import (
    CHUNKED,
    Connection,
    Peer,
    Pieces,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    once,
    read_all,
    until,
)

from penstock.errors import ConnectError, DeadlineError, TransportError
from penstock.interfaces import Ending
from penstock.limits import Timeouts

pytestmark = pytest.mark.asyncio


async def spoken(stage: Stage, handle: Any, **options: Any) -> tuple[Peer, Any]:
    """A peer that is trusted, and a transport that trusts it."""
    authority = trustme.CA()
    peer = await stage.peer(handle, tls=serving("127.0.0.1", authority=authority, **options))
    return peer, own(stage, verify=trusting(authority))


async def test_the_hosts_name_is_said(stage: Stage) -> None:
    """The server is told which host is meant (RFC 6066 section 3), and that it is HTTP/1.1."""
    authority, named = trustme.CA(), list[str | None]()
    server = serving("localhost", authority=authority)
    server.sni_callback = lambda _, name, __: named.append(name)
    server.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[str | None] = []

    async def handle(connection: Connection) -> None:
        tls = connection.writer.get_extra_info("ssl_object")
        chosen.append(tls.selected_alpn_protocol())
        await always(answer(b"ok"))(connection)

    peer = await stage.peer(handle, tls=server)
    transport = own(stage, verify=trusting(authority))
    wire = await transport.open(call_to(f"https://localhost:{peer.port}/"))

    assert b"ok" == await read_all(wire)
    assert (["localhost"], ["http/1.1"]) == (named, chosen)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_much_in_both_directions(stage: Stage, version: str) -> None:
    """Bodies of many records go out and come back whole, under either version."""
    body = Pieces(*[bytes([65 + at]) * 50_000 for at in range(20)])
    got: list[bytes] = []

    async def handle(connection: Connection) -> None:
        while True:
            got.append((await connection.request()).body)
            await connection.send(answer(got[-1]))

    peer, transport = await spoken(stage, handle)
    assert peer.tls is not None
    peer.tls.maximum_version = getattr(ssl.TLSVersion, version)
    for _ in range(2):
        wire = await transport.open(call_to(peer.url, body))
        assert b"".join(body.pieces) == await read_all(wire)

    assert [1_000_000] * 2 == [len(each) for each in got]
    assert 1 == peer.opened


async def test_an_unread_answer_stays_with_the_peer(stage: Stage) -> None:
    """Back-pressure reaches through TLS: what is not asked for is not decrypted without end."""
    sent = 0

    async def handle(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.send(CHUNKED)
        for _ in range(2000):
            await connection.send(chunk(b"x" * 32_768))
            sent += 1

    peer, transport = await spoken(stage, handle)
    wire = await transport.open(call_to(peer.url))
    previous = -1
    while sent != previous:
        previous = sent
        await asyncio.sleep(0.1)

    assert sent < 1000
    assert wire.buffered <= 96 * 1024
    await wire.aclose()


async def test_a_cut_without_a_goodbye_is_torn(stage: Stage) -> None:
    """An answer that ends with its connection may have been cut by anybody (RFC 9112 9.8)."""

    async def cut(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.02)
        connection.writer.transport.abort()

    peer, transport = await spoken(stage, cut)
    wire = await transport.open(call_to(peer.url))
    assert b"half" == await read_all(wire)
    assert wire.ending is not None
    assert not wire.ending.clean

    peer, transport = await spoken(stage, once(b"HTTP/1.0 200 OK\r\n\r\nwhole"))
    wire = await transport.open(call_to(peer.url))
    assert (b"whole", Ending(clean=True)) == (await read_all(wire), wire.ending)


async def test_a_peer_without_tls(stage: Stage) -> None:
    """A peer that speaks plain HTTP where TLS is wanted is told as that."""

    async def handle(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await connection.closed()

    peer = await stage.peer(handle)
    transport = own(stage)
    with pytest.raises(TransportError, match="TLS") as caught:
        await transport.open(call_to(peer.url.replace("http:", "https:")))

    assert "connect" == caught.value.phase
    await until(lambda: not peer.open)


async def test_a_peer_that_hangs_up_during_tls(stage: Stage) -> None:
    """A handshake that is cut is no connection."""

    async def handle(connection: Connection) -> None:
        await connection.reader.read(10)

    peer = await stage.peer(handle)
    with pytest.raises(ConnectError) as caught:
        await own(stage).open(call_to(peer.url.replace("http:", "https:")))

    assert "connect" == caught.value.phase


async def test_a_handshake_that_drips_meets_the_connect_clock(stage: Stage) -> None:
    """A peer that sends a byte of a record now and then does not hold a call for ever."""

    async def handle(connection: Connection) -> None:
        await connection.reader.read(10)
        for byte in b"\x16\x03\x03\x40\x00" + bytes(1000):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.01)

    peer = await stage.peer(handle)
    url = peer.url.replace("http:", "https:")
    transport = own(stage)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to(url, timeouts=Timeouts(connect=0.2)))

    assert "connect" == caught.value.phase
    await until(lambda: not peer.open)


async def test_an_idle_connection_is_ended_in_order(stage: Stage) -> None:
    """What is closed while it is idle says goodbye, so that the peer knows it is no cut."""
    ended: list[bytes | str] = []

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"ok"))
        try:
            ended.append(await connection.reader.read(1))
        except (ssl.SSLError, ConnectionError) as exc:
            ended.append(type(exc).__name__)

    peer, transport = await spoken(stage, handle)
    await read_all(await transport.open(call_to(peer.url)))
    await transport.aclose()
    await until(lambda: bool(ended))

    assert [b""] == ended


async def test_cancelled_at_every_turn(stage: Stage) -> None:
    """Row 24, with TLS: a cancel at any turn leaves no task, no place and no socket."""
    peer, transport = await spoken(stage, always(CHUNKED + chunk(b"one") + b"0\r\n\r\n"))
    before = asyncio.all_tasks()

    async def whole() -> bytes:
        wire = await transport.open(call_to(peer.url))
        try:
            return await read_all(wire)
        finally:
            await wire.aclose(reuse=True)

    def left() -> bool:
        stats = transport.stats()
        tasks = {each for each in asyncio.all_tasks() - before if "Peer" not in repr(each)}
        return bool(tasks) or (stats.calls, stats.connections - stats.idle) != (0, 0)

    for turns in range(40):
        task = asyncio.create_task(whole())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: not left())

    assert b"one" == await whole()
    await transport.aclose()
    await until(lambda: not peer.open)


async def test_a_broken_record_tears_the_answer(stage: Stage) -> None:
    """Bytes that are no TLS, below the connection, are not read as if they were."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"one"))
        await asyncio.sleep(0.02)
        below = connection.writer.get_extra_info("socket")
        os.write(below.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        await connection.closed()

    peer, transport = await spoken(stage, handle)
    wire = await transport.open(call_to(peer.url))

    assert b"one" == await read_all(wire)
    assert wire.ending is not None
    assert (False, True) == (wire.ending.clean, "broke" in wire.ending.detail)
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)
