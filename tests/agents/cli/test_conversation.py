"""A turn whose listener has its own time."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.agents.cli.conftest import VECTORS, StandIn

from penstock.agents.cli import Server, claude_code
from penstock.chunks import Chunk


@pytest.mark.asyncio
async def test_what_on_chunk_returns_is_awaited(standin: StandIn) -> None:
    """Chunk by chunk: the next one comes when the listener is through with the last."""
    standin.plays("claude_code/claude-code-success.jsonl")
    seen: list[tuple[str, str]] = []

    async def hear(chunk: Chunk) -> None:
        seen.append(("begun", type(chunk).__name__))
        await asyncio.sleep(0)
        seen.append(("done", type(chunk).__name__))

    async with claude_code(**standin.options()) as agent:
        await agent.run("Hi", on_chunk=hear)

    assert len(seen) > 2
    assert [("begun", name) for _, name in seen[::2]] == seen[::2]
    assert [("done", name) for _, name in seen[::2]] == seen[1::2]


@pytest.mark.asyncio
async def test_a_turn_is_cancelled_while_its_listener_waits(standin: StandIn) -> None:
    """The child is told to end and its files are gone at once; the session is there afterwards."""
    wire = "claude_code/claude-code-killed-by-sigterm.jsonl"
    id = json.loads((VECTORS / wire).read_text().splitlines()[0])["session_id"]
    standin.plays(wire, sleep=30, files={f".claude/projects/-x/{id}.jsonl": "kept\n"})
    server = Server(name="s", url="http://127.0.0.1:9/mcp")
    agent = claude_code(**standin.options(servers=(server,)))
    talk, heard = agent.converse(), asyncio.Event()

    async def wait(_: Chunk) -> None:
        heard.set()
        await asyncio.Event().wait()

    running = asyncio.ensure_future(talk.run("Hi", on_chunk=wait))
    await heard.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = standin.left()
    await agent.aclose()
    session = await talk.recover()

    assert [] == left
    assert session is not None
    assert id == session.id
