"""A simulator for the models behind HTTP, and what a request of theirs says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.simulator import SimulatorThread
from penstock.simulator.records import RequestRecord
from penstock.sync import hillstar

RAW = Path(__file__).parents[2] / "agents" / "raw_server.py"
VARIABLES = [
    *["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "GEMINI_API_KEY"],
    *["GOOGLE_API_KEY", "MISTRAL_API_KEY", "MISTRAL_MODEL", "OLLAMA_API_KEY", "OLLAMA_HOST"],
    *["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_CHATGPT_LOGIN_MODE"],
]
HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "host")


@pytest.fixture(scope="package")
def simulators() -> Iterator[tuple[SimulatorThread, SimulatorThread]]:
    """Two servers, so that it shows which of them is asked."""
    with SimulatorThread() as here, SimulatorThread() as there:
        yield here, there


@pytest.fixture
def simulator(simulators: tuple[SimulatorThread, SimulatorThread]) -> SimulatorThread:
    """The server."""
    return simulators[0]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address of the machine that runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def model(owner: str, url: str, name: str = "echo", **options: Any) -> Any:
    """A model of class `owner` that is served at `url`."""
    key = {"api_key": "key-0123456789"}
    at: dict[str, dict[str, Any]] = {
        "AnthropicModel": {"model": name, **key},
        "OpenAIModel": {"model": name, "base_url": f"{url}/v1", **key},
        "GoogleAIStudioModel": {"model": name, "base_url": f"{url}/v1beta", **key},
        "MistralAPIModel": {"model": name, "base_url": f"{url}/mistral/v1", **key},
        "AnthropicOllamaAPIModel": {"model_name": name, "base_url": url, **key},
        "OllamaAPIModel": {"model_name": name, "endpoint": url},
        "DevstralLocalModel": {"model_name": name, "endpoint": url},
        "MCPModel": {"provider": "raw_mcp", "model_name": name, "server_script": str(RAW)},
    }
    return getattr(hillstar, owner)(**(at[owner] | options))


def told(request: RequestRecord) -> dict[str, Any]:
    """Every value of a request by its path: the address, the headers that count, the body."""
    headers = {f"header {k}": v for k, v in request.headers.items() if k in HEADERS}
    return {"path": request.path, **headers, **dict(_leaves("", json.loads(request.body)))}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _leaves(f"{path}[{at}]", each)
    else:
        yield path, value
