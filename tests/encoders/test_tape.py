"""The temporary file behind a one-shot source."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import pytest

from penstock.encoders import Body
from penstock.errors import UsageError
from penstock.fields import Each

Runner: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Any]"


def spooled(source: Any) -> Body:
    """A body over a one-shot source, in small pieces."""
    return Body({"a": Each(source)}, buffer_size=64, spool=True)


async def read(body: Body) -> bytes:
    """One pass."""
    return b"".join([piece async for piece in body.open()])


EXPECTED = b'{"a":[' + b",".join(b"%d" % number for number in range(500)) + b"]}"


def test_two_passes_can_take_turns(run: Runner) -> None:
    """Each plays what is there and records what is not, the other plays that."""

    async def check() -> None:
        body = spooled(iter(range(500)))
        one, other = body.open(), body.open()
        first, second = b"", b""
        for _ in range(5):
            first += await anext(one)
            second += await anext(other) + await anext(other)
        first += b"".join([piece async for piece in one])
        second += b"".join([piece async for piece in other])

        assert first == second == EXPECTED
        await body.aclose()

    run(check)


def test_a_source_that_was_interrupted_cannot_go_on(run: Runner) -> None:
    """An item may be lost with a cancelled wait, and a body without it must not be sent."""

    async def items() -> AsyncIterator[int]:
        for number in range(100):
            yield number
        scope.cancel()
        await anyio.sleep_forever()
        yield 100

    scope: anyio.CancelScope

    async def check() -> None:
        nonlocal scope
        body = spooled(items())
        with anyio.CancelScope() as scope:
            await read(body)
        with pytest.raises(UsageError, match="an earlier pass broke it off"):
            await read(body)
        await body.aclose()

    run(check)


def test_a_pass_does_not_wait_for_another_s_item(run: Runner) -> None:
    """Two waits on one iterator are an error in Python itself; this one has words."""

    waiting: anyio.Event

    async def items() -> AsyncIterator[int]:
        for number in range(100):
            yield number
        waiting.set()
        await anyio.sleep_forever()
        yield 100

    async def check() -> None:
        nonlocal waiting
        waiting = anyio.Event()
        body = spooled(items())
        async with anyio.create_task_group() as group:
            group.start_soon(read, body)
            await waiting.wait()
            with pytest.raises(UsageError, match="still waiting for it"):
                await read(body)
            group.cancel_scope.cancel()
        await body.aclose()

    run(check)


def test_a_closed_body_plays_no_more(run: Runner) -> None:
    """The file is gone, in the middle of a pass too."""

    async def check() -> None:
        body = spooled(iter(range(500)))
        pieces = body.open()
        await anext(pieces)
        await body.aclose()
        with pytest.raises(UsageError, match="temporary file deleted"):
            await anext(pieces)
        with pytest.raises(UsageError, match="temporary file deleted"):
            await read(body)

    run(check)


def test_closing_ends_a_pass_that_waits(run: Runner) -> None:
    """What it has so far is never taken for the whole."""

    async def check() -> None:
        opened, waiting = anyio.Event(), anyio.Event()

        class Items:
            """An async iterator that ends only after the body was closed."""

            count = 0

            def __aiter__(self) -> Items:
                return self

            async def __anext__(self) -> int:
                self.count += 1
                if self.count > 100:
                    waiting.set()
                    await opened.wait()
                    raise StopAsyncIteration
                return self.count

        body = spooled(Items())

        async def fail() -> None:
            with pytest.raises(UsageError, match="temporary file deleted"):
                await read(body)

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await waiting.wait()
            await body.aclose()
            opened.set()

    run(check)


def test_a_body_that_is_forgotten_leaves_no_file_open(run: Runner) -> None:
    """Python would warn of it, and warnings are errors here."""

    async def check() -> None:
        await read(spooled(iter(range(5000))))
        gc.collect()

    run(check)
