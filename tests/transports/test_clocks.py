"""The clocks of `penstock.Timeouts` on real connections (rows 1 to 6 of the fault matrix)."""

from __future__ import annotations

import asyncio

import pytest
from tests.transports.clock import FakeClock
from tests.transports.peers import (
    CHUNKED,
    Connection,
    Pieces,
    Stage,
    call_to,
    chunk,
    read_all,
    silent_after,
    until,
)

from penstock.errors import DeadlineError
from penstock.limits import Limits, Timeouts

pytestmark = pytest.mark.asyncio


async def never_answers(connection: Connection) -> None:
    """Take the request, and say nothing."""
    await connection.request()
    await connection.closed()


async def test_a_silent_server_meets_the_response_clock(stage: Stage, over: str) -> None:
    """Row 1: a server that takes the request and says nothing is given up on the clock."""
    peer = await stage.peer(never_answers)
    transport = stage.transport(use=over)
    with pytest.raises(DeadlineError, match="nothing had arrived") as caught:
        await transport.open(call_to(peer.url, timeouts=Timeouts(response=0.1)))

    assert ("response", 0.1) == (caught.value.phase, caught.value.limit)
    assert caught.value.elapsed is not None
    assert caught.value.elapsed >= 0.1
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


async def test_a_silent_server_meets_ttft(stage: Stage, over: str) -> None:
    """Row 1: ``ttft`` runs from the request's last byte, before there is an answer at all."""
    peer = await stage.peer(never_answers)
    with pytest.raises(DeadlineError) as caught:
        await stage.transport(use=over).open(call_to(peer.url, timeouts=Timeouts(ttft=0.1)))

    assert "ttft" == caught.value.phase


async def test_headers_then_silence_meet_ttft(stage: Stage, over: str) -> None:
    """Row 3: headers and framing are no content."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b": hello\n\n")))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url, timeouts=Timeouts(ttft=0.5)))
    with pytest.raises(DeadlineError) as caught:
        await read_all(wire)

    assert "ttft" == caught.value.phase
    await wire.aclose()
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


async def test_silence_in_the_body_meets_idle(stage: Stage, over: str) -> None:
    """Row 5: a peer that is gone without a word is noticed by its silence."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    wire = await stage.transport(use=over).open(call_to(peer.url, timeouts=Timeouts(idle=0.5)))

    assert b"data" == await wire.read()
    with pytest.raises(DeadlineError, match="4 bytes had arrived") as caught:
        await wire.read()
    assert "idle" == caught.value.phase
    with pytest.raises(DeadlineError):
        await wire.read()


async def test_half_a_head_meets_idle(stage: Stage, over: str) -> None:
    """A head that stops in the middle has been an answer, and is silence from then on."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nX-Half")
        await connection.closed()

    peer = await stage.peer(handle)
    clocks = Timeouts(response=30, idle=0.1)
    with pytest.raises(DeadlineError) as caught:
        await stage.transport(use=over).open(call_to(peer.url, timeouts=clocks))

    assert "idle" == caught.value.phase


async def test_a_drip_meets_total(stage: Stage, over: str) -> None:
    """Row 6: one byte just inside each idle limit still ends."""

    async def drip(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED)
        while True:
            await connection.send(chunk(b"."))
            await asyncio.sleep(0.01)

    peer = await stage.peer(drip)
    clocks = Timeouts(idle=5, total=0.5)
    wire = await stage.transport(use=over).open(call_to(peer.url, timeouts=clocks))
    with pytest.raises(DeadlineError) as caught:
        await read_all(wire)

    assert "total" == caught.value.phase


async def test_total_between_reads_raises_at_the_next(stage: Stage, over: str) -> None:
    """A consumer that is elsewhere when ``total`` passes hears of it, and the wire is gone."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url, timeouts=Timeouts(total=0.5)))
    await until(lambda: not transport.stats().connections)
    with pytest.raises(DeadlineError) as caught:
        await wire.read()

    assert "total" == caught.value.phase


async def test_a_slow_consumer_is_not_killed(stage: Stage, over: str) -> None:
    """``idle`` does not run while nobody asks, however long."""
    clock = FakeClock()
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    call = call_to(peer.url, timeouts=Timeouts(ttft=None, total=None), clock=clock)
    wire = await stage.transport(use=over).open(call)
    clock.turn(100_000)

    assert b"data" == await wire.read()


async def test_a_connection_that_does_not_come_up(stage: Stage, over: str) -> None:
    """The ``connect`` clock covers TLS: a peer that accepts and says nothing is given up."""

    async def mute(connection: Connection) -> None:
        await connection.closed()

    peer = await stage.peer(mute)
    url = peer.url.replace("http://", "https://")
    transport = stage.transport(use=over)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to(url, timeouts=Timeouts(connect=0.1, response=5)))

    assert "connect" == caught.value.phase
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


async def test_the_response_clock_waits_for_the_body(stage: Stage, over: str) -> None:
    """``response`` begins with the last byte of the body, however long that took."""
    clock = FakeClock()

    async def pace() -> None:
        clock.turn(50)

    async def handle(connection: Connection) -> None:
        await connection.request()
        clock.turn(50)
        await connection.send(CHUNKED)
        await connection.closed()

    peer = await stage.peer(handle)
    body = Pieces(*[b"x"] * 6, pace=pace)
    clocks = Timeouts(response=60, ttft=60, write=None)
    call = call_to(peer.url, body, timeouts=clocks, clock=clock)
    wire = await stage.transport(use=over).open(call)

    assert 200 == wire.status
    await wire.aclose()


async def test_endless_comments_meet_idle(stage: Stage, over: str) -> None:
    """Bytes that the decoder ignores are a sign of life only up to ``max_silence``."""

    async def noise(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED)
        while True:
            await connection.send(chunk(b":" * 500))
            await asyncio.sleep(0.001)

    peer = await stage.peer(noise)
    limits = Limits(max_silence=10_000)
    call = call_to(peer.url, limits=limits, timeouts=Timeouts(idle=0.5))
    wire = await stage.transport(use=over).open(call)

    async def read_on() -> None:
        while data := await wire.read():
            call.watch.ignored(len(data))

    with pytest.raises(DeadlineError) as caught:
        await read_on()
    assert "idle" == caught.value.phase


async def test_a_finished_call_leaves_no_timer(stage: Stage, over: str) -> None:
    """A clock of half an hour keeps nothing of a call that is over."""
    peer = await stage.peer(silent_after(CHUNKED + chunk(b"data")))
    call = call_to(peer.url)
    wire = await stage.transport(use=over).open(call)
    await wire.aclose()

    assert None is call.watch._timer  # type: ignore[attr-defined]
