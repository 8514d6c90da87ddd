"""The command line: ``penstock chat``, ``models`` and ``simulate``; a product on the public API."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point ``penstock``."""
    try:
        from penstock.cli.app import app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("typer", "rich", "click"):
            raise
        sys.stderr.write(f"penstock's command line needs {exc.name}: pip install 'penstock[cli]'\n")
        raise SystemExit(2) from None
    app()
