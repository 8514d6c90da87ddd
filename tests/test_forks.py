"""What a fork finds: a process of its own, and no lock that a thread of its parent's holds."""

from __future__ import annotations

import os
import signal
import threading
import weakref

import pytest

from penstock.forks import PROCESS, Lock, once

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: no fork"),
    # 3.12 warns of a fork beside other threads, which this is about.
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def test_a_lock_that_another_thread_holds_is_free_in_a_fork() -> None:
    """That thread is not there to let go of it; in the parent it holds on."""
    lock, held, over = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    before = PROCESS.generation
    child = os.fork()
    if not child:  # pragma: no cover  # another process
        free = lock._lock.acquire(timeout=5)
        os._exit(0 if free and before + 1 == PROCESS.generation else 1)
    _, status = os.waitpid(child, 0)

    assert (0, True, before) == (status, lock._lock.locked(), PROCESS.generation)
    over.set()
    holder.join()
    assert not lock._lock.locked()


def test_a_lock_is_forgotten_with_its_owner() -> None:
    """What renews them at a fork keeps none alive."""
    lock = Lock()
    kept = weakref.ref(lock)
    assert lock in PROCESS.locks
    del lock

    assert kept() is None


class Owner:
    """Has something that is made when it is asked for."""

    def __init__(self) -> None:
        self.asked, self.over = threading.Event(), threading.Event()
        self.made = 0

    @once
    def thing(self) -> int:
        """How often it was made."""
        self.made += 1
        self.asked.set()
        assert self.over.wait(10)
        return self.made


def test_what_is_made_once_is_kept() -> None:
    """And it says what it is."""
    owner = Owner()
    owner.over.set()

    assert [1, 1] == [owner.thing, owner.thing]
    assert "How often it was made." == Owner.thing.__doc__


def test_a_fork_makes_what_another_thread_was_making() -> None:
    """That thread is not there to go on with it, for this owner or another."""
    owner, other = Owner(), Owner()
    maker = threading.Thread(target=lambda: owner.thing)
    maker.start()
    assert owner.asked.wait(10)
    child = os.fork()
    if not child:  # pragma: no cover  # another process
        signal.alarm(10)
        owner.over.set()
        other.over.set()
        os._exit(0 if (2, 1) == (owner.thing, other.thing) else 1)
    _, status = os.waitpid(child, 0)
    owner.over.set()
    maker.join()

    assert (0, 1) == (status, owner.thing)
