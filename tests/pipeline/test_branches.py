"""Several readers have one answer, each at its own pace within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
import trio
from tests.pipeline.drive import items

from penstock.chunks import Chunk, TextDelta
from penstock.errors import (
    ConfigurationError,
    LimitExceededError,
    StreamClosedError,
    TruncatedError,
    UsageError,
)
from penstock.limits import Limits
from penstock.pipeline.branches import Branch, tee
from penstock.testing.scripted import ScriptedStream

FEW = Limits(max_queue_items=4)


class Source:
    """Chunks without end, or as many as are asked for, that count how many were taken."""

    def __init__(self, count: int = 10**9, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        """Hand out."""
        while self.taken < self.count:
            self.taken += 1
            yield TextDelta(str(self.taken))
        if self.error is not None:
            raise self.error


async def numbers(branch: Branch, count: int | None = None) -> list[int]:
    """The next `count` chunks of a branch, or all."""
    if count is None:
        return [int(chunk.text) async for chunk in branch]
    return [int((await anext(branch)).text) for _ in range(count)]


async def settle() -> None:
    """Let every other task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize("slow", ["wait", "fail"])
@pytest.mark.parametrize("readers", [1, 2, 5])
async def test_every_reader_has_every_chunk(slow: Any, readers: int) -> None:
    """All branches have the same chunks in the same order, far more than the bound."""
    async with tee(Source(500), readers, slow=slow, limits=FEW) as branches:
        seen = await asyncio.gather(*map(numbers, branches))

    assert [list(range(1, 501))] * readers == seen


@pytest.mark.asyncio
async def test_nothing_is_read_before_it_is_wanted() -> None:
    """Reading begins with the first reader."""
    source = Source()
    async with tee(source):
        await settle()

    assert 0 == source.taken


@pytest.mark.asyncio
@pytest.mark.parametrize("limits", [FEW, Limits(max_queue_bytes=4 * 65)], ids=["items", "bytes"])
async def test_a_slow_reader_holds_back_a_fast_one(limits: Limits) -> None:
    """A reader that does not ask stops the reading at its bound; a chunk taken lets one through."""
    source = Source()
    async with tee(source, 2, limits=limits) as (fast, slow):
        assert [1, 2, 3, 4] == await numbers(fast, 4)
        waiting = asyncio.ensure_future(numbers(fast, 1))
        await settle()
        assert (4, False) == (source.taken, waiting.done())

        assert [1] == await numbers(slow, 1)
        assert [5] == await waiting

    assert source.taken <= 6


@pytest.mark.asyncio
async def test_a_slow_reader_can_fail_instead() -> None:
    """With ``slow="fail"`` the fast one goes on; the slow one has what it has, then an error."""
    async with tee(Source(50), 2, slow="fail", limits=FEW) as (fast, slow):
        assert list(range(1, 51)) == await numbers(fast)

        assert [1, 2, 3, 4] == await numbers(slow, 4)
        with pytest.raises(LimitExceededError, match="fell behind") as caught:
            await anext(slow)

    assert ("max_queue_items", 4) == (caught.value.phase, caught.value.limit)


@pytest.mark.asyncio
async def test_closing_one_leaves_the_others() -> None:
    """A closed branch keeps nothing, holds nobody back, and may not be read again."""
    async with tee(Source(50), 3, limits=FEW) as (one, two, three):
        await numbers(one, 2)
        await one.aclose()
        await one.aclose()

        seen = await asyncio.gather(numbers(two), numbers(three))
        with pytest.raises(StreamClosedError):
            await anext(one)

    assert [list(range(1, 51))] * 2 == seen


@pytest.mark.asyncio
async def test_closing_a_full_branch_lets_the_others_go_on() -> None:
    """A fast reader that waits for a slow one is free once that one is closed."""
    async with tee(Source(50), 2, limits=FEW) as (fast, slow):
        reading = asyncio.ensure_future(numbers(fast))
        await settle()
        assert not reading.done()

        await slow.aclose()

        assert list(range(1, 51)) == await reading


