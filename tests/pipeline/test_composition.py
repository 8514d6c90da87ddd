"""Middleware is sorted by its form and runs in the caller's order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial, wraps
from typing import Any

import pytest

from penstock.chunks import Chunk, Finish, TextDelta
from penstock.errors import ConfigurationError
from penstock.interfaces import Stage
from penstock.pipeline.composition import (
    ChunkMiddleware,
    Pipeline,
    StageFactory,
    chain,
    compose,
    fuse,
)
from penstock.pipeline.stream import Interrupted
from penstock.testing.scripted import ScriptedStream

pytestmark = pytest.mark.asyncio


async def batches(stream: ScriptedStream) -> AsyncGenerator[Chunk, None]:
    """Chunks one by one, as the public edge hands them out."""
    while batch := await stream.read():
        for chunk in batch:
            yield chunk


async def run(pipeline: Pipeline, *lines: Any) -> str:
    """The text that comes out of `pipeline`."""
    stream = ScriptedStream(lines or (["a", "b"], "c"))
    stream.stages += pipeline.stages()
    edge = pipeline.edge(batches(stream))
    return "".join([chunk.text async for chunk in edge.chunks])


def mark(sign: str) -> Callable[[Chunk], Chunk | None]:
    """A function of a chunk that appends `sign`."""

    def function(chunk: Chunk) -> Chunk | None:
        return TextDelta(chunk.text + sign)

    return function


class Marker:
    """The seeds' ChunkMiddleware."""

    def __init__(self, sign: str) -> None:
        self.process = mark(sign)


class AsyncMarker:
    """The same, waiting for something."""

    def __init__(self, sign: str) -> None:
        self.sign = sign

    async def process(self, chunk: Chunk) -> Chunk | None:
        """Append the sign."""
        return TextDelta(chunk.text + self.sign)


class Begun:
    """A factory of stages that count what they saw."""

    def __init__(self) -> None:
        self.streams = 0

    def begin(self) -> Stage[Chunk]:
        """Return a stage for one stream."""
        self.streams += 1
        seen = 0

        def stage(batch: list[Chunk]) -> list[Chunk]:
            nonlocal seen
            seen += len(batch)
            return [TextDelta(f"{chunk.text}{seen}") for chunk in batch]

        return stage


