"""What does blocking cost? `SyncClient` beside `Client`, and portals by themselves.

- dense: CPU of the process per chunk of an answer of 20,000 small chunks, as fast as they come;
- paced: the same at 500 chunks a second, where each network read brings one chunk, and so each
  chunk one hand-over between two threads;
- chat: CPU per short call, one after the other;
- hand-overs: how often the blocking thread is woken per network read of the dense answer;
- turn: CPU per prompt of chia's shims, beside the async core that each of them calls: a tool loop
  over the same deployment, or the same coding agent, whose program is a stand-in here;
- portal: microseconds on the clock from a thread to a coroutine that returns at once, and back,
  through this portal, asyncio's ``run_coroutine_threadsafe`` and anyio's blocking portal.

The openai SDK's blocking client is the peer: it reads its socket in the caller's thread. Each is
measured in a fresh process, in turn, several rounds; the simulator runs in another process.

The other presets of `OpenAICompatLLM` are the same code by other addresses.

Not shown: many blocking threads at once, which share one loop and one interpreter lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.best import best, best_async
from benchmarks.fresh import compare, fresh, installed, setting, simulator

__all__ = ["main"]

PROMPT = [{"role": "user", "content": "hi"}]


async def penstock_async(url: str, model: str, repeats: int) -> float:
    """Measure ``Client.stream``."""
    import penstock as ps

    async with ps.Client(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        async def once() -> int:
            count = 0
            async with client.stream("d", PROMPT) as stream:
                async for _ in stream:
                    count += 1
            return count

        return await best_async(once, repeats)


def penstock_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``SyncClient.stream``."""
    import penstock as ps

    with ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        def once() -> int:
            count = 0
            with client.stream("d", PROMPT) as stream:
                for _ in stream:
                    count += 1
            return count

        return best(once, repeats)


def openai_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``openai.OpenAI``."""
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:

        def once() -> int:
            count = 0
            for _ in client.chat.completions.create(model=model, messages=PROMPT, stream=True):
                count += 1
            return count

        return best(once, repeats)


async def chat_async(url: str, model: str, repeats: int) -> float:
    """Measure ``Client.chat``, `repeats` hundred calls."""
    import penstock as ps

    async with ps.Client(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        async def once() -> int:
            for _ in range(100):
                await client.chat("d", PROMPT)
            return 100

        return await best_async(once, repeats)


def chat_sync(url: str, model: str, repeats: int) -> float:
    """Measure ``SyncClient.chat``."""
    import penstock as ps

    with ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)}) as client:

        def once() -> int:
            for _ in range(100):
                client.chat("d", PROMPT)
            return 100

        return best(once, repeats)


APIS = {
    "OpenAICompatLLM": ("openai_compat", {"base_url": "{url}/v1"}),
    "BedrockLLM": ("bedrock", {"client_kwargs": {"endpoint": "{url}"}}),
    "VertexGeminiLLM": ("vertex", {"client_kwargs": {"endpoint": "{url}"}}),
    "ClaudeCodeLLM": ("claude", {"backend": "api"}),
}
PROGRAMS = {
    "ClaudeCodeLLM": ("claude", "claude_code", "claude_code/claude-code-success.jsonl"),
    "CodexLLM": ("codex", "codex", "codex/codex-exec-success.jsonl"),
    "OpenCodeLLM": ("opencode", "opencode", "opencode/opencode-run-success.jsonl"),
    "AntigravityLLM": ("agy", "antigravity", ""),
}
_AGY = """{"event":"init","conversation_id":"1-2","init":{}}
{"event":"result","result":{"conversation_id":"1-2","status":"SUCCESS","response":"Hello"}}
"""
_VECTORS = Path(__file__).parents[1] / "tests" / "vectors" / "agents"
_STAND_IN = '#!/bin/sh\n/bin/cat > /dev/null\nexec /bin/cat "{wire}"\n'


def _api(name: str, url: str, model: str, folder: str) -> Any:
    """Return the shim of that name, whose API is the simulator. Any: each has its own class."""
    token = {"token": "t", "expiry": "2099-01-01T00:00:00Z", "type": "authorized_user"}
    token |= dict.fromkeys(("client_id", "client_secret", "refresh_token"), "x")
    path = Path(folder, "adc.json")
    path.write_text(json.dumps(token))
    os.environ |= {
        "ANTHROPIC_API_KEY": "none",
        "ANTHROPIC_BASE_URL": url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "none",
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "GOOGLE_CLOUD_PROJECT": "none",
    }
    module, options = APIS[name]
    given = json.loads(json.dumps(options).replace("{url}", url))
    kind = getattr(import_module(f"penstock.sync.chia.{module}"), name)
    return kind(model=model, retries=0, **given)


def api_shim(name: str, url: str, model: str, repeats: int) -> float:
    """Measure a shim's prompts to an API."""
    with TemporaryDirectory() as folder, _api(name, url, model, folder) as llm:

        def once() -> int:
            for _ in range(30):
                assert llm.prompt("hi").success
            return 30

        return best(once, repeats)


async def api_core(name: str, url: str, model: str, repeats: int) -> float:
    """Measure the tool loop that the shim runs, by itself."""
    import penstock as ps
    from penstock.agents import ToolLoop

    with TemporaryDirectory() as folder:
        ask = _api(name, url, model, folder)._turn("hi", ())._ask
        async with ps.Client(deployments={f"{ask.provider}/*": ask.deployment}) as client:

            async def once() -> int:
                for _ in range(30):
                    async with ToolLoop(
                        client, ask.name, max_tokens=ask.max_tokens, extra_body=ask.body
                    ) as loop:
                        assert (await loop.collect("hi")).text
                return 30

            return await best_async(once, repeats)


