"""What does blocking cost? `SyncClient` beside `Client`, and portals by themselves.

- dense: CPU of the process per chunk of an answer of 20,000 small chunks, as fast as they come;
- paced: the same at 500 chunks a second, where each network read brings one chunk, and so each
  chunk one hand-over between two threads;
- chat: CPU per short call, one after the other;
- hand-overs: how often the blocking thread is woken per network read of the dense answer;
- portal: microseconds on the clock from a thread to a coroutine that returns at once, and back,
  through this portal, asyncio's ``run_coroutine_threadsafe`` and anyio's blocking portal.

The openai SDK's blocking client is the peer: it reads its socket in the caller's thread. Each is
measured in a fresh process, in turn, several rounds; the simulator runs in another process.

Not shown: many blocking threads at once, which share one loop and one interpreter lock.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.fresh import fresh, installed, median, setting, simulator

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]


def _best(once: Callable[[], int], repeats: int) -> float:
    """Return microseconds of CPU per unit: the best of `repeats`, after one to warm up."""
    once()
    best = float("inf")
    for _ in range(repeats):
        before = time.process_time()
        count = once()
        best = min(best, (time.process_time() - before) / count)
    return best * 1e6


async def _best_async(once: Callable[[], Awaitable[int]], repeats: int) -> float:
    await once()
    best = float("inf")
    for _ in range(repeats):
        before = time.process_time()
        count = await once()
        best = min(best, (time.process_time() - before) / count)
    return best * 1e6


async def penstock_async(url: str, model: str, repeats: int) -> float:
    """Measure ``Client.stream``."""
    import penstock as ps

    async with ps.Client(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        async def once() -> int:
            count = 0
            async with client.stream("d", PROMPT) as stream:
                async for _ in stream:
                    count += 1
            return count

        return await _best_async(once, repeats)


def penstock_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``SyncClient.stream``."""
    import penstock as ps

    with ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        def once() -> int:
            count = 0
            with client.stream("d", PROMPT) as stream:
                for _ in stream:
                    count += 1
            return count

        return _best(once, repeats)


def openai_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``openai.OpenAI``."""
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:

        def once() -> int:
            count = 0
            for _ in client.chat.completions.create(model=model, messages=PROMPT, stream=True):
                count += 1
            return count

        return _best(once, repeats)


async def chat_async(url: str, model: str, repeats: int) -> float:
    """Measure ``Client.chat``, `repeats` hundred calls."""
    import penstock as ps

    async with ps.Client(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        async def once() -> int:
            for _ in range(100):
                await client.chat("d", PROMPT)
            return 100

        return await _best_async(once, repeats)


def chat_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``SyncClient.chat``."""
    import penstock as ps

    with ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        def once() -> int:
            for _ in range(100):
                client.chat("d", PROMPT)
            return 100

        return _best(once, repeats)


def handovers(url: str, model: str) -> dict[str, int]:
    """Count what crosses between the threads while one answer is streamed."""
    import penstock as ps
    from penstock.pipeline.stream import BatchStream
    from penstock.sync.pump import Pump

    counts = {"chunks": 0, "reads": 0, "handovers": 0}
    read, take = BatchStream.read, Pump._take

    async def counting_read(self: Any) -> Any:
        counts["reads"] += 1
        return await read(self)

    def counting_take(self: Any) -> Any:
        counts["handovers"] += 1
        return take(self)

    BatchStream.read, Pump._take = counting_read, counting_take  # type: ignore[method-assign]
    client = ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)})
    with client, client.stream("d", PROMPT) as stream:
        for _ in stream:
            counts["chunks"] += 1
    return counts


async def _nothing() -> None:
    """Return at once."""


def _round_trips(call: Callable[[], object], calls: int) -> float:
    """Return microseconds for each of `calls`."""
    for _ in range(100):
        call()
    before = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - before) / calls * 1e6


def portal_ours(calls: int) -> float:
    """Measure `penstock.sync.portal`."""
    from penstock.sync.portal import Portal

    portal = Portal(_nothing)
    try:
        return _round_trips(lambda: portal.call(_nothing), calls)
    finally:
        portal.close()


def portal_anyio(calls: int) -> float:
    """Measure ``anyio.from_thread.start_blocking_portal``."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return _round_trips(lambda: portal.call(_nothing), calls)


def portal_asyncio(calls: int) -> float:
    """Measure ``asyncio.run_coroutine_threadsafe``."""
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        return _round_trips(
            lambda: asyncio.run_coroutine_threadsafe(_nothing(), loop).result(), calls
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _measure(title: str, functions: list[str], rounds: int, **arguments: Any) -> None:
    """Print a line for each of `functions`, the first being what the others are compared with."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name in functions:
            found[name].append(fresh("benchmarks.sync", name, **arguments))
    first, _ = median(found[functions[0]])
    for name in functions:
        middle, spread = median(found[name])
        print(f"{title:8} {name:16} {middle:8.2f} us  x{middle / first:5.2f}  spread {spread:4.0%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, to prove that it runs")
    smoke = parser.parse_args().smoke
    rounds, repeats, chunks = (1, 1, 500) if smoke else (5, 3, 20_000)
    peer = ["openai_sync"] if installed("openai") else []
    print(setting())
    with simulator() as url:
        dense = f"text?tokens={chunks}"
        paced = f"text?tokens={100 if smoke else 1000}&rate=500"
        streams = ["penstock_async", "penstock_sync", *peer]
        _measure("dense", streams, rounds, url=url, model=dense, repeats=repeats)
        _measure("paced", streams, min(rounds, 3), url=url, model=paced, repeats=1)
        _measure(
            "chat",
            ["chat_async", "chat_sync"],
            rounds,
            url=url,
            model="text?tokens=3",
            repeats=repeats,
        )
        counts = fresh("benchmarks.sync", "handovers", url=url, model=dense)
        print(
            f"hand-overs: {counts['handovers']} for {counts['reads']} reads of "
            f"{counts['chunks']} chunks"
        )
    portals = ["portal_ours", "portal_asyncio", "portal_anyio"]
    _measure("portal", portals, rounds, calls=200 if smoke else 5000)


if __name__ == "__main__":
    main()
