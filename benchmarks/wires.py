"""What does a chunk of each vendor's wire cost? CPU of the client, beside two floors.

One answer of 20,000 small chunks, one HTTP chunk an event, in each dialect's own words, from the
simulator in another process. penstock is as in `streams`: the public API, its own connections,
three middleware stages, deadlines, bounds and the fold. A wire's own floor is asyncio, llhttp and a
thin msgspec decode of that wire with no object built; Bedrock's checks each message's CRC-32, as
the format asks, and not its prelude's. The floor of OpenAI's chat is the one of `streams`. The
first tables are to the wire's own floor, the last is to OpenAI's, for all of them. Each is measured
in a fresh process, in turn.

Not shown: TLS and the vendors' own longer events. Where a wire's events are longer, or
are framed with checksums, its own floor is higher and the first ratio is the lower one.
"""

from __future__ import annotations

from benchmarks.best import best_async
from benchmarks.floor import FLOORS
from benchmarks.fresh import fresh, setting, simulator
from benchmarks.peers import penstock
from benchmarks.rounds import Case, Peer, Report, options, paired

__all__ = ["main", "measure"]

_OPENAI = "openai_chat"
_FLOOR = "floor"


async def measure(peer: str, dialect: str, url: str, chunks: int, repeats: int) -> float:
    """Return microseconds of CPU per chunk: the best of `repeats`, after one to warm up."""
    model = f"text?tokens={chunks}"

    if peer != _FLOOR:
        async with penstock(url, model, dialect=dialect) as once:
            return await best_async(once, repeats, at_least=chunks)
    floor = await FLOORS[dialect].to(url, model).connect()
    try:
        return await best_async(floor.once, repeats, at_least=chunks)
    finally:
        floor.close()


def main() -> None:
    """Measure each dialect and its floor; print the ratios to both floors."""
    chosen = options(__doc__)
    chunks, repeats = (2_000, 1) if chosen.smoke else (20_000, 3)
    report = Report("wires", __doc__ or "", seconds=chosen.seconds)
    print(f"CPU per chunk, {chunks} chunks a stream, {chosen.rounds} rounds. {setting()}")
    peers = [Peer(f"{each} {name}", "penstock") for name in FLOORS for each in (_FLOOR, "penstock")]
    with simulator() as url:

        def once(peer: Peer) -> float:
            kind, _, dialect = peer.name.partition(" ")
            arguments = {"dialect": dialect, "url": url, "chunks": chunks, "repeats": repeats}
            found: float = fresh("benchmarks.wires", "measure", peer=kind, **arguments)
            return found

        found = paired(peers, chosen.rounds, once, report)
    unit = "µs CPU a chunk"
    for name in FLOORS:
        if not found.keys() >= {f"{_FLOOR} {name}", f"penstock {name}"}:
            continue
        both = {each: found[f"{each} {name}"] for each in (_FLOOR, "penstock")}
        report.add(Case(f"{name}, to the floor of its own wire", unit, _FLOOR, both))
    beside = {_FLOOR: f"{_FLOOR} {_OPENAI}"} | {name: f"penstock {name}" for name in FLOORS}
    ours = {name: found[peer] for name, peer in beside.items() if peer in found}
    report.add(Case("each dialect, to the floor of OpenAI's wire", unit, _FLOOR, ours))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
