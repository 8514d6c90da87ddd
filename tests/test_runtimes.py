"""One client in many runtimes: loops one after another, threads, forks, pickles, trio, uvloop.

Rows 29 and 30 of the fault matrix.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.road import until

import penstock as ps
from penstock.chunks import Chunk, TextDelta
from penstock.errors import (
    AuthenticationError,
    MissingCredentialsError,
    PenstockError,
    TruncatedError,
)
from penstock.simulator import SimulatorThread

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
KEY = "sk-canary-0123456789"
VARIABLE = "PENSTOCK_TEST_RUNTIMES_KEY"

# A loop that ends before its client leaves its sockets to the collector, which says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: has no fork")
no_uvloop = pytest.mark.skipif(sys.platform == "win32", reason="platform: has no uvloop")
quiet_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    """A simulator with a loop of its own, as the tests' loops come and go."""
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[ps.Client]:
    """A client that is closed after its test, in another loop than those that used it."""
    client = ps.Client(deployments=deployments(simulator), default_model="echo", max_retries=0)
    yield client
    in_a_loop(client.aclose)
    gc.collect()  # while the warnings below are ignored


def deployments(simulator: SimulatorThread, key: str = KEY) -> dict[str, ps.Deployment]:
    """Deployments at the simulator."""
    texts = ["text?tokens=20&rate=200", "text?status=401", "text?fault=cut@3", "text?fault=hang@2"]
    models = ["echo", *texts]
    return {name: ps.Deployment(f"{simulator.url}/v1", key, model=name) for name in models}


async def ask(client: ps.Client, text: str) -> str:
    """What the simulator echoes, whole and streamed."""
    whole = (await client.chat(messages=text)).text
    async with client.stream(messages=text) as stream:
        streamed = "".join([chunk.text async for chunk in stream])
    assert whole == streamed
    return whole


def in_a_loop(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``make()`` on a loop of its own, in asyncio's debug mode."""
    return asyncio.run(make(), debug=True)


def in_a_child(work: Callable[[], str]) -> str:
    """What `work` returns in a forked child, or the class of what it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answer = "nothing"
        try:
            answer = work()
        except BaseException as error:  # to the parent: a child of pytest must not go on
            answer = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_row_29_one_loop_after_another(client: ps.Client) -> None:
    """Row 29: a client outlives its loops, and has connections for each."""
    texts = [in_a_loop(lambda word=word: ask(client, word)) for word in ("one", "two", "three")]

    assert ["one", "two", "three"] == texts


def test_row_29_closing_in_the_second_loop(client: ps.Client) -> None:
    """Row 29: what the first loop left behind does not hinder the second's close."""

    async def ask_and_close() -> str:
        async with client:
            return await ask(client, "two")

    assert "one" == in_a_loop(lambda: ask(client, "one"))
    assert "two" == in_a_loop(ask_and_close)


def test_row_29_ten_threads_with_a_loop_each(client: ps.Client) -> None:
    """Row 29: at once, over one client."""
    barrier = threading.Barrier(10)

    def work(number: int) -> list[str]:
        barrier.wait()
        return in_a_loop(lambda: gather(number))

    async def gather(number: int) -> list[str]:
        return await asyncio.gather(*(ask(client, f"{number} {turn}") for turn in range(5)))

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(work, range(10)))

    assert [[f"{number} {turn}" for turn in range(5)] for number in range(10)] == answers


def test_a_loop_that_ends_with_a_stream_open_harms_no_other(client: ps.Client) -> None:
    """The next loop's calls and the client's counts do not know of it."""

    async def leave() -> Chunk:
        stream = client.stream("text?tokens=20&rate=200", "hello")
        return await anext(await stream.__aenter__())

    in_a_loop(leave)

    async def count() -> tuple[str, int]:
        return await ask(client, "next"), client.stats().open_streams

    assert ("next", 0) == in_a_loop(count)


@forks
@quiet_fork
def test_row_30_a_child_streams_and_so_does_its_parent(client: ps.Client) -> None:
    """Row 30: a client that was used before the fork is used after it, on both sides."""
    assert "before" == in_a_loop(lambda: ask(client, "before"))
    assert "child" == in_a_child(lambda: in_a_loop(lambda: ask(client, "child")))
    assert "after" == in_a_loop(lambda: ask(client, "after"))


