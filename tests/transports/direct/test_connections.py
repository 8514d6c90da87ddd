"""Connections of our own: what the peer does to them between, before and after calls."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest
from tests.road import Road
from tests.transports.direct.own import own
from tests.transports.peers import (
    CHUNKED,
    END,
    OK,
    Connection,
    Pieces,
    Stage,
    always,
    answer,
    call_to,
    chunk,
    read_all,
    silent_after,
    until,
)

from penstock.errors import DeadlineError, StreamClosedError, TransportError
from penstock.interfaces import Ending
from penstock.limits import Limits, Timeouts

pytestmark = pytest.mark.asyncio


# --- while nobody has it -------------------------------------------------------------------------


async def test_a_peer_that_hangs_up_between_calls_is_noticed(stage: Stage) -> None:
    """An idle connection that ends leaves the pool by itself, and no call meets it."""

    async def one_each(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"ok"))

    peer = await stage.peer(one_each)
    transport = own(stage)
    for turn in range(1, 4):
        assert b"ok" == await read_all(await transport.open(call_to(peer.url)))
        await until(lambda: not transport.stats().connections)
        assert turn == peer.opened


@pytest.mark.parametrize("tokens", [3, 20_000], ids=["short", "paused"])
async def test_an_idle_connection_keeps_nobodys_context(tokens: int, road: Road) -> None:
    """The call that opened it, or had it read on, is over: so is what it had in its context."""

    class Kept:
        """What a caller has there: a request of its own, a span, a session."""

    variable: ContextVar[Kept] = ContextVar("variable")
    client = road.client(f"text?tokens={tokens}", transport="direct")

    async def call() -> weakref.ref[Kept]:
        kept = Kept()
        variable.set(kept)
        async with client.stream(None, "hi") as stream:
            await anext(stream)
            await asyncio.sleep(0.02)  # the connection is full, and is paused
            async for _ in stream:
                pass
        return weakref.ref(kept)

    gone = await asyncio.create_task(call())
    await asyncio.sleep(0)  # the loop is done with its task, too
    gc.collect()

    assert (1, None) == (client.stats().connections, gone())


async def test_words_that_nobody_asked_for_end_an_idle_connection(stage: Stage) -> None:
    """An answer that comes before its request would be the next call's."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"yours"))
        await asyncio.sleep(0.02)
        await connection.send(answer(b"poison"))
        await always(answer(b"more"))(connection)

    peer = await stage.peer(handle)
    transport = own(stage)
    assert b"yours" == await read_all(await transport.open(call_to(peer.url)))
    await until(lambda: not transport.stats().connections)

    assert b"yours" == await read_all(await transport.open(call_to(peer.url)))


@pytest.mark.parametrize("more", [answer(b"poison"), b"junk"])
async def test_more_than_one_answer_ends_the_connection(stage: Stage, more: bytes) -> None:
    """Two answers to one request: the first is read, the second meets nobody."""
    peer = await stage.peer(always(answer(b"yours") + more))
    transport = own(stage)
    for turn in range(1, 3):
        assert b"yours" == await read_all(await transport.open(call_to(peer.url)))
        assert (turn, 0) == (peer.opened, transport.stats().connections)


async def test_the_pool_has_no_more_than_places(stage: Stage) -> None:
    """Idle connections to many origins do not add up beyond ``max_connections``."""
    transport = own(stage, limits=Limits(max_connections=3))
    for _ in range(6):
        peer = await stage.peer(always(answer(b"ok")))
        await read_all(await transport.open(call_to(peer.url)))

    assert (3, 3) == (transport.stats().idle, transport.stats().connections)


# --- half-closed, and slow -----------------------------------------------------------------------


async def test_a_peer_that_sends_no_more_has_answered(stage: Stage) -> None:
    """A half-closed connection's answer is whole where its framing is, and is not used again."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"one") + END)
        connection.writer.write_eof()
        await connection.closed()

    peer = await stage.peer(handle)
    transport = own(stage)
    for turn in range(1, 3):
        wire = await transport.open(call_to(peer.url))
        assert (b"one", Ending(clean=True)) == (await read_all(wire), wire.ending)
        await until(lambda: not transport.stats().connections)
        assert turn == peer.opened


async def test_half_closed_in_the_body_is_torn(stage: Stage) -> None:
    """A peer that sends no more in the middle of a body has cut it, though it still listens."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"one"))
        connection.writer.write_eof()
        await connection.closed()

    peer = await stage.peer(handle)
    transport = own(stage)
    wire = await transport.open(call_to(peer.url))

    assert b"one" == await read_all(wire)
    assert wire.ending is not None
    assert not wire.ending.clean
    await until(lambda: not peer.open)


async def test_half_closed_while_the_body_goes_out(stage: Stage) -> None:
    """A peer that says no more before it has answered never will; the upload is not finished."""

    async def handle(connection: Connection) -> None:
        await connection.head()
        connection.writer.write_eof()
        await connection.closed()

    peer = await stage.peer(handle)
    body = Pieces(*[b"x" * 65_536] * 400)
    with pytest.raises(TransportError, match="without an answer"):
        await own(stage).open(call_to(peer.url, body))

    assert (1, 1) == (body.passes, body.closed)


