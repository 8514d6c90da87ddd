"""Chunks become the events that OpenAI's own clients read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import httpx
import openai
import pytest
import trio
from openai.types.chat import ChatCompletionChunk

from penstock import sse
from penstock.chunks import (
    Chunk,
    Citation,
    Finish,
    ImageDelta,
    LogProbs,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    State,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContextLengthError,
    DeadlineError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    StreamClosedError,
    TruncatedError,
    UsageError,
)
from penstock.testing.scripted import Line, ScriptedStream

CHUNKS: list[Chunk] = [
    Meta(id="a1", model="m1", created=1_700_000_000, role="assistant"),
    ReasoningDelta("hm"),
    TextDelta("Grüße, "),
    TextDelta("\u2028\ud83d", 1),
    RefusalDelta("no"),
    ToolCallDelta(0, id="c1", name="f", arguments='{"a'),
    ToolCallDelta(0, arguments='": 1}'),
    ImageDelta("data:image/png;base64,AA=="),
    Citation({"type": "url_citation"}),
    State({"blocks": [{"signature": "s"}]}),
    LogProbs(tokens=({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []},)),
    ProviderEvent("chunk", {"x_vendor": 1}),
    ProviderEvent("ping", {"n": 1}),
    Finish("tool_calls"),
    Usage(input_tokens=3, output_tokens=4, total_tokens=7),
]


async def items(*lines: Line) -> AsyncGenerator[Chunk, None]:
    """The chunks of a script."""
    stream = ScriptedStream(lines)
    try:
        while batch := await stream.read():
            for chunk in batch:
                yield chunk
    finally:
        await stream.aclose()


async def encoded(lines: Sequence[Line], **options: Any) -> bytes:
    """All bytes of a script."""
    return b"".join([data async for data in sse.encode(items(*lines), **options)])


def events(wire: bytes) -> list[Any]:
    """The JSON of every event but the last, which is ``[DONE]``."""
    *lines, last, end = wire.decode().split("\n\n")
    assert ("data: [DONE]", "") == (last, end)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


FORMS = pytest.mark.parametrize("keep_alive", [15.0, None], ids=["ahead", "plain"])


@FORMS
@pytest.mark.asyncio
async def test_every_event_is_a_chunk_of_openais(keep_alive: float | None) -> None:
    """Each event validates as the SDK's own type, with one id, time and model."""
    seen = events(await encoded([CHUNKS], keep_alive=keep_alive))

    chunks = [ChatCompletionChunk.model_validate(event) for event in seen]
    assert {("a1", 1_700_000_000, "m1")} == {(c.id, c.created, c.model) for c in chunks}
    assert all(1 == len(chunk.choices) for chunk in chunks)
    assert [chunk.to_openai()["choices"] for chunk in CHUNKS if chunk != CHUNKS[11]] == [
        event["choices"] for event in seen
    ]
    assert 7 == seen[-1]["usage"]["total_tokens"]


def answer(wire: bytes) -> openai.AsyncOpenAI:
    """OpenAI's client, connected to bytes."""

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=wire, headers={"content-type": sse.MEDIA_TYPE})

    client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    return openai.AsyncOpenAI(api_key="x", base_url="http://test", http_client=client)


async def read(client: openai.AsyncOpenAI) -> AsyncIterator[ChatCompletionChunk]:
    """What OpenAI's client makes of the bytes."""
    async with client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        async for chunk in stream:
            yield chunk


@pytest.mark.asyncio
async def test_the_openai_sdk_reads_it() -> None:
    """Text, tool call, finish and usage arrive at OpenAI's own client; comments do not."""
    wire = b": keep-alive\n\n" + await encoded([CHUNKS])

    chunks = [chunk async for chunk in read(answer(wire))]

    choices = [chunk.choices[0] for chunk in chunks]
    assert "Grüße, " == "".join(c.delta.content or "" for c in choices if c.index == 0)
    calls = [call for c in choices for call in c.delta.tool_calls or []]
    assert '{"a": 1}' == "".join(call.function.arguments for call in calls if call.function)
    assert "tool_calls" == choices[-2].finish_reason
    assert chunks[-1].usage is not None


@pytest.mark.asyncio
async def test_the_openai_sdk_sees_an_error() -> None:
    """An answer that fails in the middle raises in OpenAI's own client."""
    wire = await encoded(["a", RateLimitError("slow down", code="tpm")])
    seen: list[str | None] = []

    async def consume() -> None:
        async for chunk in read(answer(wire)):
            seen.append(chunk.choices[0].delta.content)  # noqa: PERF401  # an error follows

    with pytest.raises(openai.APIError, match="slow down") as caught:
        await consume()

    assert ["a"] == seen
    assert ("rate_limit_error", "tpm") == (caught.value.type, caught.value.code)


