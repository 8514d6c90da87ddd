"""The portal: one loop in one thread, for threads that wait."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from penstock.errors import StreamClosedError, UsageError
from penstock.sync.portal import Portal, next_of
from penstock.sync.portal.forks import FORKS

SOURCE = Path(__file__).parents[2] / "src"

quiet_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
posix = pytest.mark.skipif(os.name != "posix", reason="platform: needs POSIX signals and fork")


async def nothing() -> None:
    """Close nothing."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A portal that is closed after the test."""
    portal = Portal(nothing)
    yield portal
    portal.close()


def portals() -> list[threading.Thread]:
    """The portal threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "penstock-portal"]


async def double(number: int) -> int:
    """Return twice the number, from a coroutine."""
    await asyncio.sleep(0)
    return 2 * number


def test_a_coroutine_function_is_awaited(portal: Portal) -> None:
    """What the coroutine returns is what the call returns."""
    assert 42 == portal.call(double, 21)


def test_a_plain_function_runs_on_the_loop(portal: Portal) -> None:
    """A function that is no coroutine may ask the loop what only the loop can say."""
    first = portal.call(asyncio.get_running_loop)

    assert portal.call(asyncio.get_running_loop) is first


def test_an_error_is_raised_in_the_calling_thread(portal: Portal) -> None:
    """The same exception object arrives."""
    error = ValueError("no")

    async def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as caught:
        portal.call(fail)

    assert error is caught.value


def test_even_an_exit_is_raised_in_the_calling_thread(portal: Portal) -> None:
    """``SystemExit`` on the loop does not end the loop."""
    with pytest.raises(SystemExit):
        portal.call(sys.exit, 3)

    assert 4 == portal.call(double, 2)


def test_context_variables_travel(portal: Portal) -> None:
    """A call sees the context variables of its caller."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    async def read() -> str:
        return variable.get()

    assert "mine" == portal.call(read)


def test_nothing_runs_before_the_first_call() -> None:
    """A portal that is not used has no thread, and closing it starts none."""
    before = portals()
    portal = Portal(nothing)
    portal.close()

    assert before == portals()


def test_one_thread_serves_many_callers(portal: Portal) -> None:
    """Twenty threads that call for the first time at once share one loop."""
    loops: list[asyncio.AbstractEventLoop] = []
    barrier = threading.Barrier(20)

    def call() -> None:
        barrier.wait()
        loops.append(portal.call(asyncio.get_running_loop))

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (20, 1) == (len(loops), len(set(map(id, loops))))


def test_closing_awaits_what_was_given_with_its_arguments() -> None:
    """`close` hands its arguments to ``closing``, on the loop."""
    seen: list[object] = []

    async def closing(*args: object) -> None:
        seen.extend(args)

    portal = Portal(closing)
    portal.call(double, 1)
    portal.close(2.5)

    assert [2.5] == seen


def test_closing_ends_the_thread() -> None:
    """After `close` the thread is gone; a second one does nothing."""
    before = portals()
    portal = Portal(nothing)
    portal.call(double, 1)
    portal.close()
    portal.close()

    assert before == portals()


def test_what_closing_raises_is_raised() -> None:
    """`close` does not swallow what its function raises."""

    async def closing() -> None:
        raise OSError("stuck")

    portal = Portal(closing)
    portal.call(double, 1)

    with pytest.raises(OSError, match="stuck"):
        portal.close()


def test_a_closed_portal_refuses_calls() -> None:
    """A call after `close` starts no second thread."""
    portal = Portal(nothing)
    portal.close()

    with pytest.raises(StreamClosedError, match="closed"):
        portal.call(double, 1)


def test_closing_ends_calls_that_wait() -> None:
    """A call in another thread raises instead of waiting for ever."""
    portal = Portal(nothing)
    waiting = threading.Event()
    errors: list[BaseException] = []

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            portal.call(wait)
        except StreamClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    waiting.wait()
    portal.close()
    thread.join()

    assert 1 == len(errors)


