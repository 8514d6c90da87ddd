"""The same seam on trio, in the caller's own task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
from tests.transports.peers import (
    CHUNKED,
    END,
    Pieces,
    always,
    answer,
    call_to,
    chunk,
    read_all,
    silent_after,
)
from tests.transports.threads import PeerThread

from penstock.errors import DeadlineError, PenstockError, PoolError, StreamClosedError
from penstock.interfaces import Ending
from penstock.limits import Limits, Timeouts
from penstock.transports import HttpxTransport


@pytest.fixture
def silent() -> Iterator[PeerThread]:
    """A peer that sends one chunk and nothing more."""
    with PeerThread(silent_after(CHUNKED + chunk(b"data"))) as running:
        yield running


@pytest.fixture
def talking() -> Iterator[PeerThread]:
    """A peer that answers at length."""
    with PeerThread(always(CHUNKED + chunk(b"one") + chunk(b"two") + END)) as running:
        yield running


def run(test: Callable[[HttpxTransport], Awaitable[Any]], **options: Any) -> Any:
    """Run `test` on trio with a transport, and hold that it leaves nothing."""

    async def main() -> Any:
        transport = HttpxTransport(**options)
        try:
            result = await test(transport)
            stats = transport.stats()
            assert (0, 0) == (stats.calls, stats.connections - stats.idle)
        finally:
            await transport.aclose()
        return result

    return trio.run(main)


def test_calls_work(talking: PeerThread, use: str) -> None:
    """A call is opened, read to its end and closed, and its connection used again."""

    async def test(transport: HttpxTransport) -> None:
        for body in (None, Pieces(b"a" * 70_000, b"b" * 70_000), None):
            call = call_to(talking.url, body)
            wire = await transport.open(call)
            assert b"onetwo" == await read_all(wire)
            assert Ending(clean=True) == wire.ending
            assert None not in (call.timings.opened, call.timings.first_byte)
            await wire.aclose(reuse=True)

    run(test, use=use)
    assert 1 == talking.opened


def test_the_rest_is_drained(talking: PeerThread, use: str) -> None:
    """An answer left before its end gives its connection back."""

    async def test(transport: HttpxTransport) -> None:
        for _ in range(3):
            wire = await transport.open(call_to(talking.url))
            await wire.read()
            await wire.aclose(reuse=True)

    run(test, use=use)
    assert 1 == talking.opened


@pytest.mark.parametrize(
    ("clocks", "phase"),
    [({"idle": 0.1}, "idle"), ({"ttft": 0.1}, "ttft"), ({"total": 0.1}, "total")],
)
def test_clocks_end_a_read(
    silent: PeerThread, use: str, clocks: dict[str, float], phase: str
) -> None:
    """The watchdog ends a read that waits."""

    async def test(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(silent.url, timeouts=Timeouts(**clocks)))
        assert b"data" == await wire.read()
        with pytest.raises(DeadlineError) as caught:
            await wire.read()
        assert phase == caught.value.phase
        with pytest.raises(DeadlineError):
            await wire.read()
        await wire.aclose()

    run(test, use=use)


def test_total_between_reads(silent: PeerThread, use: str) -> None:
    """``total`` that passes between reads raises at the next."""

    async def test(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(silent.url, timeouts=Timeouts(total=0.5)))
        await trio.sleep(0.6)
        with pytest.raises(DeadlineError):
            await wire.read()

    run(test, use=use)


def test_a_silent_server(use: str) -> None:
    """The clocks end an opening too."""

    async def mute(connection: Any) -> None:
        await connection.closed()

    async def test(transport: HttpxTransport) -> None:
        with pytest.raises(DeadlineError) as caught:
            await transport.open(call_to(peer.url, timeouts=Timeouts(response=0.1)))
        assert "response" == caught.value.phase

    with PeerThread(mute) as peer:
        run(test, use=use)


def test_cancelled_calls_leave_nothing(talking: PeerThread, silent: PeerThread, use: str) -> None:
    """Calls that are cancelled while they open or read leave no place and no connection."""

    async def test(transport: HttpxTransport) -> None:
        for url in (talking.url, silent.url):
            for turns in range(0, 40, 3):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(whole, transport, url)
                        for _ in range(turns):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
                stats = transport.stats()
                assert (0, 0) == (stats.calls, stats.connections - stats.idle)
        wire = await transport.open(call_to(talking.url))
        assert b"onetwo" == await read_all(wire)
        await wire.aclose()

    async def whole(transport: HttpxTransport, url: str) -> None:
        wire = await transport.open(call_to(url))
        try:
            await read_all(wire)
        finally:
            await wire.aclose()

    run(test, use=use)


@pytest.mark.parametrize("how", ["abort", "aclose"])
def test_another_task_ends_a_read(silent: PeerThread, use: str, how: str) -> None:
    """`abort` and `aclose` end a read that is pending in another task."""

    async def test(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(silent.url))
        await wire.read()

        async def reader() -> None:
            with pytest.raises(PenstockError) as caught:
                await wire.read()
            expected = PenstockError if how == "abort" else StreamClosedError
            assert expected is type(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader)
            await trio.sleep(0.02)
            if how == "abort":
                wire.abort(PenstockError("enough"))
            else:
                await wire.aclose()

    run(test, use=use)


def test_places_are_bounded(silent: PeerThread, use: str) -> None:
    """The bound on calls, and its clock, hold on trio."""

    async def test(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(silent.url))
        with pytest.raises(PoolError):
            await transport.open(call_to(silent.url, timeouts=Timeouts(pool=0.05)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second, transport)
            await trio.sleep(0.02)
            await wire.aclose()

    async def second(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(silent.url))
        await wire.aclose()

    run(test, use=use, limits=Limits(max_connections=1))


def test_an_unread_error_is_closed(use: str) -> None:
    """An answer that nobody reads is closed with its wire."""

    async def test(transport: HttpxTransport) -> None:
        for _ in range(20):
            wire = await transport.open(call_to(peer.url))
            assert 429 == wire.status
            await wire.aclose()

    with PeerThread(always(answer(b"slow down", status=b"429 No"))) as peer:
        run(test, use=use)
