"""``penstock agent``: models with real MCP servers, and coding agents over a stand-in."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import stat
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # what a bare installation leaves out, and this module with it
import pytest
import typer  # noqa: F401  # the same
from tests.agents.cli.conftest import VECTORS, StandIn
from tests.agents.conftest import SERVER, serving

from penstock.agents.cli import Session
from penstock.agents.tools import Allow, Deny, ToolRequest
from penstock.cli import coding
from penstock.cli.agent import AgentOptions, act
from penstock.cli.approval import Approval
from penstock.cli.exits import exit_code
from penstock.cli.progress import JsonLines
from penstock.conversations import SyncConversation
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    ConversationError,
    DeadlineError,
    LimitExceededError,
    PenstockError,
    RateLimitError,
    UsageError,
)
from penstock.simulator import SimulatorThread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "penstock", "agent"]
STDIO = shlex.join([sys.executable, "-IS", str(SERVER.with_name("raw_server.py")), "adds"])
"""A server that is there at once: the SDK's takes seconds of a busy machine to be loaded."""
CLAUDE_ID = "4dd9acea-7306-4011-974e-b9818dbcc400"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user has set up is not there."""
    for name in os.environ:
        if name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_CONFIG", "")
    monkeypatch.setattr("sys.stdin", StringIO())


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in for every coding agent, found on PATH under each one's name."""
    folder = tmp_path / "standin"
    folder.mkdir()
    made = StandIn(folder)
    for name in ("claude", "codex", "opencode", "agy"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nSTANDIN="{folder}" exec "{made.program}" "$@"\n')
        program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", made.home)
    return made


class Seen:
    """What a run printed."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self.out, self.err = captured.readouterr()

    @property
    def events(self) -> list[Any]:
        """Its events: JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[Any]:
        """Its events of one type: JSON."""
        return [event for event in self.events if event["type"] == kind]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which ``penstock`` can be imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", **more}


def test_it_runs_at_once() -> None:
    """With nothing configured the simulator answers, calls a tool, and stderr names it first."""
    done = subprocess.run(
        [*COMMAND, "What time is it?"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(),
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]

    assert (0, True) == (done.returncode, done.stderr.startswith("penstock: sim/tools"))
    assert ["step", "tool_call", "tool_result", "text"] == [each["type"] for each in events[:4]]
    assert ("clock", False) == (events[2]["name"], events[2]["is_error"])
    assert ("final", 2, 1) == tuple(events[-1][name] for name in ("type", "steps", "calls"))


@pytest.mark.asyncio
async def test_servers_tools_are_called_where_that_is_allowed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Over stdio and HTTP at once, in the folder that is named; the events say what happened."""
    async with serving() as (url, _):
        options = AgentOptions(
            prompt="Add",
            model="sim/tools",
            mcp=(STDIO, url),
            allow=True,
            cwd=str(tmp_path),
        )
        assert 0 == await act(options)
    seen = Seen(capsys)

    assert [("add", "2", False)] == [
        (each["name"], each["content"], each["is_error"]) for each in seen.of("tool_result")
    ]
    assert ["final"] == [each["type"] for each in seen.events[-1:]]
    assert seen.events[-1]["text"] == "".join(each["text"] for each in seen.of("text"))
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(seen.events[-1]["usage"])


@pytest.mark.asyncio
async def test_nobody_there_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a call is denied: the model is told, and so is the user."""
    options = AgentOptions(prompt="Add", backend="sim/tools", mcp=(STDIO,))
    assert 0 == await act(options)
    seen = Seen(capsys)

    assert [(True, "this call was denied: nobody is there to allow it")] == [
        (each["is_error"], each["content"]) for each in seen.of("tool_result")
    ]
    assert "penstock: add was refused" in seen.err
    assert "--allow" in seen.err


@pytest.mark.asyncio
async def test_text_is_the_answer_and_tools_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--text`` stdout has the answer alone, and with ``--quiet`` stderr is empty."""
    options = {"prompt": "Add", "backend": "sim/tools", "mcp": (STDIO,), "allow": True}
    assert 0 == await act(AgentOptions(**options, as_json=False))
    loud = Seen(capsys)
    assert 0 == await act(AgentOptions(**options, as_json=False, quiet=True))
    quiet = Seen(capsys)

    assert loud.out == quiet.out
    assert 32 == len(loud.out.split())
    assert 'penstock: ok add({"a": 1, "b": 1}) -> 2 (' in loud.err
    assert "penstock: 2 steps; 1 call; " in loud.err
    assert "" == quiet.err


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["task.jsonl", "task.db"])
async def test_a_session_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """A run that met a bound has kept what came; without a prompt the next one goes on there."""
    path = str(tmp_path / name)
    options = {"backend": "sim/tools", "mcp": (STDIO,), "allow": True, "session": path}
    with pytest.raises(LimitExceededError) as caught:
        await act(AgentOptions(**options, prompt="Add", system="Be brief.", max_steps=1))
    broken = Seen(capsys)
    assert 0 == await act(AgentOptions(**options))
    done = Seen(capsys)
    with pytest.raises(UsageError, match="--system begins"):
        await act(AgentOptions(**options, prompt="x", system="x"))
    with SyncConversation.open(path) as kept:
        roles = [message["role"] for message in kept]

    assert ("error", "limit_exceeded", exit_code(caught.value)) == tuple(
        broken.events[-1][name] for name in ("type", "kind", "exit_code")
    )
    assert f"--session {path} without a prompt" in broken.err
    assert 1 == len(done.of("tool_result"))
    assert ["system", "user", "assistant", "tool", "assistant"] == roles


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "error", "code", "words"),
    [
        ({"backend": "nosuch/model"}, UsageError, 2, "nosuch/model"),
        ({"backend": "openai/gpt-5.4"}, UsageError, 3, "OPENAI_API_KEY"),
        ({"backend": "sim/echo", "model": "x"}, UsageError, 2, "names the model already"),
        ({"backend": "codex/m", "model": "x"}, UsageError, 2, "names the model already"),
        ({"mcp": ("",)}, UsageError, 2, "URL or a command"),
        ({"mcp": ("'x",)}, UsageError, 2, "no command"),
        ({"mcp": ("/no/such/program",), "model": "sim/tools"}, PenstockError, 1, "program"),
        ({"cwd": "/no/such/folder"}, UsageError, 2, "no folder"),
        ({"prompt": "-"}, UsageError, 2, "nothing to say"),
        ({"backend": "sim/text?fault=hang", "timeout": 0.2}, DeadlineError, 5, "timeout"),
        ({"backend": "sim/text?fault=invalid-key"}, AuthenticationError, 3, "key"),
        ({"backend": "codex", "max_steps": 3}, UsageError, 2, "no bound of steps"),
        ({"backend": "claude-cod"}, UsageError, 2, "did you mean claude-code?"),
        ({"backend": "opencod/x/y"}, UsageError, 2, "did you mean opencode?"),
        ({"backend": "opencode/x", "model": "y"}, UsageError, 2, "names the model already"),
        ({"backend": "opencode", "session": "opencode.json"}, UsageError, 2, "configuration"),
        ({"backend": "codex", "session": "kept.jsonl"}, UsageError, 2, "kept.jsonl is the name"),
        ({"backend": "codex", "session": "/no/such/s.json"}, UsageError, 2, "in /no/such: name"),
        ({"backend": "codex", "session": ""}, UsageError, 2, "needs a file"),
        ({"backend": "claude-code"}, ConfigurationError, 2, "cannot start claude"),
    ],
)
async def test_a_mistake_is_an_error_with_its_exit_code(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[PenstockError],
    code: int,
    words: str,
) -> None:
    """Whatever fails, the last event says so with the exit code that the process ends with."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(error, match=words) as caught:
        await act(AgentOptions(**{"prompt": "x", "quiet": True, **options}))

    assert code == exit_code(caught.value)
    if options.keys() & {"cwd"}:
        return  # before there is anything that could be shown
    last = Seen(capsys).events[-1]
    assert ("error", caught.value.kind, code) == (last["type"], last["kind"], last["exit_code"])


@pytest.mark.asyncio
@pytest.mark.parametrize("folder", ["", "not/there"])
async def test_a_run_that_kept_nothing_is_not_said_to_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: str
) -> None:
    """Its server does not start, or its session cannot be made: without a prompt nothing would."""
    server = () if folder else ("/no/such/program",)
    path = str(tmp_path / folder / "task.jsonl")
    with pytest.raises(PenstockError):
        await act(AgentOptions(prompt="x", backend="sim/tools", mcp=server, session=path))

    assert "goes on" not in Seen(capsys).err


@pytest.mark.asyncio
async def test_a_coding_agent_says_what_it_does(
    standin: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its tools and words are the events of a model's, each option has its place in the vector."""
    standin.plays("claude_code/claude-code-mcp-http-tool.jsonl")
    options = AgentOptions(
        prompt="Echo",
        backend="claude-code/claude-sonnet-4-5",
        mcp=("http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp", "serve --x"),
        system="Be brief.",
        cwd=str(tmp_path),
        max_steps=3,
        timeout=20,
        allow=True,
    )
    assert 0 == await act(options)
    seen, note = Seen(capsys), standin.notes[0]
    argv = note["argv"]
    servers = json.loads(note["files"][argv[argv.index("--mcp-config") + 1]])["mcpServers"]
    result = seen.of("tool_result")[0]

    assert ["tool_call", "tool_result"] == [
        each["type"] for each in seen.events if each["type"].startswith("tool")
    ]
    assert ("mcp__echo__add", False) == (result["name"], result["is_error"])
    assert ("Echo", str(tmp_path)) == (note["stdin"], note["directory"])
    for flag, value in {
        "--model": "claude-sonnet-4-5",
        "--system-prompt": "Be brief.",
        "--max-turns": "3",
        "--allowedTools": "mcp__127-0-0-1,mcp__127-0-0-1-2,mcp__serve",
    }.items():
        assert value == argv[argv.index(flag) + 1]
    assert ["http", "http", "stdio"] == [each["type"] for each in servers.values()]
    assert ("final", None, 1) == tuple(seen.events[-1][name] for name in ("type", "steps", "calls"))
    assert seen.events[-1]["usage"]["total_tokens"] > 0


sdk = pytest.mark.skipif(
    find_spec("google.antigravity") is None, reason="platform: google-antigravity has no wheel here"
)


@sdk
@pytest.mark.asyncio
async def test_antigravitys_sdk_wants_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which the SDK itself calls a value that is not valid."""
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    named = partial(coding.CODING["antigravity-sdk"], home=str(tmp_path))
    monkeypatch.setattr(coding, "CODING", {"antigravity-sdk": named})

    with pytest.raises(AuthenticationError, match="API key is required") as caught:
        await act(AgentOptions(prompt="Add.", backend="antigravity-sdk", cwd=str(tmp_path)))

    assert 3 == exit_code(caught.value)


@sdk
@pytest.mark.asyncio
async def test_antigravitys_sdk_has_a_name_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real one answers with a server's tool, and its session is kept and gone on with."""
    path, home = tmp_path / "task.json", tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("GEMINI_API_KEY", "k")  # without it, it would answer that there is none
    with SimulatorThread() as simulator:
        offline = {"endpoint": simulator.url, "home": str(home)}
        named = partial(
            coding.CODING["antigravity-sdk"],
            endpoint_headers={"x-penstock-sim": "tools?tool=add"},
            **offline,
        )
        monkeypatch.setattr(coding, "CODING", {"antigravity-sdk": named})
        told = {"backend": "antigravity-sdk/sim/echo", "session": str(path), "cwd": str(tmp_path)}
        assert 0 == await act(AgentOptions(prompt="Add.", mcp=(STDIO,), allow=True, **told))
        first = Seen(capsys)
        session = Session.from_json(path.read_bytes())
        assert 0 == await act(AgentOptions(prompt="And again.", **told))
        second = Seen(capsys)

    assert [{"a": 1, "b": 1}] == [
        json.loads(each["call"]["arguments"]) for each in first.of("tool_call")
    ]
    assert ("final", "final") == (first.events[-1]["type"], second.events[-1]["type"])
    assert first.events[-1]["text"] == "".join(each["text"] for each in first.of("text")) != ""
    assert session.id == Session.from_json(path.read_bytes()).id


@pytest.mark.asyncio
async def test_a_coding_agents_servers_are_asked_for(
    standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody is there, and no ``--allow``, their tools are refused, and it says so."""
    standin.plays("claude_code/claude-code-success.jsonl")
    options = AgentOptions(prompt="Hi", backend="claude-code", model="m", mcp=("serve --x",))
    assert 0 == await act(options)

    assert "--allowedTools" not in standin.notes[0]["argv"]
    assert "m" in standin.notes[0]["argv"]
    assert "serve's tools are refused: --allow" in Seen(capsys).err


def there(path: str) -> bool:
    """Whether there is such a folder."""
    return Path(path).exists()


@pytest.mark.asyncio
async def test_agy_has_a_home_of_its_own_for_its_servers(standin: StandIn, tmp_path: Path) -> None:
    """It reads them from nowhere else; what else it writes goes to the user's."""
    user = f"{standin.home}/.gemini"
    os.makedirs(f"{user}/antigravity-cli")
    result = {"status": "SUCCESS", "response": "Hi", "conversation_id": "c-1", "usage": {}}
    wire = tmp_path / "wire"
    wire.write_text(json.dumps({"event": "result", "result": result}) + "\n")
    kept = ".gemini/antigravity-cli/conversations/c-1.db"
    standin.plays(str(wire), files={kept: "talk"})
    path = tmp_path / "task.json"
    assert 0 == await act(
        AgentOptions(
            prompt="Hi", backend="antigravity", mcp=("serve --x",), allow=True, session=str(path)
        )
    )
    home = standin.notes[0]["environment"]["HOME"]

    assert standin.home != home
    assert not there(home)
    assert ["antigravity-cli"] == os.listdir(user)
    assert "talk" == standin.kept(kept)
    assert {"conversations/c-1.db": b"talk"} == Session.from_json(path.read_bytes()).files


@pytest.mark.asyncio
async def test_a_coding_agents_session_is_told_of_on_a_line_of_its_own(
    standin: StandIn, tmp_path: Path
) -> None:
    """Behind the answer, whose line is ended first."""
    standin.plays("claude_code/claude-code-success.jsonl")
    path = tmp_path / "task.json"
    options = AgentOptions(prompt="x", backend="claude-code", session=str(path), as_json=False)
    both = StringIO()
    with redirect_stdout(both), redirect_stderr(both):
        await act(options)

    assert f"penstock: {path}: session {CLAUDE_ID}" in both.getvalue().splitlines()


@pytest.mark.asyncio
async def test_a_session_that_cannot_be_written_is_the_last_event(
    standin: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As every other end of a run."""
    standin.plays("claude_code/claude-code-success.jsonl")
    (tmp_path / "task.json.part").mkdir()
    with pytest.raises(ConversationError, match="Is a directory"):
        await act(
            AgentOptions(prompt="x", backend="claude-code", session=str(tmp_path / "task.json"))
        )

    last = Seen(capsys).events[-1]
    assert ("error", "conversation") == (last["type"], last["kind"])


@pytest.mark.asyncio
async def test_a_coding_agents_session_is_a_file(
    standin: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Kept after each turn, for nobody else to read, and gone on with; failed turns too."""
    path = tmp_path / "task.json"
    standin.plays(
        "claude_code/claude-code-success.jsonl",
        files={f".claude/projects/-x/{CLAUDE_ID}.jsonl": "{}\n"},
    )
    options = AgentOptions(prompt="Hi", backend="claude-code", session=str(path))
    await act(options)
    first = Session.from_json(path.read_bytes())
    standin.plays("claude_code/claude-code-auth-401.jsonl")
    with pytest.raises(AuthenticationError) as caught:
        await act(options)
    failed = Seen(capsys).events[-1]
    standin.plays("claude_code/claude-code-usage-limit-429-subscription.jsonl")
    with pytest.raises(RateLimitError) as limited:
        await act(options)
    argv = standin.notes[1]["argv"]
    with pytest.raises(ConfigurationError, match="not codex's"):
        await act(AgentOptions(prompt="Hi", backend="codex", session=str(path)))
    path.write_text("{}")
    with pytest.raises(ConversationError, match="no session"):
        await act(options)

    assert CLAUDE_ID == first.id
    assert {f"{CLAUDE_ID}.jsonl": b"{}\n"} == first.files
    assert 0o600 == stat.S_IMODE(os.stat(path).st_mode)
    assert [CLAUDE_ID] == [Path(argv[argv.index("--resume") + 1]).stem]
    assert ("error", 3, 4) == (failed["type"], exit_code(caught.value), exit_code(limited.value))


def test_ctrl_c_keeps_a_models_session(tmp_path: Path) -> None:
    """In the middle of an answer: exit code 130, the last event says so, what came is kept."""
    path = tmp_path / "task.jsonl"
    process = _started("-b", "sim/tools?rate=10", "--session", str(path), "Hi")
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["type"] != "text":
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    roles = [json.loads(line)["role"] for line in path.read_text().splitlines()]

    assert (130, False) == (process.returncode, "Traceback" in err)
    assert {"type": "error", "kind": "interrupted", "exit_code": 130}.items() <= json.loads(
        out.splitlines()[-1]
    ).items()
    assert ["user", "assistant", "tool"] == roles


def test_ctrl_c_keeps_a_coding_agents_session(standin: StandIn, tmp_path: Path) -> None:
    """Its process is ended first, and then its session is read."""
    wire = "claude_code/claude-code-killed-by-sigterm.jsonl"
    id = json.loads((VECTORS / wire).read_text().splitlines()[0])["session_id"]
    standin.plays(wire, sleep=60, files={f".claude/projects/-x/{id}.jsonl": "{}\n"})
    path = tmp_path / "task.json"
    process = _started("-b", "claude-code", "--session", str(path), "Hi")
    assert process.stdout is not None
    assert "text" == json.loads(process.stdout.readline())["type"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert (130, False) == (process.returncode, "Traceback" in err)
    assert {f"{id}.jsonl": b"{}\n"} == Session.from_json(path.read_bytes()).files


@pytest.mark.parametrize(
    ("answer", "result"),
    [(b"y\n", "ok add("), (b"\x04", "failed add(")],
)
def test_a_terminal_is_asked(answer: bytes, result: str) -> None:
    """The tool that runs is shown, the call asked for, and what is no clear yes is a no."""
    with _terminal("-b", "sim/tools", "--mcp", STDIO, "Add") as terminal:
        asked = _until(terminal, b"[a]lways: ")
        os.write(terminal, answer)
        told = _until(terminal, b" out; ")

    assert 'penstock: allow add({"a": 1, "b": 1}) of python?' in asked.decode()
    assert '... add({"a": 1, "b": 1})' in asked.decode()
    assert result in told.decode()
    assert "{" not in told.decode().replace('{"a": 1, "b": 1}', "")


@pytest.mark.asyncio
async def test_always_is_for_one_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is allowed for good is asked for no more, and another one still is."""
    answers, asked = iter(["a", "n"]), []

    async def question(words: str) -> str:
        asked.append(words.split("allow ")[1].split("(")[0])
        return next(answers)

    monkeypatch.setattr("penstock.cli.approval.someone", lambda: True)
    monkeypatch.setattr("penstock.cli.approval.question", question)
    approve = Approval(JsonLines(), allowed=())
    decided = [await approve(ToolRequest("1", name, {})) for name in ("add", "add", "die")]

    assert ["add", "die"] == asked
    assert [Allow(), Allow(), Deny()] == decided


def _started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


class _terminal:
    """The command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._parent, child = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=child,
            stdout=child,
            stderr=child,
            env=environment(TERM="xterm", NO_COLOR="1"),
            start_new_session=True,
        )
        os.close(child)

    def __enter__(self) -> int:
        return self._parent

    def __exit__(self, *raised: object) -> None:
        self._process.wait(timeout=20)
        os.close(self._parent)
        assert 0 == self._process.returncode


def _until(terminal: int, mark: bytes) -> bytes:
    """Read until `mark` has come, or the terminal ends."""
    seen, end = b"", time.monotonic() + 30
    while mark not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
    return seen