def test_a_portal_that_nobody_holds_ends() -> None:
    """The thread does not outlive its portal."""
    others = portals()  # the shared one, where a test of the same process used it
    portal = Portal(nothing)
    portal.call(double, 1)
    (thread,) = set(portals()) - set(others)
    del portal
    gc.collect()
    thread.join(10)

    assert not thread.is_alive()


@pytest.mark.asyncio
async def test_it_works_beside_a_running_loop(caplog: pytest.LogCaptureFixture) -> None:
    """In a thread with a loop it blocks, and says once that there is another way."""
    portal = Portal(nothing)
    with caplog.at_level(logging.WARNING, "penstock.sync"):
        answers = [portal.call(double, 1), portal.call(double, 2)]
        portal.close()

    assert [2, 4] == answers
    assert 1 == len([each for each in caplog.messages if "penstock.Client" in each])


def test_its_own_loop_is_refused(portal: Portal) -> None:
    """A call from the portal's loop would wait for itself."""

    async def again() -> int:
        return portal.call(double, 1)

    with pytest.raises(UsageError, match="own event loop"):
        portal.call(again)


def test_closing_on_its_own_loop_is_refused(portal: Portal) -> None:
    """So would `close`."""

    async def close() -> None:
        portal.close()

    with pytest.raises(UsageError, match="own event loop"):
        portal.call(close)


def test_another_portals_loop_is_no_obstacle(portal: Portal) -> None:
    """Two portals have two loops, of which one may wait for the other."""
    other = Portal(nothing)

    async def ask() -> int:
        return other.call(double, 3)

    try:
        assert 6 == portal.call(ask)
    finally:
        other.close()


@posix
def test_an_interrupt_cancels_the_call(portal: Portal) -> None:
    """Ctrl-C is raised once the coroutine has been cancelled and has cleaned up."""
    cleaned: list[str] = []

    async def hang() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    with pytest.raises(KeyboardInterrupt):
        portal.call(hang)

    assert ["up"] == cleaned
    assert 2 == portal.call(double, 1)


def test_a_call_that_is_cancelled_before_its_first_step_is_lost(portal: Portal) -> None:
    """Its thread is told, as the coroutine that would have told it never runs."""
    told = threading.Event()

    async def never() -> None:
        raise AssertionError("it ran")

    job = portal.prepare(never, told.set)

    def both() -> None:  # in one turn of the loop
        job.start()
        job.cancel()

    portal.call(both)

    assert told.wait(10)


@posix
def test_an_interrupt_that_comes_too_late_is_raised(portal: Portal) -> None:
    """Ctrl-C with the answer already there does not wait for a call that is over."""
    interrupt = partial(signal.pthread_kill, threading.main_thread().ident or 0, signal.SIGINT)

    def interrupted() -> None:
        portal.call(interrupt)
        portal.call(asyncio.Event().wait)

    for _ in range(50):
        with pytest.raises(KeyboardInterrupt):
            interrupted()

    assert 2 == portal.call(double, 1)


async def _numbers(source: AsyncIterable[int]) -> AsyncGenerator[int, None]:
    async for number in source:
        yield number * 10


def test_iterating_reads_the_source_in_the_callers_thread(portal: Portal) -> None:
    """What the caller can only use in its own thread is used there."""
    threads: set[threading.Thread] = set()

    def source() -> Iterator[int]:
        for number in range(3):
            threads.add(threading.current_thread())
            yield number

    assert [0, 10, 20] == list(portal.iterate(_numbers, source()))
    assert {threading.current_thread()} == threads


def test_a_source_may_be_read_between_two_items(portal: Portal) -> None:
    """A generator that asks for the next in a task of its own is served at the next call."""

    async def ahead(source: AsyncIterable[int]) -> AsyncGenerator[int, None]:
        numbers = aiter(source)
        number = await anext(numbers)
        for _ in range(3):
            task = asyncio.ensure_future(anext(numbers))
            yield number
            number = await task
        yield number

    items = portal.iterate(ahead, range(4))
    first = next(items)
    portal.call(asyncio.sleep, 0)  # the next one is asked for, and nobody waits

    assert [0, 1, 2, 3] == [first, *items]


