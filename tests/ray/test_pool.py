"""Providers on actors: the seam's promises, answers as they are read, cancelling, death."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from msgspec.structs import replace
from tests.agents.cli.conftest import StandIn

import penstock as ps
from penstock.agents import ToolLoop, claude_code
from penstock.chunks import Chunk, Finish, TextDelta
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    PoolError,
    StreamClosedError,
    TransportError,
    TruncatedError,
    UnavailableError,
    UsageError,
)
from penstock.interfaces import CallRecord, Stream
from penstock.pipeline.stream import BatchStream
from penstock.ray import ActorPool, get, remote
from penstock.ray.worker import Worker, aged, young
from penstock.request import ChatRequest
from penstock.testing import ScriptedProvider, check_provider
from penstock.testing.check_provider import Scenario, Trial
from penstock.testing.scripted import Line

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.asyncio,
    pytest.mark.timeout(240),  # Ray is slow to start on a busy machine
]

SCRIPTS: dict[str, list[Line]] = {
    "answer": [["Hel", "lo"], ", ", ["world", Finish("stop")]],
    "slow": [0, 0, 0, ["Hel", "lo"], 0, ", ", 0, ["world", Finish("stop")]],
    "error": ["Hello", TruncatedError("cut short")],
    "stall": ["Hello", 3600.0],
    "silent": [3600.0, "Hello"],
    "refuse": [UnavailableError("not now", status=503)],
}


class Counting:
    """An endless answer that notes how often it was read."""

    def __init__(self, path: Path) -> None:
        self._path, self._reads = path, 0
        self.complete = False

    async def receive(self) -> None:
        """Note it."""
        self._reads += 1
        self._path.write_text(str(self._reads))  # it is small

    def take(self, _: None, /) -> list[Chunk]:
        """A thousand letters."""
        return [TextDelta("x" * 1000)]

    def abort(self, error: Exception | None = None) -> None:
        """Note that it was closed."""
        self._path.write_text("closed")

    async def aclose(self) -> None:
        """Do nothing."""


class Scripts:
    """Plays the script that the model's name asks for."""

    def __init__(self) -> None:
        self._played: list[ScriptedProvider] = []

    async def open(self, request: ChatRequest) -> Stream[Chunk]:
        """Open it; ``open`` is what is open of all of them, a path where reads are noted."""
        if request.model.startswith("/"):
            return BatchStream(Counting(Path(request.model)), CallRecord(model=request.model))
        if request.model == "open":
            held = sum(each.left_open for each in self._played)
            return await ScriptedProvider([str(held), Finish("stop")]).open(request)
        self._played.append(ScriptedProvider(SCRIPTS[request.model]))
        return await self._played[-1].open(request)


@pytest.fixture(scope="module")
def pool() -> ActorPool:
    """One actor with scripts for all; it ends with Ray."""
    return ActorPool(Scripts(), size=1)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another process does; nothing here has an event for it."""
    while not true():  # noqa: ASYNC110  # as it says
        await asyncio.sleep(0.01)


async def held(pool: ActorPool) -> int:
    """How many answers are open on the actor."""
    return int((await pool.chat("open", "x")).text)


async def test_pool_keeps_the_seam(pool: ActorPool) -> None:
    """All that `penstock.testing.check_provider` tries, over real actors: nothing stays open."""

    @asynccontextmanager
    async def make(scenario: Scenario) -> AsyncIterator[Trial]:
        request = ChatRequest(model=scenario, messages="hello")
        yield Trial(pool, request, left_open=lambda: sum(pool.open_streams))

    await check_provider(make, patience=5.0)

    assert 0 == await held(pool)


async def test_answer_is_the_same_as_here() -> None:
    """Chunk by chunk, with its record: usage, attempts, timings."""
    async with ps.Client() as client, ActorPool(ps.Client, size=1) as pool:
        async with client.stream("sim/tools", "hi") as stream:
            here = [chunk async for chunk in stream]
        async with pool.stream("sim/tools", "hi") as stream:
            there = [chunk async for chunk in stream]
        reply = stream.response
        with pytest.raises(AuthenticationError):
            await pool.chat("sim/text?fault=invalid-key", "x")
        result = await ToolLoop(pool, "sim/text", tools=[]).collect("hi")  # type: ignore[arg-type]  # it has a client's `stream`

    assert here == there
    assert ("sim", "req_sim") == (reply.provider, (reply.request_id or "")[:7])
    assert reply.timings.ttft is not None
    assert reply.timings.total is not None
    assert [None] == [attempt.error for attempt in reply.attempts]
    assert 1 == result.steps


async def test_errors_are_those_of_here(pool: ActorPool) -> None:
    """Before the first content and after it, with what had come; the caller's own mistakes too."""
    lock: Any = threading.Lock()
    with pytest.raises(UnavailableError) as refused:
        await pool.chat("refuse", "x")
    with pytest.raises(TruncatedError) as cut:
        await pool.chat("error", "x")
    with pytest.raises(KeyError, match="nosuch"):
        await pool.chat("nosuch", "x")
    with pytest.raises(UsageError, match="does not pickle"):
        await pool.chat("answer", lambda: iter([lock]))
    with pytest.raises(UsageError, match="no model"):
        await pool.chat("", "x")
    with pytest.raises(ConfigurationError, match="size"):
        ActorPool(Scripts(), size=0)

    assert 503 == refused.value.status
    assert cut.value.partial is not None
    assert "Hello" == cut.value.partial.text


