"""What does hillstar's shape cost? Its models beside the async core that each of them calls.

Behind HTTP the core is ``Client.chat`` of the same deployment with what the model asks; the
simulator runs in another process. Behind an MCP server it is `ModelOverMCP`, and beside it the
official SDK's client, which asks the same tool and looks at nothing; the server is a script without
the SDK. Each is measured in a fresh process, in turn.

Not shown: what a server of the SDK's costs on the other side, and how long it takes to start.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.best import best, best_async
from benchmarks.fresh import fresh, setting, simulator
from benchmarks.rounds import Case, Peer, Report, options, paired, present

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


_HTTP = {"core": "http_core", "shim": "http_shim"}
_MCP = {"core": "mcp_core", "shim": "mcp_shim", "the SDK": "mcp_sdk"}


def main() -> None:
    """Measure every model, and print ratios to the core."""
    chosen = options(__doc__)
    repeats = 1 if chosen.smoke else 3
    report = Report("models", __doc__ or "")
    print(f"{chosen.rounds} rounds. {setting()}")

    def compare(case: str, functions: dict[str, str], environment: str, **more: Any) -> None:
        def once(peer: Peer) -> float:
            called = functions[peer.name]
            found: float = fresh(
                "benchmarks.models", called, python=peer.python, repeats=repeats, **more
            )
            return found

        peers = present(dict.fromkeys(functions, environment), chosen, report)
        if peers:
            found = paired(peers, chosen.rounds, once, report)
            report.add(Case(case, "µs CPU a call", "core", found))

    with simulator() as url:
        for name in list(HTTP)[: 1 if chosen.smoke else None]:
            compare(name, _HTTP, "penstock", name=name, url=url)
    compare("MCPModel", _MCP, "penstock-mcp")
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
