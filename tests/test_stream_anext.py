"""`anext` with a default, which CPython 3.11 carries out by hand."""

from __future__ import annotations

import asyncio

import pytest
from tests.road import Road

from penstock.errors import StreamClosedError, UsageError

pytestmark = pytest.mark.asyncio


async def test_a_default_hides_no_error(road: Road) -> None:
    """It stands for the end alone: an unopened and a closed stream still say what they are."""
    stream = road.client().stream(None, "a b")

    with pytest.raises(UsageError, match="async with"):
        await anext(stream, None)
    async with stream:
        while await anext(stream, None) is not None:
            pass
        assert None is await anext(stream, None)

    again = road.client().stream(None, "a b")
    async with again:
        await again.aclose()
        with pytest.raises(StreamClosedError):
            await anext(again, None)


async def test_a_default_hides_no_second_reader(road: Road) -> None:
    """Two tasks that read one stream are told, whatever the form of the read."""
    async with road.client("echo?fault=hang@1").stream(None, "a b") as stream:
        while (await anext(stream)).text != "a ":
            pass
        first = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="two tasks"):
            await anext(stream, None)
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await first
