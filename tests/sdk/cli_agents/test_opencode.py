"""opencode itself: how often it asks, what it fetches, and what its commands see."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.agents.conftest import serving

from penstock.agents import ToolRequest
from penstock.agents.cli import Server
from penstock.chunks import ProviderEvent
from penstock.errors import ServerError
from penstock.simulator import SimulatorThread

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio]


class Delegating(BaseHTTPRequestHandler):
    """A model that has a command run, then a sub-agent, which fails so, and then fails itself."""

    asked: ClassVar[list[tuple[str, list[str]]]] = []
    cookies: ClassVar[set[str | None]] = set()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer by how many tools there have been."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/mcp":
            self.cookies.add(self.headers["cookie"])
            self.send_error(404)
            return
        messages = asked["messages"]
        results = [str(each["content"]) for each in messages if each["role"] == "tool"]
        subagent = "Try it." in str([each for each in messages if each["role"] == "user"])
        self.asked.append(("sub-agent" if subagent else "agent", results))
        if len(results) == (1 if subagent else 2):
            self.send_error(500)
            return
        task = {"description": "a try", "prompt": "Try it.", "subagent_type": "general"}
        command = {"command": "env; echo the-end", "description": "the environment"}
        name, arguments = (("bash", command), ("task", task))[len(results)]
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": f"c{len(results)}", "type": "function", "function": function}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta, reason in (({"tool_calls": [call]}, None), ({}, "tool_calls")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            self.wfile.write(f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@pytest.fixture
def delegating() -> Iterator[str]:
    """Its address."""
    Delegating.asked.clear()
    Delegating.cookies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Delegating) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("which", ["opencode-turn", "opencode-kept"])
async def test_opencode_asks_once_in_a_home_without_its_packages(
    which: str, made: Any, delegating: str, tmp_path: Path, warm: Path
) -> None:
    """Its sub-agent too, whose tool fails; nothing is fetched, and commands see nothing of ours.
    Where it stays, who approves is asked by the sub-agent too."""
    shutil.copytree(warm, tmp_path / "home")
    (tmp_path / "home" / "work").mkdir()
    shutil.rmtree(tmp_path / "home" / ".config" / "opencode")
    (tmp_path / "home" / ".config" / "opencode").mkdir()
    noted, seen = tmp_path / "noted", []
    command = ("/bin/sh", "-c", 'env > "$0"', str(noted))
    pat = {"GITHUB_PAT": "s3cret-1"}
    servers = (
        Server(name="noted", command=command, environment=pat, required=False),
        Server(name="web", url=f"{delegating}/mcp", headers={"Cookie": "s3cret-2"}, required=False),
    )

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "retrying":
            seen.append(chunk.data)

    approvals: list[ToolRequest] = []
    options: dict[str, Any] = {"servers": servers, "endpoint": delegating}
    options["permission"] = {"bash": "allow"}
    if which.endswith("kept"):
        options["permission"] = {"bash": "ask"}
        options["approve"] = lambda request: not approvals.append(request)
    async with made(which, **options) as agent:
        with pytest.raises(ServerError) as failure:
            await agent.run("Go.", on_chunk=watch)
    asked, results = [who for who, _ in Delegating.asked], Delegating.asked[-1][1]
    environment = dict(each.partition("=")[::2] for each in noted.read_text().splitlines())

    assert ["agent", "agent", "sub-agent", "sub-agent", "agent"] == asked
    assert ["bash", "bash"] * which.endswith("kept") == [each.name for each in approvals]
    assert "the-end" in results[0]
    assert ([], "Task cancelled") == (
        [each for each in ("s3cret", "penstock-", "npm_config_offline") if each in results[0]],
        results[1],
    )
    assert [True, False] == ["subagent" in each for each in seen]
    assert failure.value.retryable
    assert ("s3cret-1", {"s3cret-2"}) == (environment["GITHUB_PAT"], Delegating.cookies)
    assert "npm_config_offline" not in environment
    # Its next start would wait for it until it is a minute old.
    assert [] == [*map(str, (tmp_path / "home").glob(".local/state/opencode/locks/*.lock"))]


@pytest.mark.parametrize("which", ["opencode-turn", "opencode-kept"])
async def test_the_tools_of_a_server_that_is_not_allowed_are_not_offered(
    which: str, made: Any, simulator: SimulatorThread
) -> None:
    """The model is told of the allowed server's alone."""
    async with serving() as (address, _):
        servers = (Server(name="no", url=address, allow=False), Server(name="yes", url=address))
        async with made(which, servers=servers) as agent:
            await agent.run("Hello?")
    asked = json.loads([each.body for each in simulator.requests if each.method == "POST"][-1])
    offered = {each["function"]["name"] for each in asked["tools"]}

    assert {"yes_add"} == offered & {"yes_add", "no_add"}