def _programs(name: str, folder: str) -> str:
    """Put a stand-in for the program of that shim on the path; return its place."""
    program, _, wire = PROGRAMS[name]
    printed = Path(folder, "agy.jsonl")
    printed.write_text(_AGY)
    path = Path(folder, program)
    path.write_text(_STAND_IN.format(wire=_VECTORS / wire if wire else printed))
    path.chmod(0o700)
    os.environ |= {"PATH": folder, "HOME": folder}
    return str(path)


def cli_shim(name: str, repeats: int) -> float:
    """Measure a shim's prompts to a program."""
    with TemporaryDirectory() as folder:
        _programs(name, folder)
        module = PROGRAMS[name][1].replace("claude_code", "claude")
        llm = getattr(import_module(f"penstock.sync.chia.{module}"), name)(retries=0)

        def once() -> int:
            for _ in range(20):
                assert llm.prompt("hi").success
            return 20

        return best(once, repeats)


async def cli_core(name: str, repeats: int) -> float:
    """Measure the coding agent that the shim runs, by itself."""
    from penstock import agents

    with TemporaryDirectory() as folder:
        program = _programs(name, folder)
        kind = PROGRAMS[name][1]
        more = {"partial": False} if kind == "claude_code" else {}
        make = getattr(agents, kind)
        async with make(program=program, **more) as agent:

            async def once() -> int:
                for _ in range(20):
                    assert (await agent.run("hi")).text
                return 20

            return await best_async(once, repeats)


def handovers(url: str, model: str) -> dict[str, int]:
    """Count what crosses between the threads while one answer is streamed."""
    import penstock as ps
    from penstock.pipeline.stream import BatchStream
    from penstock.sync.pump import Pump

    counts = {"chunks": 0, "reads": 0, "handovers": 0}
    read, take = BatchStream.read, Pump._take

    async def counting_read(self: Any) -> Any:
        counts["reads"] += 1
        return await read(self)

    def counting_take(self: Any) -> Any:
        counts["handovers"] += 1
        return take(self)

    BatchStream.read, Pump._take = counting_read, counting_take  # type: ignore[method-assign]
    client = ps.SyncClient(deployments={"d": ps.Deployment(f"{url}/v1", model=model)})
    with client, client.stream("d", PROMPT) as stream:
        for _ in stream:
            counts["chunks"] += 1
    return counts


async def _nothing() -> None:
    """Return at once."""


def _round_trips(call: Callable[[], object], calls: int) -> float:
    """Return microseconds for each of `calls`."""
    for _ in range(100):
        call()
    before = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - before) / calls * 1e6


def portal_ours(calls: int) -> float:
    """Measure `penstock.sync.portal`."""
    from penstock.sync.portal import Portal

    portal = Portal(_nothing)
    try:
        return _round_trips(lambda: portal.call(_nothing), calls)
    finally:
        portal.close()


def portal_anyio(calls: int) -> float:
    """Measure ``anyio.from_thread.start_blocking_portal``."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return _round_trips(lambda: portal.call(_nothing), calls)


def portal_asyncio(calls: int) -> float:
    """Measure ``asyncio.run_coroutine_threadsafe``."""
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        return _round_trips(
            lambda: asyncio.run_coroutine_threadsafe(_nothing(), loop).result(), calls
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, to prove that it runs")
    smoke = parser.parse_args().smoke
    rounds, repeats, chunks = (1, 1, 500) if smoke else (5, 3, 20_000)
    peer = ["openai_sync"] if installed("openai") else []
    measure = partial(compare, module="benchmarks.sync")
    print(setting())
    with simulator() as url:
        dense = f"text?tokens={chunks}"
        paced = f"text?tokens={100 if smoke else 1000}&rate=500"
        streams = ["penstock_async", "penstock_sync", *peer]
        measure("dense", streams, rounds, url=url, model=dense, repeats=repeats)
        measure("paced", streams, min(rounds, 3), url=url, model=paced, repeats=1)
        measure(
            "chat",
            ["chat_async", "chat_sync"],
            rounds,
            url=url,
            model="text?tokens=3",
            repeats=repeats,
        )
        counts = fresh("benchmarks.sync", "handovers", url=url, model=dense)
        print(
            f"hand-overs: {counts['handovers']} for {counts['reads']} reads of "
            f"{counts['chunks']} chunks"
        )
        if installed("botocore") and installed("google.auth"):
            for name in APIS:
                measure(
                    "turn",
                    ["api_core", "api_shim"],
                    min(rounds, 3),
                    shown=f"{name} {{}}",
                    name=name,
                    url=url,
                    model="text?tokens=3",
                    repeats=repeats,
                )
    if sys.platform != "win32":
        for name in PROGRAMS:
            functions = ["cli_core", "cli_shim"]
            measure(
                *("turn", functions, min(rounds, 3)),
                shown=f"{name} {{}}",
                name=name,
                repeats=repeats,
            )
    portals = ["portal_ours", "portal_asyncio", "portal_anyio"]
    measure("portal", portals, rounds, calls=200 if smoke else 5000)


if __name__ == "__main__":
    main()
