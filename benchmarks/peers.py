"""One streamed chat call, as a user of each client writes it: what the benchmarks compare.

Each peer is a context manager around a function that sends the prompt to a model of the simulator,
reads its answer to the end and returns how many pieces it came in. Everything is imported where it
is used, as each peer is measured in an environment that has no other.

Nobody is held back by a bound: each has a pool as large as there are streams, where it has one.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

__all__ = ["CLIENTS", "OPEN", "PROMPT", "Once"]

PROMPT = [{"role": "user", "content": "hi"}]
Once = Callable[[], Awaitable[int]]


@asynccontextmanager
async def floor(url: str, model: str) -> AsyncIterator[Once]:
    """Asyncio, llhttp and msgspec, with nothing built (`benchmarks.floor`); a connection a call."""
    from benchmarks.floor import Floor

    request = {"model": model, "messages": PROMPT, "stream": True}
    idle: list[Floor] = []

    async def once() -> int:
        address = f"{url}/v1/chat/completions"
        connection = idle.pop() if idle else await Floor(address, request).connect()
        count = await connection.once()
        idle.append(connection)
        return count

    yield once
    for connection in idle:
        connection.close()


@asynccontextmanager
async def penstock(
    url: str,
    model: str,
    transport: str = "direct",
    middleware: int = 3,
    whole: bool = False,
    dialect: str = "openai_chat",
) -> AsyncIterator[Once]:
    """The public API with its deadlines, bounds and fold, and so many stages of middleware."""
    import penstock as ps

    limits = ps.Limits(max_connections=10_000)
    timeouts = ps.Timeouts(connect=60, total=None)
    stages = [lambda chunk: chunk for _ in range(middleware)]
    async with ps.Client(
        deployments={"d": ps.Deployment(f"{url}/v1", model=model, dialect=dialect, api_key="none")},
        middleware=stages,
        limits=limits,
        timeouts=timeouts,
        transport=transport,
    ) as client:

        async def stream() -> int:
            count = 0
            async with client.stream("d", PROMPT) as chunks:
                async for _ in chunks:
                    count += 1
            return count

        async def chat() -> int:
            await client.chat("d", PROMPT)
            return 1

        yield chat if whole else stream


def penstock_httpx(
    url: str, model: str, middleware: int = 3, whole: bool = False
) -> AbstractAsyncContextManager[Once]:
    """The same over httpx."""
    return penstock(url, model, "httpx", middleware, whole)


@asynccontextmanager
async def bare_httpx(url: str, model: str) -> AsyncIterator[Once]:
    """A loop over httpx by hand: split at blank lines, ``json.loads`` of each event."""
    import httpx

    request = {"model": model, "messages": PROMPT, "stream": True}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=120) as client:

        async def once() -> int:
            count, rest = 0, b""
            async with client.stream("POST", f"{url}/v1/chat/completions", json=request) as answer:
                async for data in answer.aiter_raw():
                    *events, rest = (rest + data).split(b"\n\n")
                    for event in events:
                        if event != b"data: [DONE]":
                            json.loads(event[6:])
                            count += 1
            return count

        yield once


def _unbounded() -> Any:  # Any: httpx's client, or httpx2's
    """Return the HTTP client that the SDK of OpenAI makes for itself, but for its thousand."""
    import openai as sdk

    limits = type(sdk.DEFAULT_CONNECTION_LIMITS)(max_connections=None)
    return sdk.DefaultAsyncHttpxClient(timeout=120, limits=limits)


@asynccontextmanager
async def openai(url: str, model: str) -> AsyncIterator[Once]:
    """``openai.AsyncOpenAI``."""
    import openai as sdk

    http = _unbounded()
    async with sdk.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", http_client=http) as client:

        async def once() -> int:
            messages: Any = PROMPT  # Any: the SDK's own typed dicts
            stream = await client.chat.completions.create(
                model=model, messages=messages, stream=True
            )
            return sum([1 async for _ in stream])

        yield once


@asynccontextmanager
async def pydantic_ai(url: str, model: str) -> AsyncIterator[Once]:
    """``pydantic_ai.Agent.run_stream`` with the texts as they come, nothing held back."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    http = _unbounded()
    provider = OpenAIProvider(base_url=f"{url}/v1", api_key="none", http_client=http)
    agent = Agent(OpenAIChatModel(model, provider=provider))

    async def once() -> int:
        async with agent.run_stream(PROMPT[0]["content"]) as answer:
            return sum([1 async for _ in answer.stream_text(delta=True, debounce_by=None)])

    async with http:
        yield once


@asynccontextmanager
async def any_llm(url: str, model: str) -> AsyncIterator[Once]:
    """``any_llm.AnyLLM``, one client for all calls."""
    from any_llm import AnyLLM

    http = _unbounded()
    client = AnyLLM.create("openai", api_key="none", api_base=f"{url}/v1", http_client=http)

    async def once() -> int:
        messages: Any = PROMPT  # Any: its own typed dicts
        stream = await client.acompletion(model=model, messages=messages, stream=True)
        return sum([1 async for _ in stream])

    async with http:
        yield once


@asynccontextmanager
async def liter_llm(url: str, model: str) -> AsyncIterator[Once]:
    """``liter_llm.chat_stream``: a client in Rust."""
    import liter_llm as peer

    client = peer.create_client("none", base_url=f"{url}/v1", model_hint="openai/model")

    async def once() -> int:
        messages: Any = PROMPT  # Any: its own typed dicts
        request = peer.ChatCompletionRequest(model=model, messages=messages)
        return sum([1 async for _ in peer.chat_stream(client, request)])

    yield once


@asynccontextmanager
async def litellm(url: str, model: str) -> AsyncIterator[Once]:
    """``litellm.acompletion``, whose bounds are set by the environment: 0 is none."""
    os.environ |= {"AIOHTTP_CONNECTOR_LIMIT": "0", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "0"}
    import litellm as peer

    async def once() -> int:
        stream = await peer.acompletion(
            model=f"openai/{model}",
            api_base=f"{url}/v1",
            api_key="none",
            messages=PROMPT,
            stream=True,
        )
        return sum([1 async for _ in stream])

    yield once


@asynccontextmanager
async def exoclaw(url: str, model: str) -> AsyncIterator[Once]:
    """``exoclaw_provider_openai``, with a callback for each delta."""
    from exoclaw_provider_openai import Deployment, OpenAIStreamingProvider

    provider = OpenAIStreamingProvider(
        default_model=model,
        deployments={model: Deployment(base_url=f"{url}/v1", api_key="none")},
        fallbacks={},
    )

    async def once() -> int:
        count = 0

        async def on_delta(_: str) -> None:
            nonlocal count
            count += 1

        await provider.chat(PROMPT, on_delta=on_delta)
        return count

    yield once


OPEN: dict[str, Callable[..., AbstractAsyncContextManager[Once]]] = {
    "floor": floor,
    "penstock": penstock,
    "penstock over httpx": penstock_httpx,
    "bare httpx": bare_httpx,
    "liter-llm": liter_llm,
    "openai": openai,
    "exoclaw": exoclaw,
    "any-llm": any_llm,
    "pydantic-ai": pydantic_ai,
    "litellm": litellm,
}
"""What opens each client."""

CLIENTS: dict[str, str] = {
    name: "penstock" if name in ("floor", "penstock over httpx") else name.removeprefix("bare ")
    for name in OPEN
}
"""The environment of each (`benchmarks.environments`)."""
