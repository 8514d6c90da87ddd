"""What does a short request cost? CPU of the client per request, one by one and 100 at a time.

5,000 requests with an answer of three tokens, each peer in a fresh process; penstock is measured
through ``Client.chat``, `floor` is what the interpreter can do at all (see `benchmarks.floor`), and
all the others stream, as penstock does.

Not shown: TLS handshakes; connections are kept alive by all of them but those that cannot.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.fresh import fresh, setting, simulator
from benchmarks.peers import CLIENTS, OPEN
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

MODEL = "text?tokens=3"
_SLOW = 5
"""The part of the requests that the peers above a millisecond each get."""
_HEAVY = {"openai", "any-llm", "pydantic-ai", "litellm", "bare httpx", "exoclaw"}


async def measure(peer: str, url: str, requests: int, at_once: int) -> float:
    """Return microseconds of CPU per request."""
    more = {"whole": True} if peer.startswith("penstock") else {}
    async with OPEN[peer](url, MODEL, **more) as once:

        async def worker(count: int) -> None:
            for _ in range(count):
                await once()

        await asyncio.gather(*(worker(2) for _ in range(at_once)))
        before = time.process_time()
        await asyncio.gather(*(worker(requests // at_once) for _ in range(at_once)))
        return (time.process_time() - before) / requests * 1e6


def main() -> None:
    """Measure every peer, and print ratios to the floor."""
    chosen = options(__doc__, rounds=3)
    requests = 200 if chosen.smoke else 5000
    report = Report("requests", __doc__ or "")
    peers = present(CLIENTS, chosen, report)
    print(f"CPU per request, {requests} requests, {chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        for at_once in (1, 100):

            def once(peer: Peer, at_once: int = at_once) -> float:
                count = requests // _SLOW if peer.name in _HEAVY else requests
                found: float = fresh(
                    "benchmarks.requests",
                    "measure",
                    python=peer.python,
                    peer=peer.name,
                    url=url,
                    requests=max(count, at_once),
                    at_once=at_once,
                )
                return found

            found = paired(peers, chosen.rounds, once, report)
            name = "one by one" if at_once == 1 else f"{at_once} at a time"
            report.add(Case(name, "µs CPU a request", "floor", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
