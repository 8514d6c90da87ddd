"""One transport on many loops: two runs, ten threads, a fork, uvloop (rows 29 and 30)."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias

import pytest
from tests.transports.peers import CHUNKED, END, always, call_to, chunk, made, read_all, until
from tests.transports.threads import PeerThread

Use: TypeAlias = Literal["direct", "httpx", "httpx2"]
WHOLE = CHUNKED + chunk(b"data") + END


@pytest.fixture
def peer() -> Iterator[PeerThread]:
    """A peer in a thread."""
    with PeerThread(always(WHOLE)) as running:
        yield running


async def one_call(transport: Any, url: str) -> bytes:
    """A call from its opening to its closing."""
    wire = await transport.open(call_to(url))
    data = await read_all(wire)
    await wire.aclose(reuse=True)
    return data


async def three_calls(transport: Any, url: str) -> int:
    """Three calls in a row; how many connections are left open."""
    for _ in range(3):
        assert b"data" == await one_call(transport, url)
    return transport.stats().connections


def held(here: Any) -> int:
    """Connections that a transport has on one loop."""
    found: int = here.pool.stats().connections if hasattr(here, "pool") else len(here.open)
    return found


# What a loop leaves open when it ends belongs to the collector, which says so.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_runs_have_connections_of_their_own(peer: PeerThread, over: Use) -> None:
    """Row 29: a transport that outlives a loop opens new connections on the next one."""
    transport = made(over)

    assert [1, 1] == [asyncio.run(three_calls(transport, peer.url)) for _ in range(2)]
    assert 2 == peer.opened
    assert 1 == len(transport._loops)
    del transport
    gc.collect()


def test_ten_threads_have_connections_of_their_own(peer: PeerThread, over: Use) -> None:
    """Row 29: ten loops in ten threads share a transport and no connection."""
    transport = made(over)
    together = threading.Barrier(10)

    async def run() -> int:
        together.wait(10)
        left = await three_calls(transport, peer.url)
        together.wait(10)
        # Each loop closes its own; `aclose` would close the others' too, and end the transport.
        await transport._loops.pop(asyncio.get_running_loop()).aclose()
        return left

    with ThreadPoolExecutor(10) as threads:
        assert [1] * 10 == list(threads.map(lambda _: asyncio.run(run()), range(10)))
    assert 10 == peer.opened


def test_closing_reaches_other_threads(peer: PeerThread, over: Use) -> None:
    """`aclose` on one loop closes the connections of another one that runs."""
    transport = made(over)
    opened, closed = threading.Event(), threading.Event()

    async def keep() -> int:
        await one_call(transport, peer.url)
        here = transport._loops[asyncio.get_running_loop()]
        opened.set()
        await until(closed.is_set)
        await until(lambda: not held(here))
        return held(here)

    with ThreadPoolExecutor(1) as threads:
        kept = threads.submit(asyncio.run, keep())
        assert opened.wait(10)
        asyncio.run(transport.aclose())
        closed.set()
        assert 0 == kept.result(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
def test_a_forked_child_has_connections_of_its_own(peer: PeerThread, over: Use) -> None:
    """Row 30: a child does not speak on its parent's sockets, and the parent's go on."""
    transport = made(over)

    async def parent() -> int:
        await three_calls(transport, peer.url)
        child = os.fork()
        if not child:  # pragma: no cover  # another process
            status = 1
            try:
                asyncio._set_running_loop(None)
                status = asyncio.new_event_loop().run_until_complete(
                    three_calls(transport, peer.url)
                )
            finally:
                os._exit(status - 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        await three_calls(transport, peer.url)
        await transport.aclose()
        return status

    assert 0 == asyncio.run(parent())
    assert 2 == peer.opened


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
def test_a_forked_child_closes_nothing_of_its_parents(peer: PeerThread, over: Use) -> None:
    """Row 30: a child that closes the transport does not hang up on its parent's connections."""
    transport = made(over)
    with asyncio.Runner() as runner:
        runner.run(three_calls(transport, peer.url))
        child = os.fork()
        if not child:  # pragma: no cover  # another process
            status = 1
            try:
                asyncio.new_event_loop().run_until_complete(transport.aclose())
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        left = runner.run(three_calls(transport, peer.url))
        runner.run(transport.aclose())

    assert (0, 1, 1) == (status, left, peer.opened)


@pytest.mark.skipif(sys.platform == "win32", reason="platform: no uvloop")
@pytest.mark.filterwarnings("ignore:(?i)unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_uvloop_carries_it(peer: PeerThread, over: Use) -> None:
    """A faster loop is a loop like another, also one that ended without a word (row 29)."""
    import uvloop

    transport = made(over)
    for turn in range(1, 3):
        # What it leaves open it closes itself, and says so on stderr.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert 1 == runner.run(three_calls(transport, peer.url))
            if turn == 2:
                runner.run(transport.aclose())
        assert (turn, 2 - turn) == (peer.opened, len(transport._loops))
    del transport
    gc.collect()


def test_stats_outside_a_loop_are_of_all(peer: PeerThread, over: Use) -> None:
    """Where no loop runs, `stats` adds up those that are known; before a call there is nothing."""
    transport = made(over)
    assert 0 == transport.stats().connections
    assert over == getattr(transport.stats(), "library", "direct")
    with asyncio.Runner() as runner:
        runner.run(one_call(transport, peer.url))
        assert (1, 1) == (transport.stats().connections, transport.stats().idle)
        runner.run(transport.aclose())

    assert 0 == transport.stats().connections


@pytest.mark.skipif(sys.version_info < (3, 12), reason="platform: no eager tasks before 3.12")
def test_eager_tasks_carry_it(peer: PeerThread, over: Use) -> None:
    """A loop that starts tasks at once is a loop like another."""
    transport = made(over)

    async def run() -> int:
        factory = asyncio.eager_task_factory  # type: ignore[attr-defined]  # 3.12
        asyncio.get_running_loop().set_task_factory(factory)
        left = await three_calls(transport, peer.url)
        await transport.aclose()
        return left

    assert 1 == asyncio.run(run())


def test_nothing_is_loaded_before_the_first_call() -> None:
    """The HTTP library is loaded by the first call, not by the import or the constructor."""
    code = (
        "import sys, penstock.transports as t; t.HttpxTransport();"
        "print([m for m in ('httpx', 'httpx2', 'httpcore', 'h11') if m in sys.modules])"
    )
    import subprocess

    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "[]" == found.stdout.strip()
