"""The server's tools, asked by the official SDK's client."""

from __future__ import annotations

import asyncio
from typing import Any

import mcp
import pytest
from tests.agents.serving.conftest import talking, text

from penstock.agents import LoopLimits, MCPServer
from penstock.agents.mcp import ModelOverMCP
from penstock.agents.mcp.answering import error_of
from penstock.agents.serving import Desk, serve_http
from penstock.agents.serving.server import make_server
from penstock.agents.streaming import stream_of
from penstock.client import Client
from penstock.errors import (
    ConfigurationError,
    InvalidRequestError,
    LimitExceededError,
    MissingCredentialsError,
    NotFoundError,
    PenstockError,
    RateLimitError,
    ServerError,
    UnknownModelError,
)

pytestmark = pytest.mark.asyncio


async def test_it_lists_its_tools() -> None:
    """Two, with the arguments that they take, each with its words."""
    async with talking() as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}

    assert ["chat", "models"] == sorted(tools)
    chat = tools["chat"].input_schema["properties"]
    assert {"prompt", "messages", "system", "model", "max_tokens", "temperature"} <= set(chat)
    assert all("description" in each for each in chat.values())
    assert {"provider"} == set(tools["models"].input_schema["properties"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"prompt": "Hello"}, "Hello"),
        ({"prompt": "Hello", "system": "be kind", "model": "sim/echo"}, "Hello"),
        ({"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.1}, "Hi"),
    ],
)
async def test_a_chat_is_answered(arguments: dict[str, Any], expected: str) -> None:
    """By a model that needs no key, unless another is named; with usage, and its end."""
    async with talking() as session:
        result = await session.call_tool("chat", arguments)

    assert not result.is_error
    assert expected == text(result)
    told = result.structured_content
    assert ("sim", "stop", []) == (told["provider"], told["finish_reason"], told["dropped"])
    assert told["usage"]["total_tokens"] > 0


async def test_what_a_provider_has_not_is_reported() -> None:
    """As everywhere; the answer comes all the same."""
    async with talking() as session:
        arguments = {"prompt": "x", "model": "sim/echo", "reasoning_effort": "low", "seed": 3}
        result = await session.call_tool("chat", arguments)

    assert "x" == text(result)