def test_iterating_takes_an_async_source(portal: Portal) -> None:
    """An async source is read on the loop."""

    async def source() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    assert [10, 20] == list(portal.iterate(_numbers, source()))


def test_a_source_that_fails_ends_the_iteration(portal: Portal) -> None:
    """The caller gets its own error, and what came before it."""

    def source() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    got = portal.iterate(_numbers, source())

    assert 10 == next(got)
    with pytest.raises(LookupError, match="no more"):
        next(got)


def test_leaving_an_iteration_closes_it(portal: Portal) -> None:
    """The async generator's ``finally`` has run when the loop is left."""
    closed: list[bool] = []

    async def numbers(source: AsyncIterable[int]) -> AsyncGenerator[int, None]:
        try:
            async for number in source:
                yield number
        finally:
            closed.append(True)

    items = portal.iterate(numbers, range(5))
    next(items)
    items.close()

    assert [True] == closed


@posix
@quiet_fork
def test_a_fork_starts_a_thread_of_its_own(portal: Portal) -> None:
    """The child's first call starts its own loop; the parent's goes on."""
    portal.call(double, 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(portal.call(double, 21)).encode())
            portal.close()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)

    assert ("42", 8) == (answer, portal.call(double, 4))


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What an interpreter of its own, with penstock, comes to."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def waited(child: int) -> int:
    """How a forked child of ours exited."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@posix
@quiet_fork
def test_a_loop_holds_no_lock_in_a_child(portal: Portal) -> None:
    """A fork waits for the step that the loop is in, which may have locked what a child needs."""
    lock, held = threading.Lock(), SimpleQueue[None]()

    def work() -> None:
        with lock:
            held.put(None)
            while not FORKS._resting:  # the fork is asking
                pass

    job = portal.prepare(nothing, int)
    job.start()
    job.loop.call_soon_threadsafe(work)
    held.get()
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(blocking=False) else 1)

    assert 0 == waited(child)
    assert 2 == portal.call(double, 1)  # it goes on


@posix
@quiet_fork
def test_a_fork_does_not_wait_for_long(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in a long call, which may wait for this very thread, holds back no fork."""
    monkeypatch.setattr("penstock.sync.portal.forks._PATIENCE", 0.01)
    gate, within = threading.Event(), SimpleQueue[None]()
    portal.call(int)
    job = portal.prepare(nothing, int)
    job.start()
    job.loop.call_soon_threadsafe(lambda: (within.put(None), gate.wait()))
    within.get()
    child = os.fork()
    if child == 0:
        os._exit(0)
    gate.set()

    assert 0 == waited(child)
    assert 2 == portal.call(double, 1)


@posix
@quiet_fork
def test_a_fork_on_the_loop_does_not_wait_for_it(portal: Portal) -> None:
    """It is its own thread that would have to come to rest."""

    def forked() -> int:
        child = os.fork()
        if child == 0:
            os._exit(0 if FORKS._loops == {} else 1)
        return child

    assert 0 == waited(portal.call(forked))


FORKING = """
import os, threading
from penstock.sync.portal import Portal
from penstock.sync.portal.forks import FORKS

async def nothing():
    pass

async def double(number):
    return 2 * number

portal = Portal(nothing)
portal.call(int)
exits = []
barrier = threading.Barrier(4)

def forked():
    barrier.wait()
    child = os.fork()
    if child == 0:
        try:
            os._exit(portal.call(double, 21))
        finally:
            os._exit(1)
    exits.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

threads = [threading.Thread(target=forked) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
portal.close()
print(exits, FORKS._resting)
"""


@posix
def test_threads_fork_at_once() -> None:
    """Each has its turn, and each child a loop of its own.

    In a process of its own: what other tests load (filelock) may refuse to fork in two threads.
    """
    done = ran("-c", FORKING)

    assert (0, f"{[42] * 4} {{}}\n") == (done.returncode, done.stdout), done.stderr


