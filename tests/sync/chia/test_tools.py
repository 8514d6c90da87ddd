"""Tools: MCP servers for programs, and whatever a tool loop takes for APIs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import mcp.server.mcpserver  # noqa: F401  # here: it takes a second, which a loop has not
import pytest
from tests.agents.conftest import serving
from tests.sync.chia.conftest import APIS, MODULES, Stage, after, shim
from tests.sync.chia.effects import config, configured

from penstock.agents import MCPServer
from penstock.errors import ConfigurationError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

SHIMS = list(MODULES)
"""All of which are tried here."""
URL = "http://127.0.0.1:1/mcp"


class ChiaTool:
    """A tool as chia has them: a name, and the address of an MCP server."""

    def __init__(self, name: str = "echo", url: str = URL) -> None:
        self.name, self.url = name, url

    def __repr__(self) -> str:
        return f"ChiaTool({self.name}, {self.url})"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("name", [*APIS, "ClaudeCodeLLM"])
def test_a_loops_tools_are_called(stage: Stage, name: str) -> None:
    """The model sees them, asks for one, and has its result in the next request."""
    given: dict[str, Any] = {"model": "tools"}
    if name == "ClaudeCodeLLM":
        given["backend"] = "api"
    seen = stage.ask(name, "add", add, **given)
    without = stage.ask(name, "add", **given)

    assert "Add two numbers." in seen.text
    assert "Add two numbers." not in without.text
    assert 2 == len(seen.requests)
    results = ['"content":"2"' in each.result.stream_result for each in (seen, without)]
    assert [True, False] == results


def test_claude_code_is_told_of_servers(stage: Stage) -> None:
    """In a file; their tools are allowed, and nothing else is."""
    seen = stage.ask("ClaudeCodeLLM", "one", ChiaTool())
    (file,) = after(seen.argv, "--mcp-config")

    assert {"echo": {"type": "http", "url": URL, "headers": {}}} == (
        json.loads(seen.notes[-1]["files"][file])["mcpServers"]
    )
    assert ["mcp__echo"] == after(seen.argv, "--allowedTools")
    assert [] == after(stage.ask("ClaudeCodeLLM", "one").argv, "--allowedTools")
    assert "--dangerously-skip-permissions" not in seen.argv


def test_codex_is_told_of_servers(stage: Stage) -> None:
    """By configuration; each is approved, and nothing is bypassed."""
    seen = stage.ask("CodexLLM", "one", ChiaTool())

    assert [f'"{URL}"'] == configured("mcp_servers.echo.url")(seen)
    assert ['"approve"'] == configured("mcp_servers.echo.default_tools_approval_mode")(seen)
    assert [] == configured("mcp_servers.echo.url")(stage.ask("CodexLLM", "one"))
    assert "--dangerously-bypass-approvals-and-sandbox" not in seen.argv


def test_opencode_is_told_of_servers(stage: Stage) -> None:
    """In its configuration; edits and commands stay denied, unless the bypass is asked for."""
    seen = stage.ask("OpenCodeLLM", "one", ChiaTool())
    bypassed = stage.ask("OpenCodeLLM", "one", extra_cli_args=["--auto"])

    assert URL == config(seen)["mcp"]["echo"]["url"]
    assert "mcp" not in config(bypassed)
    assert "deny" == config(seen)["permission"]["bash"]
    assert {} == config(bypassed)["permission"]


def test_antigravity_is_told_of_servers(stage: Stage) -> None:
    """In a home of the prompt's own, whose other files are the user's; that home is gone after."""
    folder = stage.home / ".gemini"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "mcp_config.json").write_text('{"mcpServers": {"mine": {}}}')
    (folder / "config" / "other.json").write_text("{}")
    (folder / "settings.json").write_text("{}")
    llm = shim("AntigravityLLM")(extra_cli_args=[str(folder / "nothing")])
    stage.plays("agy.jsonl", looks=".gemini")
    seen = stage.seen(llm, "one", [ChiaTool()])
    looked = seen.notes[-1]["looked"]

    assert {"echo": {"serverUrl": URL, "headers": {}}} == (
        json.loads(looked["config/mcp_config.json"])["mcpServers"]
    )
    assert {"config/mcp_config.json", "config/other.json", "settings.json"} == set(looked)
    assert '{"mcpServers": {"mine": {}}}' == (folder / "config" / "mcp_config.json").read_text()
    assert not Path(seen.environment["HOME"]).exists()


def test_servers_come_in_several_shapes(stage: Stage) -> None:
    """As ours, as a URL, with a command; names that no agent takes are made into ones that do."""
    tools = [
        MCPServer(url="http://127.0.0.1:2/mcp", name="my tools"),
        "http://127.0.0.1:3/mcp",
        MCPServer(command=["serve", "--x"], env={"A": "1"}, name="local"),
    ]
    seen = stage.ask("CodexLLM", "one", *tools)

    assert ['"http://127.0.0.1:2/mcp"'] == configured("mcp_servers.my_tools.url")(seen)
    assert ['"http://127.0.0.1:3/mcp"'] == configured("mcp_servers.127_0_0_1.url")(seen)
    # By way of a shell, which gives it its variable.
    [arguments] = configured("mcp_servers.local.args")(seen)
    assert ["serve", "--x"] == json.loads(arguments)[-2:]


class Deployed:
    """A tool as chia's own class has it: a host and a port, and no URL."""

    def __init__(self, hostname: str) -> None:
        self.name, self.hostname, self.port = "bash", hostname, 8003

    def __repr__(self) -> str:  # by which the stage knows what was asked before
        return f"Deployed({self.hostname})"


def test_chias_own_tools_are_found(stage: Stage) -> None:
    """By the address that chia serves them at."""
    seen = [stage.ask("CodexLLM", "one", Deployed(host)) for host in ("10.0.0.1", "::1")]

    assert ['"http://10.0.0.1:8003/bash/mcp"'] == configured("mcp_servers.bash.url")(seen[0])
    assert ['"http://[::1]:8003/bash/mcp"'] == configured("mcp_servers.bash.url")(seen[1])


@pytest.mark.parametrize("name", ["ClaudeCodeLLM", "CodexLLM", "OpenCodeLLM", "AntigravityLLM"])
def test_a_program_takes_servers_only(stage: Stage, name: str) -> None:
    """A Python function, or one name for two servers, is an error before anything is started."""
    function = stage.ask(name, "one", add)
    twice = stage.ask(name, "one", ChiaTool(), ChiaTool())

    assert [ConfigurationError] * 2 == [type(each.result) for each in (function, twice)]
    assert "tools[0] is function" in str(function.result)
    assert "two tools are called 'echo'" in str(twice.result)
    assert [] == [*function.notes, *twice.notes]


def test_a_tool_of_chias_shape_is_called_over_http(stage: Stage) -> None:
    """A real MCP server of the official SDK, by nothing but a name and a url."""

    async def main() -> Any:
        async with serving() as (url, _):
            return await asyncio.to_thread(
                stage.ask, "OpenAICompatLLM", "x", ChiaTool("tests", url), model="tools"
            )

    seen = asyncio.run(main())

    assert seen.result.success
    assert '"server":"tests"' in seen.result.stream_result
    assert "Add two numbers." in seen.text
