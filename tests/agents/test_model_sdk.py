"""A model behind servers that the official SDK makes: its own, and ours over both transports."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # without it these tests are left out
import pytest

from penstock.agents import MCPServer
from penstock.agents.mcp import ModelOverMCP
from penstock.agents.streaming import stream_of
from penstock.errors import DeadlineError, ResponseError
from penstock.limits import Timeouts
from penstock.response import Reply

pytestmark = pytest.mark.asyncio

SERVER = Path(__file__).with_name("sdk_model.py")


async def ask(over: ModelOverMCP, prompt: str, **options: Any) -> Reply:
    """The whole answer to a prompt."""
    async with stream_of(over, "sdk", prompt, **options) as stream:
        return await stream.collect()


async def test_a_server_of_the_sdk_is_a_model(tmp_path: Path) -> None:
    """Answers, failures, progress as a sign of life, a call that is cancelled on both sides."""
    note = tmp_path / "note"
    async with ModelOverMCP(MCPServer(command=[sys.executable, str(SERVER)], name="sdk")) as over:
        reply = await ask(over, "hello", temperature=0.5, max_tokens=9)
        assert ("hello at 0.5", ["max_tokens"]) == (reply.text, reply.dropped)
        with pytest.raises(ResponseError, match="Error executing tool complete"):
            await ask(over, "fail:")
        # Each report is a sign of life: it takes longer than a second, and is never silent so long.
        clocks = Timeouts(idle=1.0, total=20.0)
        assert "slowly:1 at 1.0" == (await ask(over, "slowly:1", timeouts=clocks)).text
        with pytest.raises(DeadlineError):
            await ask(over, f"hang:{note}", timeouts=Timeouts(total=0.2))
        answers = await asyncio.gather(*(ask(over, f"number {n}") for n in range(100)))
        assert [f"number {n} at 1.0" for n in range(100)] == [each.text for each in answers]
        assert "cancelled" == note.read_text()
