"""``penstock mcp`` as a process, asked by the official SDK's client and by our provider."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import mcp
import pytest
from mcp.client.stdio import StdioServerParameters
from typer.testing import CliRunner

from penstock.agents import MCPServer
from penstock.agents.mcp import ModelOverMCP
from penstock.agents.streaming import stream_of
from penstock.cli.app import app
from penstock.cli.mcp import run
from penstock.errors import ConfigurationError, ConnectError

COMMAND = [sys.executable, "-m", "penstock", "mcp"]
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.endswith("_API_KEY") and name not in ("OLLAMA_HOST", "PENSTOCK_MCP_TOKEN")
}


@pytest.mark.asyncio
async def test_the_sdks_client_over_stdio() -> None:
    """It chats at once and without a key; a hundred calls share a session; it ends with stdin."""
    server = StdioServerParameters(
        command=sys.executable, args=[*COMMAND[1:], "-m", "sim/echo"], env=ENVIRONMENT
    )
    async with mcp.Client(server) as session:
        assert "penstock" == session.server_info.name  # type: ignore[union-attr]
        names = [tool.name for tool in (await session.list_tools()).tools]
        results = await asyncio.gather(
            *(session.call_tool("chat", {"prompt": f"number {n}"}) for n in range(100))
        )

    assert ["chat", "models"] == names
    assert [f"number {n}" for n in range(100)] == [each.content[0].text for each in results]


@asynccontextmanager
async def over_http(*options: str, **variables: str) -> AsyncIterator[tuple[str, Any]]:
    """The command over HTTP: its URL, and its process."""
    process = await asyncio.create_subprocess_exec(
        *[*COMMAND, "-m", "sim/echo", "--http", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, **variables},
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip(), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.asyncio
async def test_clients_over_http() -> None:
    """The SDK's and ours, with the token that is asked for; without it nobody; Ctrl-C ends it."""
    async with over_http(PENSTOCK_MCP_TOKEN="open-sesame") as (url, process):
        told = {"authorization": "Bearer open-sesame"}
        ours = MCPServer(url=url, headers=told)
        async with ModelOverMCP(ours) as over, stream_of(over, "sim/echo", "Hello") as stream:
            reply = await stream.collect()
        async with ModelOverMCP(MCPServer(url=url)) as over:
            with pytest.raises(ConnectError):
                async with stream_of(over, "sim/echo", "Hello"):
                    pass
        assert "theirs" == await _by_the_sdk(url, told)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)

    assert url.startswith("http://127.0.0.1:")
    assert ("Hello", "stop") == (reply.text, reply.finish_reason)
    assert reply.usage is not None
    assert 130 == process.returncode


async def _by_the_sdk(url: str, headers: dict[str, str]) -> str:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(url, http_client=http)
        async with mcp.Client(transport) as session:
            result = await session.call_tool("chat", {"prompt": "theirs"})
    return str(result.content[0].text)


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (["-m", "nosuch/model"], "nosuch/model", 2),
        (["-m", "sim/echo", "--http", "--host", "0.0.0.0"], "PENSTOCK_MCP_TOKEN", 2),
    ],
)
def test_mistakes_are_told_at_once(options: list[str], words: str, code: int) -> None:
    """In one line on stderr; nothing is served."""
    done = CliRunner().invoke(app, ["mcp", *options])

    assert code == done.exit_code
    assert words in done.stderr
    assert "" == done.stdout


@pytest.mark.asyncio
async def test_a_user_at_a_terminal_is_told_how_it_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for a protocol that nobody types."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(ConfigurationError, match="or serve over HTTP with --http"):
        await run("sim/echo", False, "127.0.0.1", 0, 1)


def test_help_teaches() -> None:
    """What to write into a client's configuration, and which model needs no key."""
    said = CliRunner().invoke(app, ["mcp", "--help"], env={"COLUMNS": "120"}).output

    for words in ('"command": "penstock"', "sim/echo", "PENSTOCK_MCP_TOKEN", "--http"):
        assert words in said