@pytest.mark.asyncio
async def test_closing_wakes_a_pending_read() -> None:
    """A branch that is closed under its reader raises StreamClosedError there."""
    async with tee(items(ScriptedStream([3600.0]))) as (one, _):
        reading = asyncio.ensure_future(anext(one))
        await settle()

        await one.aclose()

        with pytest.raises(StreamClosedError):
            await reading


@pytest.mark.asyncio
async def test_cancelling_one_reader_leaves_the_others() -> None:
    """The wire is read by nobody's task but the tee's own (row 27)."""
    gate = anyio.Event()
    async with tee(items(ScriptedStream([gate, "1", "2"]))) as (one, two):
        cancelled = asyncio.ensure_future(numbers(one))
        reading = asyncio.ensure_future(numbers(two))
        await settle()

        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gate.set()

        assert [1, 2] == await reading
        assert [1, 2] == await numbers(one)


@pytest.mark.asyncio
async def test_an_error_comes_to_every_reader() -> None:
    """After the chunks before it, and again at every later read."""
    error = TruncatedError("cut short")
    async with tee(Source(2, error)) as branches:
        for branch in branches:
            assert [1, 2] == await numbers(branch, 2)
            for _ in range(2):
                with pytest.raises(TruncatedError) as caught:
                    await anext(branch)
                assert error is caught.value


@pytest.mark.asyncio
async def test_the_end_is_final() -> None:
    """A branch that has ended stays ended, closed or not."""
    async with tee(Source(1)) as (one, _):
        assert [1] == await numbers(one)
        assert [] == await numbers(one)
        await one.aclose()
        assert [] == await numbers(one)


@pytest.mark.asyncio
async def test_reading_ends_with_the_last_branch() -> None:
    """Once nobody wants more, nothing more is read."""
    source = Source()
    async with tee(source, 2, limits=FEW) as (one, two):
        await numbers(one, 1)
        await one.aclose()
        await two.aclose()
        await settle()
        taken = source.taken
        await settle()

    assert taken == source.taken
    assert taken <= 6


@pytest.mark.asyncio
async def test_a_failing_body_raises_its_own_error() -> None:
    """No group of exceptions leaves the library, and nothing goes on reading."""
    stream = ScriptedStream(["1", 3600.0])

    async def body() -> None:
        async with tee(items(stream)) as (one, _):
            await anext(one)
            raise KeyError

    with pytest.raises(KeyError):
        await body()

    with pytest.raises(StreamClosedError):
        await stream.read()


@pytest.mark.asyncio
async def test_leaving_ends_what_is_left() -> None:
    """A branch that outlives its tee says that it is over."""
    async with tee(Source(), 2, limits=FEW) as (one, _):
        assert [1] == await numbers(one, 1)

    assert [2, 3, 4] == await numbers(one)


@pytest.mark.asyncio
async def test_cancellation_passes_through() -> None:
    """A cancelled body takes the reading with it (row 27)."""
    stream = ScriptedStream([3600.0])

    async def body() -> None:
        async with tee(items(stream)) as (one, _):
            await anext(one)

    task = asyncio.ensure_future(body())
    await settle()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(StreamClosedError):
        await stream.read()


@pytest.mark.asyncio
async def test_two_tasks_cannot_read_one_branch() -> None:
    """The second is told so."""
    async with tee(items(ScriptedStream([3600.0]))) as (one, _):
        reading = asyncio.ensure_future(anext(one))
        await settle()
        with pytest.raises(UsageError, match="one branch"):
            await anext(one)
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.asyncio
async def test_a_tee_has_a_reader() -> None:
    """None at all is a mistake."""
    with pytest.raises(ConfigurationError, match="at least one reader"):
        async with tee(Source(), 0):
            pass


def run_on_trio(main: Callable[[], Any]) -> Any:
    """What `main` returns on trio."""
    return trio.run(main)


def test_it_works_on_trio() -> None:
    """The pump is anyio's, on either loop."""

    async def main() -> list[list[int]]:
        seen: list[list[int]] = []

        async def read(branch: Branch) -> None:
            async with aclosing(branch):
                seen.append(await numbers(branch))

        async with (
            tee(Source(20), 2, limits=FEW) as branches,
            anyio.create_task_group() as group,
        ):
            for branch in branches:
                group.start_soon(read, branch)
        return seen

    assert [list(range(1, 21))] * 2 == run_on_trio(main)
