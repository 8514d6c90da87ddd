"""Cancelled calls: the caller is free at once, and nothing is left (rows 23 to 27)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.transports.peers import (
    CHUNKED,
    END,
    Connection,
    Peer,
    Pieces,
    Stage,
    always,
    call_to,
    chunk,
    read_all,
    silent_after,
    until,
)

from penstock.errors import PenstockError, StreamClosedError
from penstock.transports import HttpxTransport

pytestmark = pytest.mark.asyncio

PATIENCE = 10.0
"""Seconds after which something hangs; the rest of the suite may have the processor."""
WHOLE = CHUNKED + chunk(b"one") + chunk(b"two") + END


async def slow_chunks(connection: Connection) -> None:
    """Answer in pieces with a turn of the loop between them."""
    while True:
        await connection.request()
        for piece in (CHUNKED, chunk(b"one"), chunk(b"two"), END):
            await connection.send(piece)
            await asyncio.sleep(0)


async def whole_call(transport: HttpxTransport, peer: Peer, *, body: Any = None) -> bytes:
    """A call from its opening to its closing."""
    wire = await transport.open(call_to(peer.url, body))
    try:
        return await read_all(wire)
    finally:
        await wire.aclose(reuse=True)


async def tidy(transport: HttpxTransport, tasks: set[asyncio.Task[Any]]) -> None:
    """Hold that nothing of a call is left: no task, no place, no connection but idle ones."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while True:
        stats = transport.stats()
        extra = {t for t in asyncio.all_tasks() - tasks if "Peer._accept" not in repr(t)}
        done = (stats.calls, stats.connections - stats.idle, len(extra)) == (0, 0, 0)
        if done or asyncio.get_running_loop().time() > end:
            break
        await asyncio.sleep(0.001)
    assert set() == extra
    assert (0, 0, 0) == (stats.calls, stats.waiting, stats.connections - stats.idle)


async def cancel_after(turns: int, task: asyncio.Task[Any], *, twice: bool) -> bool:
    """Cancel `task` after so many turns of the loop; True where it had ended before."""
    for _ in range(turns):
        await asyncio.sleep(0)
        if task.done():
            return True
    task.cancel()
    if twice:
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.done(), f"held up after {turns} turns"
    return False


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("large", [False, True], ids=["small body", "large body"])
async def test_cancelled_at_every_await(stage: Stage, over: str, twice: bool, large: bool) -> None:
    """Row 24: one cancel, and two, at every turn of the loop from the call's start to its end."""
    peer = await stage.peer(slow_chunks)
    transport = stage.transport(use=over)
    before = asyncio.all_tasks()
    turns, ended = 0, 0
    # A call is through after so many turns; a few more prove that it was.
    while ended < 3:
        body = Pieces(*[b"x" * 40_000] * 4) if large else None
        task = asyncio.create_task(whole_call(transport, peer, body=body))
        if await cancel_after(turns, task, twice=twice):
            ended += 1
            assert b"onetwo" == await task
        await tidy(transport, before | {task})
        turns += 1
        assert turns < 400

    assert turns > 10
    assert b"onetwo" == await whole_call(transport, peer)


def descriptors() -> int:
    """Open descriptors of this process, where the system shows them."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def test_two_hundred_cancels_then_a_success(stage: Stage, over: str) -> None:
    """Row 25: cancelled streams take no place for ever, here or with the peer."""
    silent = silent_after(CHUNKED + chunk(b"one"))
    count = 0

    async def handle(connection: Connection) -> None:
        nonlocal count
        count += 1
        await (silent if count <= 200 else always(WHOLE))(connection)

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)

    async def one() -> None:
        wire = await transport.open(call_to(peer.url))
        await wire.read()
        await wire.read()

    before = descriptors()
    for _ in range(4):
        tasks = [asyncio.create_task(one()) for _ in range(50)]
        await until(lambda: transport.stats().calls == peer.open == 50)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await until(lambda: not peer.open)

    assert b"onetwo" == await whole_call(transport, peer)
    await transport.aclose()
    # The peer's own sockets are closed a turn after it has let go of them.
    await until(lambda: not peer.open and descriptors() <= before)


async def test_a_cancelled_read_is_free_while_the_owner_closes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 27: the caller does not wait for a connection that takes its time to close."""
    from penstock.transports.backend import Connection as Line

    closing = asyncio.Event()
    release = asyncio.Event()
    aclose = Line.aclose

    async def slow(self: Line) -> None:
        closing.set()
        await release.wait()
        await aclose(self)

    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport()
    wire = await transport.open(call_to(peer.url))
    monkeypatch.setattr(Line, "aclose", slow)
    task = asyncio.create_task(wire.read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await closing.wait()
    assert 1 == transport.stats().calls
    release.set()


async def test_the_transport_waits_for_owners(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HttpxTransport.aclose` returns when the connections that are being closed are closed."""
    from penstock.transports.backend import Connection as Line

    aclose, closed = Line.aclose, []

    async def slow(self: Line) -> None:
        await asyncio.sleep(0.02)
        await aclose(self)
        closed.append(self)

    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport()
    wire = await transport.open(call_to(peer.url))
    monkeypatch.setattr(Line, "aclose", slow)
    wire.abort()
    await transport.aclose()

    assert 1 == len(closed)


async def test_the_callers_cancellation_wins(stage: Stage, over: str) -> None:
    """A timer that fires in the turn of a cancellation does not swallow it."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    task = asyncio.create_task(wire.read())
    await asyncio.sleep(0.01)
    wire.abort(PenstockError("too late"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_from_another_task(stage: Stage, over: str) -> None:
    """Row 26: `aclose` works from any task, while a read is pending."""
    peer = await stage.peer(silent_after(CHUNKED))
    transport = stage.transport(use=over)
    wire = await transport.open(call_to(peer.url))
    task = asyncio.create_task(wire.read())
    await asyncio.sleep(0.01)
    await asyncio.create_task(wire.aclose())
    with pytest.raises(StreamClosedError):
        await task
