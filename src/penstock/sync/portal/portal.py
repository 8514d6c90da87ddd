"""The portal: what blocking callers hand their calls to."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
)
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar, cast, overload

from penstock.errors import StreamClosedError, UsageError
from penstock.sync.portal.forks import FORKS
from penstock.sync.portal.inbox import (
    CLEANUP_TIMEOUT,
    END,
    Desk,
    Errand,
    Outcome,
    closed,
    is_of,
    leave_at_exit,
    next_of,
    outcome_of,
    settle,
)
from penstock.sync.portal.thread import Job, LoopThread

__all__ = ["Gate", "Portal"]

_log = logging.getLogger("penstock.sync")

T = TypeVar("T")

Gate: TypeAlias = "asyncio.Future[None]"
"""What a coroutine on the loop waits at."""


class Portal:
    """A daemon thread with an event loop, for threads that wait.

    It starts with the first call, anew after a fork, and ends with `close`, when nobody holds the
    portal any more, or with the interpreter. Any number of threads may call at once.

    Args:
        closing: Awaited on the loop before it ends; `close` hands its arguments on.
        patience: Seconds that the interpreter's exit waits for that.
    """

    def __init__(
        self, closing: Callable[..., Awaitable[object]], *, patience: float = CLEANUP_TIMEOUT
    ) -> None:
        self._closing = closing
        self._patience = patience
        self._closed = False
        self._warned = False
        # By process: a fork copies the loop and not its thread. The parent's entry is kept and
        # never touched in a child, as both share the selector behind it.
        self._threads: dict[Hashable, LoopThread] = {}
        weakref.finalize(self, _abandon, self._threads).atexit = False

    @overload
    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T: ...

    @overload
    def call(self, function: Callable[..., T], *args: object) -> T: ...

    def call(self, function: Callable[..., Any], *args: object) -> Any:  # Any: by the overloads
        """Run ``function(*args)`` on the loop, await what it returns if need be, and return that.

        Whatever interrupts the wait, such as a `KeyboardInterrupt`, cancels the call and is raised
        once that has ended, or after two seconds; a second one does not wait.

        Raises:
            UsageError: This is the portal's own thread, which would wait for itself.
            StreamClosedError: The portal is closed, or was while the call ran.
        """
        return self._wait(function, *args)

    def iterate(
        self,
        make: Callable[[AsyncIterable[Any]], AsyncGenerator[T, None]],
        source: Iterable[Any] | AsyncIterable[Any],  # Any: whatever `make` takes
    ) -> Generator[T, None, None]:
        """Yield the items of ``make(source)``, one call for each.

        A blocking `source` is read in the thread that asks for the next item: a database cursor is
        used where it was made, and a slow file stalls no loop.
        """
        desk = Desk()
        items = make(source if isinstance(source, AsyncIterable) else desk.read(iter(source)))
        try:
            while (item := self._wait(_next, items, desk=desk)) is not END:
                yield cast("T", item)
        finally:
            if not self._closed:  # the loop has closed it otherwise
                self._wait(items.aclose)

    def prepare(
        self, main: Callable[[], Coroutine[Any, Any, None]], lost: Callable[[], None]
    ) -> Job:
        """Return a job that runs ``main()`` on the loop once it is started.

        Args:
            main: Never raises; what it has to say it says by itself.
            lost: Called instead, where the job ends before `main` begins, or the loop before it.

        Raises:
            UsageError: This is the portal's own thread.
            StreamClosedError: The portal is closed.
        """
        self._check_thread()
        if self._closed:
            raise closed()
        thread = self._threads.get(FORKS.process)
        if thread is None:  # `setdefault` is atomic, and no lock of the parent's can be held
            new = LoopThread(self._closing, self._patience)
            thread = self._threads.setdefault(FORKS.process, new)
        thread.start()
        return Job(thread, main, lost)

    def post(self, function: Callable[[], Awaitable[object]]) -> None:
        """Have `function` awaited on the loop, if there is one, and wait for nothing."""
        thread = self._threads.get(FORKS.process)
        if thread is not None and thread.loop is not None:
            with suppress(RuntimeError):  # it has ended
                thread.loop.call_soon_threadsafe(thread.aside, function)

    def close(self, *args: object) -> None:
        """End the loop: await ``closing(*args)``, cancel what is left, wait for the thread.

        Raises:
            UsageError: This is the portal's own thread.
        """
        self._check_thread()
        self._closed = True
        thread = self._threads.get(FORKS.process)
        if thread is not None:
            thread.stop(*args)
            thread.join()

    def _wait(
        self, function: Callable[..., object], *args: object, desk: Desk | None = None
    ) -> object:
        try:
            return self._answer(function, args, desk)
        except StreamClosedError:
            leave_at_exit()
            raise

    def _answer(
        self, function: Callable[..., object], args: tuple[object, ...], desk: Desk | None
    ) -> object:
        inbox: SimpleQueue[Outcome | Errand] = SimpleQueue() if desk is None else desk.inbox
        this = object()  # an inbox that serves several calls may hold what came too late for one

        async def main() -> None:
            inbox.put(await outcome_of(this, function, args))

        job = self.prepare(main, lambda: inbox.put(Outcome(this, error=closed())))
        try:
            job.start()
            while not is_of(outcome := next_of(inbox), this):
                if isinstance(outcome, Errand):
                    outcome.run()
        except BaseException:
            job.cancel()
            settle(inbox, lambda message: is_of(message, this))
            raise
        try:
            return outcome.unpack()
        finally:
            del outcome  # an error's traceback has this frame, which would keep the error

    def _check_thread(self) -> None:
        """Refuse to wait on the loop that would have to answer; warn of blocking another one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        thread = self._threads.get(FORKS.process)
        if thread is not None and thread.loop is loop:
            raise UsageError(
                "a blocking call was made on its own event loop, which would wait for itself: "
                "use penstock.Client there"
            )
        if not self._warned:
            self._warned = True
            _log.warning(
                "a blocking call stops the event loop of this thread while it waits; "
                "penstock.Client has the same with await"
            )


async def _next(items: AsyncIterator[object]) -> object:
    return await anext(items, END)


def _abandon(threads: dict[Hashable, LoopThread]) -> None:
    """End the loop of a portal that nobody holds; without waiting, as a collector may call this."""
    thread = threads.get(FORKS.process)
    if thread is not None:
        thread.stop()
