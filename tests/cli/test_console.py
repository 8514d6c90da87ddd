"""The command line on streams that are closed, silent or narrow, and under Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer  # noqa: F401  # what a bare installation leaves out, and this module with it

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "penstock"]
# A child that takes the terminal as its own, so that a typed Ctrl-C is a signal to it.
ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "penstock", *sys.argv[1:]])
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment without keys, in which ``penstock`` can be imported."""
    env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    return env | {"PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "200"} | more


def shell(script: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell script in which ``$PENSTOCK`` is the command."""
    return subprocess.run(
        ["sh", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=50,
        env=environment(PENSTOCK=" ".join(COMMAND), **env),
        check=False,
    )


def silent(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command on a pipe that is neither written to nor closed."""
    reader, writer = os.pipe()
    try:
        return subprocess.run(
            [*COMMAND, *arguments],
            stdin=reader,
            capture_output=True,
            timeout=20,
            env=environment(),
            check=False,
        )
    finally:
        os.close(reader)
        os.close(writer)


def test_a_silent_pipe_does_not_hold_up_a_prompt() -> None:
    """Standard input as cron, CI and ssh may leave it; stderr says that it is not read."""
    done = silent("chat", "-m", "sim/echo", "hi")

    assert (0, b"hi\n") == (done.returncode, done.stdout)
    assert b"standard input is open but silent" in done.stderr


def test_quiet_says_nothing_of_a_silent_pipe() -> None:
    """``--quiet`` prints nothing but the answer."""
    done = silent("chat", "-q", "-m", "sim/echo", "hi")

    assert (b"hi\n", b"") == (done.stdout, done.stderr)


def test_a_pipe_that_has_begun_is_read_to_its_end() -> None:
    """However long the rest takes, it belongs to the prompt."""
    reader, writer = os.pipe()
    os.write(writer, b"begun ")
    process = subprocess.Popen(
        [*COMMAND, "chat", "-m", "sim/echo", "first"],
        stdin=reader,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    os.close(reader)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    os.write(writer, b"and ended")
    os.close(writer)

    assert b"first\n\nbegun and ended\n" == process.communicate(timeout=20)[0]


def test_a_file_joins_a_prompt(tmp_path: Path) -> None:
    """``penstock chat first < file``."""
    (tmp_path / "text").write_text("from a file\n")
    done = shell(f"$PENSTOCK chat -q -m sim/echo first <'{tmp_path}/text'")

    assert b"first\n\nfrom a file\n" == done.stdout


def test_help_says_what_is_read() -> None:
    """The rule for standard input is in ``--help``."""
    shown = shell("$PENSTOCK chat --help").stdout.decode()

    assert "silent for half a second" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("script", "code", "stdout", "stderr"),
    [
        ("$PENSTOCK chat -q -m sim/echo hi <&-", 0, b"hi\n", b""),
        ("$PENSTOCK chat -m sim/echo <&-", 2, b"", b"nothing to say"),
        ("$PENSTOCK chat -m sim/echo hi >&-", 0, b"", b"first token after"),
        ("$PENSTOCK chat -m sim/echo hi 2>&-", 0, b"hi\n", b""),
    ],
)
def test_a_closed_stream_is_no_error(script: str, code: int, stdout: bytes, stderr: bytes) -> None:
    """Python has None for a stream that its parent closed."""
    done = shell(script)

    assert (code, stdout) == (done.returncode, done.stdout), done.stderr
    assert stderr in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_narrow_encoding_shows_question_marks() -> None:
    """What the terminal cannot show does not end the answer."""
    done = shell("$PENSTOCK chat -q -m sim/echo 'h\u00e9'", PYTHONIOENCODING="ascii")

    assert (0, b"h?\n", b"") == (done.returncode, done.stdout, done.stderr)


def test_a_narrow_encoding_loses_nothing_of_json() -> None:
    """JSON can escape what the encoding does not have."""
    done = shell("$PENSTOCK chat --json -m sim/echo 'h\u00e9'", PYTHONIOENCODING="ascii")

    assert rb'"h\u00e9"' in done.stdout


def test_bytes_that_are_no_text_are_a_prompt() -> None:
    """Standard input in another encoding than the locale's, as replacement characters."""
    done = shell(r"printf 'h\351' | $PENSTOCK chat -q -m sim/echo", PYTHONIOENCODING="utf-8")

    assert (0, "h\ufffd\n".encode()) == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nonsense", "no provider is called 'nonsense'"),
        ("opnai", "no provider is called 'opnai'; did you mean openai?"),
    ],
)
def test_models_names_the_provider_that_is_not_there(named: str, said: str) -> None:
    """As the user typed it, with the nearest name, and exit code 2."""
    done = shell(f"$PENSTOCK models {named}")

    assert 2 == done.returncode
    assert said in done.stderr.decode()
    assert b"/*" not in done.stderr


@pytest.mark.parametrize("model", ["sim/echo", "sim/text?tokens=100000&rate=50"])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_conversation(model: str, times: int) -> None:
    """At the prompt, and in the middle of an answer; a second one changes nothing."""
    terminal, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, "chat", "-q", "-m", model],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environment(TERM="dumb"),
        start_new_session=True,
    )
    os.close(child)
    try:
        seen = _until(terminal, b"> ")
        os.write(terminal, b"question\n")
        # The echo's answer, then the next prompt; or enough of the long answer to be inside it.
        seen += _until(terminal, b"question\r\n")
        seen += _until(terminal, b"> " if model == "sim/echo" else b" ")
        _settled(process.pid)
        os.write(terminal, b"\x03" * times)
        code = _ended(process, terminal)
        seen += _until(terminal, b"nothing more comes")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)

    # One may reach the process after it has given SIGINT its default action again.
    assert code in (130, -2)
    assert b"Traceback" not in seen
    assert b"Error" not in seen


def _ended(process: subprocess.Popen[bytes], terminal: int) -> int:
    """Return the exit code; type Ctrl-C again where readline has lost one (see `_settled`)."""
    for _ in range(5):
        try:
            return process.wait(timeout=4)
        except subprocess.TimeoutExpired:
            os.write(terminal, b"\x03")
    return process.wait(timeout=4)


def _settled(pid: int) -> None:
    """Wait until the process sleeps, where the system tells.

    CPython's readline loses a signal that comes after the prompt is shown and before it waits in
    select(2) (`readline_until_enter_or_signal`); no hand is that fast, a test is.
    """
    stat = Path(f"/proc/{pid}/stat")
    end = time.monotonic() + 20
    while stat.exists() and time.monotonic() < end:
        if stat.read_text().rpartition(")")[2].split()[0] == "S":
            return


def _until(terminal: int, mark: bytes) -> bytes:
    """Read until `mark` has come or the terminal has ended, 20 seconds at most."""
    seen, end = b"", time.monotonic() + 20
    while mark not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
    return seen
