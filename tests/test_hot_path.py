"""What a chunk and a call cost, in instructions of the interpreter: the same in every run.

Seconds differ by machine and hour; so that a gain stays, what is counted is what Python carries out
in penstock's own modules. The bounds are a fortieth above what was measured when they were set.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.road import Road

import penstock

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="platform: each version counts otherwise"
    ),
    pytest.mark.skipif(
        sys.gettrace() is not None, reason="platform: somebody else traces this run"
    ),
]

OURS = str(Path(penstock.__file__).parent)
THEIRS = str(Path(OURS) / "simulator")


async def instructions(once: Callable[[], Awaitable[object]]) -> int:
    """Return how many instructions of penstock's client one run takes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:  # Any: a trace function's own type
        nonlocal count
        name = frame.f_code.co_filename
        if not name.startswith(OURS) or name.startswith(THEIRS):
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    sys.settrace(trace)
    try:
        await once()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(("dialect", "most"), [("openai_chat", 85.7), ("anthropic_messages", 89.3)])
async def test_a_chunk_of_a_dense_stream(dialect: str, most: float, road: Road) -> None:
    """Three middleware, the fold and the edge are in it."""
    base = road.sim.url if dialect == "anthropic_messages" else f"{road.sim.url}/v1"
    wide = penstock.Deployment(base, "key", model="text?tokens=4000", dialect=dialect)
    client = road.client(
        deployments={"d": wide}, middleware=[lambda chunk: chunk] * 3, transport="direct"
    )
    chunks = 0

    async def once() -> None:
        nonlocal chunks
        async with client.stream("d", "hi") as stream:
            async for _ in stream:
                chunks += 1

    await once()
    chunks = 0
    assert await instructions(once) / chunks < most


async def test_a_short_call(road: Road) -> None:
    """From the arguments to the reply, over a connection that is there."""
    client = road.client("text?tokens=3", transport="direct")

    async def once() -> None:
        await client.chat(None, "hi")

    await once()
    await once()
    assert await instructions(once) < 5_410