@posix
@quiet_fork
def test_a_number_that_is_used_again_is_another_process(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child whose number an ancestor had, which is gone, begins a loop of its own."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    portal.call(int)
    child = os.fork()
    if child == 0:
        try:
            os._exit(portal.call(double, 21))
        finally:
            os._exit(1)

    assert 42 == waited(child)


EXIT = """
import asyncio, contextlib, threading
from penstock.errors import StreamClosedError
from penstock.sync.portal import Portal

async def closing():
    print("closing", flush=True)

portal = Portal(closing)
started = threading.Event()

async def hang():
    started.set()
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned", flush=True)

def call():
    with contextlib.suppress(StreamClosedError):
        portal.call(hang)

threading.Thread(target=call, daemon=True).start()
started.wait()
"""


def test_the_interpreters_exit_closes_and_does_not_hang() -> None:
    """With a call under way at the end of the program, everything lets go first."""
    done = ran("-W", "error", "-c", EXIT)

    assert (0, "closing\ncleaned\n", "") == (done.returncode, done.stdout, done.stderr)


LEFT = """
import asyncio, contextlib, threading
from penstock.sync.portal import Portal
from penstock.sync.pump import Pump

async def nothing():
    pass

class Source:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *raised):
        pass
    def __aiter__(self):
        return self
    async def __anext__(self):
        reached.append(1)
        await asyncio.Event().wait()

portal = Portal(nothing)
reached = []

async def hang():
    reached.append(1)
    await asyncio.Event().wait()

def call():
    portal.call(hang)

def calls():
    portal.call(reached.append, 1)
    while True:
        portal.call(int)

def read():
    pump = Pump(portal, Source(), weigh=int, max_items=1, max_bytes=1)
    pump.open()
    list(pump)

def opens():
    reached.append(1)
    while True:
        pump = Pump(portal, Source(), weigh=int, max_items=1, max_bytes=1)
        pump.open()
        pump.close()

threads = [threading.Thread(target=each, daemon=True) for each in (call, calls, read, opens)]
for thread in threads:
    thread.start()
while len(reached) < 4:
    pass
"""


def test_threads_that_a_program_leaves_end_in_silence() -> None:
    """A daemon thread whose call is cut by the interpreter's exit prints no traceback."""
    done = ran("-W", "error", "-c", LEFT)

    assert (0, "") == (done.returncode, done.stderr)


def test_no_wait_is_deaf_for_long() -> None:
    """A signal that CPython lost before a wait is heeded after a second, as no wait is longer."""
    waits: list[float] = []

    class Inbox(SimpleQueue[str]):
        def get(self, block: bool = True, timeout: float | None = None) -> str:
            waits.append(timeout or 1e9)
            if len(waits) < 3:
                raise Empty
            return super().get(block, timeout)

    inbox = Inbox()
    inbox.put("message")

    assert "message" == next_of(inbox)
    assert 3 == len(waits)
    assert max(waits) <= 1


@pytest.mark.parametrize("begun", [True, False], ids=["it serves", "it does not"])
def test_an_interrupt_as_the_thread_starts_harms_no_later_call(
    monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Whether or not the thread came up, the next call has a loop, and closing ends it."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        if begun:
            start(thread)
        raise KeyboardInterrupt

    async def closing() -> None:
        pass

    before = portals()
    portal = Portal(closing)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        portal.call(int)

    assert 0 == portal.call(int)
    portal.close()
    left = set(portals()) - set(before)
    for thread in left:  # where two have begun, one sees that it is needless, in its own time
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


def test_a_thread_that_starts_too_late_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that was closed meanwhile, or has a loop by then, needs no other."""
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def late(thread: threading.Thread) -> None:
        monkeypatch.undo()
        begun.append(thread)
        raise KeyboardInterrupt

    async def closing() -> None:
        pass

    for close_first in (True, False):
        portal = Portal(closing)
        monkeypatch.setattr(threading.Thread, "start", late)
        with pytest.raises(KeyboardInterrupt):
            portal.call(int)
        if close_first:
            portal.close()
        else:
            portal.call(int)
        start(begun[-1])
        begun[-1].join(10)
        assert not begun[-1].is_alive()
        portal.close()