async def test_the_text_comes_while_it_is_made() -> None:
    """In notifications of progress, whose pieces are how the answer begins."""
    pieces: list[tuple[float, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        pieces.append((progress, message))

    words = "one two three four five six seven eight nine ten"
    async with talking() as session:
        arguments = {"prompt": words, "model": "sim/echo?rate=40", "stream": True}
        result = await session.call_tool("chat", arguments, progress_callback=heard)

    said = "".join(message or "" for _, message in pieces)
    assert len(pieces) > 1
    assert words == text(result)
    assert words.startswith(said)
    assert [len("".join(m or "" for _, m in pieces[: n + 1])) for n in range(len(pieces))] == [
        progress for progress, _ in pieces
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"prompt": "x", "model": "sim/echo?status=429"}, RateLimitError, "429"),
        ({"prompt": "x", "model": "sim/echo?status=404"}, NotFoundError, "404"),
        ({"prompt": "x", "model": "sim/echo?status=500"}, ServerError, "500"),
        ({"prompt": "x", "model": "nosuch/model"}, UnknownModelError, "nosuch/model"),
        ({"prompt": "x", "model": "openai/gpt-5.4"}, MissingCredentialsError, "OPENAI_API_KEY"),
        ({}, InvalidRequestError, "say a prompt or messages, one of them"),
        ({"promt": "x"}, InvalidRequestError, "did you mean 'prompt'"),
        ({"prompt": "x", "max_tokens": 0}, InvalidRequestError, "max_tokens"),
        ({"prompt": "x", "timeout": 0.05, "model": "sim/echo?ttft=9"}, None, "longer than 0.05 s"),
    ],
)
async def test_an_error_is_the_same_on_both_sides(
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    kind: type[PenstockError] | None,
    words: str,
) -> None:
    """In words for those who read, and by its kind for those who know it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with talking(Client(max_retries=0)) as session:
        result = await session.call_tool("chat", arguments)
    error = error_of(result.structured_content, "", place="there")

    assert result.is_error
    assert words in text(result)
    assert kind is None or type(error) is kind
    assert text(result) == f"{error.kind}: {error.message}"


async def test_models_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's, or which one answers by default and who has a key."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k-0123456789")
    async with talking(model="sim/text") as session:
        own = await session.call_tool("models", {})
        simulated = await session.call_tool("models", {"provider": "sim"})
        unknown = await session.call_tool("models", {"provider": "nobody"})

    assert "sim/text" == own.structured_content["default_model"]
    assert "anthropic" in own.structured_content["providers"]
    assert "k-0123456789" not in text(own)
    assert "sim/echo" in simulated.structured_content["models"]
    assert "sim/echo" in text(simulated).splitlines()
    assert unknown.is_error


async def test_a_tool_that_is_not_there_is_an_error() -> None:
    """And a fault of ours is one as well, and ends nothing."""
    async with talking() as session:
        result = await session.call_tool("paint", {})
        assert result.is_error
        assert "there are chat and models" in text(result)

    class Broken(Desk):
        async def call(self, tool: str, arguments: Any, say: Any) -> Any:
            raise ZeroDivisionError("ours")

    async with Broken(Client()) as desk, mcp.Client(make_server(desk)) as session:
        result = await session.call_tool("chat", {"prompt": "x"})
        assert result.is_error
        assert "ZeroDivisionError: ours" in text(result)


async def test_no_more_calls_run_at_once_than_are_allowed() -> None:
    """The rest wait; all are answered."""
    client = Client()
    seen = 0

    async def count() -> None:
        nonlocal seen
        while True:
            seen = max(seen, client.stats().open_streams)
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(count())
    async with talking(client, concurrency=2) as session:
        arguments = {"prompt": "x", "model": "sim/echo?ttft=0.05"}
        results = await asyncio.gather(*(session.call_tool("chat", arguments) for _ in range(6)))
    watching.cancel()

    assert ["x"] * 6 == [text(result) for result in results]
    assert 2 == seen


async def test_a_caller_who_goes_away_ends_the_call() -> None:
    """The provider's stream is closed: nobody pays for what nobody reads."""
    client = Client()
    async with talking(client) as session:
        arguments = {"prompt": "x", "model": "sim/echo?ttft=60"}
        call = asyncio.create_task(session.call_tool("chat", arguments))
        while not client.stats().open_streams:  # noqa: ASYNC110  # it has no event for it
            await asyncio.sleep(0.002)
        call.cancel()
        while client.stats().open_streams:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        assert "y" == text(await session.call_tool("chat", {"prompt": "y"}))


async def test_our_provider_over_http() -> None:
    """In both ages of the protocol: answers, one that is too long, and the next."""
    # On a loop of its own: the SDK's server leaves a task that watches for the process's end.
    await asyncio.to_thread(asyncio.run, _over_http())


async def _over_http() -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with Desk(Client()) as desk:
        serving = asyncio.create_task(serve_http(desk, ready=ready.set_result))
        url = await ready
        for mode in ("auto", "legacy"):
            server = MCPServer(url=url, mode=mode)
            async with ModelOverMCP(server, limits=LoopLimits(max_read=20_000)) as over:
                assert "one" == await _asked(over, "one")
                with pytest.raises(LimitExceededError, match="20000"):
                    await _asked(over, "x" * 30_000)
                assert "two" == await _asked(over, "two")
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def _asked(over: ModelOverMCP, prompt: str) -> str:
    async with stream_of(over, "sim/echo", prompt) as stream:
        return (await stream.collect()).text


async def test_it_is_not_open_to_others_without_a_token() -> None:
    """Whoever reaches it could spend the keys."""
    async with Desk(Client()) as desk:
        with pytest.raises(ConfigurationError, match="PENSTOCK_MCP_TOKEN"):
            await serve_http(desk, host="0.0.0.0")
