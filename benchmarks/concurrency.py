"""How do hundreds and thousands of open streams fare? CPU, time and memory per stream, by peer.

500 and 2,000 streams at once, each of 50 chunks, paced by the simulator at 100 tokens a second, in
fresh processes. CPU is the client's per chunk; memory is the growth of the resident size from
before the streams to its peak, per stream; the slowest stream says whether anybody starved.

Not shown: TLS. On two cores the simulator takes one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.fresh import fresh, installed, rss, setting, simulator

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]
TOKENS, RATE = 50, 100
MODEL = f"text?tokens={TOKENS}&rate={RATE}"


async def _run(once: Callable[[], Awaitable[int]], streams: int) -> dict[str, float]:
    await once()
    before, peak, slowest = rss(), 0, 0.0

    async def one() -> int:
        nonlocal slowest
        begun = time.perf_counter()
        count = await once()
        slowest = max(slowest, time.perf_counter() - begun)
        return count

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, rss())
            await asyncio.sleep(0.05)

    watcher = asyncio.create_task(watch())
    cpu, wall = time.process_time(), time.perf_counter()
    counts = await asyncio.gather(*(one() for _ in range(streams)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    watcher.cancel()
    assert min(counts) >= TOKENS, min(counts)
    return {
        "cpu": cpu / sum(counts) * 1e6,
        "wall": wall,
        "slowest": slowest,
        "memory": (peak - before) / streams / 1024,
    }


async def direct(url: str, streams: int) -> dict[str, float]:
    """Measure the public API over connections of its own."""
    return await penstock(url, streams, transport="direct")


async def penstock(url: str, streams: int, transport: str = "httpx") -> dict[str, float]:
    """Measure the public API."""
    import penstock as ps

    limits = ps.Limits(max_connections=streams)
    timeouts = ps.Timeouts(connect=60, total=None)
    deployments = {"d": ps.Deployment(f"{url}/v1", model=MODEL)}
    async with ps.Client(
        deployments=deployments, limits=limits, timeouts=timeouts, transport=transport
    ) as client:

        async def once() -> int:
            count = 0
            async with client.stream("d", PROMPT) as stream:
                async for _ in stream:
                    count += 1
            return count

        return await _run(once, streams)


async def bare(url: str, streams: int) -> dict[str, float]:
    """Measure a loop over httpx by hand."""
    import httpx

    request = {"model": MODEL, "messages": PROMPT, "stream": True}
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

        return await _run(once, streams)


async def openai_sdk(url: str, streams: int) -> dict[str, float]:
    """Measure ``openai.AsyncOpenAI`` with its pool made as large as the number of streams."""
    import httpx
    import openai

    http: Any = httpx.AsyncClient(
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None), timeout=120
    )
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", http_client=http) as client:

        async def once() -> int:
            count = 0
            async for _ in await client.chat.completions.create(
                model=MODEL, messages=PROMPT, stream=True
            ):
                count += 1
            return count

        return await _run(once, streams)


PEERS = {
    "bare": "httpx",
    "direct": "httptools",
    "penstock": "penstock",
    "openai_sdk": "openai",
}


def main() -> None:
    """Measure every peer that is installed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    counts = (20,) if parser.parse_args().smoke else (500, 2000)
    print(f"{TOKENS} chunks a stream at {RATE} a second. {setting()}")
    with simulator() as url:
        for streams in counts:
            for name, module in PEERS.items():
                if not installed(module):
                    continue
                found = fresh("benchmarks.concurrency", name, url=url, streams=streams)
                print(
                    f"{streams:5} streams  {name:12} {found['cpu']:7.1f} µs CPU a chunk  "
                    f"{found['memory']:6.0f} KiB a stream  {found['wall']:6.1f} s, "
                    f"slowest stream {found['slowest']:.1f} s"
                )


if __name__ == "__main__":
    main()
