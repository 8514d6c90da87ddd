"""The four models over penstock's own MCP server, which is a real process here."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mcp  # noqa: F401  # the package needs the extra
import pytest
from tests.sync.hillstar.conftest import told

from penstock.simulator import SimulatorThread
from penstock.sync import hillstar

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


@pytest.mark.usefixtures("addresses")
def test_a_key_that_is_nowhere_is_told() -> None:
    """The server knows who needs one; nothing of it is resolved here."""
    result = hillstar.OpenAIMCPModel("echo").call("Hello")

    assert "set OPENAI_API_KEY" in result["error"]
    assert "missing_credentials" == result.failure.kind


def test_threads_share_a_server() -> None:
    """Forty calls at once over one session of one process."""
    raw = Path(__file__).parents[2] / "agents" / "raw_server.py"
    shim = hillstar.MCPModel("raw_mcp", "m", str(raw))
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(shim.call, f"gather:40,{n}") for n in range(40)]
        answers = [each.result()["output"] for each in asked]

    assert [f"gather:40,{n}" for n in range(40)] == answers
    assert 1 == [each.name for each in threading.enumerate()].count("penstock-portal")


def test_a_server_ends_with_its_model() -> None:
    """When the model is collected; no process is left."""
    import gc
    import time

    import psutil

    raw = Path(__file__).parents[2] / "agents" / "raw_server.py"
    shim = hillstar.MCPModel("raw_mcp", "m", str(raw))
    pid = int(shim.call("pid")["output"])
    assert psutil.pid_exists(pid)
    del shim
    gc.collect()
    until = time.monotonic() + 20
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.01)

    assert not psutil.pid_exists(pid)
