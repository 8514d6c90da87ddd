"""watsonx's wire, driven by a client of penstock."""

from __future__ import annotations

from typing import Any

import pytest

import penstock as ps
from penstock.errors import ContextLengthError, PenstockError, RateLimitError, TruncatedError
from penstock.response import Reply
from penstock.simulator import Simulator

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


async def asked(model: str, *, stream: bool = True, **options: Any) -> tuple[Reply, Any]:
    """Ask a simulator for `model`; return the reply and what the simulator got."""
    async with Simulator() as sim:
        deployment = ps.Deployment(
            base_url=sim.url, api_key="k", dialect="watsonx", model=model, project="p-1"
        )
        async with ps.Client(deployments={"m": deployment}, max_retries=0) as client:
            reply = await client.chat("m", "Hello there", stream=stream, **options)
        return reply, sim.requests[-1]


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [True, False])
async def test_text_comes_whole(stream: bool) -> None:
    """Streamed or not, with the finish reason and the usage."""
    reply, request = await asked("sim/echo", stream=stream)

    assert ("Hello there", "stop") == (reply.text, reply.finish_reason)
    assert reply.usage is not None
    assert reply.usage.output_tokens > 0
    path = "/ml/v1/text/chat_stream" if stream else "/ml/v1/text/chat"
    assert path == request.path.partition("?")[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [True, False])
async def test_calls_and_thinking_come_whole(stream: bool) -> None:
    """Calls have their ids and arguments."""
    reply, _ = await asked("sim/tools?calls=2", stream=stream, tools=TOOLS)

    assert ["f", "f"] == [call.name for call in reply.tool_calls]
    assert "tool_calls" == reply.finish_reason


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sim/echo?fault=rate-limit", RateLimitError),
        ("sim/echo?fault=context-length", ContextLengthError),
        ("sim/echo?fault=error-rate-limit", RateLimitError),
        ("sim/echo?fault=no-finish", TruncatedError),
    ],
)
async def test_failures_are_told_apart(model: str, kind: type[PenstockError]) -> None:
    """By status, inside a stream, and where the end is missing."""
    with pytest.raises(kind):
        await asked(model)
