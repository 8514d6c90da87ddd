"""The blocking client: the same face as the async one, over a real server."""

from __future__ import annotations

import inspect
import logging
import pickle
import random
import signal
import sqlite3
import threading
import traceback
from collections.abc import Iterator

import pytest

import penstock as ps
from penstock.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ConfigurationError,
    MissingCredentialsError,
    StreamClosedError,
    StructuredOutputError,
)
from penstock.simulator import SimulatorThread
from penstock.sync.client import SyncClient
from penstock.sync.stream import SyncStream

RENAMED = {"aclose": "close"}
"""What is called otherwise where nothing is awaited."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    """A simulator for the whole module."""
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[SyncClient]:
    """A client whose models are the simulator's."""
    with SyncClient(deployments=deployments(simulator)) as client:
        yield client


def deployments(simulator: SimulatorThread, *models: str) -> dict[str, ps.Deployment]:
    """Deployments at the simulator."""
    names = models or ("text", "echo", "text?status=401", "text?status=503")
    base_url = f"{simulator.url}/v1"
    return {name: ps.Deployment(base_url, "sk-secret-canary", model=name) for name in names}


def public(kind: type) -> dict[str, inspect.Signature]:
    """The parameters of everything that a class offers, its constructor included."""
    names = [name for name in dir(kind) if not name.startswith("_")]
    found = {name: getattr(kind, name) for name in [*names, "__init__"]}
    return {
        RENAMED.get(name, name): inspect.signature(each).replace(
            return_annotation=inspect.Signature.empty
        )
        for name, each in found.items()
        if callable(each)
    }


def properties(kind: type) -> set[str]:
    """The public properties of a class."""
    return {
        name
        for name in dir(kind)
        if not name.startswith("_") and isinstance(getattr(kind, name), property)
    }


def test_the_face_is_the_async_clients() -> None:
    """Both clients have the same methods with the same parameters and defaults."""
    assert public(ps.Client) == public(SyncClient)


def test_the_streams_face_is_the_async_streams() -> None:
    """So have both streams, but for how they are made."""
    expected, actual = public(ps.ChatStream), public(SyncStream)
    for face in (expected, actual):
        del face["__init__"]

    assert expected == actual
    assert properties(ps.ChatStream) == properties(SyncStream)


def test_the_result_types_are_the_async_clients() -> None:
    """What is awaited there is returned here."""
    for name in ("chat", "list_models", "preview", "stats", "warm"):
        there = inspect.signature(getattr(ps.Client, name)).return_annotation

        assert there == inspect.signature(getattr(SyncClient, name)).return_annotation


def test_chat_returns_the_whole_answer(client: SyncClient) -> None:
    """As the async client's does."""
    reply = client.chat("echo", "one two three")

    assert ("one two three", "stop", "echo") == (reply.text, reply.finish_reason, reply.deployment)


def test_stream_gives_chunks_as_they_come(client: SyncClient) -> None:
    """And its facts are the call's."""
    with client.stream("echo", "one two three") as stream:
        assert "one two three" == "".join(chunk.text for chunk in stream)
        assert ("stop", 1) == (stream.finish_reason, len(stream.attempts))


def test_leaving_a_stream_cancels_the_call(client: SyncClient, simulator: SimulatorThread) -> None:
    """The server sees the connection closed, and the client holds nothing."""
    with client.stream("text", "hello", extra_headers=slow()) as stream:
        next(iter(stream))
        during = client.stats().open_streams
    simulator.idle()

    assert (1, 0) == (during, client.stats().open_streams)


def slow() -> dict[str, str]:
    """A header that makes the simulator's answer last."""
    return {"x-penstock-sim": "text?tokens=100000&rate=100"}


def test_a_call_sees_its_own_thread_only(client: SyncClient) -> None:
    """Ten threads that share a client get their own answers."""
    got: dict[int, str] = {}

    def ask(number: int) -> None:
        got[number] = client.chat("echo", f"number {number}").text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: f"number {number}" for number in range(10)} == got


