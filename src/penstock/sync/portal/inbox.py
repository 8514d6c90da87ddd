"""What goes between the loop and the threads that wait for it: outcomes, and errands."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeGuard, TypeVar, cast

from penstock.errors import StreamClosedError

__all__ = [
    "CLEANUP_TIMEOUT",
    "END",
    "LONGEST_WAIT",
    "Desk",
    "Errand",
    "Outcome",
    "closed",
    "is_of",
    "leave_at_exit",
    "next_of",
    "outcome_of",
    "settle",
]

_log = logging.getLogger("penstock.sync")

T = TypeVar("T")

CLEANUP_TIMEOUT = 2.0
"""Seconds that a cancelled call, or the interpreter's exit, waits for clean-up (fault matrix)."""

LONGEST_WAIT = 1.0
"""Seconds; `next_of` has the reason. Waking up once in that time costs 5 us."""

END = object()
"""What stands behind the last item of an iteration."""


@dataclass(slots=True)
class Outcome:
    """What became of a call."""

    call: object = None
    value: object = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)

    def unpack(self) -> object:
        """Return its value, or raise its error."""
        if self.error is not None:
            raise self.error
        return self.value


def is_of(message: object, call: object) -> TypeGuard[Outcome]:
    """Whether `message` is what became of `call`; an inbox may serve several."""
    return isinstance(message, Outcome) and message.call is call


async def outcome_of(
    call: object, function: Callable[..., object], args: tuple[object, ...]
) -> Outcome:
    """Return what becomes of ``function(*args)``, which is awaited if need be; on the loop."""
    try:
        value = function(*args)
        return Outcome(call, await value if isawaitable(value) else value)
    except asyncio.CancelledError:  # by who waits, who no longer cares, or by the loop's end
        return Outcome(call, error=closed())
    except BaseException as error:  # the caller's thread is where it belongs
        return Outcome(call, error=error)


class Errand:
    """Something that the loop asks of the thread that waits for it."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Outcome] = self._loop.create_future()

    def run(self) -> None:
        """Do it in this thread, and send back what came of it."""
        try:
            outcome = Outcome(value=self._function())
        except Exception as error:
            outcome = Outcome(error=error)
        self._loop.call_soon_threadsafe(self._report, outcome)

    def _report(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


class Desk:
    """Where a coroutine finds the thread that waits for it, or will wait again."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[Outcome | Errand] = SimpleQueue()

    async def read(self, source: Iterator[T]) -> AsyncGenerator[T, None]:
        """Yield the items of `source`, each taken from it by the waiting thread."""
        while True:
            errand = Errand(lambda: next(source, END))
            self.inbox.put(errand)
            item = (await errand.done).unpack()
            if item is END:
                return
            yield cast("T", item)


def next_of(inbox: SimpleQueue[T]) -> T:
    """Wait for the next message.

    CPython looks for signals before it waits for a lock and when one ends the wait, but one that
    comes in between ends nothing: a Ctrl-C would be heeded with the answer's next chunk, which may
    be never. So no wait is long.
    """
    while True:
        try:
            return inbox.get(timeout=LONGEST_WAIT)
        except Empty:
            pass


def settle(
    inbox: SimpleQueue[Any],  # Any: messages of many kinds
    is_last: Callable[[Any], bool],
) -> None:
    """Read `inbox` up to its last message, or for as long as clean-up may take."""
    until = monotonic() + CLEANUP_TIMEOUT
    while (left := until - monotonic()) > 0:
        with suppress(Empty):
            if is_last(inbox.get(timeout=left)):
                return
    _log.warning("a cancelled call has not ended after %s s; it goes on alone", CLEANUP_TIMEOUT)


def leave_at_exit() -> None:
    """End a thread that the program has left behind, before it raises that its call was cut.

    At the interpreter's exit only daemon threads are left, and nobody asked for their tracebacks.
    What Python ends a thread with in silence is this very class, and none beneath it.

    Raises:
        SystemExit: This is such a thread.
    """
    if not threading.main_thread().is_alive() and threading.current_thread().daemon:
        raise SystemExit


def closed() -> StreamClosedError:
    """Return the error of a call that its client's end cut short."""
    return StreamClosedError("the client is closed: make a new one")
