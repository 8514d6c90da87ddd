"""Whether this process is a fork of the one that something was made in, and locks that bear one.

Asked of the kernel (``getpid``), the former is a hundredth of a short call each time.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

__all__ = ["PROCESS", "Lock"]


class _Process:
    """The running process."""

    __slots__ = ("generation", "locks")

    def __init__(self) -> None:
        self.generation = 0
        """How many forks lie between it and the one that loaded this module."""
        self.locks: WeakSet[Lock] = WeakSet()
        """Those that are there."""

    def forked(self) -> None:
        """Note that it is a new one, of one thread, which holds none of the locks."""
        self.generation += 1
        for lock in self.locks:
            lock.renew()


class Lock:
    """A lock for a ``with``; nobody holds it in a fork, where the thread that did is not there."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        PROCESS.locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Be one that nobody holds."""
        self._lock = threading.Lock()


PROCESS = _Process()
"""This one: a hook cannot be taken back, and there is one process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.forked)
