"""What a chunk and a call cost, in calls and allocations: the same in every run and version.

`test_hot_path` counts the instructions of one version. Here are the functions that penstock's own
modules enter and the C functions that they call, by every dialect, and what a chunk that is kept
leaves in memory. CPython 3.11 to 3.13 count nearly the same: the bounds are a little above the most
of them, less than what one more call is.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest
from tests.road import Road

import penstock
from penstock.chunks import Chunk
from penstock.errors import InvalidRequestError

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(
        sys.implementation.name != "cpython", reason="platform: only CPython counts its blocks"
    ),
    pytest.mark.skipif(
        sys.getprofile() is not None, reason="platform: somebody else profiles this run"
    ),
]

OURS = str(Path(penstock.__file__).parent)
THEIRS = str(Path(OURS) / "simulator")
SIMULATOR = "penstock.simulator."

MEASURED = {
    "openai_chat": 2.54,
    "ollama": 2.55,
    "cohere": 2.80,
    "anthropic_messages": 2.85,
    "gemini": 2.85,
    "openai_responses": 2.92,
    "watsonx": 3.79,
    "mistral": 4.12,
    "bedrock_invoke": 7.83,
    "bedrock_converse": 8.55,
}
"""Calls for each chunk of a dense stream, with three middleware."""
A_CALL = 271
"""Calls for one short question and its reply: as many in every version, so that one more fails."""
HEADROOM = 1.03
MOST_TRACKED = 82
"""Objects of a whole stream that the collector tracks, its connection's included: 61 to 79."""
FREED = sorted(MEASURED.keys() - {"mistral"})
"""Dialects whose answers are gone when they have ended, without the collector."""


async def fewest(once: Callable[[], Awaitable[float]], most: float) -> float:
    """Return what `once` comes to in the first run in which it is no more than `most`.

    What comes in many small reads costs more: the least of some runs is the code's own.
    """
    found = [await once()]
    while min(found) > most and len(found) < 10:
        found.append(await once())
    return min(found)


async def calls(once: Callable[[], Awaitable[object]]) -> int:
    """Return how many functions penstock's client enters, its own and in C, in one run."""
    count = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        name = frame.f_code.co_filename
        if event in ("call", "c_call") and name.startswith(OURS) and not name.startswith(THEIRS):
            count += 1

    sys.setprofile(profile)
    try:
        await once()
    finally:
        sys.setprofile(None)
    return count


def dense(road: Road, dialect: str) -> Callable[[], AsyncIterator[Chunk]]:
    """Return what streams 4,000 tokens through three middleware."""
    wide = road.deployment("text?tokens=4000", dialect=dialect)
    client = road.client(
        deployments={"d": wide}, middleware=[lambda chunk: chunk] * 3, transport="direct"
    )

    async def chunks() -> AsyncIterator[Chunk]:
        async with client.stream("d", "hi") as stream:
            async for chunk in stream:
                yield chunk

    return chunks


@pytest.mark.parametrize("dialect", MEASURED)
async def test_a_chunk_takes_few_calls(dialect: str, road: Road) -> None:
    """From the bytes to the caller; the first stream, which loads and caches, is not counted."""
    chunks = dense(road, dialect)
    count = 0

    async def once() -> None:
        nonlocal count
        count = 0
        async for _ in chunks():
            count += 1

    async def a_chunk() -> float:
        return await calls(once) / count

    await once()
    most = MEASURED[dialect] * HEADROOM

    assert await fewest(a_chunk, most) <= most
    assert count > 4000


async def test_a_short_call_takes_few_calls(road: Road) -> None:
    """From the arguments to the reply, over a connection that is there."""
    client = road.client("text?tokens=3", transport="direct")

    async def once() -> None:
        await client.chat(None, "hi")

    await once()
    await once()

    assert await fewest(lambda: calls(once), A_CALL) <= A_CALL


@pytest.mark.parametrize("way", ["chat", "stream", "refused"])
@pytest.mark.parametrize("dialect", FREED)
async def test_a_call_leaves_the_collector_nothing(dialect: str, way: str, road: Road) -> None:
    """What it made is gone with its end: what waits for the collector costs a quarter of a call."""
    model = "text?fault=status&status=400" if way == "refused" else "text?tokens=3"
    place = road.deployment(model, dialect=dialect)
    client = road.client(deployments={"d": place}, transport="direct")

    async def once() -> None:
        if way == "chat":
            await client.chat("d", "hi")
            return
        if way == "refused":
            with suppress(InvalidRequestError):
                await client.chat("d", "hi")
            return
        async with client.stream("d", "hi") as stream:
            async for _ in stream:
                pass

    await once()
    await once()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            await once()
        await asyncio.to_thread(gc.collect)
        ours = [each for each in gc.garbage if type(each).__module__.startswith("penstock.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert [] == [each for each in ours if not type(each).__module__.startswith(SIMULATOR)]


def there() -> tuple[int, int]:
    """Return the objects that the collector tracks, and the interpreter's blocks.

    What other tests left is looked through, too: seconds on a busy machine, so not on the loop.
    """
    gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks()


@pytest.mark.parametrize("dialect", MEASURED)
async def test_the_collector_tracks_no_chunk(dialect: str, road: Road) -> None:
    """Of no kind that a dense answer has, its first and last chunks included."""
    found = {type(chunk).__name__: gc.is_tracked(chunk) async for chunk in dense(road, dialect)()}

    assert found.keys() >= {"TextDelta", "Finish", "Meta"}
    assert not any(found.values())


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "bedrock_converse"])
async def test_a_kept_chunk_is_two_blocks_and_none_of_the_collectors(
    dialect: str, road: Road
) -> None:
    """Itself and its text; a chunk that the collector tracks would have it run ever again."""
    chunks = dense(road, dialect)
    kept: list[Chunk] = [chunk async for chunk in chunks()]

    async def left() -> float:
        """How near what each of them leaves is to its bound, 1.0: the nearer of the two."""
        nonlocal kept
        kept = []
        gc.disable()
        try:
            before = await asyncio.to_thread(there)
            kept = [chunk async for chunk in chunks()]
            after = await asyncio.to_thread(there)
        finally:
            gc.enable()
        tracked, blocks = (now - then for now, then in zip(after, before, strict=True))
        assert 1.9 < blocks / len(kept)
        return max(tracked / MOST_TRACKED, blocks / len(kept) / (2 * HEADROOM))

    assert await fewest(left, 1.0) <= 1.0
