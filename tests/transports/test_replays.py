"""Row 21 of the fault matrix: which failures on a connection from the pool are sent once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any, Literal

import pytest
from tests.transports.peers import (
    Connection,
    Handle,
    Pieces,
    Stage,
    always,
    answer,
    call_to,
    read_all,
    silent_after,
    until,
)

from penstock.errors import EncodeError, TransportError, UsageError

pytestmark = pytest.mark.asyncio


class Failing(Pieces):
    """A body that raises in the middle of each pass."""

    def __init__(self, error: Exception) -> None:
        super().__init__(*[b"x" * 70_000] * 3)
        self._error = error

    async def open(self) -> AsyncIterator[bytes]:
        """One pass, up to the error."""
        async for piece in super().open():
            yield piece
        raise self._error

    async def length(self) -> int:
        """More than there is."""
        return 300_000


class OnePass(Pieces):
    """A body that refuses its second pass after the part of it that does not change."""

    def __init__(self, error: Exception, *pieces: bytes) -> None:
        super().__init__(*pieces)
        self._error = error
        self._measured = 0

    async def open(self) -> AsyncIterator[bytes]:
        """The only pass."""
        again = self.passes
        async for piece in super().open():
            yield piece
            if again:
                raise self._error

    async def length(self) -> int:
        """Its size, which takes a pass in truth."""
        self._measured += 1
        if self._measured > 1:
            raise self._error
        return await super().length()


def resets_the_second(answered: Callable[[], bytes]) -> Handle:
    """Answer the first request, and break the connection at the second one's head."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answered())
        await connection.head()
        connection.reset()

    return handle


def kinds(use: str) -> dict[str, Exception]:
    """What a body may raise: its own errors, and those of a connection that it reads from."""
    library = "httpx" if use in ("direct", "aiohttp") else use
    http: Any = import_module(library)
    core: Any = import_module(library.replace("httpx", "httpcore"))
    return {
        "value": ValueError("no such row"),
        "encode": EncodeError("not to be said"),
        "system": ConnectionResetError("the database is gone"),
        "library": http.ReadError("the image's own server hung up"),
        "core": core.ReadError("the image's own server hung up"),
    }


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("kind", ["value", "encode", "system", "library", "core"])
async def test_a_failing_body_is_not_sent_again(
    stage: Stage, over: str, kind: str, framing: Literal["chunked", "length"]
) -> None:
    """An error of the body's own, on a connection from the pool, comes out as it was raised."""
    peer = await stage.peer(always(answer(b"ok")))
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    body = Failing(kinds(over)[kind])
    with pytest.raises(type(body._error)) as caught:
        await transport.open(call_to(peer.url, body, framing=framing))

    assert body._error is caught.value
    assert (1, 1, 1) == (peer.opened, body.passes, body.closed)


async def test_a_body_that_is_too_short_is_not_sent_again(stage: Stage, over: str) -> None:
    """A body that ends before its counted length is the caller's fault, not the connection's."""
    peer = await stage.peer(always(answer(b"ok")))
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)

    class Short(Pieces):
        async def length(self) -> int:
            return 100

    body = Short(b"too", b"short")
    with pytest.raises(EncodeError):
        await transport.open(call_to(peer.url, body, framing="length"))

    assert (1, 1) == (peer.opened, body.passes)


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_body_with_one_pass_leaves_the_connections_error(
    stage: Stage, over: str, framing: Literal["chunked", "length"]
) -> None:
    """Where the body cannot be sent again, the connection that broke is what went wrong."""
    peer = await stage.peer(resets_the_second(lambda: answer(b"ok")))
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    body = OnePass(UsageError("used up"), b"a", b"b")
    with pytest.raises(TransportError) as caught:
        await transport.open(call_to(peer.url, body, framing=framing))

    kinds = {"ConnectionResetError", "ReadError", "RemoteProtocolError"}
    assert type(caught.value.__cause__).__name__ in kinds


async def test_a_fault_that_only_the_second_pass_meets_is_told(stage: Stage, over: str) -> None:
    """A body whose second pass gets further, and fails for itself, is not the connection's."""
    peer = await stage.peer(resets_the_second(lambda: answer(b"ok")))
    transport = stage.transport(use=over)
    await (await transport.open(call_to(peer.url))).aclose(reuse=True)
    body = OnePass(EncodeError("not to be said"), b"a", b"b")
    with pytest.raises(EncodeError) as caught:
        await transport.open(call_to(peer.url, body))

    assert body._error is caught.value
    assert 2 == body.passes


async def test_a_burst_of_replays_leaves_few_clients(stage: Stage, use: str) -> None:
    """Calls that are sent once more share fresh clients, and those that they leave are let go."""
    calls, heads = 24, 0
    broken = asyncio.Event()

    async def handle(connection: Connection) -> None:
        nonlocal heads
        await connection.request()
        await connection.send(answer(b"fresh" if broken.is_set() else b"first"))
        await connection.head()
        heads += 1
        if heads == calls:
            broken.set()
        await broken.wait()
        connection.reset()

    peer = await stage.peer(handle)
    transport = stage.transport(use=use)
    first = await asyncio.gather(*(transport.open(call_to(peer.url)) for _ in range(calls)))
    await asyncio.gather(*(wire.aclose(reuse=True) for wire in first))
    again = await asyncio.gather(*(transport.open(call_to(peer.url)) for _ in range(calls)))

    assert [b"fresh"] * calls == [await read_all(wire) for wire in again]
    assert 2 * calls == peer.opened
    # Three full ones, and those that fill while the last of the old streams move.
    assert transport.stats().shards <= 6


async def test_a_storm_of_cancelled_calls_leaves_no_crowd_of_clients(
    stage: Stage, use: str
) -> None:
    """A client without connections is let go when its last call is, not at the next sweep."""
    peer = await stage.peer(silent_after(b""))
    transport = stage.transport(use=use)
    calls = [asyncio.create_task(transport.open(call_to(peer.url))) for _ in range(40)]
    await until(lambda: peer.open == 40)
    most = transport.stats().shards
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await until(lambda: not transport.stats().calls)

    assert (5, 0) == (most, transport.stats().connections)
    assert transport.stats().shards <= 1
    await until(lambda: not peer.open)
