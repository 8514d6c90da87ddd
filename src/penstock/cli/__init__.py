"""The command line: ``penstock chat``, ``bench``, ``models``, ``simulate``; on the public API."""

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
