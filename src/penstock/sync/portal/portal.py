"""The one place that runs an event loop: a thread that blocking callers hand their calls to.

anyio's blocking portal was tried first. It needs two round trips for a call (159 µs instead of 53,
``benchmarks/sync.py``), a Ctrl-C between them leaves the call running with nobody to cancel it, and
its exit in a forked child waits for a thread that is not there. What follows is asyncio's own
``call_soon_threadsafe`` with an inbox for each call.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast, overload

from penstock.errors import StreamClosedError, UsageError

__all__ = ["Gate", "Job", "Portal", "closed", "next_of", "settle"]

_log = logging.getLogger("penstock.sync")

T = TypeVar("T")

Gate: TypeAlias = "asyncio.Future[None]"
"""What a coroutine on the loop waits at."""

_CLEANUP_TIMEOUT = 2.0
"""Seconds that a cancelled call, or the interpreter's exit, waits for clean-up (fault matrix)."""

_LONGEST_WAIT = 1.0
"""Seconds; `next_of` has the reason. Waking up once in that time costs 5 us."""


class Portal:
    """A daemon thread with an event loop, for threads that wait.

    It starts with the first call, anew after a fork, and ends with `close`, when nobody holds the
    portal any more, or with the interpreter. Any number of threads may call at once.

    Args:
        closing: Awaited on the loop before it ends; `close` hands its arguments on.
        patience: Seconds that the interpreter's exit waits for that.
    """

    def __init__(
        self, closing: Callable[..., Awaitable[object]], *, patience: float = _CLEANUP_TIMEOUT
    ) -> None:
        self._closing = closing
        self._patience = patience
        self._closed = False
        self._warned = False
        # By process: a fork copies the loop and not its thread. The parent's entry is kept and
        # never touched in a child, as both share the selector behind it.
        self._threads: dict[int, _LoopThread] = {}
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
        desk = _Desk()
        items = make(source if isinstance(source, AsyncIterable) else desk.read(iter(source)))
        try:
            while (item := self._wait(_next, items, desk=desk)) is not _END:
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
        thread = self._threads.get(os.getpid())
        if thread is None:  # `setdefault` is atomic, and no lock of the parent's can be held
            new = _LoopThread(self._closing, self._patience)
            thread = self._threads.setdefault(os.getpid(), new)
        thread.start()
        return Job(thread, main, lost)

    def post(self, function: Callable[[], Awaitable[object]]) -> None:
        """Have `function` awaited on the loop, if there is one, and wait for nothing."""
        thread = self._threads.get(os.getpid())
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
        thread = self._threads.get(os.getpid())
        if thread is not None:
            thread.stop(*args)
            thread.join()

    def _wait(
        self, function: Callable[..., object], *args: object, desk: _Desk | None = None
    ) -> object:
        inbox: SimpleQueue[_Outcome | _Errand] = SimpleQueue() if desk is None else desk.inbox
        this = object()  # an inbox that serves several calls may hold what came too late for one

        async def main() -> None:
            inbox.put(await _outcome(this, function, args))

        job = self.prepare(main, lambda: inbox.put(_Outcome(this, error=closed())))
        try:
            job.start()
            while not _is_of(outcome := next_of(inbox), this):
                if isinstance(outcome, _Errand):
                    outcome.run()
        except BaseException:
            job.cancel()
            settle(inbox, lambda message: _is_of(message, this))
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
        thread = self._threads.get(os.getpid())
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


