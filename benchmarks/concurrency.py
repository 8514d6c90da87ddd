"""How do hundreds and thousands of open streams fare? CPU, time and memory per stream, by peer.

500 and 2,000 streams at once, each of 50 chunks, paced by the simulator at 100 tokens a second;
200 so paced of 200 chunks, and 500 of 1,000 chunks that come as fast as they are taken, both over
connections that are there and of the quickest peers alone; in fresh processes. CPU is the client's
per chunk; memory is the growth of the resident size from before the streams to its peak, per
stream; the slowest stream says whether anybody starved.

Not shown: TLS. The slowest peers have one round, so that the others have theirs: pydantic-ai takes
90 s for 500 streams, any-llm, exoclaw and litellm 36 to 104 s for 2,000. On two cores the simulator
takes one of them, and what a client cannot keep up with comes late, in larger reads, so that a slow
client looks cheaper per chunk than it is. Where connections are there, as many streams have run
before, and memory is what these take above them: next to nothing, which is the system's noise.
`open_streams` says what a stream holds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from benchmarks.fresh import fresh, rss, setting, simulator
from benchmarks.peers import CLIENTS, OPEN, Once
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

RATE = 100
_CASES = {
    "200 paced streams": (200, 200, RATE, True),
    "500 dense streams": (500, 1000, None, True),
    "500 streams": (500, 50, RATE, False),
    "2,000 streams": (2000, 50, RATE, False),
}
"""Streams at once, chunks of each, chunks a second, and whether connections are there."""
_SLOW = {
    "500 streams": {"pydantic-ai"},
    "2,000 streams": {"any-llm", "exoclaw", "litellm", "pydantic-ai"},
}
"""Who has one round of a case."""
_QUICK = {"floor", "penstock", "penstock over httpx", "bare httpx"}
"""Who takes part where connections are there: others take minutes for a round of it."""
_SMOKE = {"20 streams": (20, 20, RATE, True)}
_UNITS = {
    "cpu": "µs CPU a chunk",
    "memory": "KiB a stream",
    "slowest": "s for the slowest stream",
}


async def measure(
    peer: str, url: str, streams: int, tokens: int, rate: int | None, warm: bool
) -> dict[str, float]:
    """Return the figures of one peer, by the names of `_UNITS`."""
    model = f"text?tokens={tokens}" + (f"&rate={rate}" if rate else "")
    async with OPEN[peer](url, model) as once:
        await asyncio.gather(*(once() for _ in range(streams if warm else 1)))
        return await _run(once, streams, tokens)


async def _run(once: Once, streams: int, tokens: int) -> dict[str, float]:
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
    cpu = time.process_time()
    counts = await asyncio.gather(*(one() for _ in range(streams)))
    cpu = time.process_time() - cpu
    watcher.cancel()
    assert min(counts) >= tokens, min(counts)
    memory = max(peak, rss()) - before
    return {
        "cpu": cpu / sum(counts) * 1e6,
        "memory": memory / streams / 1024,
        "slowest": slowest,
    }


def main() -> None:
    """Measure every peer, and print ratios to the floor."""
    chosen = options(__doc__, rounds=3)
    report = Report("concurrency", __doc__ or "")
    peers = present(CLIENTS, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        for name, case in (_SMOKE if chosen.smoke else _CASES).items():
            streams, tokens, rate, warm = case
            load = {"streams": streams, "tokens": tokens, "rate": rate, "warm": warm}

            def once(peer: Peer, load: dict[str, int | bool | None] = load) -> dict[str, float]:
                found: dict[str, float] = fresh(
                    "benchmarks.concurrency",
                    "measure",
                    python=peer.python,
                    peer=peer.name,
                    url=url,
                    **load,
                )
                return found

            rows = paired(
                [
                    replace(peer, rounds=1) if peer.name in _SLOW.get(name, ()) else peer
                    for peer in peers
                    if not warm or peer.name in _QUICK
                ],
                chosen.rounds,
                once,
                report,
            )
            for kind, unit in _UNITS.items():
                found = {peer: [each[kind] for each in values] for peer, values in rows.items()}
                report.add(Case(name, unit, "floor", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
