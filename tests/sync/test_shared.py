"""The portal that shims share, and what they hold on it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from penstock.sync.portal import Portal
from penstock.sync.shared import shared_portal


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

    async def count(tell: Callable[[int], None]) -> int:
        for number in range(3):
            tell(number)
        return 3

    assert 3 == shared_portal().listen(count, lambda number: heard.append((number, current())))
    assert [(number, current()) for number in range(3)] == heard


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
