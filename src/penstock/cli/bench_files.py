"""``penstock bench compare`` and ``report``: what is done with runs that are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.bench import load
from penstock.bench.compare import compare, compared_lines
from penstock.bench.report import html
from penstock.cli.bench_options import Parser
from penstock.cli.exits import EPILOG
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.bench import Result

__all__ = ["COMMANDS"]


async def _compare(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="penstock bench compare",
        description="Say what the second run has otherwise than the first, and what is no chance.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("before", help="a run, as --json FILE has kept it")
    parser.add_argument("after", help="another one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--fail-worse",
        type=float,
        metavar="PERCENT",
        help="exit with 1 if a figure is worse by at least this, and by more than chance",
    )
    options = parser.parse_args(arguments)
    found = compare(_read(options.before), _read(options.after))
    if options.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in compared_lines(found))
    if options.fail_worse is None:
        return 0
    return 1 if found.worse(options.fail_worse / 100) else 0


async def _report(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="penstock bench report",
        description="Write the HTML report of a run that is kept.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("run", help="a run, as --json FILE has kept it")
    parser.add_argument("page", help="the HTML file to write")
    options = parser.parse_args(arguments)
    _write(options.page, html(_read(options.run)))
    return 0


def _read(path: str) -> Result:
    try:
        return load(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _write(path: str, page: str) -> None:
    try:
        Path(path).write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


COMMANDS = {"compare": _compare, "report": _report}
"""What follows ``penstock bench``, and what runs it."""
