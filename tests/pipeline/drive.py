"""How the tests of this folder run a middleware: over batches, and item by item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from penstock.chunks import Chunk
from penstock.pipeline.composition import Pipeline
from penstock.testing.scripted import Line, ScriptedStream

__all__ = ["cut", "items", "outcome", "run"]


async def items(stream: ScriptedStream) -> AsyncGenerator[Chunk, None]:
    """Chunks one by one, as the public edge hands them out."""
    while batch := await stream.read():
        for chunk in batch:
            yield chunk


async def outcome(
    lines: Sequence[Line], *middleware: Any
) -> tuple[list[Chunk], Exception | None, ScriptedStream]:
    """What comes out of `middleware`, how it ends, and the stream it was done to."""
    pipeline = Pipeline(middleware)
    stream = ScriptedStream(lines)
    stream.stages += pipeline.stages()
    edge = pipeline.edge(items(stream))
    seen: list[Chunk] = []
    error: Exception | None = None
    try:
        async for chunk in edge.chunks:
            seen.append(chunk)  # noqa: PERF401  # the list is wanted after an error
    except Exception as failure:
        error = failure
    await stream.aclose()
    await edge.aclose()
    return seen, error, stream


async def run(lines: Sequence[Line], *middleware: Any) -> list[Chunk]:
    """What comes out of `middleware`."""
    seen, error, _ = await outcome(lines, *middleware)
    if error is not None:
        raise error
    return seen


def cut(chunks: Sequence[Chunk], size: int) -> Iterable[list[Chunk]]:
    """`chunks` in batches of `size`."""
    return [list(chunks[start : start + size]) for start in range(0, len(chunks), size)]
