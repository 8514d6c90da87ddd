"""The public edge: opening, iterating, folding, looking, closing, and what each forbids."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

import pydantic_core
import pytest
from tests.road import PATIENCE, Road, at_rest, clocks, fails, until

from penstock import sse
from penstock.chunks import Chunk, TextDelta
from penstock.client import Client
from penstock.errors import (
    AuthenticationError,
    LimitExceededError,
    StreamClosedError,
    TruncatedError,
    UsageError,
)
from penstock.limits import Limits
from penstock.stream import ChatStream

pytestmark = pytest.mark.asyncio


async def passed_on(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """Middleware at the edge that changes nothing."""
    async for chunk in chunks:
        yield chunk


async def test_a_stream_that_is_not_open_has_no_chunks(road: Road) -> None:
    """Iterating before entering says how to open it, and sends nothing."""
    stream = road.client().stream(None, "hi")

    with pytest.raises(UsageError, match="async with"):
        await anext(stream)
    with pytest.raises(UsageError, match="async with"):
        await stream.collect()

    assert 0 == len(road.sim.requests)


async def test_a_stream_is_opened_once(road: Road) -> None:
    """Entering it again, open or closed, is an error that leaves the first as it is."""
    stream = road.client().stream(None, "a b")
    async with stream:
        with pytest.raises(UsageError, match="new one"):
            await stream.__aenter__()
        assert "a b" == (await stream.collect()).text
    with pytest.raises(UsageError, match="new one"):
        await stream.__aenter__()

    assert 1 == len(road.sim.requests)


@pytest.mark.parametrize("middleware", [[], [passed_on]], ids=["batches", "edge"])
async def test_two_tasks_may_not_read_one_stream(road: Road, middleware: list[Any]) -> None:
    """The second reader is refused; the first goes on."""
    client = road.client("text?tokens=3&rate=5")
    async with client.stream(None, "hi", middleware=middleware) as stream:
        first = asyncio.create_task(stream.collect())
        await asyncio.sleep(0.01)

        with pytest.raises(UsageError, match="tee"):
            await anext(stream)

        assert 3 == len((await first).text.split())


async def test_iterating_goes_on_where_it_stopped(road: Road) -> None:
    """After a ``break`` the next loop has the next chunk, and `collect` the rest."""
    async with road.client("text?tokens=6").stream(None, "hi") as stream:
        seen: list[str] = []
        for _ in range(2):
            async for chunk in stream:
                if chunk.text:
                    seen.append(chunk.text)
                    break
        reply = await stream.collect()

    assert reply.text.startswith("".join(seen))
    assert 6 == len(reply.text.split())


async def test_an_ended_stream_stays_ended(road: Road) -> None:
    """Reading after the end yields nothing, inside and outside ``async with``."""
    async with road.client("echo").stream(None, "a b") as stream:
        assert 5 == len([chunk async for chunk in stream])
        assert [] == [chunk async for chunk in stream]
    assert [] == [chunk async for chunk in stream]
    assert "a b" == stream.response.text
    assert "a b" == (await stream.collect()).text


async def test_a_closed_stream_says_so(road: Road) -> None:
    """Leaving ``async with`` early closes it: later reads are an error, what came is there."""
    async with road.client("text?tokens=4&rate=20").stream(None, "hi") as stream:
        await anext(stream)
        first = await anext(stream)

    assert isinstance(await fails(_next(stream)), StreamClosedError)
    assert isinstance(await fails(stream.collect()), StreamClosedError)
    assert stream.response.text.startswith(first.text)
    assert stream.response.finish_reason is None


async def test_a_failed_stream_fails_again(road: Road) -> None:
    """Each later read raises the same error, also once it is closed."""
    async with road.client("text?tokens=4&fault=reset@2").stream(None, "hi") as stream:
        first = await fails(stream.collect())
        second = await fails(_next(stream))
    third = await fails(stream.collect())

    assert isinstance(first, TruncatedError)
    assert first is second is third


async def _next(stream: ChatStream) -> Chunk:
    return await anext(stream)


async def test_text_is_the_first_choices_text(road: Road) -> None:
    """`text` has neither reasoning nor other choices."""
    async with road.client("reasoning?tokens=2&choices=2").stream(None, "hi") as stream:
        pieces = [piece async for piece in stream.text()]

    assert stream.response.choices[0].text == "".join(pieces)
    assert stream.response.choices[1].text
    assert stream.response.reasoning


async def test_the_response_grows_with_the_answer(road: Road) -> None:
    """`response` is what came so far, at any time, with the call's own facts from the start."""
    async with road.client("text?tokens=3&rate=5").stream(None, "hi") as stream:
        lengths, seen = [], ""
        assert ("m", None) == (stream.deployment, stream.finish_reason)
        async for chunk in stream:
            seen += chunk.text
            assert stream.response.text.startswith(seen)  # chunks that came together count together
            lengths.append(len(stream.response.text))

    assert sorted(lengths) == lengths
    assert len(set(lengths)) > 2
    assert "stop" == stream.finish_reason
    assert stream.usage is not None
    assert 3 == stream.usage.output_tokens


