"""The server of opencode ends with the program that started it, whatever became of that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.agents.conftest import alive as alive  # a fixture

from penstock.agents.cli import opencode
from penstock.agents.cli.backend import Turn
from penstock.agents.cli.surroundings import Scratch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: no POSIX shell")


def started(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """Start a server that is `script`, as opencode's is started."""
    program = folder / "opencode"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    backend = opencode(program=str(program), keep_alive=True, home=str(folder)).backend
    with closing(Scratch()) as scratch:
        argv = backend.command(Turn(prompt=""), scratch).argv
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True)


def test_it_ends_when_its_stdin_does(tmp_path: Path, alive: Callable[[int], bool]) -> None:
    """It reads nothing there itself, and knows of no end but this."""
    child = started(tmp_path, 'echo "$$ $*"; read -r line && exit 9; exec sleep 600')
    assert child.stdin is not None
    assert child.stdout is not None
    pid, *arguments = child.stdout.readline().decode().split()
    assert alive(int(pid))
    child.stdin.close()
    code = child.wait(20)
    child.stdout.close()

    assert ["serve", "--hostname", "127.0.0.1", "--port", "0"] == arguments
    assert 128 + 15 == code
    assert not alive(int(pid))


def test_it_is_waited_for(tmp_path: Path, alive: Callable[[int], bool]) -> None:
    """A signal to the group, which it takes its time to heed, ends nobody before it."""
    slow = "trap 'sleep 0.3; exit 3' TERM; echo $$; while :; do sleep 0.05; done"
    child = started(tmp_path, slow)
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    os.killpg(child.pid, signal.SIGTERM)
    code = child.wait(20)

    assert (3, False) == (code, alive(pid))
    with child:
        pass


def test_its_own_end_is_seen(tmp_path: Path) -> None:
    """With its exit code, while its stdin is open."""
    child = started(tmp_path, "exit 7")
    with child:
        assert 7 == child.wait(20)


def test_a_program_that_is_not_there_has_no_leash(tmp_path: Path) -> None:
    """Else a shell would say so, and not the system."""
    backend = opencode(program="no-such-program-here", keep_alive=True, home=str(tmp_path)).backend
    with closing(Scratch()) as scratch:
        assert "no-such-program-here" == backend.command(Turn(prompt=""), scratch).argv[0]


def test_its_program_is_looked_for_where_it_works(tmp_path: Path) -> None:
    """A path is one from there, not from where we are."""
    program = tmp_path / "opencode"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    told = {"program": "./opencode", "keep_alive": True, "home": str(tmp_path)}
    with closing(Scratch()) as scratch:
        there = opencode(directory=str(tmp_path), **told).backend
        elsewhere = opencode(directory=str(tmp_path / ".config"), **told).backend

        assert "/bin/sh" == there.command(Turn(prompt=""), scratch).argv[0]
        assert "./opencode" == elsewhere.command(Turn(prompt=""), scratch).argv[0]
