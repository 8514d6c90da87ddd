"""What does a chunk cost in the pipeline: stages, generators, folding, the built-in middleware?

The chunks are there before the clock starts and come in reads of 40 (a dense answer) and of 1 (a
paced one); every run ends in the consumer's ``async for``, whose own cost is the reference. All are
measured in turn in one process, a fresh one for each round. Peers: class wrappers and ``read`` per
wrapper are the two obvious shapes that penstock does not have (the latter without a call per chunk,
which middleware of the caller's own cannot do without); aiostream's ``filter`` and one anyio memory
stream per layer are what others would build it from. `PartialJSON` and `Fold` are measured by
themselves, without a stream.

Not shown: the network, the dialect, and loops with a debugger or asyncio's debug mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from benchmarks.best import best
from benchmarks.fresh import fresh, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present
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

__all__ = ["main", "measure"]

Batches = Sequence[list[Chunk]]
Run = Callable[[Batches], Awaitable[None]]


class Ready:
    """A source whose batches are there."""

    def __init__(self, batches: Batches) -> None:
        self._batches = iter(batches)
        self.complete = False

    async def receive(self) -> list[Chunk]:
        """The next one; the loop has its turn at each, as with a socket."""
        await asyncio.sleep(0)
        return next(self._batches, [])

    def take(self, batch: list[Chunk], /) -> list[Chunk]:
        """It is as it should be."""
        self.complete = not batch
        return batch

    def abort(self, error: PenstockError | None = None) -> None:
        """Nothing to abort."""

    async def aclose(self) -> None:
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

    import aiostream

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

    import anyio

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


RUNS: dict[str, Callable[[], Run]] = {
    "the edge alone": lambda: through(),
    "3 functions, fused": lambda: through(*[keep] * 3),
    "6 functions, fused": lambda: through(*[keep] * 6),
    "3 async generators": lambda: through(*[generator] * 3),
    "6 async generators": lambda: through(*[generator] * 6),
    "3 async functions": lambda: through(*[keep_async] * 3),
    "peer: 3 class wrappers": lambda: wrappers(3),
    "peer: 6 class wrappers": lambda: wrappers(6),
    "peer: 3 with read": lambda: readers(3),
    "peer: 6 with read": lambda: readers(6),
    "peer: 3 of aiostream": lambda: of_aiostream(3),
    "peer: 3 anyio streams": lambda: of_anyio(3),
    "accumulate": lambda: through(accumulate()),
    "coalesce by size": lambda: through(coalesce(size=64)),
    "coalesce by interval": lambda: through(coalesce(size=64, interval=0.05)),
    "stop_at, a literal": lambda: through(stop_at("<|end|>")),
    "partial_json of text": lambda: through(partial_json(lambda _: None, of="text")),
    "tee to two readers": lambda: run_tee,
    "merge of two": lambda: run_merge,
    "sse.encode": lambda: run_sse(15.0),
    "sse.encode, plain": lambda: run_sse(None),
}


def fold(chunk: Chunk, size: int, count: int) -> int:
    """Fold batches of `size`; return how many chunks there were."""
    folded, batch = Fold(), [chunk] * size
    for _ in range(count // size):
        folded.add(batch)
    folded.reply(CallRecord())
    return count // size * size


def arguments(count: int) -> int:
    """Feed so many one-character deltas (row 31 of the fault matrix)."""
    parser = PartialJSON()
    parser.feed('{"content": "')
    for _ in range(count):
        parser.feed("x")
    parser.feed('"}')
    parser.finish()
    return count


KINDS: dict[str, Chunk] = {
    "text": TextDelta("hello "),
    "reasoning": ReasoningDelta("hello "),
    "tool call": ToolCallDelta(0, arguments="x"),
}
ALONE: dict[str, Callable[[int], int]] = {
    f"Fold.add {name} by {size}": partial(fold, chunk, size)
    for name, chunk in KINDS.items()
    for size in (40, 1)
}
ALONE |= {"PartialJSON": arguments, "PartialJSON, 10 x as long": lambda n: arguments(10 * n)}


def measure(count: int) -> dict[str, dict[str, float]]:
    """Return microseconds of CPU per chunk: by the comparison's name, those of all runs."""
    found: dict[str, dict[str, float]] = {}
    for size in (40, 1):
        batches = [[TextDelta("hello ")] * size for _ in range(count // size)]
        found[f"reads of {size}"] = {
            name: best(partial(_once, make(), batches, size), 1) for name, make in RUNS.items()
        }
    found["by themselves"] = {name: best(partial(run, count), 1) for name, run in ALONE.items()}
    return found


def _once(run: Run, batches: Batches, size: int) -> int:
    with asyncio.Runner() as runner:
        runner.run(run(batches))  # type: ignore[arg-type]  # each is a coroutine function
    return len(batches) * size


def main() -> None:
    """Measure every run, and print ratios to the consumer's own loop."""
    chosen = options(__doc__)
    report = Report("pipeline", __doc__ or "")
    peers = present({"pipeline": "penstock-streams"}, chosen, report)
    print(f"{chosen.rounds} rounds. {setting()}")

    def once(peer: Peer) -> dict[str, dict[str, float]]:
        count = 200 if chosen.smoke else 20_000
        found: dict[str, dict[str, float]] = fresh(
            "benchmarks.pipeline", "measure", python=peer.python, count=count
        )
        return found

    rounds = paired(peers, chosen.rounds, once, report).get("pipeline", [])
    for name in rounds[0] if rounds else ():
        found = {run: [each[name][run] for each in rounds] for run in rounds[0][name]}
        report.add(Case(name, "µs CPU a chunk", "the edge alone", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
