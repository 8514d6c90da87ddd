"""The portal that shims share, and what they hold on it."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue

import pytest

from penstock.errors import StreamClosedError
from penstock.sync.portal import Portal
from penstock.sync.shared import SharedPortal, shared_portal


class Owner:
    """A shim, as far as its end goes."""


class Held:
    """What a shim holds: it notes on which thread it was closed."""

    def __init__(self) -> None:
        self.closed: SimpleQueue[str] = SimpleQueue()

    async def aclose(self) -> None:
        """Note it."""
        self.closed.put(current())


def current() -> str:
    """The thread that runs this."""
    return threading.current_thread().name


def test_a_process_has_one() -> None:
    """Whoever asks gets the same portal, and calls run on its thread."""
    assert shared_portal() is shared_portal()
    assert "penstock-portal" == shared_portal().call(current)


ONE = """
import sys, threading
sys.setswitchinterval(1e-6)
gate, found = threading.Barrier(16), []

def ask():
    gate.wait()
    from penstock.sync.shared import shared_portal
    found.append(shared_portal())
    shared_portal().call(int)

threads = [threading.Thread(target=ask) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), len(set(found)), [t.name for t in threading.enumerate()].count("penstock-portal"))
"""


def test_threads_that_ask_first_at_once_get_the_same() -> None:
    """One thread for the process, whoever begins."""
    done = subprocess.run(
        [sys.executable, "-c", ONE], capture_output=True, text=True, timeout=60, check=True
    )

    assert "16 1 1\n" == done.stdout


def test_what_an_owner_held_is_closed_when_it_is_gone() -> None:
    """On the loop, and nobody waits for it."""
    held, owner = Held(), Owner()
    shared_portal().hold(held, owner)
    shared_portal().call(current)
    assert held.closed.empty()
    del owner
    gc.collect()

    assert "penstock-portal" == held.closed.get(timeout=10)


def test_what_happens_meanwhile_is_told_in_the_callers_thread() -> None:
    """In the order in which the loop tells it, before the call's value is returned."""
    heard: list[tuple[int, str]] = []

    async def count(tell: Callable[[int], Awaitable[None]]) -> int:
        for number in range(3):
            await tell(number)
        return 3

    def hear(number: int) -> None:
        heard.append((number, current()))

    assert 3 == shared_portal().listen(count, hear, weigh=int)
    assert [(number, current()) for number in range(3)] == heard


class Flood:
    """Tells more than may be under way, and knows how far it is."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.sent = 0
        self.ended = False

    async def run(self, tell: Callable[[int], Awaitable[None]]) -> int:
        """Tell numbers, without a pause of its own."""
        try:
            for number in range(self.most):
                await tell(number)
                self.sent += 1
        finally:
            self.ended = True
        return self.sent

    def ahead(self) -> int:
        """How many it has told when it has to wait, or is through; it lets others run only then."""
        return shared_portal().call(lambda: self.sent)


@pytest.mark.parametrize(
    ("size", "most"), [(0, 64), (256 * 1024, 4), (1024 * 1024, 1), (3 * 1024 * 1024, 1)]
)
def test_a_slow_thread_is_waited_for(size: int, most: int) -> None:
    """64 news are under way to it, or 1 MiB, or one that is larger; all arrive, in order.

    What it is told with may call the portal meanwhile: the loop waits for nobody.
    """
    flood, heard, ahead = Flood(), [], []

    def hear(number: int) -> None:
        heard.append(number)
        ahead.append(flood.ahead() - number)

    assert 1000 == shared_portal().listen(flood.run, hear, weigh=lambda _: size)
    assert list(range(1000)) == heard
    assert (most, most) == (ahead[0], max(ahead))


def test_a_thread_that_fails_to_hear_ends_the_call() -> None:
    """Its error is raised, and whoever waits to tell more is cancelled."""
    flood = Flood()

    def hear(_: int) -> None:
        assert 64 == flood.ahead()
        raise LookupError("no such log")

    with pytest.raises(LookupError, match="no such log"):
        shared_portal().listen(flood.run, hear, weigh=int)
    assert (True, 64) == (flood.ended, flood.ahead())


@pytest.mark.skipif(os.name != "posix", reason="platform: needs POSIX signals")
def test_an_interrupt_amid_news_ends_the_call() -> None:
    """Ctrl-C with a full window is raised once the call has ended, and no more news is heard."""
    flood, heard = Flood(), []

    def hear(_: int) -> None:
        heard.append(flood.ahead())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        shared_portal().listen(flood.run, hear, weigh=int)
    assert ([64], True) == (heard, flood.ended)


def test_a_portal_that_ends_amid_news_ends_the_call() -> None:
    """Whoever waits for room is cancelled with the loop."""
    flood, portal = Flood(), SharedPortal()

    with pytest.raises(StreamClosedError, match="closed"):
        portal.listen(flood.run, lambda _: portal.close(), weigh=int)
    assert flood.ended


def test_a_call_that_nobody_waits_for_is_waited_for_at_the_end() -> None:
    """Closing a portal lets what was posted come to its end; what that raises is logged."""
    done: list[str] = []

    async def work() -> None:
        done.append("begun")

    async def fail() -> None:
        raise ValueError("not closed")

    async def nothing() -> None:
        done.append("closing")

    portal = Portal(nothing)
    portal.post(work)  # no loop yet: nothing was opened on it
    portal.call(current)
    portal.post(work)
    portal.post(fail)
    portal.close()

    assert ["begun", "closing"] == done


EXIT = """
from penstock.sync.shared import shared_portal

class Held:
    async def aclose(self):
        print("closed", flush=True)

owner, held = Held(), Held()
shared_portal().hold(held, owner)
shared_portal().call(int)
"""


def test_the_interpreters_end_closes_what_is_held() -> None:
    """A program that forgets its shims leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60, check=True
    )

    assert "closed\n" == done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_loop() -> None:
    """The parent's thread is not there; the child's calls start another."""
    shared_portal().call(current)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, shared_portal().call(current).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert "penstock-portal" == said.read()
    assert 0 == os.waitpid(child, 0)[1]
