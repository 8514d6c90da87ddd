"""What does a conversation on disk cost to send, and to append to?

Run as ``python -m benchmarks.conversations [--smoke] [--large]``. Conversations of messages of
2 KiB and of 100 B are written to a JSONL and an SQLite file; each case is then a fresh process that
sends one, whole, with a buffer of 16 KiB, and takes the body's pieces as a transport would:

- traced: the peak of `tracemalloc`, in a run of its own, above the imported library that has sent a
  small conversation before;
- resident: the growth of the process's high-water mark (``VmHWM``), in a run without tracing;
- CPU: of the process, worker threads and the reading of files included, the median of `ROUNDS`;
  beside it the ratio to ``json.dumps`` of the same messages from memory, and to the same store
  through ``openai_chat``, which copies: medians of the ratios within each round.

``signed`` takes the body's SHA-256 before it is sent, as SigV4 does, and ``counted`` its length.
Each pass over a JSONL file that is sent is compared with the checksum of what was appended, the one
that others are compared to as well: a quarter of it is that.
``code`` are messages with code in them, whose quotes and brackets look like JSON's.

What the numbers do not show: the kernel's page cache, where the files are after they were written
(from a cold disk the CPU is the same and the clock is not), the sockets' buffers and the
transport's own, which nobody has here; resident memory counts what the allocator keeps of freed
blocks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterable, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.fresh import fresh, median, setting

__all__ = ["main"]

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024
BUFFER = 16 * KIB
DIALECTS = ("openai_chat", "anthropic_messages", "gemini", "bedrock_converse")
TEXT = "The quick brown fox said that it jumps over the lazy dog. "
CODE = 'def a_name(self):\n    return self._kept["key"][0], {"a": [1]}  # it says "so"\n'
IMAGE = 24 * MIB
ROUNDS = 5

Case: TypeAlias = tuple[str, str]
CASES: list[Case] = [
    *((dialect, "sent") for dialect in DIALECTS),
    ("openai_chat", "counted"),
    ("openai_chat", "signed"),
]
"""Dialects, and what is done before the body is sent; the first is what others are compared to."""


def messages(size: int, total: int, said: str = TEXT) -> Iterator[dict[str, str]]:
    """Yield messages of about `size` bytes of JSON, `total` bytes together."""
    text = (said * (size // len(said) + 1))[: size - 45]
    for number in range(total // size):
        yield {"role": ("user", "assistant")[number % 2], "content": f"{number:6} {text}"}


def write(path: str, size: int, total: int, said: str = TEXT) -> float:
    """Write a conversation; return the seconds of CPU."""
    from penstock.conversations import SyncConversation

    start = time.process_time()
    with SyncConversation.open(path) as kept:
        kept.extend(messages(size, total, said))
    return time.process_time() - start


def _body(conversation: Any, dialect: str) -> Any:
    from penstock.dialects import dialect as named
    from penstock.encoders import Body
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

    there = "https://api.example.com"
    target = Target(deployment="d", provider="p", model="m", base_url=there, origin=there)
    if hasattr(conversation, "still"):  # as `Client` does
        conversation = conversation.still()
    request = ChatRequest(model="m", messages=conversation)
    return Body(named(dialect).encode(request, target, dropped=[]).fields, buffer_size=BUFFER)


async def _send(conversation: Any, dialect: str, way: str) -> int:
    body = _body(conversation, dialect)
    if way == "signed":
        await body.sha256()
    elif way == "counted":
        await body.length()
    pieces: AsyncIterable[bytes] = body.open()
    size = 0
    async for piece in pieces:
        size += len(piece)
    return size


def _given(what: str) -> Any:
    import penstock as ps
    from penstock.conversations import Conversation

    if what.endswith(".png"):
        return [{"role": "user", "content": [ps.ImageFile(what)]}]
    return Conversation.open(what)


async def measure(what: str, dialect: str, way: str, kind: str) -> list[float]:
    """Send what is in the file `what`, in this process, which must be fresh.

    Returns the bytes that are sent, and bytes of memory, or seconds of CPU.
    """
    small = await _small(what)
    for each in (small, [{"role": "user", "content": "warm"}]):
        await _send(each, dialect, way)
    given = _given(what)
    if hasattr(given, "size"):
        await given.length()
    gc.collect()
    if kind == "traced":
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        size = await _send(given, dialect, way)
        return [size, tracemalloc.get_traced_memory()[1] - before]
    if kind == "resident":
        before = _low_water()
        size = await _send(given, dialect, way)
        return [size, _high_water() - before]
    start = time.process_time()
    size = await _send(given, dialect, way)
    return [size, time.process_time() - start]


async def _small(what: str) -> Any:
    """Return a small one of the same kind, so that what it loads is there before."""
    folder = Path(what).parent
    if what.endswith(".png"):
        path = folder / "small.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200 * KIB))
        return _given(str(path))
    path = folder / f"small{Path(what).suffix}"
    kept = _given(str(path))
    if not await kept.length():
        await kept.extend(messages(2 * KIB, 256 * KIB))
    return kept


def _high_water() -> int:
    """Return the high-water mark of the resident bytes (proc(5), ``VmHWM``)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * KIB


