"""What does encoding cost, as a share of ``json.dumps``, the refusal pass included?

CPU time of one process, in turn in each round. First conversations of 64 MiB in small messages, and
one message of 32 MiB; then small bodies, which fit in the buffer.

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
from functools import partial
from typing import Any

from benchmarks.body_memory import ASCII, MIB, OTHER, Messages, one, small
from benchmarks.fresh import installed, setting
from benchmarks.rounds import Case, Report, note_own_versions, options
from penstock.encoders import Body
from penstock.encoders.backends import msgspec_backend, orjson_backend, standard_backend
from penstock.fields import Each

Found = dict[str, list[float]]
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


def measure(build: Callable[[], Messages], make: Any, times: int, rounds: int) -> Found:
    """Return milliseconds of CPU for each, a value for each round, on new texts in each."""
    found: Found = {}
    for _ in range(rounds):
        messages = build()
        gc.collect()
        for name, work in works(messages, make).items():
            if name != "orjson":
                work()
            began = time.process_time()
            for _ in range(times):
                work()
            found.setdefault(name, []).append((time.process_time() - began) / times * 1e3)
    return found


def main() -> None:
    """Measure every body."""
    chosen = options(__doc__)
    total, times = (MIB, 20) if chosen.smoke else (64 * MIB, 2000)
    report = Report("encoding", __doc__ or "")
    if not chosen.smoke:
        note_own_versions(report, "msgspec", "orjson")
    print(f"buffer 64 KiB. {setting()}")

    def add(name: str, build: Callable[[], Messages], make: Any, times: int) -> None:
        found = measure(build, make, times, chosen.rounds)
        report.add(Case(name, "ms CPU", "compact", found))

    for script, text in (("", ASCII), (", not ASCII", OTHER)):
        for size in (100, 2048):
            name = f"{total // MIB} MiB in messages of {size} B{script}"
            add(name, partial(small, size, total, text), passed, 1)
        add(
            f"one text of {total // 2 // MIB} MiB{script}",
            partial(one, total // 2, text),
            passed,
            1,
        )
    for script, text in (("", ASCII), (", not ASCII", OTHER)):
        for count in (1, 4, 20, 100):
            name = f"{count} x 100 B{script}"
            add(name, partial(small, 100, 100 * count, text), made, times)
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
