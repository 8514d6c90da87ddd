"""What does a shim of another library's names cost? A prompt of each, beside the core it calls.

The core is async: a tool loop over the same deployment, or the same coding agent, whose program is
a stand-in here, which prints a recorded turn. What is measured is the CPU of this process alone,
each in a fresh process, in turn; the simulator that plays the APIs runs in another. The presets of
`OpenAICompatLLM` that are not here are the same code by other addresses.

Not shown: what a program costs, of which a real one takes half a second and more of CPU itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.best import best, best_async
from benchmarks.fresh import fresh, installed, setting, simulator
from benchmarks.rounds import Case, Peer, Report, note_own_versions, options, paired

__all__ = ["main"]

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


_NEEDED = {"botocore": "botocore", "google-auth": "google.auth"}


def main() -> None:
    """Measure each, and its core."""
    chosen = options(__doc__, rounds=3)
    report = Report("shims", __doc__ or "", seconds=chosen.seconds)
    repeats = 1 if chosen.smoke else 3
    print(f"CPU per prompt, {chosen.rounds} rounds. {setting()}")
    with simulator() as url:
        for name in APIS if _ready(report, chosen) else ():
            arguments = {"name": name, "url": url, "model": "text?tokens=3", "repeats": repeats}
            _of_shim(report, chosen.rounds, "api", arguments)
    for name in PROGRAMS if sys.platform != "win32" else ():
        _of_shim(report, chosen.rounds, "cli", {"name": name, "repeats": repeats})
    report.finish(chosen.keep)


def _ready(report: Report, chosen: argparse.Namespace) -> bool:
    """Whether this interpreter has what the shims of APIs need; a small run goes on without."""
    ready = all(map(installed, _NEEDED.values()))
    if not ready and not chosen.smoke:
        note_own_versions(report, *_NEEDED)
    return ready


def _of_shim(report: Report, rounds: int, kind: str, arguments: dict[str, Any]) -> None:
    def once(peer: Peer) -> float:
        found: float = fresh("benchmarks.shims", f"{kind}_{peer.name}", **arguments)
        return found

    found = paired([Peer("core", "penstock"), Peer("shim", "penstock")], rounds, once, report)
    how = "over an API" if kind == "api" else "over a program"
    report.add(Case(f"{arguments['name']} {how}", "µs CPU a prompt", "core", found))


if __name__ == "__main__":
    main()