async def test_nothing_is_read_ahead(pool: ActorPool, tmp_path: Path) -> None:
    """An answer without end waits for its reader, and leaving it closes it on the actor."""
    notes = tmp_path / "reads"
    stream = await pool.open(ChatRequest(model=str(notes), messages="x"))
    for _ in range(3):
        await stream.read()
    reads = notes.read_text()
    await stream.aclose()

    assert ("3", "closed") == (reads, notes.read_text())


async def test_cancelling_reaches_the_actor(pool: ActorPool) -> None:
    """The caller is free at once, and the answer is closed there: before its content, and after."""
    for model in ("stall", "silent"):
        asking = asyncio.ensure_future(pool.chat(model, "x"))
        await until(lambda: sum(pool.open_streams) > 0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    await until(lambda: sum(pool.open_streams) == 0)
    assert 0 == await held(pool)


async def test_coding_agent_on_an_actor_leaves_no_child(standin: StandIn) -> None:
    """It answers there, whatever the actor's loop is; a turn that is cancelled ends its process."""
    import psutil

    standin.plays("claude_code/claude-code-success.jsonl")
    agent = claude_code(**standin.options())
    async with ActorPool(agent, size=1, resources={"claude_creds": 1}) as pool:
        reply = await pool.chat("claude-code", "Hi")
        standin.plays("", sleep=60)
        asking = asyncio.ensure_future(pool.chat("claude-code", "Hi"))
        await until(lambda: len(standin.notes) == 2)
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: sum(pool.open_streams) == 0)
        left = [
            each
            for each in psutil.process_iter(["cmdline"])
            if standin.program in (each.info["cmdline"] or ())
        ]

    assert "Hello from the mock model. I see 1 user message(s)." == reply.text
    assert [] == left


async def dead(pool: ActorPool) -> None:
    """Kill the pool's actor, and have Ray know of it."""
    (actor,) = pool._actors
    ray.kill(actor, no_restart=False)


async def test_actor_that_dies_is_an_error_and_the_next_one_answers(pool: ActorPool) -> None:
    """What it had is neither retried nor asked elsewhere; it is begun anew for other answers."""
    stream = await pool.open(ChatRequest(model="stall", messages="x"))
    await stream.read()
    waiting = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)
    await dead(pool)
    with pytest.raises(TransportError, match="is gone") as caught:
        await waiting
    await stream.aclose()
    reply = await pool.chat("answer", "x")

    assert (False, False, False) == (
        caught.value.retryable,
        caught.value.elsewhere,
        caught.value.peer_fault,
    )
    assert "Hello, world" == reply.text
    assert [0] == pool.open_streams


async def test_places_are_bounded() -> None:
    """An answer too many waits as long as its clock says; so does an actor without room."""
    async with ActorPool(Scripts(), size=1, max_streams=1) as pool:
        stream = await pool.open(ChatRequest(model="stall", messages="x"))
        with pytest.raises(PoolError, match="1 actors take 1 each"):
            await pool.chat("answer", "x", timeouts=ps.Timeouts(pool=0.05))
        await stream.aclose()
        assert "Hello, world" == (await pool.chat("answer", "x")).text
    async with ActorPool(
        Scripts(),
        size=1,
        resources={"nowhere_creds": 1},
        start_timeout=0.05,
        runtime_env={"env_vars": {"API_KEY": "secret-1"}},
    ) as crowded:
        with pytest.raises(PoolError, match="nowhere_creds") as caught:
            await crowded.chat("answer", "x")
    assert "secret" not in str(caught.value)
    with pytest.raises(StreamClosedError, match="pool is closed"):
        await pool.chat("answer", "x")
    with pytest.raises(StreamClosedError, match="pool is closed"):
        pickle.dumps(pool)


class Asker:
    """Asks a pool that was sent to it."""

    def __init__(self, pool: ActorPool) -> None:
        self._pool = pool

    async def ask(self) -> tuple[str, int]:
        """Return the answer, and the process that asked."""
        async with self._pool:
            return (await self._pool.chat("answer", "x")).text, os.getpid()


async def test_pool_is_shared_with_tasks(pool: ActorPool) -> None:
    """A task that it is sent to uses the same actors, leaves them alive, and gets no key along."""
    pool._options |= {"runtime_env": {"env_vars": {"API_KEY": "secret-1"}}}
    sent = pickle.dumps(pool)
    call = remote(Asker(pool)).ask.remote()
    text, pid = await asyncio.to_thread(get, call)

    assert b"secret-1" not in sent
    assert "Hello, world" == text
    assert os.getpid() != pid
    assert "Hello, world" == (await pool.chat("answer", "x")).text


async def test_clock_of_another_machine_does_not_count() -> None:
    """A request travels with its age: what began 5 s ago is 5 s old there, whatever the time."""
    request = ChatRequest(model="m", messages="x", started=time.monotonic() - 5.0)
    sent, age = young(request)
    there: Any = aged(sent, age)
    fresh = replace(request, started=None)

    assert sent == fresh
    assert 5.0 <= time.monotonic() - there.started < 60.0
    assert (fresh, None) == young(fresh)
    assert fresh is aged(fresh, None)


async def test_worker_closes_what_was_given_up_before_it_began() -> None:
    """Whichever of two calls comes first: an answer that nobody wants is not begun."""
    worker = Worker(Scripts)
    await worker.aclose("1")
    request = pickle.dumps(ChatRequest(model="answer", messages="x"))
    opened = await worker.open("1", request, None)
    piece = await worker.read("1")

    assert isinstance(opened.error, StreamClosedError)
    assert isinstance(piece.error, StreamClosedError)
    assert 0 == await worker.ready()
