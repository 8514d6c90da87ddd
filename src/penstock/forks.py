"""Whether this process is a fork of the one that something was made in, and what bears one.

Asked of the kernel (``getpid``), the former is a hundredth of a short call each time.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROCESS", "Lock", "once"]

ValueT = TypeVar("ValueT")


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


class once(Generic[ValueT]):  # in small letters, as `property`
    """A property that is made when it is first asked for; two threads may make it twice.

    `functools.cached_property` of CPython 3.11 makes those of all instances under one lock, which
    stays held in a fork beside a thread that makes one.

    Args:
        make: Makes it, of its owner.
    """

    def __init__(self, make: Callable[[Any], ValueT]) -> None:  # Any: whoever has it
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, kind: type[Any]) -> ValueT:  # Any: as above
        """Return it, and leave it where the next one who asks finds it without this."""
        if owner is None:  # its class is asked, as by what reads docstrings
            return self  # type: ignore[return-value]  # as `property` does
        made = owner.__dict__[self._make.__name__] = self._make(owner)
        return made


PROCESS = _Process()
"""This one: a hook cannot be taken back, and there is one process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.forked)
