"""The command line, on the public API: a module for each command, and what they share.

============= ==================================================================================
module        what it has
============= ==================================================================================
app           the commands and their options, but those of ``bench``
chat          one question, or a conversation
agent         a task for a model with tools; `coding` for coding agents, `approval`, `progress`
models        what can be reached from here
providers     who is known, and what is missing
doctor        whether each can be called; with `reach` the way there, and `findings` what to mend
bench         one run; with `bench_options`, `bench_view` while it runs, `bench_files` afterwards
conversation  look at, move and sum up conversations
simulate      the simulator as a server
mcp           models as tools for MCP clients
settings      what ``penstock.toml`` says, and where each value came from
pick          which model to ask when the user names none
measure       what an answer took
console       the standard streams
exits         exit codes, and one line for a user's mistake
============= ==================================================================================
"""

from __future__ import annotations

import sys

from penstock.cli.console import mend
from penstock.errors import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point ``penstock``."""
    mend()
    if sys.argv[1:2] == ["bench"]:  # the base install has it, too
        from penstock.cli.bench import main as bench

        raise SystemExit(bench(sys.argv[2:]))
    try:
        from penstock.cli.app import app
    except MissingExtraError as exc:
        sys.stderr.write(f"{exc}\n")
        raise SystemExit(2) from None
    app()
