"""What does one pass over a request's body cost in memory, above the caller's messages?

A fresh process builds the messages, makes the body, and takes its pieces one by one as a transport
would. Resident is the growth of the process's high-water mark; kept is what the caller's own
strings have grown by, which is an encoder's hidden UTF-8 copy (no table where nobody keeps
anything); the stall is the longest CPU time for which a second task on the loop did not run (time
on the clock would measure the machine's other work). The buffer is 16 KiB. `translated` passes each
message through a function; ``json.dumps(...).encode()`` and ``orjson.dumps`` stand for what others
do.

Not shown: the transport's own buffers (`call_memory`), and what the kernel holds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["ASCII", "MIB", "OTHER", "Messages", "main", "measure", "one", "small"]

MIB = 1024 * 1024
BUFFER = 16 * 1024
ASCII = 'The quick brown fox said "jump"\nover the lazy dog. '
OTHER = "Der schnelle Fuchs, größer und „schöner“\nals 日本語 dog. "

Messages = list[dict[str, Any]]


def small(size: int, total: int, text: str = ASCII) -> Messages:
    """Messages of about `size` bytes each, `total` bytes together."""
    body = text * (size // len(text.encode()) + 1)
    length = max(1, (size - 30) * len(body) // len(body.encode()))
    roles = ("user", "assistant")
    return [
        {"role": roles[number % 2], "content": f"{number} {body}"[:length]}
        for number in range(total // size)
    ]


def one(total: int, text: str = ASCII) -> Messages:
    """One message with one text of `total` bytes."""
    return [{"role": "user", "content": text * (total // len(text.encode()))}]


def image(total: int) -> Messages:
    """One message with one image of `total` bytes of base64."""
    url = "data:image/png;base64," + "iVBORw0KGgo=" * (total // 12)
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return [{"role": "user", "content": parts}]


def parts(total: int) -> Messages:
    """One message with many small parts."""
    part = {"type": "text", "text": ASCII}
    return [{"role": "user", "content": [dict(part) for _ in range(total // 80)]}]


CASES: dict[str, Callable[[int], Messages]] = {
    "in messages of 100 B": lambda total: small(100, total),
    "in messages of 100 B, not ASCII": lambda total: small(100, total, OTHER),
    "in messages of 2 KiB": lambda total: small(2048, total),
    "in one text, not ASCII": lambda total: one(total, OTHER),
    "in one image": image,
    "in parts of one message": parts,
}
SIZES = {"in messages of 2 KiB": (1, 16)}
"""MiB of a body where it is more than one size: what is held does not grow with it."""


async def _body(messages: Messages) -> None:
    from penstock.encoders import Body
    from penstock.fields import Each

    async for _ in Body({"model": "m", "messages": Each(messages)}, buffer_size=BUFFER).open():
        pass


async def _translated(messages: Messages) -> None:
    from penstock.encoders import Body
    from penstock.fields import Each

    each = Each(messages, lambda message: {**message, "name": "x"})
    async for _ in Body({"model": "m", "messages": each}, buffer_size=BUFFER).open():
        pass


async def _json(messages: Messages) -> None:
    body = {"model": "m", "messages": messages}
    json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _orjson(messages: Messages) -> None:
    import orjson

    orjson.dumps({"model": "m", "messages": messages})


WAYS = {"Body": _body, "Body translated": _translated, "json": _json, "orjson": _orjson}


async def _stall(work: Callable[[], Any]) -> float:
    """Run `work` beside a task that only yields; return that task's longest wait in seconds."""
    longest, done = 0.0, False

    async def watch() -> None:
        nonlocal longest
        last = time.thread_time()
        while not done:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await work()
    done = True
    await watcher
    return longest


def _high_water() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _held(messages: Messages) -> int:
    return sum(sys.getsizeof(text) for text in _texts(messages))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def measure(case: str, way: str, size: int) -> dict[str, float]:
    """Measure one case in this process, which must be fresh; by the names of `_UNITS`."""
    work = WAYS[way]
    asyncio.run(work([{"role": "user", "content": "warm é" * 5000}]))  # imports, first buffers
    messages = CASES[case](size)
    held = _held(messages)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _high_water()
    asyncio.run(work(messages))
    resident = _high_water() - before
    kept = _held(messages) - held
    stall = asyncio.run(_stall(lambda: work(messages)))
    return {"resident": resident / 1024, "kept": kept / 1024, "stall": stall * 1000}


_UNITS = {"resident": "KiB resident", "kept": "KiB kept", "stall": "ms of the loop"}


def main() -> None:
    """Measure every body, and print ratios to penstock's."""
    chosen = options(__doc__)
    cases = [(name, size) for name in CASES for size in SIZES.get(name, (16,))]
    cases = [(next(iter(CASES)), 1)] if chosen.smoke else cases
    report = Report("body_memory", __doc__ or "")
    peers = present(dict.fromkeys(WAYS, "penstock"), chosen, report)
    print(f"Buffer {BUFFER // 1024} KiB, {chosen.rounds} rounds. {setting()}")
    for name, mib in cases:

        def once(peer: Peer, name: str = name, size: int = mib * MIB) -> dict[str, float]:
            found: dict[str, float] = fresh(
                "benchmarks.body_memory",
                "measure",
                python=peer.python,
                case=name,
                way=peer.name,
                size=size,
            )
            return found

        rows = paired(peers, chosen.rounds, once, report)
        for kind, unit in _UNITS.items():
            found = {peer: [each[kind] for each in values] for peer, values in rows.items()}
            if any(map(any, found.values())):
                reference = "Body" if all(found.get("Body", [])) else ""  # none to nothing
                report.add(Case(f"{mib} MiB {name}", unit, reference, found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