async def test_a_head_that_drips_meets_a_clock(stage: Stage) -> None:
    """A peer that sends a byte of the head now and then does not hold a call for ever."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        for byte in OK + b"X: " + b"x" * 1000:
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.01)

    peer = await stage.peer(handle)
    transport = own(stage)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to(peer.url, timeouts=Timeouts(ttft=0.2, idle=5)))

    assert "ttft" == caught.value.phase
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)


async def test_a_peer_that_sips_is_healthy(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One piece that goes out slowly starts the ``write`` clock again with each sip."""
    monkeypatch.setattr("penstock.transports.direct.connection._SAMPLE", 0.01)
    taken = 0

    async def handle(connection: Connection) -> None:
        nonlocal taken
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        taken = len((await connection.request()).body)
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    call = call_to(peer.url, Pieces(b"x" * 16_000_000))
    sips: list[int] = []
    sent = call.watch.sent

    class Watch:
        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

        def sent(self, size: int) -> None:
            """Note a sip."""
            sips.append(size)
            sent(size)

    inner, call.watch = call.watch, Watch()  # type: ignore[assignment]
    wire = await own(stage).open(call)

    assert b"ok" == await read_all(wire)
    assert 16_000_000 == taken
    assert sips
    assert min(sips) >= 0


# --- calls that are given up ---------------------------------------------------------------------


async def test_a_source_that_waits_is_given_up(stage: Stage) -> None:
    """A clock that runs out frees the caller even while its own body makes it wait."""
    closed = 0

    class Stuck(Pieces):
        async def open(self) -> AsyncIterator[bytes]:
            nonlocal closed
            try:
                yield b"x"
                await asyncio.sleep(3600)
            finally:
                closed += 1

    peer = await stage.peer(silent_after(b""))
    transport = own(stage)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to(peer.url, Stuck(), timeouts=Timeouts(total=0.1)))

    assert ("total", 1) == (caught.value.phase, closed)
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)
    await until(lambda: not peer.open)


async def test_an_answer_is_heard_while_the_source_waits(stage: Stage) -> None:
    """A refusal reaches the caller although its body has more to come, some day."""

    class Slow(Pieces):
        async def open(self) -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(3600)

    async def handle(connection: Connection) -> None:
        await connection.head()
        await connection.send(answer(b"no", status=b"401 No"))
        await connection.closed()

    peer = await stage.peer(handle)
    transport = own(stage)
    wire = await transport.open(call_to(peer.url, Slow()))

    assert (401, b"no") == (wire.status, await read_all(wire))
    await until(lambda: not peer.open)


async def test_an_early_answer_stops_the_clock_of_the_upload(stage: Stage) -> None:
    """An answer that ends an upload may take its time: ``write`` does not run any more."""

    async def handle(connection: Connection) -> None:
        await connection.head()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(CHUNKED + chunk(b"one"))
        await asyncio.sleep(0.5)
        await connection.send(chunk(b"two") + END)

    peer = await stage.peer(handle)
    body = Pieces(*[b"x" * 65_536] * 2000)
    wire = await own(stage).open(call_to(peer.url, body, timeouts=Timeouts(write=0.2)))

    assert b"onetwo" == await read_all(wire)


async def test_closing_twice_at_once(stage: Stage) -> None:
    """Two tasks that close one answer both return, and the connection is used again."""

    async def handle(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(CHUNKED + chunk(b"data"))
            await asyncio.sleep(0.02)
            await connection.send(END)

    peer = await stage.peer(handle)
    transport = own(stage)
    wire = await transport.open(call_to(peer.url))
    await asyncio.gather(*(wire.aclose(reuse=True) for _ in range(3)))

    assert (0, 1) == (transport.stats().calls, transport.stats().idle)


async def test_closing_for_reuse_ends_a_pending_read(stage: Stage) -> None:
    """A read of another task does not wait for what is only drained."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = own(stage)
    wire = await transport.open(call_to(peer.url))
    reading = asyncio.create_task(wire.read())
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(wire.aclose(reuse=True))
    wire_closed = asyncio.gather(reading, return_exceptions=True)
    await asyncio.sleep(0.01)
    wire.abort()

    assert [StreamClosedError] == [type(found) for found in await wire_closed]
    await closing
    assert 0 == transport.stats().connections


async def test_a_read_that_is_closed_by_hand_ends_its_call(stage: Stage) -> None:
    """A coroutine that is closed amid a read is as good as cancelled: the next one is told so."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = own(stage)
    wire = await transport.open(call_to(peer.url))
    reading = wire.read()
    reading.send(None)
    reading.close()

    with pytest.raises(StreamClosedError):
        await wire.read()
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)
    await until(lambda: not peer.open)


async def test_a_call_that_is_closed_by_hand_as_it_connects_ends_there(stage: Stage) -> None:
    """Its coroutine waits for nothing more, which it may not; the connection goes by itself."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = own(stage)
    opening = transport.open(call_to(peer.url))
    opening.send(None)
    opening.close()

    assert 0 == transport.stats().calls
    await until(lambda: not transport.stats().connections and not peer.open)