async def test_a_stream_says_what_a_reply_says(road: Road) -> None:
    """Every fact of a reply is on the stream too."""
    async with road.client("echo?shape=fingerprint&rate-limits=1").stream(None, "hi") as stream:
        reply = await stream.collect()

    for name in (
        *["attempts", "audio", "choices", "citations", "cost", "cost_reason", "created"],
        *["deployment", "dropped", "finish_reason", "headers", "id", "images", "message"],
        *["metadata", "model", "provider", "rate_limit", "reasoning", "refusal", "request_id"],
        *["service_tier", "system_fingerprint", "timings", "tool_calls", "usage"],
    ):
        assert getattr(reply, name) == getattr(stream, name), name


async def test_without_collecting_nothing_is_kept(road: Road) -> None:
    """``collect=False`` has chunks and the call's facts, and no reply, also not in an error."""
    client = road.client({"m": "echo", "cut": "text?tokens=3&fault=reset@2"})
    async with client.stream(None, "a b", collect=False) as stream:
        assert "a b" == "".join([piece async for piece in stream.text()])
        assert ("m", 200) == (stream.deployment, stream.attempts[0].status)
        for look in (lambda: stream.response, lambda: stream.partial, lambda: stream.usage):
            with pytest.raises(UsageError, match="collect=False"):
                look()
        with pytest.raises(UsageError, match="collect=False"):
            await stream.collect()
    async with client.stream("cut", "hi", collect=False) as stream:
        error = await fails(_drain(stream, []))

    assert isinstance(error, TruncatedError)
    assert error.partial is None


async def test_opening_raises_and_leaves_nothing(road: Road) -> None:
    """What fails before content is raised by ``async with``, whose body never runs."""
    client = road.client("echo?fault=invalid-key")
    ran = []

    async def call() -> None:
        async with client.stream(None, "hi"):
            ran.append(1)

    assert isinstance(await fails(call()), AuthenticationError)
    assert [] == ran
    await at_rest(client)


async def test_a_stream_in_a_context_variable_is_freed_with_its_task(road: Road) -> None:
    """What waited in that context holds on to it no longer, nor to the task; no collector runs."""
    client = road.client("text?tokens=6&rate=400", transport="direct")
    here: ContextVar[ChatStream] = ContextVar("here")
    freed: list[ReferenceType[ChatStream]] = []

    async def call(most: int) -> None:
        stream = client.stream(None, "hi")
        here.set(stream)
        freed.append(ref(stream))
        async with stream:
            for _ in range(most):
                await anext(stream, None)

    await client.chat(None, "hi")
    gc.disable()
    try:
        for most in (2, 20):
            await asyncio.create_task(call(most))
            await asyncio.sleep(0)  # what woke this task holds the other in its turn
    finally:
        gc.enable()

    assert [None, None] == [each() for each in freed]


