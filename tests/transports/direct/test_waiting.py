"""A wait that ends where its bytes come."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from penstock.transports.direct.waiting import Wait

WHO = ContextVar("who", default="nobody")


def made() -> Wait:
    """Return a wait on the running loop."""
    wait = Wait()
    wait._loop, wait.waiting = asyncio.get_running_loop(), None
    return wait


def waiting(order: list[str]) -> tuple[Wait, asyncio.Task[None]]:
    """Return a wait and the task that waits for it."""
    wait = made()

    async def read() -> None:
        WHO.set("reader")
        try:
            await wait.wait()
        finally:
            order.append(f"{WHO.get()} of {asyncio.current_task() is task}")

    task = asyncio.create_task(read())
    return wait, task


@pytest.mark.asyncio
async def test_a_reader_goes_on_there_and_then() -> None:
    """In its own task and context, and before whatever the loop has to do next."""
    order: list[str] = []
    wait, task = waiting(order)
    await asyncio.sleep(0)
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def bytes_came() -> None:
        loop.call_soon(order.append, "next turn")
        loop.call_soon(over.set)
        wait.now()
        wait.now()
        wait.soon()
        order.append("callback")

    loop.call_soon(bytes_came)
    await over.wait()
    await task

    assert ["reader of True", "callback", "next turn"] == order


@pytest.mark.asyncio
async def test_a_reader_that_is_told_soon_goes_on_in_the_next_turn() -> None:
    """As with any future."""
    order: list[str] = []
    wait, task = waiting(order)
    await asyncio.sleep(0)
    wait.soon()
    wait.now()
    order.append("caller")
    await task

    assert ["caller", "reader of True"] == order


@pytest.mark.asyncio
async def test_it_is_waited_for_time_and_again() -> None:
    """Each time anew: what it was told while nobody waited is forgotten."""
    wait = made()
    told: list[int] = []

    async def read() -> None:
        for number in range(3):
            await wait.wait()
            told.append(number)

    task = asyncio.create_task(read())
    wait.soon()
    wait.now()
    for number in range(3):
        await asyncio.sleep(0)
        assert [*range(number)] == told
        (wait.soon, wait.now)[number % 2]()
    await task

    assert [0, 1, 2] == told


@pytest.mark.asyncio
async def test_a_cancelled_reader_is_not_told_again() -> None:
    """It ends with its cancellation, and bytes that come then wake nobody."""
    order: list[str] = []
    wait, task = waiting(order)
    await asyncio.sleep(0)
    assert task.cancel("stop")
    assert wait.waiting is None
    wait.now()
    wait.soon()
    with pytest.raises(asyncio.CancelledError, match="stop"):
        await task

    assert ["reader of True"] == order


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["soon", "now"])
async def test_a_reader_that_is_told_may_still_be_cancelled(way: str) -> None:
    """As with any future: until it goes on, it is."""
    order: list[str] = []
    wait, task = waiting(order)
    await asyncio.sleep(0)
    getattr(wait, way)()
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["reader of True"] == order


@pytest.mark.asyncio
async def test_a_reader_that_is_cancelled_before_it_waits_ends_there() -> None:
    """Its cancellation is pending when it begins to wait."""
    order: list[str] = []
    wait = made()

    async def read() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
        try:
            await wait.wait()
        finally:
            order.append("over")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(read())

    assert ["over"] == order


@pytest.mark.asyncio
async def test_within_a_task_a_reader_goes_on_in_the_next_turn() -> None:
    """Two tasks cannot run at once: where a loop is driven from one, there is no other way."""
    order: list[str] = []
    wait, task = waiting(order)
    await asyncio.sleep(0)
    wait.now()
    order.append("caller")
    await task

    assert ["caller", "reader of True"] == order


@pytest.mark.asyncio
async def test_without_a_context_a_reader_has_that_of_the_bytes() -> None:
    """Tasks give theirs; other libraries' need not."""
    found: list[str] = []
    over = asyncio.Event()
    wait = made()
    wait.add_done_callback(lambda _: found.append(WHO.get()))
    WHO.set("caller")
    asyncio.get_running_loop().call_soon(wait.now)
    asyncio.get_running_loop().call_soon(over.set)
    await over.wait()

    assert ["caller"] == found


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_loop_is_the_loops(end: type[BaseException]) -> None:
    """Not the socket's, whose callback the reader ran in."""

    async def read(wait: Wait) -> None:
        await wait.wait()
        raise end

    async def main() -> None:
        wait = made()
        readers.append(asyncio.create_task(read(wait)))
        await asyncio.sleep(0)

        def bytes_came() -> None:
            wait.now()
            reached.append("behind it")

        asyncio.get_running_loop().call_soon(bytes_came)
        await asyncio.sleep(60)

    reached: list[str] = []
    readers: list[asyncio.Task[None]] = []
    loop = asyncio.new_event_loop()
    try:
        main_task = loop.create_task(main())
        with pytest.raises(end):
            loop.run_until_complete(main_task)
        main_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(main_task)
    finally:
        loop.close()

    assert ["behind it"] == reached
    assert isinstance(readers[0].exception(), end)
