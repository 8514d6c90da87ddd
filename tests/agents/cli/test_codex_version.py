"""Codex' version, asked of programs that are stand-ins for it."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.agents.cli import codex_version
from penstock.agents.cli.surroundings import Scratch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")


def program_version(program: str, environment: dict[str, str], directory: str | None) -> str | None:
    """The version of a program, asked for a turn that is not cancelled."""
    scratch = Scratch()
    try:
        return codex_version.program_version(program, environment, directory, scratch=scratch)
    finally:
        scratch.close()


def program(folder: Path, line: str) -> str:
    """A program of one line of Python that notes that it was started."""
    path = folder / "codex"
    noted = f"open({str(folder / 'noted')!r}, 'a').write('x')"
    path.write_text(f"#!{sys.executable} -IS\nimport os, sys, time; {noted}\n{line}\n")
    path.chmod(0o700)
    return str(path)


def test_a_program_says_its_version_once(tmp_path: Path) -> None:
    """A file is asked again only when it is another; of the environment it sees no key."""
    line = "print('codex-cli', '0.169.0-alpha.1', *(n for n in os.environ if 'KEY' in n))"
    environment = {"PATH": str(tmp_path), "A_KEY": "k"}
    path = program(tmp_path, line)
    first = [program_version("codex", environment, None) for _ in range(2)]
    noted = (tmp_path / "noted").read_text()
    program(tmp_path, "print('codex-cli 0.170.1')")
    os.utime(path, ns=(1, 1))

    assert (["0.169.0-alpha.1"] * 2, "x") == (first, noted)
    assert "0.170.1" == program_version(path, environment, None)
    assert "0.170.1" == program_version("./codex", environment, str(tmp_path))
    assert "xx" == (tmp_path / "noted").read_text()


@pytest.mark.parametrize(
    "line", ["print('to 127.0.0.1')", "print('a', 'b 1.2.3')", "sys.exit(1)", "time.sleep(60)"]
)
def test_a_program_that_says_none(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has none: one that says something else, or nothing in its time."""
    monkeypatch.setattr(codex_version, "_ASKED", 0.5)

    assert None is program_version(program(tmp_path, line), {}, None)


def test_what_is_no_program_has_no_version(tmp_path: Path) -> None:
    """Neither what is not there, nor what cannot be run."""
    (tmp_path / "codex").write_bytes(b"\0")
    (tmp_path / "codex").chmod(0o700)

    assert None is program_version("codex", {"PATH": str(tmp_path / "no")}, None)
    assert None is program_version("codex", {"PATH": str(tmp_path)}, None)


def test_the_question_ends_with_its_turn(tmp_path: Path) -> None:
    """A cancelled turn leaves no program behind, whether it is cancelled before or meanwhile."""
    pid = tmp_path / "pid"
    lines = f"os.mkfifo({str(pid)!r}); open({str(pid)!r}, 'w').write('x'); time.sleep(60)"
    path, scratch = program(tmp_path, lines), Scratch()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(codex_version.program_version, path, {}, None, scratch=scratch)
        while not pid.exists():
            time.sleep(0.01)
        pid.read_text()
        scratch.close()
        meanwhile = asked.result()
    pid.unlink()

    assert (None, None) == (
        meanwhile,
        codex_version.program_version(path, {}, None, scratch=scratch),
    )
