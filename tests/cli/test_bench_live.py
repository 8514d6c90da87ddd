"""The live table of ``penstock bench`` on a terminal, and its line where rich is not wanted."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import termios

import rich  # noqa: F401  # what a bare installation leaves out, and this module with it
from tests.cli.test_bench import COMMAND, environment


def on_a_terminal(*arguments: str, columns: int = 80) -> str:
    """Run the bench with a terminal as stderr; return what was drawn there."""
    shown, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    command = [*COMMAND, "-m", "sim/text?tokens=2&ttft=0.1", "-n", "20", *arguments]
    drawn = b""
    env = environment(TERM="xterm")
    del env["COLUMNS"]  # as wide as the terminal says
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal, env=env) as child:
        os.close(terminal)
        while True:
            try:
                piece = os.read(shown, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not piece:
                break
            drawn += piece
        assert 0 == child.wait(30)
    os.close(shown)
    return drawn.decode()


def test_a_table_is_drawn_while_it_runs() -> None:
    """With the load, what was answered, and latencies; the cursor is there again at the end."""
    drawn = on_a_terminal()

    for words in ("1 user", "of 20", "TTFT p50", "req/s", "━━━"):
        assert words in drawn
    assert "…" not in drawn
    assert drawn.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


def test_a_line_is_enough_where_asked() -> None:
    """Written over itself, and gone at the end."""
    drawn = on_a_terminal("--plain")

    assert re.search(r"\rpenstock: \d+% 1 user, ", drawn)
    assert "of 20 answered" in drawn
    assert "\x1b[" not in drawn
    assert drawn.endswith("\r")


def test_a_narrow_terminal_has_a_line_that_is_not_wrapped() -> None:
    """What is wrapped cannot be written over: each would leave a line behind."""
    drawn = on_a_terminal(columns=40)

    assert "\rpenstock: " in drawn
    assert "\n" not in drawn
    assert max(map(len, drawn.split("\r"))) < 40
