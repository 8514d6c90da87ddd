"""What does a conversation on disk cost to send, and to append to? CPU and memory.

Conversations of 64 MiB and 1 GiB, in messages of 2 KiB or 100 B, are written to JSONL and SQLite
files. Each figure is of a fresh process that sends one, whole, with a buffer of 16 KiB, and takes
the body's pieces as a transport would; *copied* is through ``openai_chat``, which needs no other
shape. *Counted* and *hashed* bodies are gone over once more first, for ``Content-Length`` or for
AWS's signature; *code* are messages with quotes and brackets in them.

- CPU is of the process, worker threads and the reading of files included. Each ratio is of two
  processes of one round: to ``json.dumps`` of the same messages from memory, to copying the same
  file, or to the one pass that a body takes which is not gone over first.
- Traced is the peak of `tracemalloc`; resident the growth of the process's high-water mark
  (``VmHWM``) in a run without it, above the imported library that has sent a small one before.

Each pass over a JSONL file that is sent is compared with the checksum of what was appended, the one
that others are compared to as well: a quarter of it is that.

Not shown: resident memory hides the kernel's page cache, in which the files are after they were
written (from a cold disk the CPU is the same and the clock is not; it is given up when memory is
short), and the buffers of sockets, up to some MiB each way, which are the kernel's too. It is a
growth: what the small conversation left free in the allocator is used again, so that it may be
nothing. SQLite's pages, 256 KiB at most, are in resident alone. The transport's own buffers are in
neither figure, as nobody has one here.
"""

from __future__ import annotations

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
from typing import Any, NamedTuple

from benchmarks.fresh import fresh, median, setting
from benchmarks.rounds import Case, Peer, Report, options, paired

__all__ = ["main"]

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024
BUFFER = 16 * KIB
TEXT = "The quick brown fox said that it jumps over the lazy dog. "
CODE = 'def a_name(self):\n    return self._kept["key"][0], {"a": [1]}  # it says "so"\n'
OTHERS = ("anthropic_messages", "gemini", "bedrock_converse")
COPIED = "copied"
DUMPS = "json.dumps"
WAYS = {
    COPIED: ("openai_chat", "sent"),
    **{dialect: (dialect, "sent") for dialect in OTHERS},
    "copied, counted": ("openai_chat", "counted"),
    "copied, hashed": ("openai_chat", "signed"),
    "bedrock_converse, counted": ("bedrock_converse", "counted"),
    "bedrock_converse, hashed": ("bedrock_converse", "signed"),
}
"""A dialect, and what is done before the body is sent, by what it is called in the tables."""
_SIGNED = [OTHERS[-1], f"{OTHERS[-1]}, hashed"]
_HERE = "benchmarks.conversations"


