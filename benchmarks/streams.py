"""What does a chunk cost? CPU of the client per chunk of one long stream, against its peers.

One answer of 20,000 small chunks, one HTTP chunk an event, from the simulator in another process.
`bare httpx` is a loop over ``httpx.AsyncClient.stream().aiter_raw()`` that splits at blank lines
and decodes each event with ``json.loads``: what one writes by hand. penstock runs three middleware
stages and folds the answer, over its own connections and over httpx; `floor` is what the
interpreter can do at all (see `benchmarks.floor`). Each is measured in a fresh process, in turn.

Not shown: TLS, which costs all of them the same, and paced streams (see `concurrency`). A client
that works in another language's threads has their CPU counted too.
"""

from __future__ import annotations

from benchmarks.best import best_async
from benchmarks.fresh import fresh, setting, simulator
from benchmarks.peers import CLIENTS, OPEN
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main", "measure"]

_SLOW = {"litellm": 4, "pydantic-ai": 2}
"""Peers that get a fraction of the chunks: they take minutes otherwise."""


async def measure(peer: str, url: str, chunks: int, repeats: int) -> float:
    """Return microseconds of CPU per chunk: the best of `repeats`, after one to warm up."""
    async with OPEN[peer](url, f"text?tokens={chunks}") as once:
        return await best_async(once, repeats, at_least=chunks)


def main() -> None:
    """Measure every peer, and print ratios to the floor."""
    chosen = options(__doc__)
    chunks, repeats = (2_000, 1) if chosen.smoke else (20_000, 3)
    report = Report("streams", __doc__ or "")
    peers = present(CLIENTS, chosen, report)
    print(f"CPU per chunk, {chunks} chunks a stream, {chosen.rounds} rounds. {setting()}")
    with simulator() as url:

        def once(peer: Peer) -> float:
            count = chunks // _SLOW.get(peer.name, 1)
            arguments = {"peer": peer.name, "url": url, "chunks": count, "repeats": repeats}
            found: float = fresh("benchmarks.streams", "measure", python=peer.python, **arguments)
            return found

        found = paired(peers, chosen.rounds, once, report)
    report.add(Case(f"a stream of {chunks:,} chunks", "µs CPU a chunk", "floor", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
