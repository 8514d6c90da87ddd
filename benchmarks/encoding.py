"""What does encoding cost, as a share of ``json.dumps``, the refusal pass included?

CPU time of one process, a fresh one for each body and round, whose environment has every backend.
First conversations of 64 MiB in small messages, and one message of 32 MiB; then small bodies, which
fit in the buffer.

- `compact`: ``json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()``: the same
  bytes; all ratios are to it.
- `json.dumps`: with its defaults, which are longer bytes for texts that are not ASCII.
- `Body`, by each backend: a `Body` made and read once, with its checking pass.
- `translated`: the same, each message through a function that returns it.
- `orjson`: ``orjson.dumps(body)`` on texts that it has not seen before. It refuses less, and it
  leaves a copy inside each text that is not ASCII, so that a second time is faster.

Not shown: the time of a loop's other tasks, and of a transport.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.body_memory import ASCII, MIB, OTHER, Messages, one, small
from benchmarks.environments import versions
from benchmarks.fresh import fresh, installed, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present
from penstock.encoders import Body
from penstock.encoders.backends import msgspec_backend, orjson_backend, standard_backend
from penstock.fields import Each

BACKENDS = [standard_backend(), msgspec_backend()]
if installed("orjson"):
    import orjson

    BACKENDS.append(orjson_backend())


def fields(messages: object) -> dict[str, Any]:
    """Return a body as callers send it."""
    return {
        "model": "gpt-5.4",
        "messages": messages,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def compact(messages: Messages) -> bytes:
    """Encode as penstock does, with the standard library."""
    return json.dumps(fields(messages), ensure_ascii=False, separators=(",", ":")).encode()


async def _drain(body: Body) -> int:
    size = 0
    async for piece in body.open():
        size += len(piece)
    return size


def passed(each: Each, backend: Any) -> Callable[[], object]:
    """Return what makes a body and reads it once."""
    return lambda: asyncio.run(_drain(Body(fields(each), backend=backend)))


def made(each: Each, backend: Any) -> Callable[[], object]:
    """Return what makes a small body."""
    return lambda: Body(fields(each), backend=backend).small


Work = Callable[[], object]


def works(messages: Messages, make: Callable[[Each, Any], Work]) -> dict[str, Work]:
    """Return what is measured, by name."""
    found: dict[str, Work] = {
        "compact": lambda: compact(messages),
        "json.dumps": lambda: json.dumps(fields(messages)).encode(),
    }
    for backend in BACKENDS:
        found[f"Body, {backend.name}"] = make(Each(messages), backend)
    found["translated"] = make(Each(messages, lambda message: message), BACKENDS[-1])
    if installed("orjson"):  # last, as it leaves its marks
        found["orjson"] = lambda: orjson.dumps(fields(messages))
    return found


def built(text: str, total: int, size: int | None) -> Messages:
    """Return messages of `size` bytes, or one of all; the text is plain, or is not."""
    words = OTHER if text else ASCII
    return one(total, words) if size is None else small(size, total, words)


def measure(text: str, total: int, size: int | None, times: int) -> dict[str, float]:
    """Return milliseconds of CPU for each way, on texts that nobody has seen before."""
    messages = built(text, total, size)
    gc.collect()
    found = {}
    for name, work in works(messages, made if times > 1 else passed).items():
        if name != "orjson":
            work()
        began = time.process_time()
        for _ in range(times):
            work()
        found[name] = (time.process_time() - began) / times * 1e3
    return found


def bodies(total: int, times: int) -> dict[str, dict[str, Any]]:
    """Return what is measured of each body, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for text in ("", ", not ASCII"):
        for size in (100, 2048):
            name = f"{total // MIB} MiB in messages of {size} B{text}"
            found[name] = {"text": text, "total": total, "size": size, "times": 1}
        half = total // 2
        name = f"one text of {half // MIB} MiB{text}" if half >= MIB else f"one text{text}"
        found[name] = {"text": text, "total": half, "size": None, "times": 1}
    for text in ("", ", not ASCII"):
        for count in (1, 4, 20, 100):
            more = {"text": text, "total": 100 * count, "size": 100, "times": times}
            found[f"{count} x 100 B{text}"] = more
    return found


def main() -> None:
    """Measure every body."""
    chosen = options(__doc__)
    total, times = (MIB, 20) if chosen.smoke else (64 * MIB, 2000)
    report = Report("encoding", __doc__ or "")
    peers = present({"encoding": "penstock"}, chosen, report)
    for peer in peers:
        has = versions(peer.python)
        report.versions |= {name: has[name] for name in ("msgspec", "orjson") if name in has}
    print(f"buffer 64 KiB. {setting()}")
    for name, body in bodies(total, times).items():

        def once(peer: Peer, body: dict[str, Any] = body) -> dict[str, float]:
            found: dict[str, float] = fresh(
                "benchmarks.encoding", "measure", python=peer.python, **body
            )
            return found

        rounds = paired(peers, chosen.rounds, once, report).get("encoding", [])
        ways = {way: [each[way] for each in rounds] for way in (rounds[0] if rounds else ())}
        report.add(Case(name, "ms CPU", "compact", ways))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
