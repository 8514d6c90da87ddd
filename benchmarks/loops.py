"""Is penstock any worse on uvloop? CPU of the client on either loop, the same work in turn.

One stream of 20,000 small chunks, 500 dense streams and 200 paced ones at once, and short calls,
one by one and 100 at a time: each as the script of that question measures it, through the public
API and over penstock's own connections, in fresh processes. A ratio is to asyncio's own loop.

Not shown: TLS, and loops with much else to do.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from benchmarks.fresh import fresh, setting, simulator
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

LOOPS = {"asyncio": "penstock-uvloop", "uvloop": "penstock-uvloop"}
"""The environment of each."""
_CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a stream of 20,000 chunks": ("chunk", "streams", {"chunks": 20_000, "repeats": 3}),
    "500 dense streams": (
        "chunk",
        "concurrency",
        {"streams": 500, "tokens": 1000, "rate": None, "warm": True},
    ),
    "200 paced streams": (
        "chunk",
        "concurrency",
        {"streams": 200, "tokens": 200, "rate": 100, "warm": True},
    ),
    "short calls, one by one": ("call", "requests", {"requests": 3000, "at_once": 1}),
    "short calls, 100 at a time": ("call", "requests", {"requests": 3000, "at_once": 100}),
}
"""What the CPU is divided by, the script that measures it, and how much of it."""
_SMOKE = {"short calls, 100 at a time": ("call", "requests", {"requests": 200, "at_once": 100})}


def measure(loop: str, script: str, url: str, load: dict[str, Any]) -> float:
    """Return microseconds of CPU for each chunk or call, on that loop."""
    work = importlib.import_module(f"benchmarks.{script}").measure("penstock", url, **load)
    run: Any = importlib.import_module(loop).run if loop != "asyncio" else asyncio.run
    found = run(work)
    return float(found["cpu"] if isinstance(found, dict) else found)


def main() -> None:
    """Measure both loops, and print ratios to asyncio's."""
    chosen = options(__doc__)
    report = Report("loops", __doc__ or "", seconds=chosen.seconds)
    peers = present(LOOPS, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        for name, (unit, script, load) in (_SMOKE if chosen.smoke else _CASES).items():

            def once(peer: Peer, script: str = script, load: dict[str, Any] = load) -> float:
                found: float = fresh(
                    "benchmarks.loops",
                    "measure",
                    python=peer.python,
                    loop=peer.name,
                    script=script,
                    url=url,
                    load=load,
                )
                return found

            found = paired(peers, chosen.rounds, once, report)
            report.add(Case(name, f"µs CPU a {unit}", "asyncio", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
