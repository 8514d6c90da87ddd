"""What does encoding cost, as a share of ``json.dumps``, the refusal pass included?

Run as ``python -m benchmarks.encoding [--smoke]``. CPU time of this process, the best of several
runs of each, all in one process and turn by turn. The rows are conversations of 64 MiB in small
messages, and one message of 32 MiB; then small bodies, which fit in the buffer. The columns:

- ``json``: ``json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()``, in ms: the
  same bytes. All ratios are to it, and to plain ``json.dumps(body).encode()`` in brackets.
- ``Body``: a `Body` made and read once, with its checking pass, by each backend.
- ``translated``: the same, each message through a function that returns it.
- ``orjson``: ``orjson.dumps(body)`` on texts that it has not seen before. It refuses less, and it
  leaves a copy inside each text that is not ASCII, so that a second time is faster.

What the numbers do not show: the time of a loop's other tasks, and of a transport.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.body_memory import ASCII, MIB, OTHER, Messages, one, small
from benchmarks.fresh import installed, setting
from penstock.encoders import Body
from penstock.encoders.backends import msgspec_backend, orjson_backend, standard_backend
from penstock.fields import Each

BACKENDS = [standard_backend(), msgspec_backend()]
if installed("orjson"):
    import orjson

    BACKENDS.append(orjson_backend())


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the least CPU time of `work` in seconds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


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


def _orjson(messages: Messages, rounds: int, times: int = 1) -> float:
    if not installed("orjson"):
        return float("nan")
    return best(lambda: [orjson.dumps(fields(messages)) for _ in range(times)][:0], rounds)


def row(name: str, build: Callable[[], Messages], rounds: int) -> None:
    """Print the ratios of one large conversation."""
    messages = build()
    gc.collect()
    base = best(lambda: compact(messages), rounds)
    plain = best(lambda: json.dumps(fields(messages)).encode(), rounds)
    line = f"{name:26}{base * 1e3:9.1f}"
    for backend in BACKENDS:
        spent = best(passed(Each(messages), backend), rounds)
        line += f"{spent / base:9.2f} ({spent / plain:.2f})"
    spent = best(passed(Each(messages, lambda message: message), BACKENDS[-1]), rounds)
    first = _orjson(messages, 1)  # last, as it leaves its marks
    print(f"{line}{spent / base:12.2f}{first / base:9.2f}", flush=True)


def small_row(name: str, messages: Messages, rounds: int) -> None:
    """Print the ratios of one small body."""
    times = 2000 if rounds > 1 else 20

    def often(work: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            for _ in range(times):
                work()

        return repeat

    base = best(often(lambda: compact(messages)), rounds)
    plain = best(often(lambda: json.dumps(fields(messages)).encode()), rounds)
    line = f"{name:26}{base / times * 1e3:9.4f}"
    for backend in BACKENDS:
        spent = best(often(made(Each(messages), backend)), rounds)
        line += f"{spent / base:9.2f} ({spent / plain:.2f})"
    spent = best(often(made(Each(messages, lambda message: message), BACKENDS[-1])), rounds)
    print(f"{line}{spent / base:12.2f}{_orjson(messages, rounds, times) / base:9.2f}", flush=True)


def main(arguments: list[str]) -> None:
    """Print the table."""
    total, rounds = (MIB, 1) if "--smoke" in arguments else (64 * MIB, 5)
    print(f"{setting()}; buffer 64 KiB; json in ms, the rest as ratios to it\n")
    names = "".join(f"{'Body ' + backend.name:>16}" for backend in BACKENDS)
    print(f"{'body':26}{'json':>9}{names}{'translated':>12}{'orjson':>9}")
    for script, text in (("", ASCII), (", not ASCII", OTHER)):
        for size in (100, 2048):
            row(f"{size} B messages{script}", partial(small, size, total, text), rounds)
        row(f"one text{script}", partial(one, total // 2, text), rounds)
    for script, text in (("", ASCII), (", not ASCII", OTHER)):
        for count in (1, 4, 20, 100):
            messages = small(100, 100 * count, text)
            small_row(f"{count} x 100 B{script}", messages, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
