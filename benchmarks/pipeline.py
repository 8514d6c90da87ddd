"""What does a chunk cost in the pipeline: stages, generators, folding, the built-in middleware?

Run as ``python -m benchmarks.pipeline [--chunks 20000] [--rounds 7]``.

Each line is the median of the rounds in microseconds of CPU per chunk, and the spread from the
fastest to the slowest. The chunks are there before the clock starts and come in reads of 40 (a
dense answer) and of 1 (a paced one); every run ends in the consumer's ``async for``, whose own cost
is the first line. "above" is what the middleware adds to that. The runs take turns in each round,
so that a busy machine is busy for all. Peers: class wrappers and ``read`` per wrapper are the two
obvious shapes that penstock does not have (the latter without a call per chunk, which middleware of
the caller's own cannot do without); aiostream's ``filter`` and one anyio memory stream per layer
are what others would build it from.

What the numbers do not show: the network, the dialect, and loops with a debugger or asyncio's debug
mode. `PartialJSON` and `Fold` are measured by themselves, without a stream.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from statistics import median
from typing import Any

import aiostream
import anyio

from benchmarks.fresh import setting
from penstock import sse
from penstock.chunks import Chunk, ReasoningDelta, TextDelta, ToolCallDelta
from penstock.errors import PenstockError
from penstock.interfaces import CallRecord
from penstock.pipeline import (
    BatchStream,
    Fold,
    PartialJSON,
    Pipeline,
    accumulate,
    coalesce,
    merge,
    partial_json,
    stop_at,
    tee,
)

Batches = Sequence[list[Chunk]]
Run = Callable[[Batches], Awaitable[None]]


class Ready:
    """A source whose batches are there."""

    def __init__(self, batches: Batches) -> None:
        self._batches = iter(batches)

    async def read(self) -> list[Chunk]:
        """The next one; the loop has its turn at each, as with a socket."""
        await asyncio.sleep(0)
        return next(self._batches, [])

    def abort(self, error: PenstockError | None = None) -> None:
        """Nothing to abort."""

    async def aclose(self, *, reuse: bool = False) -> None:
        """Nothing to close."""


async def items(stream: BatchStream[Chunk]) -> AsyncGenerator[Chunk, None]:
    """Chunks one by one, as the public edge hands them out."""
    while batch := await stream.read():
        for chunk in batch:
            yield chunk


def through(*middleware: Any) -> Run:
    """A run through penstock's pipeline."""
    pipeline = Pipeline(middleware)

    async def run(batches: Batches) -> None:
        stream = BatchStream(Ready(batches), CallRecord())
        stream.stages += pipeline.stages()
        edge = pipeline.edge(items(stream))
        async with aclosing(edge.chunks) as chunks:
            async for _ in chunks:
                pass

    return run


def keep(chunk: Chunk) -> Chunk | None:
    """A middleware that looks at a chunk and keeps it."""
    return chunk if chunk.content else None