async def test_an_exception_of_the_body_closes_the_stream(road: Road) -> None:
    """What the caller raises goes through untouched, and the connection is cut."""
    client = road.client("text?fault=hang@1")

    async def call() -> None:
        async with client.stream(None, "hi") as stream:
            async for _ in stream:
                raise KeyError

    assert isinstance(await fails(call()), KeyError)
    await at_rest(client)
    await until(lambda: road.sim.connections.open == 0)


async def test_back_pressure_leaves_bytes_with_the_peer(road: Road) -> None:
    """A consumer that does not ask stops the peer of an endless answer, and holds little of it."""
    client = road.client("text?tokens=1000&fault=endless")
    async with client.stream(None, "hi", collect=False) as stream:
        await anext(stream)
        sent, still = -1, 0
        async with asyncio.timeout(PATIENCE):
            while still < 5:  # until the kernel's buffers are full, which they may be slowly
                still = still + 1 if sent == road.sim.requests[0].sent else 0
                sent = road.sim.requests[0].sent
                await asyncio.sleep(0.05)

        assert client.stats().bytes_buffered < 256 * 1024
    assert 0 == client.stats().bytes_buffered


async def test_the_fold_is_bounded(road: Road) -> None:
    """An endless answer ends at ``max_answer``, with what fitted; without folding it goes on."""
    client = road.client("text?fault=endless", limits=Limits(max_answer=20_000))
    error = await fails(client.chat(None, "hi"))
    seen = 0
    async with client.stream(None, "hi", collect=False) as stream:
        async for chunk in stream:
            seen += len(chunk.text)
            if seen > 60_000:
                break

    assert isinstance(error, LimitExceededError)
    assert "max_answer" == error.phase
    assert error.partial is not None
    assert 10_000 < len(error.partial.text) <= 20_000
    assert error.committed


async def test_partial_is_the_answers_value_so_far(road: Road) -> None:
    """``partial`` grows with a JSON answer, ends as the whole value, and is never wrong."""
    schema = {
        "title": "x",
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}},
    }
    client = road.client("json?size=12&rate=20")  # one read each, though the parser is being loaded
    async with client.stream(None, "hi", response_format=schema) as stream:
        seen = [stream.partial async for chunk in stream if chunk.text]
        whole = json.loads(stream.response.text)

        assert whole == stream.partial

    growing = [value for value in seen if value is not None]
    assert all(set(value) <= set(whole) for value in growing)
    assert len({json.dumps(value) for value in growing}) > 2


@pytest.mark.parametrize("middleware", [[], [passed_on]], ids=["batches", "edge"])
async def test_partial_may_be_asked_late(road: Road, middleware: list[Any]) -> None:
    """Asked for in the middle or after the end, it has everything that came before."""
    client = road.client("json?size=2")
    for count in (0, 5, None):
        async with client.stream(None, "hi", middleware=middleware) as stream:
            seen = 0
            while count is None or seen < count:
                if await anext(stream, None) is None:
                    break
                seen += 1
            _ = stream.partial
            await stream.collect()

            assert json.loads(stream.response.text) == stream.partial


async def test_partial_of_text_is_none(road: Road) -> None:
    """An answer that is not JSON has no value, and no error either."""
    async with road.client("text?tokens=3").stream(None, "hi") as stream:
        async for _ in stream:
            assert stream.partial is None
        assert stream.partial is None


