"""The command line, as a process: `penstock.cli`."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer  # noqa: F401  # what a bare installation leaves out, and this module with it

from penstock.simulator import SimulatorThread, faults

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "penstock"]


def environment(**more: str) -> dict[str, str]:
    """Return an environment without keys, in which ``penstock`` can be imported."""
    env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    env["PENSTOCK_CONFIG"] = ""  # whatever the user has set up
    return env | {"PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "200"} | more


def run(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(**env),
        check=False,
    )


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    """Run a simulator that stands for a provider."""
    with SimulatorThread() as thread:
        yield thread


def test_without_a_key_the_simulator_answers_and_says_so() -> None:
    """The main job with nothing configured; one line on stderr names the choice first."""
    done = run("chat", "to be or not", stdin="")

    assert (0, "to be or not\n") == (done.returncode, done.stdout)
    first, last = done.stderr.strip().splitlines()
    assert "sim/echo" in first
    assert "no key" in first
    assert "first token after" in last
    assert "MiB resident" in last


def test_a_pipe_is_a_prompt() -> None:
    """Standard input alone, and after an argument."""
    alone = run("chat", "-q", "-m", "sim/echo", stdin="from a pipe\n")
    both = run("chat", "-q", "-m", "sim/echo", "first", stdin="then\n")

    assert ("from a pipe\n", "first\n\nthen\n") == (alone.stdout, both.stdout)
    assert ("", "") == (alone.stderr, both.stderr)


def test_json_is_one_object() -> None:
    """The answer in the OpenAI shape, with what penstock measured beside it."""
    answer = json.loads(run("chat", "-m", "sim/text?tokens=4", "--json", "hi").stdout)

    assert "chat.completion" == answer["object"]
    assert 4 == answer["usage"]["completion_tokens"]
    assert answer["penstock"]["ttft"] > 0


def test_a_key_picks_openai_and_a_dry_run_sends_nothing() -> None:
    """The request, the key masked, its size; named on stderr before."""
    done = run("chat", "--dry-run", "--system", "be brief", "hi", OPENAI_API_KEY="sk-canary-1")
    head, _, body = done.stdout.partition("bytes of body\n")

    assert 0 == done.returncode
    assert "POST https://api.openai.com/v1/chat/completions\n" in head
    assert "authorization: Bearer ***\n" in head
    assert "sk-canary" not in done.stdout + done.stderr
    sent = json.loads(body)
    assert int(head.rsplit("\n", 1)[1]) == len(json.dumps(sent, separators=(",", ":")))
    assert ["system", "user"] == [message["role"] for message in sent["messages"]]
    assert "OPENAI_API_KEY is set" in done.stderr


def test_openai_is_asked_for_real(simulator: SimulatorThread) -> None:
    """With a key, and OPENAI_BASE_URL at a loopback server, the answer comes from there."""
    done = run(
        "chat",
        "-m",
        "openai/echo",
        "over there",
        OPENAI_API_KEY="sk-canary-1",
        OPENAI_BASE_URL=f"{simulator.url}/v1",
    )

    assert (0, "over there\n") == (done.returncode, done.stdout)


def test_a_local_server_is_found(simulator: SimulatorThread) -> None:
    """What answers GET /v1/models on this machine is taken before the simulator."""
    done = run("chat", "--dry-run", "hi", OLLAMA_HOST=simulator.url)

    assert 0 == done.returncode
    assert f"POST {simulator.url}/api/chat" in done.stdout
    assert "penstock: ollama/" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-m", "nosuch/model", "hi"], 2, "no deployment, provider or model prefix fits"),
        (["-m", "openai/gpt-5.4", "hi"], 3, "export OPENAI_API_KEY"),
        (["-m", "sim/text?fault=invalid-key", "hi"], 3, "authentication"),
        (["-m", "sim/text?fault=reset@2", "hi"], 5, "truncated"),
        (["-m", "sim/text?fault=bad-request", "hi"], 1, "invalid_request"),
        (["-m", "sim/text?fault=nosuch", "hi"], 1, "nosuch"),
        (["-m", "sim/echo"], 2, "nothing to say"),
        (["--nosuch"], 2, "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, message: str
) -> None:
    """No traceback for a user's mistake or a provider's failure."""
    done = run("chat", *arguments)

    assert code == done.returncode, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_version_and_faults() -> None:
    """``--version`` is the distribution's; ``--list-faults`` lists every fault."""
    assert run("--version").stdout.startswith("penstock 0.")
    listed = run("simulate", "--list-faults").stdout.splitlines()
    assert sorted(faults()) == sorted(line.split()[0] for line in listed)


def test_models_lists_who_answers(simulator: SimulatorThread) -> None:
    """Providers with a key, local servers, and the simulator's own."""
    done = run(
        "models", "--json", OPENAI_API_KEY="sk-canary-1", OPENAI_BASE_URL=f"{simulator.url}/v1"
    )
    found = json.loads(done.stdout)

    assert "echo" in found["openai"]
    assert "echo" in found["sim"]
    assert "sim/echo\n" in run("models", "sim").stdout


def test_simulate_prints_its_address_and_ends_cleanly() -> None:
    """The first line is the URL; an interrupt ends it without a traceback."""
    process = subprocess.Popen(
        [*COMMAND, "simulate", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    answer = run(
        "chat", "-q", "-m", "openai/echo", "hi", OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{url}/v1"
    )
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)

    assert "hi\n" == answer.stdout
    assert 130 == process.returncode
    assert "Traceback" not in complaints


def test_ctrl_c_leaves_cleanly() -> None:
    """An interrupt in the middle of an answer is exit code 130 and no traceback."""
    process = subprocess.Popen(
        [*COMMAND, "chat", "-m", "sim/text?tokens=100000&rate=50", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)

    assert 130 == process.returncode
    assert b"Traceback" not in complaints


def test_a_closed_pipe_is_no_error() -> None:
    """``penstock chat … | head -c 1``."""
    done = subprocess.run(
        f"{sys.executable} -m penstock chat -q -m 'sim/text?tokens=9999' hi </dev/null | head -c 1",
        shell=True,
        capture_output=True,
        timeout=50,
        env=environment(),
        check=False,
    )

    assert b"" == done.stderr


def test_a_terminal_holds_a_conversation() -> None:
    """With a terminal and no prompt: questions, answers, history, and Ctrl-D."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "chat", "-m", "sim/echo"],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environment(TERM="dumb"),
        start_new_session=True,
    )
    os.close(child)
    seen = b""
    for line in (b"first question\n", b"second question\n", b"\x04"):
        seen += _until(parent, b"> ", 20)
        os.write(parent, line)
    process.wait(timeout=20)
    seen += _until(parent, b"\x00", 1)
    os.close(parent)
    text = seen.decode()

    assert 0 == process.returncode
    # Once as typed, once as the answer.
    assert (2, 2) == (text.count("first question"), text.count("second question"))
    assert 2 == text.count("first token after")


def _until(terminal: int, mark: bytes, seconds: float) -> bytes:
    """Read until `mark` has come, the terminal ends, or the time is over."""
    seen, end = b"", time.monotonic() + seconds
    while mark not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
    return seen
