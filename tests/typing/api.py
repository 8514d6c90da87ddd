"""The public API as a user types it: checked by mypy and pyright, both strict, and never run.

``assert_type`` and ``assert_never`` are the assertions; a ``type: ignore`` marks what must be an
error, and `warn_unused_ignores` (pyright: `reportUnnecessaryTypeIgnoreComment`) fails where it is
not one any more.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, assert_never, assert_type

import httpx
from pydantic import BaseModel

import penstock as ps
from penstock import sse
from penstock.encoders import Body, Raw, encode_json
from penstock.errors import Attempt, DeadlineError, LimitExceededError, PenstockError
from penstock.interfaces import Middleware, Provider, Stream, Transport
from penstock.mapping import MapResult
from penstock.messages import Message
from penstock.pipeline import Branch, accumulate, check_bound, coalesce, stop_at, tee, throttle
from penstock.preview import Preview
from penstock.request import ItemT, Request
from penstock.response import Audio, Choice, RateLimit, Timings
from penstock.simulator import Simulator
from penstock.stats import ClientStats
from penstock.sync import OpenAIStreamingProvider, SyncStream


async def fresh_key() -> str:
    """Supply a key for one call."""
    return "key"


def own_client(http: httpx.AsyncClient) -> ps.Client:
    """Give every argument that a client has."""
    return ps.Client(
        deployments={
            "a": ps.Deployment("https://a.example/v1", "env:A_KEY", model="m"),
            "b": ps.Deployment("https://b.example/v1", fresh_key, body_framing="length"),
            "c": ps.Deployment("https://c.example/v1", timeouts=ps.Timeouts(ttft=None)),
        },
        fallbacks={"a": ["b", "c"]},
        default_model="a",
        timeouts=ps.Timeouts(ttft=5, idle=20.5, progress=None),
        limits=ps.Limits(body_buffer=16 * 1024),
        middleware=[drop_empty, count, only_text],
        max_retries=1,
        headers={"x-team": "blue"},
        http_client=http,
    )


def from_files() -> None:
    """Read configurations."""
    assert_type(ps.Client.from_config("penstock.toml"), ps.Client)
    assert_type(ps.SyncClient.from_config({"default_model": "sim/echo"}), ps.SyncClient)


def wrong_arguments() -> None:
    """What a checker finds before a run does."""
    ps.Client(fallback={"a": ["b"]})  # type: ignore[call-arg]  # fallbacks
    ps.Timeouts(tfft=5)  # type: ignore[call-arg]  # ttft
    ps.Timeouts(ttft="5")  # type: ignore[arg-type]  # seconds are numbers
    ps.Limits(body_buffer=1.5)  # type: ignore[arg-type]  # bytes are whole
    ps.Deployment("https://a.example", body_framing="chunked")  # type: ignore[arg-type]


MESSAGES: list[Message] = [
    ps.SystemMessage("Be brief."),
    {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ps.AssistantMessage("Hello."),
    ps.ToolMessage("18 C", tool_call_id="1"),
]


def rows() -> Iterator[Mapping[str, Any]]:
    """A conversation that is not in memory."""
    yield {"role": "user", "content": "hi"}


async def rows_later() -> AsyncIterator[Message]:
    """The same, asynchronously."""
    yield ps.UserMessage("hi")


async def stored_rows() -> AsyncIterator[Message]:
    """Messages that are JSON already."""
    yield Raw(b'{"role": "user", "content": "hi"}')


class City(BaseModel):
    """What a structured answer is parsed into."""

    name: str


def weather(city: str, unit: str = "C") -> str:
    """Say what the weather is."""
    return f"{city}: 18 {unit}"


async def calls(client: ps.Client) -> None:
    """Call in every form that messages have, with parameters and options of every kind."""
    assert_type(await client.chat("a", "hi"), ps.Reply)
    assert_type(await client.chat(messages=MESSAGES, temperature=0.2, seed=1), ps.Reply)
    await client.chat("a", [{"role": "user", "content": "hi"}], stop=["x"], logprobs=True)
    await client.chat("a", rows, tools=[weather, {"type": "function", "function": {}}])
    await client.chat("a", rows_later, fallbacks=["b"], fallback_on={"rate_limit", "deadline"})
    await client.chat("a", stored_rows)
    await client.chat("a", rows(), spool=True, timeouts=ps.Timeouts(total=5), max_retries=0)
    await client.chat("a", "hi", response_format=City, strict=True, metadata={"user": 7})
    await client.chat("a", "hi", extra_body={"top_k": 3}, extra_headers={"x": "y"}, stream=False)
    assert_type(await client.preview("a", "hi"), Preview)
    assert_type(await client.list_models("ollama"), list[str])
    assert_type(client.stats(), ClientStats)
    await client.warm()
    await client.aclose(grace=5)


async def wrong_calls(client: ps.Client) -> None:
    """Misspelt and mistyped parameters are errors of the checker's."""
    await client.chat("a", "hi", temperatur=0.2)  # type: ignore[call-arg]
    await client.chat("a", "hi", temperature="hot")  # type: ignore[arg-type]
    await client.chat("a", 3)  # type: ignore[arg-type]
    client.stream("a", "hi", max_tokens=1.5)  # type: ignore[arg-type]


