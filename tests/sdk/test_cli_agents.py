"""The real coding agents over the simulator: nothing but loopback is spoken to.

They are looked for in ``PENSTOCK_CLI_AGENTS`` (the ``.bin`` folder of an npm prefix) and on PATH:

    npm install --prefix DIR @anthropic-ai/claude-code@2.1.329 @openai/codex@0.169.0 \
        opencode-ai@1.18.33

opencode takes ten seconds to start in a fresh home, and tries six times on an error: it has one
turn here, and its failures are the recorded ones.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.cli import Agent, claude_code, codex, opencode
from penstock.chunks import TextDelta
from penstock.errors import (
    AuthenticationError,
    BillingError,
    InvalidRequestError,
    PenstockError,
    RateLimitError,
    ServerError,
)
from penstock.limits import Timeouts
from penstock.simulator import SimulatorThread

PROGRAMS = {"claude_code": "claude", "codex": "codex", "opencode": "opencode"}
PATH = os.pathsep.join(filter(None, (os.environ.get("PENSTOCK_CLI_AGENTS"), os.environ["PATH"])))
FOUND = {name: shutil.which(program, path=PATH) for name, program in PROGRAMS.items()}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The simulator's origin."""
    with SimulatorThread() as simulator:
        yield simulator.url


def made(name: str, url: str, home: Path, model: str = "sim/echo", **more: Any) -> Agent:
    """The real agent of that name over the simulator, in a home of its own."""
    program = FOUND[name]
    if program is None:
        pytest.skip(f"platform: {PROGRAMS[name]} is not installed here (npm carries it)")
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "program": program,
        "home": str(home),
        "directory": str(work),
        "model": model,
        "timeouts": Timeouts(total=150),
        **more,
    }
    if name == "claude_code":
        key = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "k"}
        return claude_code(environment=key, **options)
    if name == "codex":
        return codex(environment={"CODEX_API_KEY": "k"}, endpoint=f"{url}/v1", **options)
    options["model"] = f"mock/{model}"
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Mock",
        "options": {"baseURL": f"{url}/v1", "apiKey": "k"},
        "models": {model: {"name": "Mock", "limit": {"context": 200_000, "output": 32_000}}},
    }
    config = {"provider": {"mock": provider}, "enabled_providers": ["mock"]}
    return opencode(config=config, project_config=False, **options)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", PROGRAMS)
async def test_turn_and_resume_in_another_home(name: str, url: str, tmp_path: Path) -> None:
    """A turn answers, and its session goes on in another home and another folder."""
    async with made(name, url, tmp_path / "one") as agent:
        first = await agent.run("Say hello, please.")
    async with made(name, url, tmp_path / "two") as agent:
        second = await agent.run("And once more.", session=first.session)
    assert first.session is not None
    assert second.session is not None
    assert first.reply.usage is not None
    assert second.reply.usage is not None

    assert "Say hello, please." in first.text
    assert "And once more." in second.text
    assert first.session.id == second.session.id
    assert second.session.files
    # The first turn is in the second one's prompt.
    assert first.reply.usage.input_tokens < second.reply.usage.input_tokens


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["claude_code", "codex"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("invalid-key", AuthenticationError),
        ("billing", BillingError),
        ("rate-limit", RateLimitError),
        ("server-error", ServerError),
        ("no-such-model", PenstockError),
    ],
)
async def test_failures_are_classified(
    name: str, fault: str, kind: type[PenstockError], url: str, tmp_path: Path
) -> None:
    """What the model's endpoint answers is the error, at once: the agent's own retries are off."""
    model = "sim/nothing" if fault == "no-such-model" else f"sim/echo?fault={fault}"
    async with made(name, url, tmp_path, model) as agent:
        talk = agent.converse()
        with pytest.raises(kind) as caught:
            await talk.run("Hello?", timeouts=Timeouts(total=60))

    assert name == caught.value.provider
    assert talk.session is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["claude_code", "codex"])
async def test_refused_arguments_are_the_callers(name: str, url: str, tmp_path: Path) -> None:
    """An option that the agent does not have is an invalid request, in its own words."""
    async with made(name, url, tmp_path, extra_args=("--no-such-flag",)) as agent:
        with pytest.raises(InvalidRequestError, match="no-such-flag"):
            await agent.run("Hello?")


@pytest.mark.asyncio
async def test_deltas_come_as_they_are_made(url: str, tmp_path: Path) -> None:
    """Claude Code's text comes in pieces, which are the answer's text."""
    pieces: list[str] = []
    async with made("claude_code", url, tmp_path, "sim/text?tokens=20") as agent:
        result = await agent.run(
            "Talk.",
            on_chunk=lambda chunk: pieces.append(chunk.text) if type(chunk) is TextDelta else None,
        )

    assert len(pieces) > 5
    assert result.text == "".join(pieces)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["claude_code", "codex"])
async def test_cancel_amid_a_turn(name: str, url: str, tmp_path: Path) -> None:
    """Who is cancelled is free at once, and nothing of the agent is left."""
    agent = made(name, url, tmp_path, "sim/text?tokens=1000&rate=10")
    running = asyncio.ensure_future(agent.run("Talk."))
    await asyncio.sleep(1.5)
    wires = list(agent._transport._alive)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(agent.aclose(), 10)

    assert 1 == len(wires)
    assert wires[0].pid is not None
    for _ in range(100):
        if not (left := members(wires[0].pid)):
            break
        await asyncio.sleep(0.05)
    assert [] == left


def members(group: int) -> list[int]:
    """The living processes of a group, where /proc tells; zombies are for init to bury."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