@FORMS
@pytest.mark.asyncio
async def test_a_failed_answer_is_not_done(keep_alive: float | None) -> None:
    """No client may take a truncated answer for a whole one: there is no ``[DONE]`` (row 8)."""
    wire = await encoded(["a", TruncatedError("cut short")], keep_alive=keep_alive)

    assert b"[DONE]" not in wire
    assert wire.endswith(
        b'data: {"error":{"message":"cut short","type":"server_error","code":"truncated",'
        b'"param":null}}\n\n'
    )


@FORMS
@pytest.mark.asyncio
async def test_other_exceptions_are_told_to_nobody(keep_alive: float | None) -> None:
    """A bug's message is not the client's business; it is raised for the service to log."""
    wire = b""

    async def consume() -> None:
        nonlocal wire
        async for data in sse.encode(items("a", KeyError("secret")), keep_alive=keep_alive):
            wire += data

    with pytest.raises(KeyError, match="secret"):
        await consume()

    assert b"secret" not in wire
    assert wire.endswith(
        b'{"error":{"message":"the server failed","type":"server_error","code":"internal",'
        b'"param":null}}\n\n'
    )


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (RateLimitError("x"), "rate_limit_error", "rate_limit"),
        (BillingError("x", code="insufficient_quota"), "insufficient_quota", "insufficient_quota"),
        (AuthenticationError("x"), "authentication_error", "authentication"),
        (PermissionDeniedError("x"), "permission_error", "permission"),
        (NotFoundError("x"), "not_found_error", "not_found"),
        (ContextLengthError("x"), "invalid_request_error", "context_length"),
        (OverloadedError("x"), "server_error", "overloaded"),
        (DeadlineError("x"), "server_error", "deadline"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_have_openais_types(error: Exception, kind: str, code: str) -> None:
    """The type is one that OpenAI's clients know, the code ours or the provider's."""
    told = sse.error_event(error)["error"]

    assert ("x", kind, code, None) == (told["message"], told["type"], told["code"], told["param"])


def test_an_error_without_words_says_its_kind() -> None:
    """A message is never empty."""
    assert "deadline" == sse.error_event(DeadlineError())["error"]["message"]


@pytest.mark.asyncio
async def test_silence_is_filled_with_comments() -> None:
    """While nothing comes, a comment is sent each interval (row 7)."""
    async with aclosing(sse.encode(items("a", 3600.0), keep_alive=0.01)) as wire:
        first = await anext(wire)
        comments = [await anext(wire) for _ in range(3)]

    assert b'"content":"a"' in first
    assert [b": keep-alive\n\n"] * 3 == comments


@pytest.mark.asyncio
async def test_what_is_ready_is_sent_at_once() -> None:
    """Chunks that came together go out together."""
    async with aclosing(sse.encode(items(["a", "b"], 3600.0))) as wire:
        assert 2 == (await anext(wire)).count(b"data: ")


@pytest.mark.asyncio
async def test_reading_ahead_is_bounded() -> None:
    """A client that takes nothing leaves the rest on the provider's wire."""
    taken = 0

    async def source() -> AsyncIterator[Chunk]:
        nonlocal taken
        while True:
            taken += 1
            yield TextDelta("x" * 1000)

    async with aclosing(sse.encode(source())) as wire:
        await anext(wire)
        for _ in range(5):
            await asyncio.sleep(0)

        assert taken < 2 * 64 + 2


@pytest.mark.asyncio
async def test_names_can_be_given() -> None:
    """A service's own id, time and model win over the provider's."""
    seen = events(await encoded([CHUNKS], id="mine", created=7, model="ours"))

    assert {("mine", 7, "ours")} == {(e["id"], e["created"], e["model"]) for e in seen}


@pytest.mark.asyncio
async def test_names_are_made_up() -> None:
    """An answer without an id has one all the same, the same in every event."""
    seen = events(await encoded([["a", "b"], Meta(id="late", model="late")]))

    assert 1 == len({(event["id"], event["created"]) for event in seen})
    assert seen[0]["id"].startswith("chatcmpl-")
    assert seen[0]["created"] > 1_700_000_000


@pytest.mark.asyncio
async def test_a_client_that_goes_away_ends_the_reading() -> None:
    """A closed generator leaves no task, and the stream to its owner."""
    stream = ScriptedStream(["a", 3600.0])

    async def source() -> AsyncIterator[Chunk]:
        while batch := await stream.read():
            for chunk in batch:
                yield chunk

    async with aclosing(sse.encode(source())) as wire:
        await anext(wire)
        await asyncio.sleep(0)

    with pytest.raises(StreamClosedError):
        await stream.read()


def test_without_asyncio_there_are_no_comments() -> None:
    """On trio the plain form works, and the other says why not."""

    async def main(keep_alive: float | None) -> bytes:
        source = items("a")
        async with aclosing(source):
            return b"".join([data async for data in sse.encode(source, keep_alive=keep_alive)])

    assert b'"content":"a"' in trio.run(main, None)
    with pytest.raises(UsageError, match="asyncio"):
        trio.run(main, 15.0)