async def many(client: ps.Client) -> None:
    """Map over requests."""
    async for result in client.map([{"model": "a", "messages": "hi"}], concurrency=3):
        assert_type(result, MapResult)
        assert_type(result.reply, ps.Reply | None)
        assert_type(result.error, Exception | None)


async def streams(client: ps.Client) -> None:
    """Iterate, and look at the stream."""
    async with client.stream("a", "hi", collect=True, middleware=[stop_at("x")]) as stream:
        assert_type(stream, ps.ChatStream)
        async for chunk in stream:
            assert_type(chunk.text, str)
            assert_type(show(chunk), str)
        assert_type(await stream.collect(), ps.Reply)
        async for text in stream.text():
            assert_type(text, str)
        assert_type(stream.usage, ps.Usage | None)
        assert_type(stream.attempts, tuple[Attempt, ...])
        assert_type(stream.timings.ttft, float | None)
        assert_type(stream.rate_limit, RateLimit | None)
        assert_type(stream.finish_reason, str | None)


def show(chunk: ps.Chunk) -> str:  # noqa: C901  # one case a kind
    """Match every kind; a new one fails here until it is handled."""
    match chunk:
        case ps.TextDelta():
            return assert_type(chunk.text, str)
        case ps.ReasoningDelta():
            return assert_type(chunk.reasoning, str)
        case ps.ToolCallDelta(index=index, arguments=arguments):
            return f"{assert_type(index, int)} {assert_type(arguments, str)}"
        case ps.RefusalDelta():
            return assert_type(chunk.refusal, str)
        case ps.AudioDelta():
            return assert_type(chunk.transcript, str)
        case ps.ImageDelta():
            return assert_type(chunk.url, str)
        case ps.Citation():
            return str(chunk.data)
        case ps.LogProbs():
            return str(len(chunk.tokens))
        case ps.State():
            return str(len(chunk.data))
        case ps.Usage():
            return str(assert_type(chunk.output_tokens, int))
        case ps.Finish():
            return assert_type(chunk.reason, str)
        case ps.Meta():
            return assert_type(chunk.model, str)
        case ps.ProviderEvent():
            return assert_type(chunk.name, str)
        case _:
            assert_never(chunk)


def replies(reply: ps.Reply) -> None:
    """Every field and property of an answer."""
    assert_type(reply.text, str)
    assert_type(reply.reasoning, str)
    assert_type(reply.refusal, str | None)
    assert_type(reply.tool_calls, list[ps.ToolCall])
    assert_type(reply.choices, list[Choice])
    assert_type(reply.audio, Audio | None)
    assert_type(reply.images, list[str])
    assert_type(reply.finish_reason, str | None)
    assert_type(reply.usage, ps.Usage | None)
    assert_type(reply.cost, float | None)
    assert_type(reply.cost_reason, str | None)
    assert_type(reply.attempts, tuple[Attempt, ...])
    assert_type(reply.timings, Timings)
    assert_type(reply.headers, dict[str, str])
    assert_type(reply.dropped, list[str])
    assert_type(reply.message, dict[str, Any])
    assert_type(reply.to_openai(), dict[str, Any])
    assert_type(reply.curl(), str)
    again: list[Message] = [*MESSAGES, reply.message]
    assert again