class Job:
    """A coroutine on the portal's loop, as the thread that began it knows it."""

    def __init__(
        self,
        thread: _LoopThread,
        main: Callable[[], Coroutine[Any, Any, None]],
        lost: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._main = main
        self._lost = lost
        self._task: asyncio.Task[None] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; only its ``call_soon_threadsafe`` is for other threads."""
        return self._thread.running_loop

    def start(self) -> None:
        """Begin, in the caller's context variables.

        Raises:
            StreamClosedError: The loop has ended.
        """
        self._thread.post(self, self._begin)

    def cancel(self) -> None:
        """Cancel `main`, from any thread; where it never began or has ended `lost` is called."""
        try:
            self._thread.post(self, self._stop)
        except StreamClosedError:
            self._lost()

    def lose(self) -> None:
        """Say that the loop has ended."""
        self._lost()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._main())
        self._task.add_done_callback(self._end)

    def _stop(self) -> None:
        if self._task is None or self._task.done():
            self._thread.forget(self)
            self._lost()
        else:
            self._task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._thread.forget(self)
        # A task that is cancelled before its first step runs nothing of `main`.
        if task.cancelled() or task.exception() is not None:
            self._lost()


class _LoopThread:
    """One thread and its loop, in one process."""

    def __init__(self, closing: Callable[..., Awaitable[object]], patience: float) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closing = closing
        self._patience = patience
        self._arguments: tuple[object, ...] = ()
        self._lock = threading.RLock()  # re-entrant: a signal's handler may call as well
        self._thread: threading.Thread | None = None
        self._waiting: list[SimpleQueue[None]] = []
        self._ready = False
        self._stop: asyncio.Event | None = None
        self._stopped = False
        self._over = False
        self._jobs: set[Job] = set()
        self._asides: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    @property
    def running_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of a thread that was started."""
        if self.loop is None:  # no descriptors left for one, for instance
            raise self._failure or closed()
        return self.loop

    def start(self) -> None:
        """Start the thread once, and wait for its loop.

        Not with an event: an interrupt amid `threading.Event.wait`, and so amid `Thread.start`, can
        leave the event's own lock taken, and the thread that is to set it waits for that for ever.
        Such a thread never serves, and another one is begun by whoever waits.

        Raises:
            StreamClosedError: It was stopped meanwhile.
        """
        if self._ready:
            return
        told: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(told)
        while not self._ready:
            if self._stopped:
                raise closed()
            with self._lock:
                if self._thread is None:
                    atexit.register(self._at_exit)
                    thread = threading.Thread(target=self._serve, daemon=True)
                    thread.name = "penstock-portal"
                    thread.start()
            with suppress(Empty):
                told.get(timeout=_LONGEST_WAIT)

    def _tell(self) -> None:
        """Let those go on that wait for the loop."""
        self._ready = True
        for told in self._waiting:
            told.put(None)

    def post(self, job: Job, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop; `job` is told if the loop ends before it is done."""
        with self._lock:
            loop = self.running_loop
            if self._over:
                raise closed()
            self._jobs.add(job)
            loop.call_soon_threadsafe(callback)

    def forget(self, job: Job) -> None:
        """Note that `job` is done."""
        self._jobs.discard(job)

    def aside(self, function: Callable[[], Awaitable[object]]) -> None:
        """Begin a call that nobody waits for; on the loop only."""
        task = asyncio.ensure_future(_logged(function))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    def stop(self, *args: object) -> None:
        """Ask the loop to end; from any thread, and from a finalizer."""
        atexit.unregister(self._at_exit)
        self._stopped = True
        if self.loop is not None and self._stop is not None:
            self._arguments = args
            with suppress(RuntimeError):  # it has ended
                self.loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        """Wait for the thread, and raise what `closing` raised."""
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _at_exit(self) -> None:
        if self._pid == os.getpid() and self._thread is not None:
            self.stop()
            self._thread.join(self._patience)

    def _serve(self) -> None:
        with self._lock:
            if self._thread is not None or self._stopped:  # begun twice, after an interrupt
                return
            self._thread = threading.current_thread()
        try:
            asyncio.run(self._main())  # noqa: TID251  # the loop that this module is for
        except BaseException as error:  # raised by `join`, in a thread that can handle it
            self._failure = error
        finally:
            with self._lock:
                self._over = True
                lost = list(self._jobs)
            self._tell()
            for job in lost:
                job.lose()

    async def _main(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._stopped:  # while this began
            self._stop.set()
        self._tell()
        await self._stop.wait()
        await asyncio.gather(*self._asides)
        await self._closing(*self._arguments)


@dataclass(slots=True)
class _Outcome:
    """What became of a call."""

    call: object = None
    value: object = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)

    def unpack(self) -> object:
        if self.error is not None:
            raise self.error
        return self.value


def _is_of(message: object, call: object) -> TypeGuard[_Outcome]:
    return isinstance(message, _Outcome) and message.call is call


async def _outcome(
    call: object, function: Callable[..., object], args: tuple[object, ...]
) -> _Outcome:
    try:
        value = function(*args)
        return _Outcome(call, await value if isawaitable(value) else value)
    except asyncio.CancelledError:  # by who waits, who no longer cares, or by the loop's end
        return _Outcome(call, error=closed())
    except BaseException as error:  # the caller's thread is where it belongs
        return _Outcome(call, error=error)


class _Errand:
    """Something that the loop asks of the thread that waits for it."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[_Outcome] = self._loop.create_future()

    def run(self) -> None:
        """Do it in this thread, and send back what came of it."""
        try:
            outcome = _Outcome(value=self._function())
        except Exception as error:
            outcome = _Outcome(error=error)
        self._loop.call_soon_threadsafe(self._report, outcome)

    def _report(self, outcome: _Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


class _Desk:
    """Where a coroutine finds the thread that waits for it, or will wait again."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[_Outcome | _Errand] = SimpleQueue()

    async def read(self, source: Iterator[T]) -> AsyncGenerator[T, None]:
        """Yield the items of `source`, each taken from it by the waiting thread."""
        while True:
            errand = _Errand(lambda: next(source, _END))
            self.inbox.put(errand)
            item = (await errand.done).unpack()
            if item is _END:
                return
            yield cast("T", item)


async def _logged(function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except Exception:  # nobody waits who could be told
        _log.exception("what a collected object held cannot be closed")


async def _next(items: AsyncIterator[object]) -> object:
    return await anext(items, _END)


def _abandon(threads: dict[int, _LoopThread]) -> None:
    """End the loop of a portal that nobody holds; without waiting, as a collector may call this."""
    thread = threads.get(os.getpid())
    if thread is not None:
        thread.stop()


def next_of(inbox: SimpleQueue[T]) -> T:
    """Wait for the next message.

    CPython looks for signals before it waits for a lock and when one ends the wait, but one that
    comes in between ends nothing: a Ctrl-C would be heeded with the answer's next chunk, which may
    be never. So no wait is long.
    """
    while True:
        try:
            return inbox.get(timeout=_LONGEST_WAIT)
        except Empty:
            pass


def settle(
    inbox: SimpleQueue[Any],  # Any: messages of many kinds
    is_last: Callable[[Any], bool],
) -> None:
    """Read `inbox` up to its last message, or for as long as clean-up may take."""
    until = monotonic() + _CLEANUP_TIMEOUT
    while (left := until - monotonic()) > 0:
        with suppress(Empty):
            if is_last(inbox.get(timeout=left)):
                return
    _log.warning("a cancelled call has not ended after %s s; it goes on alone", _CLEANUP_TIMEOUT)


def closed() -> StreamClosedError:
    """Return the error of a call that its client's end cut short."""
    return StreamClosedError("the client is closed: make a new one")


_END = object()
