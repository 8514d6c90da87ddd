"""How do hundreds and thousands of open streams fare? CPU, time and memory per stream, by peer.

500 and 2,000 streams at once, each of 50 chunks, paced by the simulator at 100 tokens a second, in
fresh processes. CPU is the client's per chunk; memory is the growth of the resident size from
before the streams to its peak, per stream; the slowest stream says whether anybody starved.

Not shown: TLS. On two cores the simulator takes one of them, and what a client cannot keep up with
comes late, in larger reads, so that a slow client looks cheaper per chunk than it is.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.fresh import fresh, rss, setting, simulator
from benchmarks.peers import CLIENTS, OPEN, Once
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

TOKENS, RATE = 50, 100
MODEL = f"text?tokens={TOKENS}&rate={RATE}"
_UNITS = {
    "cpu": "µs CPU a chunk",
    "memory": "KiB a stream",
    "slowest": "s for the slowest stream",
}


async def measure(peer: str, url: str, streams: int) -> dict[str, float]:
    """Return the figures of one peer, by the names of `_UNITS`."""
    async with OPEN[peer](url, MODEL) as once:
        return await _run(once, streams)


async def _run(once: Once, streams: int) -> dict[str, float]:
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
    cpu = time.process_time()
    counts = await asyncio.gather(*(one() for _ in range(streams)))
    cpu = time.process_time() - cpu
    watcher.cancel()
    assert min(counts) >= TOKENS, min(counts)
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
    print(f"{TOKENS} chunks a stream at {RATE} a second, {chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        for streams in (20,) if chosen.smoke else (500, 2000):

            def once(peer: Peer, streams: int = streams) -> dict[str, float]:
                found: dict[str, float] = fresh(
                    "benchmarks.concurrency",
                    "measure",
                    python=peer.python,
                    peer=peer.name,
                    url=url,
                    streams=streams,
                )
                return found

            rows = paired(peers, chosen.rounds, once, report)
            for kind, unit in _UNITS.items():
                found = {name: [each[kind] for each in values] for name, values in rows.items()}
                report.add(Case(f"{streams:,} streams", unit, "floor", found))
    report.finish(chosen.json)


if __name__ == "__main__":
    main()