async def generator(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """A bare async generator."""
    async for chunk in chunks:
        yield TextDelta(chunk.text + "~")


async def signed(sign: str, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """A generator with an argument, to be bound by `partial`."""
    async for chunk in chunks:
        yield TextDelta(chunk.text + sign)


def made(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """A plain function that returns a generator, and says so."""
    return generator(chunks)


@wraps(generator)
def wrapped(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """A decorated generator."""
    return generator(chunks)


async def awaited(chunk: Chunk) -> Chunk | None:
    """An async function of a chunk."""
    return TextDelta(chunk.text + "~")


class Callable1:
    """A callable object that is a generator."""

    async def __call__(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        """Be one."""
        async for chunk in chunks:
            yield TextDelta(chunk.text + "~")


class Callable2:
    """A callable object that is an async function of a chunk."""

    async def __call__(self, chunk: Chunk) -> Chunk | None:
        """Be one."""
        return TextDelta(chunk.text + "~")


@pytest.mark.parametrize("form", [mark("~"), Marker("~")], ids=["function", "process"])
async def test_sync_forms_run_over_batches(form: Any) -> None:
    """Functions of a chunk and objects with `process` become a stage, and no generator."""
    pipeline = compose(form)

    assert 1 == len(pipeline.stages())
    source = batches(ScriptedStream([]))
    assert source is pipeline.edge(source).chunks
    assert "a~b~c~" == await run(pipeline)


@pytest.mark.parametrize(
    "form",
    [
        generator,
        partial(signed, "~"),
        made,
        wrapped,
        awaited,
        AsyncMarker("~"),
        Callable1(),
        Callable2(),
    ],
    ids=lambda form: getattr(form, "__name__", type(form).__name__),
)
async def test_async_forms_run_at_the_edge(form: Any) -> None:
    """Generators, and async functions of a chunk in every guise, are no stage."""
    pipeline = compose(form)

    assert [] == pipeline.stages()
    assert "a~b~c~" == await run(pipeline)


async def test_neighbours_are_fused() -> None:
    """Sync functions side by side are one pass; a factory between them is a stage of its own."""
    pipeline = compose(mark("1"), Marker("2"), Begun(), mark("3"), mark("4"))

    assert 3 == len(pipeline.stages())
    assert "a12234b12234c12334" == await run(pipeline)


async def test_order_is_the_callers() -> None:
    """From the first at the edge on all of them are there, in order."""
    pipeline = compose(mark("1"), awaited, mark("2"), Begun(), generator, AsyncMarker("3"))

    assert (1, 5) == (len(pipeline.stages()), pipeline.steps)
    assert "a1~21~3b1~22~3c1~23~3" == await run(pipeline)


async def test_neighbours_are_fused_at_the_edge() -> None:
    """Behind the first step too, sync functions side by side are one."""
    pipeline = compose(awaited, mark("1"), mark("2"), awaited, mark("3"))

    assert ([], 4) == (pipeline.stages(), pipeline.steps)
    assert "a~12~3b~12~3c~12~3" == await run(pipeline)


async def test_fusing_nothing_changes_nothing() -> None:
    """No function at all is a stage that passes everything on."""
    assert [TextDelta("a")] == fuse([])([TextDelta("a")])


async def test_state_is_per_stream() -> None:
    """A factory is asked once for every stream, over batches and at the edge."""
    first, last = Begun(), Begun()
    pipeline = compose(first, awaited, last)

    for _ in range(2):
        assert "a2~1b2~2c3~3" == await run(pipeline)

    assert (2, 2) == (first.streams, last.streams)


async def test_no_middleware_is_nothing() -> None:
    """An empty pipeline is the source itself."""
    assert [] == compose().stages()
    assert "abc" == await run(compose())


async def test_a_chunk_can_be_dropped() -> None:
    """None drops a chunk, and nothing behind it sees it."""
    pipeline = compose(lambda chunk: None if chunk.text == "b" else chunk, mark("1"))

    assert "a1c1" == await run(pipeline)


@pytest.mark.parametrize("before", [[], [awaited]], ids=["stage", "edge"])
@pytest.mark.parametrize("lines", [[["a", "b", "c"]], ["a", "b", "c"]])
async def test_an_exception_comes_after_the_chunks_before_it(
    before: list[Any], lines: list[Any]
) -> None:
    """What a function raises is unchanged; the chunks before it are delivered."""
    error = KeyError("c")
    seen = []

    def refuse(chunk: Chunk) -> Chunk | None:
        if chunk.text.startswith("c"):
            raise error
        return chunk

    pipeline = compose(*before, mark("1"), refuse, mark("2"))
    stream = ScriptedStream(lines)
    stream.stages += pipeline.stages()

    async def read() -> None:
        async for chunk in pipeline.edge(batches(stream)).chunks:
            seen.append(chunk.text[0])  # noqa: PERF401  # the list is looked at after an error

    with pytest.raises(KeyError) as caught:
        await read()

    assert error is caught.value
    assert ["a", "b"] == seen


async def test_fuse_raises_interrupted() -> None:
    """A fused stage says what it made, and what failed."""

    def refuse(chunk: Chunk) -> Chunk | None:
        raise ValueError(chunk.text)

    stage = fuse([lambda chunk: chunk if isinstance(chunk, Finish) else refuse(chunk)])

    with pytest.raises(Interrupted) as caught:
        stage([Finish("stop"), TextDelta("b")])

    assert [Finish("stop")] == caught.value.items
    assert isinstance(caught.value.error, ValueError)


@pytest.mark.parametrize("form", [7, "text", None, Marker, object()])
async def test_other_things_are_refused(form: Any) -> None:
    """What is no middleware is found out when the client is made, not at the first chunk."""
    with pytest.raises(ConfigurationError, match="middleware is a function of one chunk"):
        compose(form)


async def test_the_protocols_describe_the_objects() -> None:
    """The seeds' middleware and the factories can be checked by `isinstance`."""
    assert isinstance(Marker("1"), ChunkMiddleware)
    assert isinstance(Begun(), StageFactory)
    assert not isinstance(generator, ChunkMiddleware | StageFactory)


async def test_chain_runs_everything_item_by_item() -> None:
    """Any mix of forms can follow a source that has no stages."""
    stream = ScriptedStream([["a", "b"], "c"])
    edge = chain(batches(stream), [mark("1"), Begun(), generator])

    assert "a11~b12~c13~" == "".join([chunk.text async for chunk in edge.chunks])


@pytest.mark.parametrize("result", ["text", True, iter(()), [TextDelta("a")]])
async def test_a_function_that_returns_no_chunk_is_named(result: object) -> None:
    """What is neither a chunk nor None is a mistake, and never part of an answer."""

    def shouting(_: Chunk) -> Any:
        return result

    with pytest.raises(ConfigurationError, match=r"shouting must return a chunk"):
        await run(compose(mark("!"), shouting, mark("?")))


async def test_a_plain_generator_function_is_refused() -> None:
    """It would return a generator for every chunk."""

    def splitting(chunk: Chunk) -> Any:
        yield chunk

    with pytest.raises(ConfigurationError, match="async generator"):
        compose(splitting)
