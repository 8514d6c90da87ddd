"""OpenAI's two ways in: a stand-in for the Codex CLI that plays what the real one printed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # without it these tests are left out
import pytest
from tests.agents.conftest import alive as alive  # a fixture
from tests.agents.serving.conftest import talking, text

from penstock.agents.serving.sign_in import LOGIN_MODE, Subscription
from penstock.simulator import Simulator

pytestmark = pytest.mark.asyncio

WIRES = Path(__file__).parents[2] / "vectors" / "agents" / "codex"
SCRIPT = """
import json, os, sys
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    sys.exit(print("codex-cli 0.169.0"))
here = Path(__file__).parent
seen = {name: os.environ.get(name) for name in ("CODEX_API_KEY", "CODEX_HOME", "OPENAI_API_KEY")}
note = {"argv": sys.argv[1:], "stdin": sys.stdin.read(), "directory": os.getcwd(), **seen}
note["files"] = os.listdir()
(here / "note.json").write_text(json.dumps(note))
wire = Path((here / "wire").read_text())
sys.stdout.write(wire.read_text())
sys.exit(0 if "success" in wire.name else 1)
"""


class Codex:
    """The stand-in: the only program of that name that the tests can find."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "codex"
        program.write_text(f"#!{sys.executable} -IS\n{SCRIPT}")
        program.chmod(0o700)

    def plays(self, wire: str) -> None:
        """Say what the real one said then."""
        (self.folder / "wire").write_text(str(WIRES / f"{wire}.jsonl"))

    @property
    def note(self) -> dict[str, Any]:
        """How it was started."""
        return dict(json.loads((self.folder / "note.json").read_text()))


@pytest.fixture
def codex(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Codex:
    """The stand-in, where programs are looked for; its user has signed it in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(LOGIN_MODE, "true")
    monkeypatch.setenv("CODEX_API_KEY", "another-way-in")
    for name in ("OPENAI_API_KEY", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Codex(folder)


async def asked(model: str = "openai/gpt-5.2", **arguments: Any) -> Any:
    """The result of a chat with a model of OpenAI's."""
    async with talking() as session:
        return await session.call_tool("chat", {"prompt": "Hello", "model": model, **arguments})


async def test_the_subscription_answers(codex: Codex, tmp_path: Path) -> None:
    """In an empty folder, a sandbox that writes nothing, by no key, and by what it signed in to."""
    home = tmp_path / ".config" / "openai" / "codex-home"
    home.mkdir(parents=True)
    (home / "auth.json").write_text("{}")
    codex.plays("codex-exec-success")
    result = await asked(temperature=0.5, system="be kind")
    note = codex.note

    assert not result.is_error, text(result)
    assert text(result)
    assert "codex" == result.structured_content["provider"]
    assert ["temperature"] == result.structured_content["dropped"]
    assert result.structured_content["usage"]["total_tokens"] > 0
    argv = note["argv"]
    assert ["exec", "--json"] == argv[:2]
    assert "gpt-5.2" == argv[argv.index("-m") + 1]
    assert "read-only" == argv[argv.index("-s") + 1]
    assert any("be kind" in each for each in argv)
    assert ("Hello", "", str(home), None) == (
        note["stdin"],
        note["CODEX_API_KEY"],
        note["CODEX_HOME"],
        note["OPENAI_API_KEY"],
    )
    assert [] == note["files"]
    assert not os.path.exists(note["directory"])  # noqa: ASYNC240  # it is small


async def test_a_limit_of_the_subscription_is_not_paid_for(
    codex: Codex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where there is a key: the error says what it is."""
    monkeypatch.setenv("OPENAI_API_KEY", "k-0123456789")
    codex.plays("codex-exec-usage-limit-429")
    result = await asked()

    assert "rate_limit" == result.structured_content["error"]["kind"]


@pytest.mark.parametrize("why", ["nobody is signed in", "there is no such program"])
async def test_the_key_comes_after_the_subscription(
    codex: Codex, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Where nobody is signed in, or nothing is installed; the result says so."""
    codex.plays("codex-exec-built-in-provider-bad-key")
    if "program" in why:
        (codex.folder / "codex").unlink()
    async with Simulator() as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{simulator.url}/v1")
        alone = await asked("openai/echo")
        monkeypatch.setenv("OPENAI_API_KEY", "k-0123456789")
        both = await asked("openai/echo")

    assert alone.is_error
    assert "openai" != alone.structured_content["error"].get("provider")
    assert "Hello" == text(both)
    assert ("openai", [LOGIN_MODE]) == (
        both.structured_content["provider"],
        both.structured_content["dropped"],
    )


@pytest.mark.parametrize("version", ["print('codex-cli 1.2.3'); sys.exit()", "pass"])
async def test_codex_ends_with_the_server(
    codex: Codex, alive: Callable[[int], bool], version: str
) -> None:
    """Told to end by a signal it takes along what it started, and does not wait for its client,
    amid a turn or while the program is asked for its version."""
    pid = codex.folder / "pid"
    (codex.folder / "codex").write_text(
        f"#!{sys.executable} -IS\nimport os, sys, time\n"
        f"if sys.argv[1:] == ['--version']: {version}\n"
        f"open({str(pid)!r} + '~', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '~', {str(pid)!r})\ntime.sleep(600)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "penstock.agents.serving"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    client = {"protocolVersion": "2025-06-18", "capabilities": {}}
    chat = {"name": "chat", "arguments": {"prompt": "hi", "model": "openai/gpt-5.2"}}
    for message in (
        {"id": 1, "method": "initialize"}
        | {"params": client | {"clientInfo": {"name": "test", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": chat},
    ):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    while not pid.exists():  # noqa: ASYNC110  # it has no event for it
        await asyncio.sleep(0.01)
    child = int(pid.read_text())
    assert alive(child)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)

    assert 143 == process.returncode
    assert not alive(child)


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("TRUE", True), ("1", True)])
async def test_the_variable_asks_for_it(value: str, wanted: bool) -> None:
    """Only where it says yes."""
    assert wanted is Subscription({LOGIN_MODE: value}).wanted


@pytest.mark.parametrize("value", ["", "false", "0", "no"])
async def test_the_variable_may_say_no(value: str) -> None:
    """As where it is not set."""
    assert not Subscription({LOGIN_MODE: value}).wanted
    assert not Subscription({}).wanted


@pytest.mark.usefixtures("codex")
async def test_other_providers_have_nothing_to_do_with_it() -> None:
    """Their models are asked as ever."""
    result = await asked("sim/echo")

    assert "Hello" == text(result)