def test_map_keeps_the_order_and_the_errors(client: SyncClient) -> None:
    """One failed request does not end the others."""
    requests = [{"model": "echo", "messages": "a"}, {"model": "text?status=401", "messages": "b"}]
    results = list(client.map([*requests, *requests], concurrency=2))

    assert [0, 1, 2, 3] == [result.index for result in results]
    assert ["a", None, "a", None] == [result.reply and result.reply.text for result in results]
    assert [type(None), AuthenticationError] * 2 == [type(result.error) for result in results]


def test_map_reads_a_database_cursor_where_it_was_made(client: SyncClient) -> None:
    """SQLite refuses its objects in another thread."""
    with sqlite3.connect(":memory:") as database:
        rows = database.execute("select 'row ' || value from json_each('[1, 2, 3, 4, 5]')")
        requests = ({"model": "echo", "messages": text} for (text,) in rows)
        texts = [result.reply.text for result in client.map(requests) if result.reply]
    database.close()

    assert [f"row {number}" for number in (1, 2, 3, 4, 5)] == texts


def test_map_can_be_left(client: SyncClient) -> None:
    """Closing the generator cancels what is under way."""
    request = {"model": "text", "messages": "hello"}
    results = client.map([request, request | {"extra_headers": slow()}], concurrency=2)
    next(results)
    results.close()

    assert 0 == client.stats().open_streams


def test_preview_sends_nothing() -> None:
    """It shows the request with its key masked."""
    # A server of its own: a call that another test has left may reach the shared one late.
    with SimulatorThread() as own, SyncClient(deployments=deployments(own)) as client:
        preview = client.preview("echo", "hello")
        assert 0 == own.stats().requests

    assert "sk-secret-canary" not in str(preview)
    assert preview.size == len(preview.body or b"")


def test_warm_opens_the_connection_that_chat_uses(simulator: SimulatorThread) -> None:
    """The first call finds it there."""
    with SyncClient(deployments=deployments(simulator)) as client:
        before = simulator.connections.total
        client.warm("echo")
        client.chat("echo", "hello")

        assert before + 1 == simulator.connections.total


def test_a_closed_client_refuses_calls(simulator: SimulatorThread) -> None:
    """After `close` a call is an error."""
    client = SyncClient(deployments=deployments(simulator))
    client.close()

    with pytest.raises(StreamClosedError, match="closed"):
        client.chat("echo", "hello")


def test_closing_gives_open_streams_their_grace(simulator: SimulatorThread) -> None:
    """A stream that ends within the grace is whole."""
    model = "text?tokens=20&rate=200"  # a tenth of a second
    client = SyncClient(deployments=deployments(simulator, model))
    with client.stream(model, "hello") as stream:
        closer = threading.Thread(target=client.close, kwargs={"grace": 30.0})
        closer.start()
        reply_size = sum(1 for chunk in stream if chunk.content)
        closer.join()

    assert 20 == reply_size


