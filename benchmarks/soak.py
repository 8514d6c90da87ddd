"""Is anything left after ten thousand streams? 5 % of them cancelled, 5 % faulty, 200 at a time.

The simulator is a process of its own, and so is the client, whose resident size is compared with
what it was after a warm-up of the same kind. What must not be left: tasks, sockets, descriptors,
places of the pool, open streams; growth of 2 MiB or more. The exit code says whether any of it was.
Where the C library can (glibc), it gives free heap back before both readings: what is held is
compared, not how the heap of 200 streams at once happens to be spread. The readings without that
are printed too.

Not shown: TLS, proxies and other machines; a leak that needs days.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fresh import fresh, rss, setting, simulator

__all__ = ["main", "soak"]

FAULTS = (
    *["close", "cut@3", "error-overloaded", "error-rate-limit@2", "gzip-cut", "hang@2"],
    *["headers-then-silence", "html", "invalid-key", "no-finish", "rate-limit", "reset"],
    *["reset@4", "role-then-silence", "silent", "stall-after-done"],
)
GROWTH = 2 * 1024 * 1024
"""Resident bytes that the streams after the warm-up may add."""
LARGE = "x" * 200_000
"""One conversation in fifty, which does not fit in the body's buffer; held here, as by a caller."""


async def soak(url: str, streams: int, at_once: int, transport: str = "httpx") -> dict[str, Any]:
    """Run a warm-up and `streams` streams; return what was left, and how they ended."""
    import penstock as ps

    deployments = {"m": ps.Deployment(f"{url}/v1", "none", model="text?tokens=20")}
    timeouts = ps.Timeouts(response=1, ttft=1, idle=1)
    before = asyncio.all_tasks()
    client = ps.Client(
        deployments=deployments, timeouts=timeouts, max_retries=0, transport=transport
    )
    random = Random(7)
    # The heap of 200 streams at once is spread out for some thousands of them, and then stays.
    await _run(client, max(streams // 2, 2 * at_once), at_once, random)
    await _settled(client, before)
    spread, resident = rss(), _held()
    ended = await _run(client, streams, at_once, random)
    await _settled(client, before)
    spread, after = rss() - spread, _held()
    pool = client._connections.transport.stats()  # type: ignore[attr-defined]  # our own transport
    left = {
        "tasks": len(asyncio.all_tasks() - before),
        "open streams": client.stats().open_streams,
        "places": pool.calls + pool.waiting,
        "busy connections": pool.connections - pool.idle,
    }
    await client.aclose()
    left["sockets"] = _sockets()
    growth = {"growth": after - resident, "resident": after, "with free heap": spread}
    return {"left": left, "ended": ended, **growth}


async def _run(client: Any, streams: int, at_once: int, random: Random) -> dict[str, int]:
    """Keep `at_once` streams under way until there were so many."""
    ended: Counter[str] = Counter()
    numbers = iter(range(streams))

    async def worker() -> None:
        for number in numbers:
            ended[await _one(client, number, random.random(), random.choice(FAULTS))] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return dict(ended)


async def _one(client: Any, number: int, chance: float, fault: str) -> str:
    """One stream: whole, cancelled or with a fault; how it ended."""
    headers = {"x-penstock-sim": f"fault={fault}"} if chance < 0.05 else None
    if 0.05 <= chance < 0.10:
        headers = {"x-penstock-sim": "rate=200"}
    task = asyncio.ensure_future(_read(client, number, headers))
    if 0.05 <= chance < 0.10:
        await asyncio.sleep((chance - 0.05) * 2)  # anywhere between its begin and its end
        task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    return "whole" if error is None else type(error).__name__


async def _read(client: Any, number: int, headers: dict[str, str] | None) -> None:
    messages = LARGE if number % 50 == 0 else f"number {number}"
    async with client.stream("m", messages, extra_headers=headers) as stream:
        async for _ in stream:
            pass


async def _settled(client: Any, before: set[asyncio.Task[Any]]) -> None:
    """Wait for what is closing in the background."""
    for _ in range(200):
        if not asyncio.all_tasks() - before and not client.stats().open_streams:
            break
        await asyncio.sleep(0.01)
    gc.collect()


def _held() -> int:
    """Return the resident bytes, without free heap where the C library gives it back."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
    return rss()


def _sockets() -> int:
    """Open sockets, but the two of the loop itself; 0 where the system does not show them."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    names = []
    for link in folder.iterdir():
        try:
            names.append(str(link.readlink()))
        except OSError:  # the descriptor of this very listing
            continue
    return max(0, sum(name.startswith("socket:") for name in names) - 2)


def main() -> int:
    """Print how the streams ended and what was left; return 1 where something was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--smoke", action="store_true", help="400 streams, 40 at a time")
    parser.add_argument("--transport", choices=("httpx", "direct", "aiohttp"), default="httpx")
    options = parser.parse_args()
    streams, at_once = (400, 40) if options.smoke else (options.streams, options.at_once)
    with simulator() as url:
        sizes = {"streams": streams, "at_once": at_once, "transport": options.transport}
        found = fresh("benchmarks.soak", "soak", url=url, **sizes)
    print(
        f"{setting()}; {options.transport}, {streams} streams, {at_once} at a time, after a warm-up"
    )
    print("ended:", ", ".join(f"{how} {n}" for how, n in sorted(found["ended"].items())))
    print("left:", ", ".join(f"{what} {n}" for what, n in found["left"].items()))
    print(
        f"growth: {found['growth'] / 1024:.0f} KiB of {found['resident'] / 2**20:.1f} MiB; "
        f"{found['with free heap'] / 1024:.0f} KiB with free heap"
    )
    grown = found["growth"] >= GROWTH and not options.smoke
    return int(grown or any(found["left"].values()))


if __name__ == "__main__":
    sys.exit(main())
