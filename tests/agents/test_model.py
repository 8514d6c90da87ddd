"""A model behind an MCP server: real processes that answer, lie, die and hang."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # without it these tests are left out
import pytest

from penstock.agents import LoopLimits, MCPServer
from penstock.agents.mcp import ModelOverMCP, calling, model, stdio
from penstock.agents.streaming import stream_of
from penstock.chunks import Finish, Meta, TextDelta
from penstock.errors import (
    ConfigurationError,
    ConnectError,
    DeadlineError,
    InvalidRequestError,
    LimitExceededError,
    PenstockError,
    ProtocolError,
    ResponseError,
    ServerError,
    StreamClosedError,
    TransportError,
    UnsupportedFeatureError,
)
from penstock.limits import Timeouts
from penstock.request import ChatRequest
from penstock.response import Reply
from penstock.testing import check_provider
from penstock.testing.check_provider import Scenario, Trial

pytestmark = pytest.mark.asyncio

SERVER = Path(__file__).with_name("raw_server.py")


def raw(*modes: str, **options: Any) -> ModelOverMCP:
    """The test's server, as a model."""
    command = [sys.executable, "-IS", str(SERVER), *modes]
    server = MCPServer(command=command, name="raw", mode="legacy", env=options.pop("env", {}))
    return ModelOverMCP(server, **options)


async def ask(over: ModelOverMCP, prompt: Any, **options: Any) -> Reply:
    """The whole answer to a prompt."""
    async with stream_of(over, options.pop("model", "raw/m"), prompt, **options) as stream:
        return await stream.collect()


async def test_an_answer_is_chunks() -> None:
    """A result's text is content, and its end an end; nobody counted tokens."""
    async with raw() as over:
        stream = await over.open(ChatRequest(model="raw/m", messages="hello"))
        chunks = []
        while batch := await stream.read():
            chunks += batch

    said = json.dumps({"prompt": "hello", "model": "m"})
    assert [Meta(role="assistant"), TextDelta(said), Finish("stop")] == chunks


