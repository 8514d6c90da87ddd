"""The four models over penstock's own MCP server, which is a real process here."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # the package needs the extra
import pytest
from tests.agents.conftest import alive as alive  # a fixture
from tests.sync.hillstar.conftest import RAW, told

from penstock.simulator import SimulatorThread
from penstock.sync import hillstar
from penstock.sync.hillstar import mcp as shims

FOUR = [
    ("AnthropicMCPModel", "header x-api-key", "k-0123456789"),
    ("OpenAIMCPModel", "header authorization", "Bearer k-0123456789"),
    ("MistralMCPModel", "header authorization", "Bearer k-0123456789"),
    ("OllamaMCPModel", "header x-api-key", None),
]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, simulator: SimulatorThread) -> None:
    """Where the server's providers are: in the variables, and in a file, that a user has."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{simulator.url}/v1")
    monkeypatch.setenv("OLLAMA_HOST", simulator.url)
    config = tmp_path / "penstock.toml"
    place = f'base_url = "{simulator.url}/mistral/v1"\ndialect = "mistral"\n'
    key = 'api_key = "env:MISTRAL_API_KEY"\n'
    config.write_text(f'[deployments."mistral/*"]\n{place}{key}')
    monkeypatch.setenv("PENSTOCK_CONFIG", str(config))


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(("owner", "header", "sent"), FOUR)
def test_a_model_answers_through_the_server(
    simulator: SimulatorThread, owner: str, header: str, sent: str | None
) -> None:
    """Key, model, system prompt, tokens and temperature reach the provider; usage comes back."""
    shim = getattr(hillstar, owner)("echo", api_key="k-0123456789")
    result = shim.call("Hello", max_tokens=99, system="be kind")
    said = told(simulator.requests[-1])
    failure = shim.call("Hello", 99, 0.5) if owner == "OpenAIMCPModel" else None

    assert {
        "output": "Hello",
        "model": "echo",
        "tokens_used": result.reply.usage.total_tokens,
        "provider": owner.removesuffix("Model").replace("MCP", "_mcp").lower(),
    } == result
    assert result["tokens_used"] > 0
    assert sent == said.get(header)
    assert {"echo", 99, 7.3e-07, "be kind"} <= set(said.values())
    assert [] == result.reply.dropped
    if failure is not None:
        assert 0.5 == told(simulator.requests[-1])["temperature"]


def test_threads_share_a_server() -> None:
    """Forty calls at once over one session of one process."""
    shim = hillstar.MCPModel("raw_mcp", "m", str(RAW))
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(shim.call, f"gather:40,{n}") for n in range(40)]
        answers = [each.result()["output"] for each in asked]

    assert [f"gather:40,{n}" for n in range(40)] == answers


EXIT = """
import sys
from penstock.agents.mcp import stdio
from penstock.sync.hillstar import MCPModel

stdio._GRACE = 0.1
model = MCPModel("raw_mcp", "m", sys.argv[1])
print(model.call("pid")["output"], flush=True)
model.timeout = 0.2
try:
    model.call("hang")
except RuntimeError as error:
    print(type(error).__name__)
"""


def test_the_interpreters_end_leaves_no_server(alive: Callable[[int], bool]) -> None:
    """Not even one that hangs, and does not heed TERM."""
    done = subprocess.run(
        [sys.executable, "-c", EXIT, str(RAW)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pid, name = done.stdout.split()

    assert "DeadlineError" == name
    assert not alive(int(pid))


@pytest.mark.parametrize("owner", [owner for owner, *_ in FOUR])
def test_model_and_key_of_the_four_reach_their_server(
    monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    """The model behind the provider's name, the key in the provider's variable; a copy, too."""
    monkeypatch.setattr(shims, "_command", lambda _script: [sys.executable, "-IS", str(RAW)])
    make = getattr(hillstar, owner)
    base = owner.removesuffix("MCPModel").lower()
    for name in ("one", "two"):
        shim = make(name)
        asked = [json.loads(each.call("x")["output"])["model"] for each in (shim, copied(shim))]
        assert [f"{base}/{name}"] * 2 == asked
    for key in ("key-1", "key-2"):
        shim = make("m", api_key=key)
        assert key == shim.call(f"environment:{base.upper()}_API_KEY")["output"]


def copied(shim: Any) -> Any:
    """What another process gets of it."""
    return pickle.loads(pickle.dumps(shim))


def test_a_server_ends_with_its_model(alive: Callable[[int], bool]) -> None:
    """When the model is collected; no process is left."""
    shim = hillstar.MCPModel("raw_mcp", "m", str(RAW))
    pid = int(shim.call("pid")["output"])
    assert alive(pid)
    del shim
    gc.collect()
    until = time.monotonic() + 20
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)

    assert not alive(pid)
