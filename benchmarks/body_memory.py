"""What does one pass over a request's body cost in memory, above the caller's messages?

Run as ``python -m benchmarks.body_memory [--smoke] [case ...]``. Each case runs in a fresh process,
which builds the messages, makes the body, and takes its pieces one by one as a transport would:

- traced: the peak of `tracemalloc` above what was there before the body was made;
- resident: the growth of the process's high-water mark (``VmHWM``), in a run without tracing;
- kept: what the caller's own strings have grown by, which is an encoder's hidden UTF-8 copy;
- stall: the longest CPU time for which a second task on the loop did not run, in milliseconds (time
  on the clock would measure the machine's other work).

For comparison, the same for ``json.dumps(...).encode()`` and ``orjson.dumps``. What the numbers do
not show: the transport's own buffers, and what the kernel holds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.fresh import fresh, installed, setting

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


CASES: dict[str, Callable[[], Messages]] = {
    "100 B x 1 MiB": lambda: small(100, MIB),
    "100 B x 64 MiB": lambda: small(100, 64 * MIB),
    "100 B x 64 MiB, not ASCII": lambda: small(100, 64 * MIB, OTHER),
    "2 KiB x 1 MiB": lambda: small(2048, MIB),
    "2 KiB x 64 MiB": lambda: small(2048, 64 * MIB),
    "2 KiB x 64 MiB, not ASCII": lambda: small(2048, 64 * MIB, OTHER),
    "one text of 32 MiB": lambda: one(32 * MIB),
    "one text of 32 MiB, not ASCII": lambda: one(32 * MIB, OTHER),
    "one image of 32 MiB": lambda: image(32 * MIB),
    "parts, 16 MiB in one message": lambda: parts(16 * MIB),
}


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


WAYS = {"Body": _body, "Body, translated": _translated, "json": _json, "orjson": _orjson}


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


def measure(case: str, way: str, kind: str) -> dict[str, float]:
    """Measure one case in this process, which must be fresh."""
    work = WAYS[way]
    asyncio.run(work([{"role": "user", "content": "warm é" * 5000}]))  # imports, first buffers
    messages = CASES[case]()
    gc.collect()
    if kind == "traced":
        before = _held(messages)
        tracemalloc.start()
        base = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        asyncio.run(work(messages))
        peak = tracemalloc.get_traced_memory()[1]
        return {"traced": peak - base, "kept": _held(messages) - before}
    if kind == "resident":
        Path("/proc/self/clear_refs").write_text("5")
        base = _high_water()
        asyncio.run(work(messages))
        return {"resident": _high_water() - base}
    return {"stall": asyncio.run(_stall(lambda: work(messages)))}


def main(arguments: list[str]) -> None:
    """Print the table."""
    smoke = "--smoke" in arguments
    chosen = [name for name in arguments if name in CASES] or list(CASES)
    ways = [way for way in WAYS if way != "orjson" or installed("orjson")]
    print(f"{setting()}; buffer {BUFFER // 1024} KiB; KiB above the messages\n")
    print(f"{'case':32}{'way':18}{'traced':>10}{'resident':>10}{'kept':>10}{'stall ms':>10}")
    for case in chosen[:1] if smoke else chosen:
        for way in ways:
            found: dict[str, float] = {}
            for kind in ("traced", "resident", "stall"):
                found |= fresh("benchmarks.body_memory", "measure", case=case, way=way, kind=kind)
            sizes = "".join(
                f"{found[name] / 1024:10.0f}" for name in ("traced", "resident", "kept")
            )
            print(f"{case:32}{way:18}{sizes}{found['stall'] * 1000:10.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