@pytest.mark.parametrize(
    ("modes", "model", "messages", "options", "expected", "dropped"),
    [
        ((), "raw/m", "hi", {}, {"prompt": "hi", "model": "m"}, []),
        ((), "other/m", "hi", {}, {"prompt": "hi", "model": "other/m"}, []),
        ((), "raw", "hi", {}, {"prompt": "hi", "model": "usual"}, []),
        (
            (),
            "raw/m",
            [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
            {"temperature": 0.5, "max_tokens": 5},
            {"prompt": "be kind\n\nhi", "model": "m"},
            ["max_tokens", "temperature"],
        ),
        (
            ("wide",),
            "raw/m",
            [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
            {"temperature": 0.5, "max_tokens": 5},
            {"prompt": "hi", "model": "m", "system": "be kind", "temperature": 0.5},
            ["max_tokens"],
        ),
        (
            (),
            "raw/m",
            [
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "two"},
                {"role": "user", "content": "three"},
            ],
            {},
            {"prompt": "User: one\n\nAssistant: two\n\nUser: three", "model": "m"},
            [],
        ),
        (("unlisted", "wide"), "raw/m", "hi", {}, {"prompt": "hi", "model": "m"}, []),
        (("banner",), "raw/m", "hi", {}, {"prompt": "hi", "model": "m"}, []),
    ],
)
async def test_a_request_in_the_tools_words(
    modes: tuple[str, ...],
    model: str,
    messages: Any,
    options: dict[str, Any],
    expected: dict[str, Any],
    dropped: list[str],
) -> None:
    """What the tool has an argument for is said in it; the rest is in the prompt, or reported."""
    async with raw(*modes, model="usual") as over:
        reply = await ask(over, messages, model=model, **options)

    assert expected == json.loads(reply.text)
    assert dropped == sorted(reply.dropped)


async def test_what_cannot_be_said_is_refused() -> None:
    """Tools are, and with ``strict`` all that would be dropped; the server hears nothing of it."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    async with raw() as over:
        with pytest.raises(UnsupportedFeatureError, match="takes no tools"):
            await ask(over, "hi", tools=[tool])
        with pytest.raises(UnsupportedFeatureError, match="takes no temperature"):
            await ask(over, "hi", temperature=1.0, strict=True)
    async with raw(tool="paint") as over:
        with pytest.raises(ConfigurationError, match="no tool 'paint': name one of execute_task"):
            await ask(over, "hi")


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [
        ("die", TransportError, "it ended before it answered; it said: the boiler burst"),
        ("torn", ProtocolError, "is no JSON-RPC message"),
        ("noise", ProtocolError, "no answer: 'no JSON at all'"),
        ("refuse", ResponseError, "out of coal"),
        ("fault:-32602", InvalidRequestError, "no such thing"),
        ("fault:-32000", ServerError, "no such thing"),
        ("big:2000000", LimitExceededError, "exceeds 1000000 bytes"),
    ],
)
async def test_a_bad_answer_is_an_error_and_the_next_is_good(
    monkeypatch: pytest.MonkeyPatch, prompt: str, kind: type[PenstockError], words: str
) -> None:
    """Each says what it is, and leaves a server that answers, a new one where it died."""
    monkeypatch.setattr(calling, "_GRACE", 0.05)
    async with raw(limits=LoopLimits(max_read=1_000_000)) as over:
        before = (await ask(over, "pid")).text
        with pytest.raises(kind, match=words) as failure:
            await ask(over, prompt)
        after = (await ask(over, "pid")).text

    assert kind is type(failure.value)
    assert ("raw", "raw/m") == (failure.value.provider, failure.value.model)
    assert (before != after) is (prompt == "die")


@pytest.mark.parametrize("prompt", ["noise, then", "flood:8000000", "big:900000"])
async def test_noise_and_size_within_bounds_are_borne(prompt: str) -> None:
    """A printed line before the answer, megabytes on stderr, an answer of nearly a megabyte."""
    async with raw(limits=LoopLimits(max_read=1_000_000)) as over:
        text = (await ask(over, prompt)).text

    known = {"noise, then": "after all", "flood:8000000": "flooded", "big:900000": "x" * 900_000}
    assert known[prompt] == text


async def test_a_hundred_calls_at_once_find_their_answers() -> None:
    """Over one session, answered last first, and not before all had been asked."""
    prompts = [f"gather:100,{number}" for number in range(100)]
    async with raw() as over:
        replies = await asyncio.gather(*(ask(over, prompt) for prompt in prompts))

    assert prompts == [reply.text for reply in replies]


async def test_a_server_that_hangs_is_left_and_begun_anew(
    monkeypatch: pytest.MonkeyPatch, alive: Callable[[int], bool]
) -> None:
    """The clock holds; the next call has a new server, and the old one is gone, TERM or not."""
    monkeypatch.setattr(model, "_PROBE", 0.1)
    monkeypatch.setattr(stdio, "_GRACE", 0.1)
    async with raw() as over:
        before = int((await ask(over, "pid")).text)
        with pytest.raises(DeadlineError) as failure:
            await ask(over, "hang", timeouts=Timeouts(total=0.3))
        after = int((await ask(over, "pid")).text)

    assert "total" == failure.value.phase
    assert before != after
    assert not alive(before)
    assert not alive(after)


@pytest.mark.parametrize("modes", [(), ("unlisted",)])
async def test_a_server_that_lives_is_kept(modes: tuple[str, ...]) -> None:
    """A clock that ran out says nothing of the server: it answers, and the next call goes there."""
    async with raw(*modes) as over:
        before = (await ask(over, "pid")).text
        with pytest.raises(DeadlineError):
            await ask(over, "gather:9,", timeouts=Timeouts(total=0.1))
        assert before == (await ask(over, "pid")).text


async def test_closing_ends_calls_that_wait() -> None:
    """They are told so, and not that the server died."""
    over = raw()
    await ask(over, "hi")
    waiting = asyncio.create_task(ask(over, "gather:9,"))
    await asyncio.sleep(0.05)
    await over.aclose()
    with pytest.raises(StreamClosedError, match="the provider was closed"):
        await waiting


async def test_every_clock_can_be_set() -> None:
    """Silence counts as idle, an answer that does not come as no response and no content."""
    async with raw() as over:
        await ask(over, "hi")
        for clock in ("idle", "response", "ttft", "progress"):
            with pytest.raises(DeadlineError) as failure:
                await ask(over, "gather:9,", timeouts=Timeouts(**{clock: 0.05}))  # type: ignore[arg-type]
            assert clock == failure.value.phase


async def test_a_cancelled_call_is_free_at_once_and_the_server_goes_on() -> None:
    """Others of the same session are not touched."""
    async with raw() as over:
        before = (await ask(over, "pid")).text
        other = asyncio.create_task(ask(over, "gather:2,a"))
        stopped = asyncio.create_task(ask(over, "gather:9,"))
        await asyncio.sleep(0.05)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(stopped, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(other), 0.05)
        other.cancel()
        assert before == (await ask(over, "pid")).text


async def test_a_stream_that_is_closed_says_so() -> None:
    """Closing lets go of the call; reading on is an error."""
    async with raw() as over:
        task = asyncio.create_task(over.open(ChatRequest(model="m", messages="big:10")))
        stream = await task
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await stream.read()


@pytest.mark.parametrize(
    ("command", "kind", "words", "seconds"),
    [
        (["/nonexistent/server"], ConnectError, "No such file", 20.0),
        ([sys.executable, "-ISc", "raise SystemExit('no key')"], ConnectError, "no key", 20.0),
        ([sys.executable, "-IS", str(SERVER), "mute"], ConnectError, "within 0.2", 0.2),
        ([sys.executable, "-IS", str(SERVER), "babble"], ProtocolError, "no message: 'hello'", 3.0),
    ],
)
async def test_a_server_that_does_not_start_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    kind: type[PenstockError],
    words: str,
    seconds: float,
) -> None:
    """Every call tries once, and says what the server said."""
    monkeypatch.setattr(stdio, "_GRACE", 0.1)
    over = ModelOverMCP(MCPServer(command=command), limits=LoopLimits(start_timeout=seconds))
    async with over:
        for _ in range(1 if seconds == 3.0 else 2):
            with pytest.raises(kind, match=words):
                await ask(over, "hi")


async def test_a_key_shows_in_no_error() -> None:
    """What the server prints before it dies is told, and its environment's secrets are not."""
    code = "import os, sys; sys.exit('bad key ' + os.environ['A_KEY'])"
    server = MCPServer(command=[sys.executable, "-ISc", code], env={"A_KEY": "sk-1234567890"})
    async with ModelOverMCP(server) as over:
        with pytest.raises(ConnectError, match="bad key") as failure:
            await ask(over, "hi")

    assert "sk-1234567890" not in str(failure.value)


async def test_a_loop_has_its_own_server(alive: Callable[[int], bool]) -> None:
    """As another process has; a pickle takes none along, and what is closed ends."""
    async with raw() as over:
        here = int((await ask(over, "pid")).text)

        async def elsewhere() -> int:
            copy = pickle.loads(pickle.dumps(over))
            async with copy:
                return int((await ask(copy, "pid")).text)

        there = await asyncio.to_thread(asyncio.run, elsewhere())
        assert here != there
        assert not alive(there)
        assert alive(here)

    assert not alive(here)


async def test_it_keeps_the_promises_of_a_provider() -> None:
    """Answers, errors, cancellations and closings at every moment, over one session."""
    async with raw("streaming") as over:
        await ask(over, "hi")
        (line,) = over._lines.values()

        @asynccontextmanager
        async def make(scenario: Scenario) -> AsyncIterator[Trial]:
            request = ChatRequest(model="raw/m", messages=scenario)
            yield Trial(over, request, left_open=lambda: len(line._waiting))

        await check_provider(make)


async def test_the_text_comes_while_it_is_made() -> None:
    """Piece by piece, and then the rest; a result that says something else is none."""
    async with raw("streaming") as over:
        async with stream_of(over, "raw/m", "answer") as stream:
            pieces = [text async for text in stream.text()]
        assert ["Hel", "lo", ", world"] == pieces
        async with stream_of(over, "raw/m", "error") as stream:
            with pytest.raises(ResponseError, match="a valve stuck") as failure:
                await stream.collect()
        assert failure.value.partial is not None
        assert "Hello" == failure.value.partial.text
        async with stream_of(over, "raw/m", "lie") as stream:
            with pytest.raises(ProtocolError, match="not what it said"):
                await stream.collect()


async def test_an_answer_that_nobody_reads_is_bounded() -> None:
    """What has come is handed out first."""
    async with raw("streaming", limits=LoopLimits(max_read=4096)) as over:
        stream = await over.open(ChatRequest(model="raw/m", messages="pour"))
        while stream.record.buffered() <= 4096:  # noqa: ASYNC110  # it has no event for it
            await asyncio.sleep(0.002)
        assert await stream.read()
        assert await stream.read()
        with pytest.raises(LimitExceededError, match="wait to be read") as failure:
            await stream.read()
        await stream.aclose()

    assert ("max_read", 4096) == (failure.value.phase, failure.value.limit)


def chosen(*tools: tuple[str, list[str]], wanted: str | None = None) -> str:
    """Which of a server's tools is taken for the model."""
    from types import SimpleNamespace

    from penstock.agents.mcp.asking import model_tool

    listed = [
        SimpleNamespace(name=name, input_schema={"properties": {key: {} for key in takes}})
        for name, takes in tools
    ]
    return model_tool(listed, wanted, "s").name


async def test_which_tool_is_the_model() -> None:
    """The one that is named, the usual names, or the only one that takes a text."""
    add = ("add", ["a", "b"])
    assert "add" == chosen(add, wanted="add")
    assert "execute_task" == chosen(add, ("execute_task", ["prompt"]), ("say", ["text"]))
    assert "chat" == chosen(("execute_task", ["prompt"]), ("chat", ["prompt"]))
    assert "say" == chosen(add, ("say", ["text"]))
    for tools in ([add], [("say", ["text"]), ("ask", ["prompt"])]):
        with pytest.raises(ConfigurationError, match="no tool that is surely a model"):
            chosen(*tools)


async def test_no_process_is_left() -> None:
    """Cancelled while it starts, a server is gone as well."""
    before = set(_children())
    async with raw("mute") as over:
        task = asyncio.create_task(ask(over, "hi"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert before == set(_children())


def _children() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(os.getpid()).children(recursive=True)]