class Stored(NamedTuple):
    """A conversation that is measured."""

    name: str
    """What it is called in the tables."""
    suffix: str
    size: int
    """Bytes of a message."""
    total: int
    said: str = TEXT


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
    """One run.

    Args:
        folder: Where the files are.
        report: What is found.
        rounds: How often each thing is measured; memory, which hardly varies, three times at most.
        ways: Which of `WAYS`.
    """

    def __init__(self, folder: Path, report: Report, rounds: int, ways: list[str]) -> None:
        self._folder = folder
        self._report = report
        self._rounds = rounds
        self._ways = ways
        self._cpu: dict[str, list[float]] = {}
        self._ratios: dict[str, dict[str, list[float]]] = {DUMPS: {}, "copying": {}, "one pass": {}}
        self._memory: dict[str, dict[str, list[float]]] = {"traced": {}, "resident": {}}

    def cpu(self, what: Stored) -> None:
        """Measure every way to send a conversation, and ``json.dumps`` of the same messages."""
        path = self._file(what)
        told: dict[str, Any] = {"size": what.size, "total": what.total, "said": what.said}
        found = self._each(
            [DUMPS, *self._ways],
            lambda way: (
                fresh(_HERE, "dumped", **told) if way == DUMPS else self._measured(path, way, "cpu")
            ),
        )
        for way in self._ways:
            name = f"{what.name}, {way}"
            self._cpu[name] = found[way]
            if "," in way:
                self._ratio("one pass", name, found[way], found[way.partition(",")[0]])
            elif way != COPIED:
                self._ratio("copying", name, found[way], found[COPIED])
            if way == COPIED:
                self._ratio(DUMPS, name, found[way], found[DUMPS])

    def image(self, size: int) -> None:
        """Measure an image that is read meanwhile."""
        path = self._folder / "image.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (size // 256))
        name = f"image of {size // MIB} MiB"
        ways = [way for way in self._ways if way not in OTHERS[:-1]]
        found = self._each(ways, lambda way: self._measured(path, way, "cpu"))
        for way in ways:
            self._cpu[f"{name}, {way}"] = found[way]
            if "," in way:
                one = found[way.partition(",")[0]]
                self._ratio("one pass", f"{name}, {way}", found[way], one)
        self._remember(path, name, ways)

    def memory(self, what: Stored, ways: list[str] | None = None) -> None:
        """Measure what sending a conversation takes above the library, in all `ways` or some."""
        self._remember(self._file(what), what.name, ways or self._ways)

    def appending(self, what: Stored, count: int) -> None:
        """Compare an append to a large conversation with one to an empty one."""
        empty = (self._folder / f"{number}{what.suffix}" for number in range(self._rounds))
        large, alone = f"to {_size(what.total)}", "to an empty one"

        def once(which: str) -> float:
            path = self._file(what) if which == large else next(empty)
            return 1e6 * float(fresh(_HERE, "appended", path=str(path), count=count))

        found = self._each([alone, large], once)
        store = what.name.partition(",")[0]
        self._report.add(Case(f"Appending to {store}", "µs an append", alone, found))

    def finish(self) -> None:
        """Report what was found."""
        self._report.add(Case("CPU to send it", "s of CPU", "", self._cpu))
        for to, found in self._ratios.items():
            self._report.add(Case(f"CPU, beside {to}", f"times {to}", "", found))
        for kind, found in self._memory.items():
            self._report.add(Case(f"Memory, {kind}", f"KiB {kind}", "", found))

    def _each(
        self, names: list[str], once: Callable[[str], float], most: int = 1000
    ) -> dict[str, list[float]]:
        peers = [Peer(name, "penstock") for name in names]
        rounds = min(self._rounds, most)
        found = paired(peers, rounds, lambda peer: once(peer.name), self._report)
        if len(found) < len(names):
            raise RuntimeError(f"not measured: {self._report.missing}")
        return found

    def _remember(self, path: Path, name: str, ways: list[str]) -> None:
        for kind, kept in self._memory.items():

            def once(way: str, kind: str = kind) -> float:
                return self._measured(path, way, kind) / KIB

            found = self._each(ways, once, 3)
            kept |= {f"{name}, {way}": values for way, values in found.items()}

    def _ratio(self, to: str, name: str, values: list[float], others: list[float]) -> None:
        both = zip(values, others, strict=True)
        self._ratios[to][name] = [value / other for value, other in both]

    def _measured(self, path: Path, way: str, kind: str) -> float:
        """Return a figure, measured in a process of its own."""
        dialect, first = WAYS[way]
        told: dict[str, Any] = {"what": str(path), "dialect": dialect, "way": first, "kind": kind}
        _, value = fresh(_HERE, "measure", **told)
        return float(value)

    def _file(self, what: Stored) -> Path:
        """Return a conversation's file, written where it is not there yet."""
        path = self._folder / f"{what.name.replace(', ', '-')}{what.suffix}"
        if not path.exists():
            told: dict[str, Any] = {"path": str(path), "size": what.size, "said": what.said}
            fresh(_HERE, "write", total=what.total, **told)
        return path


def _size(total: int) -> str:
    return f"{total // GIB} GiB" if total >= GIB else f"{total // MIB} MiB"


def main() -> None:
    """Measure every conversation, and print what was found."""
    chosen = options(__doc__)
    report = Report("conversations", __doc__ or "")
    report.seconds = chosen.seconds
    print(f"Buffer {BUFFER // KIB} KiB, {chosen.rounds} rounds. {setting()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.smoke:
            _smoke(Bench(folder, report, 1, [COPIED, *_SIGNED]))
        else:
            great = GIB if shutil.disk_usage(folder).free > 4 * GIB else 64 * MIB
            _measure(Bench(folder, report, chosen.rounds, list(WAYS)), great)
    report.finish(chosen.keep)


def _measure(bench: Bench, great: int) -> None:
    for store, suffix in (("JSONL", ".jsonl"), ("SQLite", ".db")):
        for name, size in (("2 KiB", 2 * KIB), ("100 B", 100)):
            what = Stored(f"{store}, {name}", suffix, size, 64 * MIB)
            bench.cpu(what)
            bench.memory(what)
        bench.cpu(Stored(f"{store}, code", suffix, 2 * KIB, 64 * MIB, CODE))
        large = Stored(f"{store}, {_size(great)}", suffix, 2 * KIB, great)
        bench.memory(large, [COPIED, *_SIGNED])
        bench.appending(large, 500)
    bench.image(24 * MIB)
    bench.finish()


def _smoke(bench: Bench) -> None:
    what = Stored("JSONL, 100 B", ".jsonl", 100, MIB)
    bench.cpu(what)
    bench.memory(what)
    bench.appending(what, 5)
    bench.image(MIB)
    bench.finish()


if __name__ == "__main__":
    main()
