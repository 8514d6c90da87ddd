"""The connections below the HTTP library."""

from __future__ import annotations

import select
import socket

import pytest
from tests.transports.clock import FakeClock
from tests.transports.peers import Connection, Pieces, Stage, always, answer, call_to, read_all

from penstock.limits import Timeouts
from penstock.transports.backend import Backend
from penstock.transports.library import library
from penstock.transports.sockets import is_readable

aio = pytest.mark.asyncio


@aio
async def test_a_slow_connection_sends_in_slices(
    stage: Stage, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a send was slow, the ``write`` clock sees each slice of 4 KiB that the peer takes."""
    monkeypatch.setattr("penstock.transports.backend._SLOW_SEND", -1.0)
    sizes: list[int] = []
    clock = FakeClock()

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        sizes.append(len(request.body))
        await connection.send(answer(b"ok"))

    peer = await stage.peer(handle)
    call = call_to(
        peer.url, Pieces(b"a" * 65_536, b"b" * 5), timeouts=Timeouts(write=1), clock=clock
    )
    sent = call.watch.sent
    seen: list[int] = []

    class Watch:
        """The call's watch, with a slow peer's time between two slices."""

        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

        def sent(self, size: int) -> None:
            """Note a slice, and let 0.9 s pass."""
            seen.append(size)
            sent(size)
            clock.turn(0.9)

    inner, call.watch = call.watch, Watch()  # type: ignore[assignment]
    wire = await stage.transport(use=use).open(call)

    assert b"ok" == await read_all(wire)
    assert [65_541] == sizes
    assert (16, 4096) == (seen.count(4096), max(seen))


@aio
async def test_what_httpcore_asks_of_a_connection(stage: Stage, use: str) -> None:
    """A connection names its ends and its socket, and whether the peer has hung up."""
    peer = await stage.peer(always(answer(b"ok")))
    backend = Backend(library("httpx2" if use == "httpx2" else "httpx"))
    connection = await backend.connect_tcp("127.0.0.1", peer.port)

    assert ("127.0.0.1", peer.port) == connection.get_extra_info("server_addr")
    raw = connection.get_extra_info("socket")
    assert raw.getsockname() == connection.get_extra_info("client_addr")
    assert None is connection.get_extra_info("ssl_object")
    assert None is connection.get_extra_info("anything else")
    assert not connection.get_extra_info("is_readable")
    await backend.sleep(0)
    await connection.aclose()
    assert connection.get_extra_info("is_readable")


def test_readable_without_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems without ``poll`` are asked by ``select``; no socket reads as hung up."""
    near, far = socket.socketpair()
    with near, far:
        for _ in range(2):
            assert not is_readable(near)
            monkeypatch.delattr(select, "poll", raising=False)
        far.close()
        assert is_readable(near)
    assert is_readable(None)