def _low_water() -> int:
    """Set the mark back to what is resident now (``clear_refs``), and return it."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _high_water()


def dumped(size: int, total: int, said: str = TEXT) -> float:
    """Return the seconds of CPU of ``json.dumps`` of the messages."""
    given = list(messages(size, total, said))
    start = time.process_time()
    json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()
    return time.process_time() - start


def appended(path: str, count: int) -> float:
    """Return the median seconds of an append to the conversation at `path`."""
    from penstock.conversations import SyncConversation

    took = []
    with SyncConversation.open(path) as kept:
        kept.append({"role": "user", "content": "the first takes the lock"})
        for message in islice(messages(2 * KIB, GIB), count):
            start = time.perf_counter()
            kept.append(message)
            took.append(time.perf_counter() - start)
    return median(took)[0]


class Bench:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, total: int) -> None:
        self.folder = folder
        self.total = total

    def measured(self, what: Path, dialect: str, way: str, kind: str) -> tuple[float, float]:
        """Return the size that is sent, and a figure, measured in a process of its own."""
        size, value = fresh(
            "benchmarks.conversations",
            "measure",
            what=str(what),
            dialect=dialect,
            way=way,
            kind=kind,
        )
        return size, value

    def compare(self, what: Path, cases: list[Case], dumps: dict[str, Any] | None = None) -> None:
        """Print the figures of `cases`, of which the first is the one that copies.

        Args:
            what: The file that is sent.
            cases: The ways in which it is.
            dumps: What `dumped` is told, to be compared with that, too.
        """
        rounds: list[list[float]] = []
        for _ in range(ROUNDS):
            found = [fresh("benchmarks.conversations", "dumped", **dumps) if dumps else 0.0]
            rounds.append([*found, *(self.measured(what, *case, "cpu")[1] for case in cases)])
        for place, case in enumerate(cases, 1):
            size, traced = self.measured(what, *case, "traced")
            _, resident = self.measured(what, *case, "resident")
            cpu = median([each[place] for each in rounds])[0]
            line = f"{what.name} {' '.join(case).removesuffix(' sent'):34} {size / MIB:7.1f} MiB"
            line += f" {traced / KIB:5.0f} KiB traced {resident / KIB:5.0f} resident {cpu:7.3f} s"
            if dumps:
                line += f" {median([each[place] / each[0] for each in rounds])[0]:6.2f} of dumps"
            if len(cases) > 1:
                line += f" {median([each[place] / each[1] for each in rounds])[0]:6.2f} of copying"
            print(line, flush=True)

    def store(self, suffix: str, size: int, total: int, said: str = TEXT) -> Path:
        """Return a file of messages of `size` bytes, written where it is not there yet."""
        name = "code" if said is CODE else str(size)
        path = self.folder / f"{name}-{total // MIB}{suffix}"
        if not path.exists():
            told: dict[str, Any] = {"path": str(path), "size": size, "total": total, "said": said}
            fresh("benchmarks.conversations", "write", **told)
        return path

    def sending(self, suffix: str, size: int, said: str = TEXT) -> None:
        """Compare dialects, and ways, with copying and with ``json.dumps``."""
        path = self.store(suffix, size, self.total, said)
        self.compare(path, CASES, {"size": size, "total": self.total, "said": said})

    def large(self, suffix: str) -> None:
        """Send 1 GiB."""
        self.compare(self.store(suffix, 2 * KIB, GIB), CASES[:1])

    def image(self, size: int) -> None:
        """Send an image that is read meanwhile."""
        path = self.folder / "image.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (size // 256))
        self.compare(path, CASES)

    def appending(self, suffix: str, total: int, count: int) -> None:
        """Compare an append to a large conversation with one to an empty one."""
        large = self.store(suffix, 2 * KIB, total)
        both: dict[Path, float] = {}
        for path in (self.folder / f"empty{suffix}", large):
            both[path] = fresh("benchmarks.conversations", "appended", path=str(path), count=count)
        empty, full = both.values()
        print(
            f"append to {suffix[1:]:6} empty {empty * 1e6:6.0f} us,"
            f" {total // MIB} MiB {full * 1e6:6.0f} us {full / empty:6.2f} of empty",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    parser.add_argument("--large", action="store_true", help="also with 1 GiB")
    options = parser.parse_args()
    print(f"{setting()}; buffer {BUFFER // KIB} KiB")
    with tempfile.TemporaryDirectory() as name:
        if options.smoke:
            _smoke(Path(name))
            return
        bench = Bench(Path(name), 64 * MIB)
        room = shutil.disk_usage(name).free > 4 * GIB
        for suffix in (".jsonl", ".db"):
            for size in (2 * KIB, 100):
                bench.sending(suffix, size)
            bench.sending(suffix, 2 * KIB, CODE)
            if options.large and room:
                bench.large(suffix)
        bench.image(IMAGE)
        for suffix in (".jsonl", ".db"):
            bench.appending(suffix, GIB if options.large and room else 64 * MIB, 500)


def _smoke(folder: Path) -> None:
    """Go through every measurement once, in this process: it proves that they run."""
    path = str(folder / "a.jsonl")
    image = folder / "a.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100 * KIB))
    kinds: list[Callable[[], object]] = [
        lambda: write(path, 2 * KIB, 128 * KIB),
        lambda: dumped(2 * KIB, 128 * KIB),
        lambda: appended(path, 5),
    ]
    for call in kinds:
        call()
    with asyncio.Runner() as runner:
        for what in (path, str(image)):
            for kind in ("resident", "cpu", "traced"):
                size, value = runner.run(measure(what, "anthropic_messages", "signed", kind))
                print(f"{Path(what).name} {kind}: {size:.0f} bytes, {value:.3g}")


if __name__ == "__main__":
    main()
