"""The real coding agents over the simulator: nothing but loopback is spoken to.

Their proxy is a trap: whatever looks for the outside ends there, and fails the tests.

They are looked for in ``PENSTOCK_CLI_AGENTS`` (the ``.bin`` folder of an npm prefix) and on PATH;
``.ci/run`` installs them:

    npm install --prefix DIR @anthropic-ai/claude-code@2.1.329 @openai/codex@0.169.0 \
        opencode-ai@1.18.33

Antigravity's SDK is a package of PyPI. A child for each turn (``turn``) or one that stays
(``kept``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar

import pytest

from penstock.agents.cli import Agent, antigravity_sdk, claude_code, codex, opencode
from penstock.agents.cli.opencode_home import settle
from penstock.limits import Timeouts
from penstock.simulator import SimulatorThread

PROGRAMS = {"claude_code": "claude", "codex": "codex", "opencode": "opencode"}
PATH = os.pathsep.join(filter(None, (os.environ.get("PENSTOCK_CLI_AGENTS"), os.environ["PATH"])))
FOUND = {name: shutil.which(program, path=PATH) for name, program in PROGRAMS.items()}
EVERY = [f"{name}-{mode}" for mode in ("turn", "kept") for name in (*PROGRAMS, "antigravity_sdk")]


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorThread]:
    """The model's endpoint."""
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def url(simulator: SimulatorThread) -> str:
    """The simulator's origin."""
    return simulator.url


class Trap(BaseRequestHandler):
    """A proxy, and a registry, that has nothing and notes what it was asked for."""

    tried: ClassVar[list[str]] = []

    def handle(self) -> None:
        """Note the first line."""
        asked = self.request.recv(65536).decode("latin-1")
        self.tried.append(asked.partition("\r\n")[0])
        self.request.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="session")
def offline() -> Iterator[dict[str, str]]:
    """Variables by which whatever would leave the machine comes to the trap; nothing may."""
    Trap.tried.clear()
    with ThreadingTCPServer(("127.0.0.1", 0), Trap) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        yield {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "npm_config_registry"), address),
            "NO_PROXY": "127.0.0.1,localhost",
            "npm_config_fetch_retries": "0",
        }
        server.shutdown()
        thread.join()
    assert [] == Trap.tried


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]) -> Path:
    """A home in which opencode has made its database, to be copied."""
    home = tmp_path_factory.mktemp("warm")
    settle(str(home))
    if FOUND["opencode"] is not None:
        quiet = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), **offline, **quiet}
        command = [FOUND["opencode"], "session", "list"]
        subprocess.run(command, env=environment, cwd=home, capture_output=True, check=False)
    return home


@pytest.fixture
def made(url: str, warm: Path, tmp_path: Path, offline: dict[str, str]) -> Any:
    """Makes a real agent over the simulator, each in a home of its own."""

    def make(which: str, model: str = "sim/echo", *, home: str = "home", **more: Any) -> Agent:
        name, _, mode = which.partition("-")
        folder = tmp_path / home
        if not folder.exists():
            shutil.copytree(warm, folder)
            (folder / "work").mkdir()
        options: dict[str, Any] = {
            "home": str(folder),
            "directory": str(folder / "work"),
            "model": model,
            "environment": offline,
            "timeouts": Timeouts(total=150),
            "keep_alive": mode == "kept",
            **more,
        }
        return _sdk(url, options) if name == "antigravity_sdk" else _cli(name, url, options)

    return make


def _cli(name: str, url: str, options: dict[str, Any]) -> Agent:
    program = FOUND[name]
    if program is None:
        pytest.skip(f"platform: {PROGRAMS[name]} is not installed here (npm carries it)")
    options["program"] = program
    offline = options.pop("environment")
    if name == "claude_code":
        key = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "k"}
        return claude_code(environment={**offline, **key}, **{"tools": (), **options})
    if name == "codex":
        environment = {"CODEX_API_KEY": "k", **offline}
        return codex(environment=environment, **{"endpoint": f"{url}/v1", **options})
    model = options["model"]
    options["model"] = f"mock/{model}"
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Mock",
        "options": {"baseURL": f"{options.pop('endpoint', url)}/v1", "apiKey": "k"},
        "models": {model: {"name": "Mock", "limit": {"context": 200_000, "output": 32_000}}},
    }
    config = {"provider": {"mock": provider}, "enabled_providers": ["mock"]}
    return opencode(environment=offline, config=config, project_config=False, **options)


def _sdk(url: str, options: dict[str, Any]) -> Agent:
    if find_spec("google.antigravity") is None:
        pytest.skip("platform: google-antigravity has no wheel here")
    behavior = options["model"].removeprefix("sim/")
    offline = options.pop("environment")
    return antigravity_sdk(
        environment={**offline, "GEMINI_API_KEY": "k"},
        endpoint=url,
        endpoint_headers={"x-penstock-sim": behavior},
        **{**options, "model": "sim/echo"},  # it takes no query in a model's name
    )
