"""What does blocking cost? `SyncClient` beside `Client`, and portals by themselves.

The simulator runs in another process; each is measured in a fresh process, in turn. The dense
stream is one answer of 20,000 small chunks as fast as they come, the paced one has 500 a second, so
that each network read brings one chunk, and each chunk one hand-over between two threads. The
openai SDK's blocking client reads its socket in the caller's thread. A portal's trip is from a
thread to a coroutine that returns at once and back, on the clock: what a call of ours goes through,
beside asyncio's ``run_coroutine_threadsafe`` and anyio's blocking portal.

Not shown: many blocking threads at once, which share one loop and one interpreter lock.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.best import best, best_async
from benchmarks.fresh import fresh, setting, simulator
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]


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

        return await best_async(once, repeats)


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

        return best(once, repeats)


def openai_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``openai.OpenAI``."""
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:

        def once() -> int:
            count = 0
            for _ in client.chat.completions.create(model=model, messages=PROMPT, stream=True):
                count += 1
            return count

        return best(once, repeats)


async def chat_async(url: str, model: str, repeats: int) -> float:
    """Measure ``Client.chat``, `repeats` hundred calls."""
    import penstock as ps

    async with ps.Client(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        async def once() -> int:
            for _ in range(100):
                await client.chat("d", PROMPT)
            return 100

        return await best_async(once, repeats)


def chat_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``SyncClient.chat``."""
    import penstock as ps

    with ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        def once() -> int:
            for _ in range(100):
                client.chat("d", PROMPT)
            return 100

        return best(once, repeats)


def handovers(url: str, model: str) -> dict[str, int]:
    """Count what crosses between the threads while one answer is streamed."""
    import penstock as ps
    from penstock.pipeline.stream import BatchStream
    from penstock.sync.pump import Pump

    counts = {"chunks": 0, "reads": 0, "hand-overs": 0}
    read, take = BatchStream.read, Pump._take

    async def counting_read(self: Any) -> Any:
        counts["reads"] += 1
        return await read(self)

    def counting_take(self: Any) -> Any:
        counts["hand-overs"] += 1
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


CLIENTS = {"penstock": "penstock", "penstock blocking": "penstock", "openai blocking": "openai"}
_STREAMS = dict(zip(CLIENTS, ("penstock_async", "penstock_sync", "openai_sync"), strict=True))
_CALLS = {"penstock": "chat_async", "penstock blocking": "chat_sync"}
_PORTALS = {"penstock": "portal_ours", "asyncio": "portal_asyncio", "anyio": "portal_anyio"}


def main() -> None:
    """Measure streams, calls and portals."""
    chosen = options(__doc__)
    report = Report("sync", __doc__ or "")
    clients = present(CLIENTS, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        _of_clients(report, chosen, clients, url)
    calls = {"calls": 200 if chosen.smoke else 5000}
    found = _measured(
        report, chosen.rounds, [Peer(name, "penstock") for name in _PORTALS], _PORTALS, calls
    )
    report.add(Case("a portal's round trip", "µs on the clock", "penstock", found))
    report.finish(chosen.keep)


def _of_clients(report: Report, chosen: argparse.Namespace, clients: list[Peer], url: str) -> None:
    """Measure streams and calls of each, and count what crosses between the threads."""
    chunks, paced, repeats = (500, 100, 1) if chosen.smoke else (20_000, 1000, 3)
    dense = {"url": url, "model": f"text?tokens={chunks}", "repeats": repeats}
    slow = {"url": url, "model": f"text?tokens={paced}&rate=500", "repeats": 1}
    short = {"url": url, "model": "text?tokens=3", "repeats": repeats}
    asked = [each for each in clients if each.name in _CALLS]
    for name, unit, peers, functions, arguments in (
        ("a dense stream", "µs CPU a chunk", clients, _STREAMS, dense),
        ("a paced stream", "µs CPU a chunk", clients, _STREAMS, slow),
        ("short calls", "µs CPU a call", asked, _CALLS, short),
    ):
        found = _measured(report, chosen.rounds, peers, functions, arguments)
        report.add(Case(name, unit, "penstock", found))
    if any(each.name == "penstock blocking" for each in clients):
        counts = fresh("benchmarks.sync", "handovers", url=url, model=dense["model"])
        said = {what: {"penstock blocking": f"{n:,}"} for what, n in counts.items()}
        report.said |= {f"{what} of the dense stream": each for what, each in said.items()}
        print(f"of the dense stream: {counts}")


def _measured(
    report: Report,
    rounds: int,
    peers: list[Peer],
    functions: Mapping[str, str],
    arguments: dict[str, Any],
) -> dict[str, list[float]]:
    def once(peer: Peer) -> float:
        function = functions[peer.name]
        found: float = fresh("benchmarks.sync", function, python=peer.python, **arguments)
        return found

    return paired(peers, rounds, once, report)


if __name__ == "__main__":
    main()
