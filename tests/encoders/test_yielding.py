"""Giving the loop back, on whichever loop runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from penstock.encoders.yielding import Pace


def test_a_rest_lets_another_task_run(run: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
    """One rest is one turn of the loop."""

    async def check() -> None:
        seen = []

        async def other() -> None:
            seen.append("other")

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            pace = Pace()
            while "other" not in seen:
                await pace.rest()

    run(check)


def test_so_many_bytes_are_enough(run: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
    """A rest is due by bytes, and the count begins anew after it."""

    async def check() -> None:
        pace = Pace()
        assert pace.due(33 * 1024)  # with as many again it would be above 64 KiB
        await pace.rest()
        while not pace.due():  # a busy machine is slow, not wrong
            pass
        await pace.rest()
        assert pace.due(33 * 1024)

    run(check)
