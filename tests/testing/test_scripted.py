"""Scripts are played as written."""

from __future__ import annotations

import anyio
import pytest

from penstock.chunks import Chunk, Finish, Meta, TextDelta
from penstock.errors import ConfigurationError, RateLimitError, StreamClosedError, TruncatedError
from penstock.request import ChatRequest
from penstock.testing.scripted import ScriptedProvider, ScriptedStream

pytestmark = pytest.mark.asyncio

REQUEST = ChatRequest(model="a/b", messages="hello")


async def read_all(stream: ScriptedStream) -> list[list[Chunk]]:
    """Every batch of `stream`."""
    batches = []
    while batch := await stream.read():
        batches.append(batch)
    return batches


async def test_a_line_is_one_read() -> None:
    """Chunks, text and lists of both are one batch each; empty ones are none."""
    stream = ScriptedStream(["a", [], ["b", Finish("stop")], TextDelta("c")])

    assert [
        [TextDelta("a")],
        [TextDelta("b"), Finish("stop")],
        [TextDelta("c")],
    ] == await read_all(stream)


async def test_an_exception_is_raised_in_its_place() -> None:
    """What comes before an exception is read first."""
    error = TruncatedError("cut short")
    stream = ScriptedStream(["a", error])

    assert [TextDelta("a")] == await stream.read()
    with pytest.raises(TruncatedError) as caught:
        await stream.read()
    assert error is caught.value


async def test_an_error_before_content_is_a_refusal() -> None:
    """`open` raises what comes before any content, and holds nothing."""
    provider = ScriptedProvider([Meta(role="assistant"), RateLimitError("busy")])

    with pytest.raises(RateLimitError):
        await provider.open(REQUEST)
    assert 0 == provider.left_open


async def test_each_request_has_its_script() -> None:
    """The scripts are played in turn, the last one for ever."""
    provider = ScriptedProvider([RateLimitError("busy")], ["ok"])

    with pytest.raises(RateLimitError):
        await provider.open(REQUEST)
    for _ in range(2):
        stream = await provider.open(REQUEST)
        assert [TextDelta("ok")] == await stream.read()
        await stream.aclose()
    assert [REQUEST] * 3 == provider.requests


async def test_the_record_names_the_call() -> None:
    """Model, provider and metadata of the request are on the stream."""
    provider = ScriptedProvider(["ok"], provider="someone")
    request = ChatRequest(model="a/b", messages="hello", metadata={"user": 7})

    record = (await provider.open(request)).record

    assert ("a/b", "someone", {"user": 7}) == (record.model, record.provider, record.metadata)


async def test_a_line_can_wait_for_an_event() -> None:
    """A script goes on once the test says so."""
    gate = anyio.Event()
    stream = ScriptedStream([gate, "late"])

    async with anyio.create_task_group() as group:

        async def read() -> None:
            assert [TextDelta("late")] == await stream.read()

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        gate.set()


@pytest.mark.parametrize("wait", [0, 3600.0, anyio.Event])
async def test_closing_ends_every_wait(wait: object) -> None:
    """A stream that is closed while its script waits raises StreamClosedError."""
    stream = ScriptedStream(["a", wait() if callable(wait) else wait, "never"])
    await stream.read()

    async with anyio.create_task_group() as group:

        async def read() -> None:
            with pytest.raises(StreamClosedError):
                await stream.read()

        group.start_soon(read)
        await anyio.lowlevel.checkpoint()
        await stream.aclose()


async def test_what_is_open_is_counted() -> None:
    """`left_open` counts the streams that nobody closed or read to an error."""
    provider = ScriptedProvider(["a"])
    stream = await provider.open(REQUEST)
    assert 1 == provider.left_open

    await stream.aclose()

    assert 0 == provider.left_open


async def test_no_script_is_refused() -> None:
    """A provider without a script is a mistake in the test."""
    with pytest.raises(ConfigurationError, match="at least one script"):
        ScriptedProvider()