@forks
@quiet_fork
def test_row_30_a_fork_amid_a_stream_leaves_it_to_the_parent(simulator: SimulatorThread) -> None:
    """Row 30: the child's calls and its close do nothing to the parent's connection."""
    model = "text?tokens=20&rate=200"
    with ps.SyncClient(deployments=deployments(simulator), default_model="echo") as client:
        expected = client.chat(model, "hello").text
        with client.stream(model, "hello") as stream:
            chunks = iter(stream)
            first = [next(chunks) for _ in range(3)]

            def work() -> str:
                counted = client.stats().open_streams
                text = client.chat(messages="child").text
                client.close()
                return f"{text} {counted}"

            answer = in_a_child(work)
            rest = list(chunks)

    assert "child 0" == answer
    assert expected == "".join(chunk.text for chunk in [*first, *rest])


@forks
@quiet_fork
def test_row_30_a_child_that_only_closes_closes_nothing_of_its_parents(
    simulator: SimulatorThread,
) -> None:
    """Row 30: not even where it makes no call of its own."""
    model = "text?tokens=20&rate=200"
    client = ps.SyncClient(deployments=deployments(simulator), default_model="echo")
    with client, client.stream(model, "hello") as stream:
        chunks = iter(stream)
        while not next(chunks).content:
            pass

        def work() -> str:
            in_a_loop(client._client.aclose)
            return "closed"

        answer = in_a_child(work)
        rest = sum(1 for chunk in chunks if chunk.content)

    assert ("closed", 19) == (answer, rest)


@forks
@quiet_fork
def test_row_30_the_embedded_simulator_is_the_childs_own() -> None:
    """Row 30: ``sim/`` models work on both sides of a fork."""
    client = ps.Client(default_model="sim/echo")
    before = in_a_loop(lambda: ask(client, "before"))
    child = in_a_child(lambda: in_a_loop(lambda: ask(client, "child")))

    async def last() -> str:
        async with client:
            return await ask(client, "after")

    assert ("before", "child", "after") == (before, child, in_a_loop(last))


@pytest.mark.parametrize("module", ["asyncio", pytest.param("uvloop", marks=no_uvloop)])
def test_a_loop_that_is_closed_amid_a_read_leaves_nothing_to_complain_of(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """The collector ends whoever waited, and there is no loop to be told."""
    loop: asyncio.AbstractEventLoop = import_module(module).new_event_loop()
    hangs = "text?fault=hang@2"
    client = ps.Client(deployments=deployments(simulator), default_model=hangs, transport="direct")

    async def begin() -> None:
        stream = client.stream(messages="hello")
        await stream.__aenter__()
        reading = asyncio.create_task(stream.collect())
        await until(lambda: waits(reading))

    def waits(task: asyncio.Task[Any]) -> bool:
        return type(getattr(task, "_fut_waiter", None)).__name__ == "Exchange"

    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: complaints.append(found.exc_value))
    loop.run_until_complete(begin())
    loop.close()
    loop.set_exception_handler(lambda *_: None)  # that the task was still pending
    gc.collect()

    assert [] == [each for each in complaints if not isinstance(each, ResourceWarning)]


def spawned(pickled: bytes) -> str:
    """What a client that came as a pickle is answered."""
    client = pickle.loads(pickled)
    if isinstance(client, ps.SyncClient):
        with client:
            return client.chat(messages="spawned").text

    async def ask_and_close() -> str:
        async with client:
            return await ask(client, "spawned")

    return asyncio.run(ask_and_close())