async def test_row_31_partial_is_linear(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 31: looked at with every chunk, a long answer is parsed a few times over in all."""
    parsed = 0
    real = pydantic_core.from_json

    def counting(data: bytes, **options: Any) -> Any:
        nonlocal parsed
        parsed += len(data)
        return real(data, **options)

    monkeypatch.setattr(pydantic_core, "from_json", counting)
    text = json.dumps({"a": ["word"] * 10_000})

    async with road.client("echo").stream(None, text) as stream:
        looks = 0
        async for _ in stream:
            looks += stream.partial is not None

    assert looks > 9_000
    assert {"a": ["word"] * 10_000} == stream.partial
    assert parsed <= 25 * len(text)


async def test_sse_re_streams_a_chat(road: Road) -> None:
    """``sse.encode`` of an open stream is an OpenAI stream that penstock itself understands."""
    client = road.client("text?tokens=5")
    async with client.stream(None, "hi") as stream:
        wire = b"".join([event async for event in sse.encode(stream)])
        text = stream.response.text

    events = [line[6:] for line in wire.decode().split("\n") if line.startswith("data: ")]
    deltas = [json.loads(event)["choices"] for event in events[:-1]]
    assert "[DONE]" == events[-1]
    assert text == "".join(
        choice["delta"].get("content") or "" for choices in deltas for choice in choices
    )
    await at_rest(client)


async def test_sse_of_a_broken_stream_is_no_whole_one(road: Road) -> None:
    """A truncation ends in an error event and without ``[DONE]``."""
    async with road.client("text?tokens=5&fault=reset@2").stream(None, "hi") as stream:
        wire = b"".join([event async for event in sse.encode(stream)])

    assert b"data: [DONE]" not in wire
    assert wire.split(b"\n\n")[-2].startswith(b'data: {"error"')


async def test_a_slow_consumer_is_not_killed_by_its_own_pace(road: Road) -> None:
    """``idle`` and ``progress`` run only while the consumer asks."""
    client = road.client("text?tokens=2&rate=1000", timeouts=clocks(idle=0.5, progress=0.5))
    async with client.stream(None, "hi") as stream:
        async for chunk in stream:
            if chunk.text:
                await asyncio.sleep(0.6)

    assert "stop" == stream.finish_reason


async def test_total_holds_between_reads(road: Road) -> None:
    """``total`` that passes while the consumer works raises at the next read."""
    client = road.client("text?tokens=99&rate=20", timeouts=clocks(total=0.5))
    async with client.stream(None, "hi") as stream:
        await anext(stream)
        await asyncio.sleep(0.6)
        error = await fails(stream.collect())

    assert "total" == getattr(error, "phase", None)
    assert getattr(error, "partial", None) is not None


async def test_a_spool_file_ends_with_its_stream(road: Road) -> None:
    """The temporary file of a one-shot conversation is gone once the stream has ended."""
    client = road.client("echo?fault=unavailable&fail=1", max_retries=1)
    messages = iter([{"role": "user", "content": "hi"}])

    async with client.stream(None, messages, spool=True) as stream:
        spool = stream._spool
        assert spool is not None
        await stream.collect()

    assert spool._file is None


async def test_chunks_of_a_cut_are_the_same(road: Road) -> None:
    """However the network cuts the bytes, chunks, replies and errors are the same."""
    base = "text?tokens=8&alphabet=emoji&fault=error-rate-limit@5"
    seen = []
    for cut in ("", "&slice=1", "&slice=13", "&chunks=4"):
        texts: list[str] = []
        async with road.client(base + cut).stream(None, "hi") as stream:
            error = await fails(_drain(stream, texts))
        seen.append((texts, type(error), str(error), stream.response.text))

    assert [seen[0]] * 4 == seen
    assert 5 == len(seen[0][0])


async def _drain(stream: AsyncIterator[Chunk], into: list[str]) -> None:
    async for chunk in stream:
        into += [chunk.text] if isinstance(chunk, TextDelta) else []


async def test_a_client_that_was_closed_opens_no_stream() -> None:
    """After ``aclose`` a call is refused, also one to the embedded simulator, which stays off."""
    client = Client()
    await client.aclose()

    assert isinstance(await fails(client.chat("sim/echo", "hi")), StreamClosedError)
    assert isinstance(await fails(client.warm("sim/echo")), StreamClosedError)
    assert client._connections._simulator is None


async def test_the_embedded_simulator_answers() -> None:
    """``sim/`` needs no server, no deployment and no key; closing the client ends it."""
    async with Client() as client:
        replies = await asyncio.gather(*(client.chat("sim/echo", f"hi {n}") for n in range(3)))

    assert ["hi 0", "hi 1", "hi 2"] == [reply.text for reply in replies]
    assert {"sim"} == {reply.provider for reply in replies}
