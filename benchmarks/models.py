"""What does hillstar's shape cost? Its models beside the async core that each of them calls.

- http: CPU of the process per call of a model behind HTTP, beside ``Client.chat`` of the same
  deployment; the simulator runs in another process;
- mcp: CPU per call of a model behind an MCP server, beside `ModelOverMCP` and the official SDK's
  client, which asks the same tool and looks at nothing; the server is a script without the SDK.

Each is measured in a fresh process, in turn, several rounds.

Not shown: what a server of the SDK's costs on the other side, and how long it takes to start.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.best import best, best_async
from benchmarks.fresh import compare, installed, setting, simulator

__all__ = ["main"]

SERVER = str(Path(__file__).parents[1] / "tests" / "agents" / "raw_server.py")
PROMPT = [{"role": "user", "content": "hi"}]
CALLS = 50
HTTP = {
    "OpenAIModel": ("base_url", "/v1"),
    "MistralAPIModel": ("base_url", "/mistral/v1"),
    "GoogleAIStudioModel": ("base_url", "/v1beta"),
    "OllamaAPIModel": ("endpoint", ""),
    "DevstralLocalModel": ("endpoint", ""),
}


def _model(name: str, url: str) -> Any:
    """Return the shim of that name. Any: each has its own class."""
    from penstock.sync import hillstar

    place, path = HTTP[name]
    key = {"api_key": "none"} if place == "base_url" else {}
    return getattr(hillstar, name)("echo", **key, **{place: f"{url}{path}"})


def http_shim(name: str, url: str, repeats: int) -> float:
    """Measure ``call``."""
    model = _model(name, url)

    def calls() -> int:
        for _ in range(CALLS):
            assert model.call("hi")["output"] == "hi"
        return CALLS

    return best(calls, repeats)


def http_core(name: str, url: str, repeats: int) -> float:
    """Measure the client that the shim has, by itself, with what the shim asks."""
    caller = _model(name, url)._caller
    asked = caller.ask("hi", 4096, None, None, 600.0)

    async def calls() -> int:
        for _ in range(CALLS):
            await caller._asks.chat(
                caller._asked, PROMPT, max_tokens=4096, temperature=7.3e-07, timeouts=asked.clocks
            )
        return CALLS

    with asyncio.Runner() as runner:
        found = best(lambda: runner.run(calls()), repeats)
        runner.run(caller._asks.aclose())
        return found


def mcp_shim(repeats: int) -> float:
    """Measure ``MCPModel.call``."""
    from penstock.sync.hillstar import MCPModel

    model = MCPModel("raw_mcp", "m", SERVER)

    def calls() -> int:
        for _ in range(CALLS):
            assert model.call("hi")["output"]
        return CALLS

    return best(calls, repeats)


def mcp_core(repeats: int) -> float:
    """Measure `ModelOverMCP`."""
    from penstock.agents import MCPServer, ModelOverMCP
    from penstock.agents.streaming import stream_of

    over = ModelOverMCP(MCPServer(command=[sys.executable, SERVER], mode="legacy"))

    async def calls() -> int:
        for _ in range(CALLS):
            async with stream_of(over, "m", PROMPT, max_tokens=4096, temperature=7.3e-07) as stream:
                assert (await stream.collect()).text
        return CALLS

    with asyncio.Runner() as runner:
        found = best(lambda: runner.run(calls()), repeats)
        runner.run(over.aclose())
        return found


async def mcp_sdk(repeats: int) -> float:
    """Measure the SDK's client."""
    import mcp
    from mcp.client.stdio import StdioServerParameters

    server = StdioServerParameters(command=sys.executable, args=[SERVER])
    arguments = {"prompt": "hi", "model": "m"}
    async with mcp.Client(server, mode="legacy") as client:

        async def once() -> int:
            for _ in range(CALLS):
                assert not (await client.call_tool("execute_task", arguments)).is_error
            return CALLS

        return await best_async(once, repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, to prove that it runs")
    smoke = parser.parse_args().smoke
    rounds, repeats = (1, 1) if smoke else (5, 3)
    measure = partial(compare, module="benchmarks.models")
    print(setting())
    with simulator() as url:
        for name in HTTP:
            measure(
                *("http", ["http_core", "http_shim"], rounds),
                shown=f"{name} {{}}",
                name=name,
                url=url,
                repeats=repeats,
            )
    if installed("mcp"):
        measure("mcp", ["mcp_sdk", "mcp_core", "mcp_shim"], rounds, repeats=repeats)


if __name__ == "__main__":
    main()