@pytest.mark.parametrize("kind", [ps.Client, ps.SyncClient])
def test_row_30_a_pickle_works_in_another_process(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """Row 30: it is the configuration, and the key is read where it is used."""
    monkeypatch.setenv(VARIABLE, KEY)
    client = kind(
        deployments=deployments(simulator, f"env:{VARIABLE}"),
        default_model="echo",
        timeouts=ps.Timeouts(total=30),
        headers={"x-title": "mine"},
    )
    pickled = pickle.dumps(client)
    program = (
        "import sys; from tests.test_runtimes import spawned; "
        "print(spawned(sys.stdin.buffer.read()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=pickled,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        check=False,
        timeout=50,
    )

    assert KEY.encode() not in pickled
    assert (0, "spawned", "") == (
        done.returncode,
        done.stdout.decode().strip(),
        done.stderr.decode(),
    )


@pytest.mark.parametrize("kind", [ps.Client, ps.SyncClient])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_row_30_a_pickle_holds_no_key(
    simulator: SimulatorThread, kind: type, protocol: int
) -> None:
    """Row 30: a literal key is gone, and the first call says so before anything is sent."""
    client = kind(deployments=deployments(simulator), default_model="echo")
    pickled = pickle.dumps(client, protocol)
    copied = pickle.loads(pickled)
    before = simulator.stats().requests
    run = (
        copied.chat
        if kind is ps.SyncClient
        else lambda **given: in_a_loop(lambda: copied.chat(**given))
    )
    with pytest.raises(MissingCredentialsError, match="pickle"):
        run(messages="hello")

    assert KEY.encode() not in pickled
    assert before == simulator.stats().requests


def test_row_30_a_used_client_pickles_too(client: ps.Client) -> None:
    """Row 30: connections, locks and loops are no part of it."""
    in_a_loop(lambda: ask(client, "before"))

    assert pickle.dumps(client) == pickle.dumps(pickle.loads(pickle.dumps(client)))


def test_errors_and_replies_pickle_from_real_calls(client: ps.Client) -> None:
    """What a worker process sends back loses nothing."""

    async def fail(model: str) -> PenstockError:
        with pytest.raises(PenstockError) as caught:
            await client.chat(model, "hello", metadata={"job": 7})
        return caught.value

    refused = in_a_loop(lambda: fail("text?status=401"))
    cut = in_a_loop(lambda: fail("text?fault=cut@3"))
    reply = in_a_loop(lambda: client.chat(messages="hello"))
    refused2, cut2, reply2 = pickle.loads(pickle.dumps((refused, cut, reply)))

    assert isinstance(refused2, AuthenticationError)
    assert (refused.status, refused.attempts, refused.metadata, str(refused)) == (
        refused2.status,
        refused2.attempts,
        refused2.metadata,
        str(refused2),
    )
    assert isinstance(cut2, TruncatedError)
    assert cut.partial == cut2.partial
    assert reply == reply2 == copy.deepcopy(reply)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_processes_takes_a_client(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """As ``concurrent.futures`` and Ray hand it to their workers."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"platform: has no {method}")
    monkeypatch.setenv(VARIABLE, KEY)
    client = ps.SyncClient(
        deployments=deployments(simulator, f"env:{VARIABLE}"), default_model="echo"
    )
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert "spawned" == pool.apply(spawned, (pickle.dumps(client),))


def test_trio_chats_and_streams(client: ps.Client) -> None:
    """The core runs on trio, as far as httpx carries it."""
    import trio

    async def work() -> tuple[str, int]:
        async with client:
            return await ask(client, "on trio"), client.stats().open_streams

    assert ("on trio", 0) == trio.run(work)


def test_trio_cancels_a_stream(client: ps.Client, simulator: SimulatorThread) -> None:
    """Leaving it behind on trio lets go of the connection."""
    import trio

    async def work() -> tuple[bool, int]:
        async with client:
            with trio.move_on_after(0.05) as scope:
                async with client.stream("text?fault=hang@2", "hello") as stream:
                    async for _ in stream:
                        pass
            return scope.cancelled_caught, client.stats().open_streams

    assert (True, 0) == trio.run(work)
    simulator.idle()


def test_trio_raises_what_asyncio_raises(client: ps.Client) -> None:
    """No group of one, and the same fields."""
    import trio

    async def work(model: str) -> PenstockError:
        with pytest.raises(PenstockError) as caught:
            await client.chat(model, "hello")
        return caught.value

    refused = trio.run(work, "text?status=401")
    cut = trio.run(work, "text?fault=cut@3")

    assert (AuthenticationError, 401) == (type(refused), refused.status)
    assert isinstance(cut, TruncatedError)
    assert cut.partial is not None
    assert cut.partial.text


def test_asyncio_and_trio_share_a_client(client: ps.Client) -> None:
    """In turn, each with connections of its own."""
    import trio

    assert "one" == in_a_loop(lambda: ask(client, "one"))
    assert "two" == trio.run(ask, client, "two")
    assert "three" == in_a_loop(lambda: ask(client, "three"))


@no_uvloop
def test_uvloop_runs_it(client: ps.Client) -> None:
    """uvloop is a loop like any other."""
    import uvloop

    async def work() -> str:
        async with client:
            return await ask(client, "on uvloop")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=True) as runner:
        assert "on uvloop" == runner.run(work())


def test_middleware_of_one_call_stays_in_its_loop(client: ps.Client) -> None:
    """Ten threads with middleware of their own see their own chunks only."""

    def work(number: int) -> str:
        async def mark(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
            async for chunk in chunks:
                yield TextDelta(f"{number}:{chunk.text}") if chunk.text else chunk

        async def chat() -> str:
            return (await client.chat(messages="word", middleware=[mark])).text

        return in_a_loop(chat)

    with ThreadPoolExecutor(10) as threads:
        assert [f"{number}:word" for number in range(10)] == list(threads.map(work, range(10)))
