"""What does a short request cost? CPU of the client per request, one by one and 100 at a time.

5,000 requests with an answer of three tokens, each peer in a fresh process; `direct` is penstock
over connections of its own, `floor` what the interpreter can do at all (see `benchmarks.floor`).

Not shown: TLS handshakes; connections are kept alive by all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.fresh import fresh, installed, median, setting, simulator

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]
MODEL = "text?tokens=3"


async def _run(once: Callable[[], Awaitable[object]], requests: int, at_once: int) -> list[float]:
    """Return microseconds of CPU per request."""

    async def worker(count: int) -> None:
        for _ in range(count):
            await once()

    await asyncio.gather(*(worker(2) for _ in range(at_once)))
    before = time.process_time()
    await asyncio.gather(*(worker(requests // at_once) for _ in range(at_once)))
    return [(time.process_time() - before) / requests * 1e6]


async def floor(url: str, requests: int, at_once: int) -> list[float]:
    """Measure asyncio, llhttp and msgspec, with a connection for each worker."""
    from benchmarks.floor import Floor

    request = {"model": MODEL, "messages": PROMPT, "stream": True}
    address = f"{url}/v1/chat/completions"
    idle = [await Floor(address, request).connect() for _ in range(at_once)]

    async def once() -> None:
        connection = idle.pop()
        await connection.once()
        idle.append(connection)

    return await _run(once, requests, at_once)


async def direct(url: str, requests: int, at_once: int) -> list[float]:
    """Measure ``Client.chat`` over connections of its own."""
    return await penstock(url, requests, at_once, transport="direct")


async def penstock(url: str, requests: int, at_once: int, transport: str = "httpx") -> list[float]:
    """Measure ``Client.chat``."""
    import penstock as ps

    deployments = {"d": ps.Deployment(f"{url}/v1", model=MODEL)}
    async with ps.Client(deployments=deployments, transport=transport) as client:
        return await _run(lambda: client.chat("d", PROMPT), requests, at_once)


async def bare(url: str, requests: int, at_once: int) -> list[float]:
    """Measure one ``httpx`` POST whose body is read and not looked at."""
    import httpx

    request = {"model": MODEL, "messages": PROMPT, "stream": True}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits) as client:
        address = f"{url}/v1/chat/completions"
        return await _run(lambda: client.post(address, json=request), requests, at_once)


async def openai_sdk(url: str, requests: int, at_once: int) -> list[float]:
    """Measure ``openai.AsyncOpenAI``, streamed as penstock streams."""
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def once() -> None:
            async for _ in await client.chat.completions.create(
                model=MODEL, messages=PROMPT, stream=True
            ):
                pass

        return await _run(once, requests, at_once)


PEERS = {
    "floor": "httptools",
    "direct": "httptools",
    "bare": "httpx",
    "penstock": "penstock",
    "openai_sdk": "openai",
}


def main() -> None:
    """Measure every peer that is installed, and print ratios to bare httpx."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    requests, rounds = (200, 1) if parser.parse_args().smoke else (5000, 2)
    print(f"CPU per request, {requests} requests, median of {rounds} rounds. {setting()}")
    with simulator() as url:
        for at_once in (1, 100):
            found: dict[str, list[float]] = {n: [] for n, m in PEERS.items() if installed(m)}
            for _ in range(rounds):
                for name, values in found.items():
                    values += fresh(
                        "benchmarks.requests", name, url=url, requests=requests, at_once=at_once
                    )
            bare, _ = median(found["bare"])
            for name, values in found.items():
                middle, spread = median(values)
                line = f"{at_once:4} at a time  {name:12} {middle:8.0f} µs  "
                line += f"{middle / bare:5.2f} x bare httpx"
                if "floor" in found:
                    line += f"  {middle / median(found['floor'])[0]:5.2f} x floor"
                print(f"{line}  (spread {spread:.0%})")


if __name__ == "__main__":
    main()