def frozen(chunk: ps.TextDelta) -> None:
    """Chunks do not change."""
    chunk.text = "other"  # type: ignore[misc]


async def drop_empty(chunks: AsyncIterator[ps.Chunk]) -> AsyncIterator[ps.Chunk]:
    """A bare asynchronous generator."""
    async for chunk in chunks:
        if chunk != ps.TextDelta(""):
            yield chunk


def count(chunk: ps.Chunk) -> ps.Chunk:
    """A function that keeps every chunk."""
    return chunk


def only_text(chunk: ps.Chunk) -> ps.Chunk | None:
    """A function that drops some."""
    return chunk if isinstance(chunk, ps.TextDelta) else None


async def looked_up(chunk: ps.Chunk) -> ps.Chunk | None:
    """An asynchronous function."""
    return chunk


class Counter:
    """An object with `process`."""

    def process(self, chunk: ps.Chunk) -> ps.Chunk | None:
        """Count, and keep."""
        return chunk


ALL: list[Middleware] = [
    drop_empty,
    count,
    only_text,
    looked_up,
    Counter(),
    coalesce(size=64),
    coalesce(interval=0.1),
    throttle(chunks=20),
    stop_at("x"),
    accumulate(),
]


async def two_readers(client: ps.Client) -> None:
    """Tee an answer, and send it on."""
    async with client.stream("a", "hi") as stream, tee(stream, 2) as branches:
        assert_type(branches[0], Branch)
        async for data in sse.encode(branches[1], keep_alive=None):
            assert_type(data, bytes)
    check_bound("mine", 1, 2, 3)


async def caught(client: ps.Client) -> str:
    """Catch, and read what an error knows."""
    try:
        await client.chat("a", "hi")
    except DeadlineError as error:
        return f"{assert_type(error.phase, str | None)} {assert_type(error.limit, float | None)}"
    except LimitExceededError as error:
        return str(error.frames)
    except PenstockError as error:
        assert_type(error.partial, ps.Reply | None)
        assert_type(error.attempts, tuple[Attempt, ...])
        assert_type(error.retry_after, float | None)
        assert_type(error.retryable, bool)
        return assert_type(error.kind, str)
    return ""


def blocking() -> None:
    """The same without await."""
    with ps.SyncClient(default_model="sim/echo") as client:
        assert_type(client.chat(messages="hi", temperature=0.1), ps.Reply)
        with client.stream("a", "hi") as stream:
            assert_type(stream, SyncStream)
            for chunk in stream:
                assert_type(show(chunk), str)
            assert_type(stream.collect(), ps.Reply)
        for result in client.map([{"messages": "hi"}]):
            assert_type(result, MapResult)
        client.chat("a", "hi", temperatur=0.2)  # type: ignore[call-arg]
        client.close(grace=1)


async def shim() -> None:
    """The first seed's own words."""
    provider = OpenAIStreamingProvider(
        default_model="a", deployments={"a": ps.Deployment("https://a.example/v1", "key")}
    )
    response = await provider.chat([{"role": "user", "content": "hi"}])
    assert_type(response.content, str | None)


class Timed:
    """A provider around a provider."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Pass `request` on."""
        return await self._inner.open(request)


def provided(inner: Provider, transport: Transport) -> Provider:
    """What wraps a provider is one."""
    ps.Client(transport=transport)
    return Timed(inner)


async def simulated() -> None:
    """The simulator, and the encoder by itself."""
    async with Simulator(models={"large": "echo?fault=reset@3"}) as simulator:
        assert_type(simulator.url, str)
    assert_type(encode_json({"a": 1}, buffer_size=4096), Iterator[bytes])
    assert_type(await Body({"a": 1}).length(), int)
