"""A client whose model says what a test writes, and real MCP servers over both transports."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.agents import MCPServer
from penstock.calls import chat_request
from penstock.chunks import Finish, TextDelta, ToolCallDelta, Usage
from penstock.limits import Limits
from penstock.pipeline.composition import compose
from penstock.stats import OpenStreams
from penstock.stream import ChatStream, Surroundings
from penstock.testing import ScriptedProvider
from penstock.testing.scripted import Line

SERVER = Path(__file__).with_name("mcp_server.py")


def calls(*wanted: tuple[str, Any], cost: float | None = None) -> list[Line]:
    """The script of an answer that asks for tools: names, and arguments or their text."""
    deltas = [
        ToolCallDelta(
            at, f"call_{at}", name, given if isinstance(given, str) else json.dumps(given)
        )
        for at, (name, given) in enumerate(wanted)
    ]
    return [[*deltas, Usage(10, 5, 15, cost=cost), Finish("tool_calls")]]


def says(text: str) -> list[Line]:
    """The script of an answer in words."""
    return [[TextDelta(text), Usage(20, 2, 22), Finish("stop")]]


class ScriptedClient:
    """What a loop needs of a client: `stream`, over a provider that plays scripts."""

    def __init__(self, *scripts: list[Line]) -> None:
        self.provider = ScriptedProvider(*scripts)

    def stream(self, model: str | None, messages: Any, **options: Any) -> ChatStream:
        """Return the next script as a stream."""
        around = Surroundings(self.provider, compose(), Limits(), OpenStreams())
        return ChatStream(around, lambda: chat_request(model or "scripted", messages, options))


def stdio(**options: Any) -> MCPServer:
    """The test's MCP server as a child process."""
    return MCPServer(command=[sys.executable, str(SERVER)], **{"name": "child", **options})


@asynccontextmanager
async def serving(port: int = 0, *, stateless: bool = False) -> AsyncIterator[tuple[str, Any]]:
    """The test's MCP server over streamable HTTP, in a thread: its URL, and the server."""
    import uvicorn
    from tests.agents.mcp_server import made

    app = made().streamable_http_app(stateless_http=stateless)
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/mcp", server
        finally:
            server.should_exit = server.force_exit = True
            await asyncio.to_thread(thread.join)


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Tells whether a process runs."""
    import psutil

    def runs(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return runs
