"""Forks: the loops rest while the process is copied, so that a child finds no lock of theirs taken.

A child has the memory and not the threads. What another thread held at that moment, a logging
stream, a module's import, a pool, is held for ever there, and the child's first call waits for it.
Our loops' threads are the ones that we can ask to hold nothing.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # its own hook comes before ours, and takes a lock
import os
import threading
from collections.abc import Hashable
from contextlib import suppress
from queue import Empty, SimpleQueue
from weakref import WeakKeyDictionary

__all__ = ["FORKS", "Forks"]

_PATIENCE = 1.0
"""Seconds that a fork waits for a loop which does not come to rest, and a resting loop for it."""


class Forks:
    """What this process's forks need to know: which loops run, in which threads."""

    def __init__(self) -> None:
        self._generation = 0
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
        self._resting: dict[int, list[_Rest]] = {}

    @property
    def process(self) -> Hashable:
        """This process and no other, not even an ancestor that ended and whose number is ours."""
        return os.getpid(), self._generation

    def add(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have `loop`, which runs in this thread, rest at forks from now on."""
        self._loops[loop] = threading.get_ident()

    def discard(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave `loop` alone again."""
        self._loops.pop(loop, None)

    def before(self) -> None:
        """Bring the loops of all other threads to rest."""
        this = threading.get_ident()
        resting = self._resting[this] = []
        for loop, thread in list(self._loops.items()):
            if thread != this:
                resting.append(_Rest(loop))
        for rest in resting:
            rest.begin()

    def after_in_parent(self) -> None:
        """Let them go on."""
        for rest in self._resting.pop(threading.get_ident(), ()):
            rest.end()

    def after_in_child(self) -> None:
        """Forget them: they run in the parent."""
        self._generation += 1
        self._loops = WeakKeyDictionary()
        self._resting = {}


class _Rest:
    """A pause of one loop; without a `threading` lock, as an interrupt can come at any moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begun: SimpleQueue[None] = SimpleQueue()
        self._over: SimpleQueue[None] = SimpleQueue()
        try:
            loop.call_soon_threadsafe(self._rest)
        except RuntimeError:  # it has ended, and holds nothing
            self._begun.put(None)

    def begin(self) -> None:
        """Wait until the loop rests."""
        with suppress(Empty):  # it is in some long call: the fork is as safe as it was
            self._begun.get(timeout=_PATIENCE)

    def end(self) -> None:
        """Let the loop go on."""
        self._over.put(None)

    def _rest(self) -> None:
        self._begun.put(None)
        with suppress(Empty):  # a fork that takes so long, or never came back
            self._over.get(timeout=_PATIENCE)


FORKS = Forks()
"""The process's: a hook cannot be taken back, and there is one process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=FORKS.before,
        after_in_parent=FORKS.after_in_parent,
        after_in_child=FORKS.after_in_child,
    )
