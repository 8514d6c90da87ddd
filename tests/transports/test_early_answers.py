"""Answers that come while the body is still being sent, and uploads that stand still."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme
from tests.transports.clock import FakeClock
from tests.transports.peers import (
    Connection,
    Handle,
    Pieces,
    Small,
    Stage,
    answer,
    call_to,
    read_all,
)

from penstock.errors import DeadlineError, TransportError
from penstock.limits import Timeouts
from penstock.transports.backend import _informational

aio = pytest.mark.asyncio

HUGE = Pieces(*[b"x" * 65_536] * 2000)
"""More than the kernel takes for a peer that does not read."""
REASON = b'{"error":{"message":"too large"}}'


def narrow(connection: Connection) -> None:
    """Let the kernel take little for a peer that does not read."""
    raw = connection.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)


def never_reads(*answers: bytes) -> Handle:
    """Read the request's head only, and answer."""

    async def handle(connection: Connection) -> None:
        narrow(connection)
        await connection.head()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for data in answers:
            await asyncio.sleep(0.05)
            await connection.send(data)
        await asyncio.sleep(3600)

    return handle


@aio
@pytest.mark.parametrize(
    "status", [b"413 Content Too Large", b"401 Unauthorized", b"429 Too Many Requests"]
)
async def test_an_answer_during_the_body_is_read(stage: Stage, over: str, status: bytes) -> None:
    """A peer that answers and reads no more is heard, with its reason."""
    peer = await stage.peer(never_reads(answer(REASON, status=status)))
    wire = await stage.transport(use=over).open(call_to(peer.url, HUGE))

    assert (int(status[:3]), REASON) == (wire.status, await read_all(wire))


@aio
async def test_an_answer_during_the_body_is_read_over_tls(stage: Stage, over: str) -> None:
    """The send that the answer interrupts leaves the TLS stream in a state to read it."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    peer = await stage.peer(
        never_reads(answer(REASON, status=b"413 Content Too Large")), tls=server
    )
    transport = stage.transport(use=over, verify=trusting)
    wire = await transport.open(call_to(peer.url, HUGE))

    assert (413, REASON) == (wire.status, await read_all(wire))
    await wire.aclose(reuse=True)
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


@aio
async def test_an_interim_answer_does_not_stop_the_body(stage: Stage, over: str) -> None:
    """A 1xx answer during the body, in pieces, is passed over; the final one ends the body."""
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    early = never_reads(interim, interim[:11], interim[11:], answer(REASON, status=b"413 No"))
    peer = await stage.peer(early)
    wire = await stage.transport(use=over).open(call_to(peer.url, HUGE))

    assert (413, REASON) == (wire.status, await read_all(wire))


@aio
async def test_an_interim_answer_lets_the_body_go_on(stage: Stage, over: str) -> None:
    """A peer that says 102 and reads on gets the whole body."""
    size = 0

    async def handle(connection: Connection) -> None:
        nonlocal size
        await connection.head()
        await connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        async for piece in connection.pieces():
            size += len(piece)
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    body = Pieces(*[b"x" * 65_536] * 50)
    wire = await stage.transport(use=over).open(call_to(peer.url, body))

    assert (b"ok", 50 * 65_536) == (await read_all(wire), size)


@aio
async def test_a_connection_after_an_early_answer_is_not_used_again(
    stage: Stage, over: str
) -> None:
    """The rest of the body was never sent, so the connection is closed."""
    peer = await stage.peer(never_reads(answer(REASON, status=b"413 No")))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url, HUGE))
    await read_all(wire)
    await wire.aclose(reuse=True)

    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


@aio
async def test_a_peer_that_hangs_up_during_the_body(stage: Stage, over: str) -> None:
    """A reset while the body goes out is a `TransportError`, not a hang."""

    async def handle(connection: Connection) -> None:
        await connection.head()
        await connection.reader.readexactly(200_000)
        connection.reset()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    with pytest.raises(TransportError):
        await transport.open(call_to(peer.url, HUGE))

    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


@aio
async def test_a_peer_that_takes_nothing(stage: Stage, over: str) -> None:
    """The ``write`` clock ends an upload that stands still."""
    peer = await stage.peer(never_reads())
    transport = stage.transport(use=over)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to(peer.url, HUGE, timeouts=Timeouts(write=0.2)))

    assert "write" == caught.value.phase
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


@aio
async def test_an_upload_that_moves_is_healthy(stage: Stage, over: str) -> None:
    """Row 2: an upload may take many times the ``write`` clock as long as the peer takes bytes."""
    clock = FakeClock()

    async def handle(connection: Connection) -> None:
        await connection.head()
        async for _ in connection.pieces():
            # The kernel holds up to 6 MiB, a hundred pieces, and takes more in lumps.
            clock.turn(0.005)
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    body = Pieces(*[b"x" * 65_536] * 400)
    call = call_to(peer.url, body, timeouts=Timeouts(write=1), clock=clock)
    wire = await stage.transport(use=over).open(call)

    assert b"ok" == await read_all(wire)
    assert clock.now - 100.0 == pytest.approx(2.0)


@aio
async def test_a_slow_source_is_not_the_peers_silence(stage: Stage, over: str) -> None:
    """The time that the caller's own messages take does not count as the peer's."""
    clock = FakeClock()

    async def pace() -> None:
        clock.turn(60)

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    body = Pieces(*[b"x"] * 5, pace=pace)
    clocks = Timeouts(write=30, response=50, ttft=50)
    call = call_to(peer.url, body, timeouts=clocks, clock=clock)
    wire = await stage.transport(use=over).open(call)

    assert b"ok" == await read_all(wire)


@aio
async def test_a_small_body_that_is_not_taken(stage: Stage, over: str) -> None:
    """A body in one piece has the ``write`` clock too."""
    peer = await stage.peer(never_reads())
    call = call_to(peer.url, Small(b"x" * 8_000_000), timeouts=Timeouts(write=0.2))
    with pytest.raises(DeadlineError) as caught:
        await stage.transport(use=over).open(call)

    assert "write" == caught.value.phase


@pytest.mark.parametrize(
    ("data", "interim"),
    [
        (b"", True),
        (b"H", True),
        (b"HTTP/1.1 1", True),
        (b"HTTP/1.1 102 Processing\r\n\r\n", True),
        (b"HTTP/1.0 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 X\r\n", True),
        (b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 4", False),
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"SSH-2.0\r\n\r\n", False),
        (b"x", False),
    ],
)
def test_what_is_an_interim_answer(data: bytes, interim: bool) -> None:
    """Only whole or begun 1xx answers leave the body going (RFC 9110 section 15.2)."""
    assert interim == _informational(data)
