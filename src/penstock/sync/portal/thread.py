"""The thread with the loop, and what runs on it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from penstock.errors import StreamClosedError
from penstock.sync.portal.forks import FORKS
from penstock.sync.portal.inbox import LONGEST_WAIT, closed

__all__ = ["Job", "LoopThread"]

_log = logging.getLogger("penstock.sync")


class Job:
    """A coroutine on the portal's loop, as the thread that began it knows it."""

    def __init__(
        self,
        thread: LoopThread,
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


class LoopThread:
    """One thread and its loop, in one process."""

    def __init__(self, closing: Callable[..., Awaitable[object]], patience: float) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._process = FORKS.process
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
                told.get(timeout=LONGEST_WAIT)

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
            try:
                loop.call_soon_threadsafe(callback)
            except RuntimeError:  # it is closed, and its thread is about to say so
                self._jobs.discard(job)
                raise closed() from None

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
        if self._process == FORKS.process and self._thread is not None:
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
        FORKS.add(self.loop)
        try:
            await self._stop.wait()
            await asyncio.gather(*self._asides)
            await self._closing(*self._arguments)
        finally:
            FORKS.discard(self.loop)
            with self._lock:
                self._over = True
            # What was posted by now begins here, and is cancelled with the rest: asyncio runs the
            # loop once more after that, and a call that began only then would be dropped half-done.
            await asyncio.sleep(0)


async def _logged(function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except Exception:  # nobody waits who could be told
        _log.exception("what a collected object held cannot be closed")
