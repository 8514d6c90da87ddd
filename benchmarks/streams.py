"""What does a chunk cost? CPU of the client per chunk of one long stream, against its peers.

One answer of 20,000 small chunks, one HTTP chunk an event, from the simulator in another process.
`bare` is a loop over ``httpx.AsyncClient.stream().aiter_raw()`` that splits at blank lines and
decodes each event with ``json.loads``: what one writes by hand. penstock runs three middleware
stages and folds the answer, over httpx and, as `direct`, over connections of its own; `floor` is
what the interpreter can do at all (see `benchmarks.floor`). Each is measured in a fresh process, in
turn, several rounds.

Not shown: TLS, which costs all of them the same, and paced streams (see `concurrency`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Awaitable, Callable

from benchmarks.fresh import fresh, installed, median, setting, simulator

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]


async def _cpu(once: Callable[[], Awaitable[int]], repeats: int) -> list[float]:
    """Return microseconds of CPU per chunk: the best of `repeats`, after one to warm up."""
    await once()
    best = float("inf")
    for _ in range(repeats):
        before = time.process_time()
        count = await once()
        best = min(best, (time.process_time() - before) / count)
    return [best * 1e6]


async def floor(url: str, chunks: int, repeats: int) -> list[float]:
    """Measure asyncio, llhttp and msgspec, with nothing built."""
    from benchmarks.floor import Floor

    request = {"model": f"text?tokens={chunks}", "messages": PROMPT, "stream": True}
    connection = await Floor(f"{url}/v1/chat/completions", request).connect()
    return await _cpu(connection.once, repeats)


async def direct(url: str, chunks: int, repeats: int, middleware: int = 3) -> list[float]:
    """Measure the public API over connections of its own."""
    return await penstock(url, chunks, repeats, middleware, transport="direct")


async def penstock(
    url: str, chunks: int, repeats: int, middleware: int = 3, transport: str = "httpx"
) -> list[float]:
    """Measure the public API with `middleware` stages."""
    import penstock as ps

    stages = [lambda chunk: chunk for _ in range(middleware)]
    deployment = ps.Deployment(f"{url}/v1", model=f"text?tokens={chunks}")
    async with ps.Client(
        deployments={"d": deployment}, middleware=stages, transport=transport
    ) as client:

        async def once() -> int:
            count = 0
            async with client.stream("d", PROMPT) as stream:
                async for _ in stream:
                    count += 1
            return count

        return await _cpu(once, repeats)


async def bare(url: str, chunks: int, repeats: int) -> list[float]:
    """Measure the loop that one writes by hand over httpx."""
    import httpx

    request = {"model": f"text?tokens={chunks}", "messages": PROMPT, "stream": True}
    async with httpx.AsyncClient() as client:

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

        return await _cpu(once, repeats)


async def openai_sdk(url: str, chunks: int, repeats: int) -> list[float]:
    """Measure ``openai.AsyncOpenAI``."""
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def once() -> int:
            count = 0
            async for _ in await client.chat.completions.create(
                model=f"text?tokens={chunks}", messages=PROMPT, stream=True
            ):
                count += 1
            return count

        return await _cpu(once, repeats)


async def litellm(url: str, chunks: int, repeats: int) -> list[float]:
    """Measure ``litellm.acompletion``."""
    import litellm as peer

    async def once() -> int:
        count = 0
        async for _ in await peer.acompletion(
            model=f"openai/text?tokens={chunks}",
            api_base=f"{url}/v1",
            api_key="none",
            messages=PROMPT,
            stream=True,
        ):
            count += 1
        return count

    return await _cpu(once, repeats)


async def exoclaw(url: str, chunks: int, repeats: int) -> list[float]:
    """Measure ``exoclaw_provider_openai``, with a callback for each delta."""
    from exoclaw_provider_openai import Deployment, OpenAIStreamingProvider

    model = f"text?tokens={chunks}"
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

    return await _cpu(once, repeats)


PEERS = {
    "floor": "httptools",
    "direct": "httptools",
    "bare": "httpx",
    "penstock": "penstock",
    "openai_sdk": "openai",
    "exoclaw": "exoclaw_provider_openai",
    "litellm": "litellm",
}
_SLOW = {"litellm": 4}
"""Peers that get a fraction of the chunks: they take minutes otherwise."""


def main() -> None:
    """Measure every peer that is installed, and print ratios to the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    smoke = parser.parse_args().smoke
    chunks, rounds, repeats = (2_000, 1, 1) if smoke else (20_000, 3, 3)
    found: dict[str, list[float]] = {
        name: [] for name, module in PEERS.items() if installed(module)
    }
    with simulator() as url:
        for _ in range(rounds):
            for name, values in found.items():
                count = chunks // _SLOW.get(name, 1)
                values += fresh("benchmarks.streams", name, url=url, chunks=count, repeats=repeats)
    print(f"CPU per chunk, {chunks} chunks a stream, median of {rounds} rounds. {setting()}")
    bare, _ = median(found["bare"])
    for name, values in found.items():
        middle, spread = median(values)
        line = f"{name:12} {middle:8.2f} µs  {middle / bare:6.2f} x bare"
        if "floor" in found:
            line += f"  {middle / median(found['floor'])[0]:6.2f} x floor"
        print(f"{line}  (spread {spread:.0%})")


if __name__ == "__main__":
    main()