class Interrupted(BaseException):
    """As `KeyboardInterrupt`, but at moments that the test chooses."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="platform: needs POSIX signals")
def test_interrupts_at_any_moment_leave_nothing_behind(
    client: SyncClient, simulator: SimulatorThread
) -> None:
    """Two hundred calls, each interrupted somewhere; a second one is not needed to be free."""
    armed = False

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    def stream() -> None:
        with client.stream("text", "hello", extra_headers=slow()) as opened:
            list(opened)

    calls = [
        lambda: client.chat("text", "hello", extra_headers=slow()),
        lambda: list(client.map([{"model": "echo", "messages": "a"}] * 500)),
        stream,
    ]
    main = threading.main_thread().ident or 0
    moments = random.Random(1)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        for turn in range(200):
            delay = moments.random() * 0.005
            timer = threading.Timer(delay, signal.pthread_kill, (main, signal.SIGUSR1))
            with pytest.raises(Interrupted):  # noqa: PT012  # armed within
                armed = True
                timer.start()
                calls[turn % 3]()
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    simulator.idle()

    assert 0 == client.stats().open_streams


def test_errors_are_the_async_clients(client: SyncClient) -> None:
    """A refused call raises the same class, with the same fields."""
    with pytest.raises(AuthenticationError) as caught:
        client.chat("text?status=401", "hello")

    assert (401, "text?status=401") == (caught.value.status, caught.value.deployment)


def test_fallbacks_work(simulator: SimulatorThread) -> None:
    """The list is walked as in the async client."""
    models = ("text?status=503", "echo")
    fallbacks = {models[0]: [models[1]]}
    with SyncClient(deployments=deployments(simulator, *models), fallbacks=fallbacks) as client:
        reply = client.chat(models[0], "hello")

    assert ["ServerError", None] == [a.error and "ServerError" for a in reply.attempts]
    assert "hello" == reply.text


def test_a_failed_list_says_so(simulator: SimulatorThread) -> None:
    """All attempts are in the error."""
    models = ("text?status=503", "text?status=401")
    fallbacks = {models[0]: [models[1]]}
    client = SyncClient(deployments=deployments(simulator, *models), fallbacks=fallbacks)
    with client, pytest.raises(AllProvidersFailedError) as caught:
        client.chat(models[0], "hello")

    assert list(models) == [attempt.deployment for attempt in caught.value.attempts]


def test_a_traceback_with_locals_shows_no_conversation(client: SyncClient) -> None:
    """Row 39 of the fault matrix, through the portal."""

    messages = [{"role": "user", "content": "prompt-canary"}]
    with pytest.raises(AuthenticationError) as caught:
        client.chat("text?status=401", messages)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in trace.stack if frame.filename != __file__]
    shown = "\n".join(f"{frame.name}: {frame.locals}" for frame in frames)

    assert "portal" in shown
    assert "prompt-canary" not in shown
    assert "sk-secret-canary" not in shown


def test_a_pickle_is_the_configuration(client: SyncClient) -> None:
    """A copy in another process is a client of its own, and no key travels."""
    client.chat("echo", "hello")
    pickled = pickle.dumps(client)

    assert b"sk-secret-canary" not in pickled
    with pickle.loads(pickled) as copy:
        assert copy.preview.__self__ is copy
        with pytest.raises(MissingCredentialsError):
            copy.chat("echo", "again")


def test_a_key_by_reference_survives_the_pickle(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``env:NAME`` is read where the copy is used."""
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-secret-canary")
    deployment = ps.Deployment(f"{simulator.url}/v1", "env:PENSTOCK_TEST_KEY", model="echo")
    pickled = pickle.dumps(SyncClient(deployments={"echo": deployment}))

    assert b"sk-secret-canary" not in pickled
    with pickle.loads(pickled) as copy:
        assert "again" == copy.chat("echo", "again").text


def test_from_config_is_the_constructor(simulator: SimulatorThread) -> None:
    """The keys are checked as the async client checks them."""
    table = {"deployments": {"echo": {"base_url": f"{simulator.url}/v1", "api_key": "any"}}}
    with SyncClient.from_config(table) as client:
        assert "hello" == client.chat("echo", "hello").text
    with pytest.raises(ConfigurationError, match="deployments"):
        SyncClient.from_config({"deployment": {}})


@pytest.mark.asyncio
async def test_it_works_in_a_notebook(client: SyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Beside a running loop it blocks, and says so once."""
    with caplog.at_level(logging.WARNING, "penstock.sync"):
        texts = [client.chat("echo", word).text for word in ("one", "two")]

    assert ["one", "two"] == texts
    assert 1 == len([each for each in caplog.messages if "penstock.Client" in each])


def test_a_model_class_parses_the_answer(client: SyncClient) -> None:
    """Structured output is parsed as in the async client; what does not fit is an error."""
    from pydantic import BaseModel

    class Answer(BaseModel):
        number: int

    with client.stream("echo", '{"number": 42}', response_format=Answer) as stream:
        assert Answer(number=42) == stream.collect().parsed
    with pytest.raises(StructuredOutputError):
        client.chat("echo", "no number", response_format=Answer)