async def generator(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
    """The same as a bare async generator."""
    async for chunk in chunks:
        if chunk.content:
            yield chunk


async def keep_async(chunk: Chunk) -> Chunk | None:
    """The same as an async function of a chunk."""
    return chunk if chunk.content else None


class Wrapper:
    """The same as a class with ``__anext__``: a peer."""

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            chunk = await anext(self._chunks)
            if chunk.content:
                return chunk


class Reader:
    """The same as a class with ``read``: a peer."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def read(self) -> list[Chunk]:
        """A batch."""
        return [chunk for chunk in await self._inner.read() if chunk.content]


def wrappers(layers: int) -> Run:
    """A run through wrappers."""

    async def run(batches: Batches) -> None:
        chunks: AsyncIterator[Chunk] = items(BatchStream(Ready(batches), CallRecord()))
        for _ in range(layers):
            chunks = Wrapper(chunks)
        async for _ in chunks:
            pass

    return run


def readers(layers: int) -> Run:
    """A run through ``read`` per layer."""

    async def run(batches: Batches) -> None:
        stream: Any = BatchStream(Ready(batches), CallRecord())
        for _ in range(layers):
            stream = Reader(stream)
        async for _ in items(stream):
            pass

    return run


def of_aiostream(layers: int) -> Run:
    """A run through aiostream's operators."""

    async def run(batches: Batches) -> None:
        chunks: Any = aiostream.stream.iterate(items(BatchStream(Ready(batches), CallRecord())))
        for _ in range(layers):
            chunks = aiostream.stream.filter(chunks, lambda chunk: chunk.content)
        async with chunks.stream() as streamer:
            async for _ in streamer:
                pass

    return run


def of_anyio(layers: int) -> Run:
    """A run through one memory stream and one task per layer."""

    async def layer(chunks: AsyncIterator[Chunk], out: Any) -> None:
        async with out:
            async for chunk in chunks:
                if chunk.content:
                    await out.send(chunk)

    async def run(batches: Batches) -> None:
        chunks: Any = items(BatchStream(Ready(batches), CallRecord()))
        async with anyio.create_task_group() as group:
            for _ in range(layers):
                send, receive = anyio.create_memory_object_stream[Chunk](64)
                group.start_soon(layer, chunks, send)
                chunks = receive
            async for _ in chunks:
                pass
            if layers:
                chunks.close()

    return run


async def run_tee(batches: Batches) -> None:
    """Two readers of one answer."""

    async def read(branch: AsyncIterator[Chunk]) -> None:
        async for _ in branch:
            pass

    async with tee(items(BatchStream(Ready(batches), CallRecord()))) as (one, two):
        await asyncio.gather(read(one), read(two))


async def run_merge(batches: Batches) -> None:
    """Two answers, each with half of the chunks."""
    streams = [
        items(BatchStream(Ready(half), CallRecord())) for half in (batches[::2], batches[1::2])
    ]
    async with merge(streams) as merged:
        async for _ in merged:
            pass


def run_sse(keep_alive: float | None) -> Run:
    """Re-streamed as server-sent events."""

    async def run(batches: Batches) -> None:
        stream = items(BatchStream(Ready(batches), CallRecord()))
        async for _ in sse.encode(stream, keep_alive=keep_alive):
            pass

    return run


RUNS: dict[str, Run] = {
    "the edge alone": through(),
    "3 functions, fused": through(*[keep] * 3),
    "6 functions, fused": through(*[keep] * 6),
    "3 async generators": through(*[generator] * 3),
    "6 async generators": through(*[generator] * 6),
    "3 async functions": through(*[keep_async] * 3),
    "peer: 3 class wrappers": wrappers(3),
    "peer: 6 class wrappers": wrappers(6),
    "peer: 3 with read": readers(3),
    "peer: 6 with read": readers(6),
    "peer: 3 of aiostream": of_aiostream(3),
    "peer: 3 anyio streams": of_anyio(3),
    "accumulate": through(accumulate()),
    "coalesce by size": through(coalesce(size=64)),
    "coalesce by interval": through(coalesce(size=64, interval=0.05)),
    "stop_at, a literal": through(stop_at("<|end|>")),
    "partial_json of text": through(partial_json(lambda _: None, of="text")),
    "tee to two readers": run_tee,
    "merge of two": run_merge,
    "sse.encode": run_sse(15.0),
    "sse.encode, plain": run_sse(None),
}


def fold(chunk: Chunk, size: int, count: int) -> float:
    """Microseconds per chunk of folding batches of `size`."""
    folded, batch = Fold(), [chunk] * size
    begun = time.process_time()
    for _ in range(count // size):
        folded.add(batch)
    folded.reply(CallRecord())
    return (time.process_time() - begun) / (count // size * size) * 1e6


def arguments(count: int) -> float:
    """Microseconds per one-character delta of `count` (row 31 of the fault matrix)."""
    parser = PartialJSON()
    begun = time.process_time()
    parser.feed('{"content": "')
    for _ in range(count):
        parser.feed("x")
    parser.feed('"}')
    parser.finish()
    return (time.process_time() - begun) / count * 1e6


def line(name: str, times: list[float], base: float | None = None) -> None:
    """Print one result."""
    above = "" if base is None else f"  above {median(times) - base:6.3f}"
    print(f"  {name:24} {median(times):7.3f} µs  ({min(times):.3f}-{max(times):.3f}){above}")


def bench(count: int, rounds: int) -> None:
    """Measure everything."""
    for size in (40, 1):
        batches = [[TextDelta("hello ")] * size for _ in range(count // size)]
        times: dict[str, list[float]] = {name: [] for name in RUNS}
        for _ in range(rounds):
            for name, run in RUNS.items():
                begun = time.process_time()
                asyncio.run(run(batches))  # type: ignore[arg-type]  # each is a coroutine function
                times[name].append((time.process_time() - begun) / (count // size * size) * 1e6)
        print(f"\nreads of {size}, µs of CPU per chunk")
        base = median(times["the edge alone"])
        for name, seen in times.items():
            line(name, seen, base)
    print("\nby themselves, µs of CPU per chunk")
    kinds: dict[str, Chunk] = {
        "text": TextDelta("hello "),
        "reasoning": ReasoningDelta("hello "),
        "tool call": ToolCallDelta(0, arguments="x"),
    }
    for name, chunk in kinds.items():
        for size in (40, 1):
            seen = [fold(chunk, size, count) for _ in range(rounds)]
            line(f"Fold.add, {name}, {size}", seen)
    for letters in (count, 10 * count):
        line(f"PartialJSON, {letters}", [arguments(letters) for _ in range(rounds)])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    options = parser.parse_args()
    print(setting())
    bench(*((200, 1) if options.smoke else (options.chunks, options.rounds)))


if __name__ == "__main__":
    main()
