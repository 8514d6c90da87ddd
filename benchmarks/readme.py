"""The README's table of figures, from a stored run: `docs/benchmarks.py` writes and checks it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.markdown import code

__all__ = ["Stored", "readme_with"]

_BEGIN = "<!-- benchmarks: written by docs/benchmarks.py -->"
_END = "<!-- benchmarks: end -->"
_NONE = "\u2013"

_COLUMNS = {
    "floor": ("floor", "asyncio and ssl"),
    "penstock": ("penstock.Client", "penstock"),
    "bare httpx": ("bare httpx", "httpx json=", "httpx"),
    "liter-llm": ("liter-llm",),
    "openai SDK": ("openai",),
    "pydantic-ai": ("pydantic-ai",),
    "litellm": ("litellm",),
    "exoclaw": ("exoclaw",),
}
"""The columns, and what the scripts call them: the first name that is there."""


_PACKAGES = (
    *("httpx", "liter-llm", "openai", "pydantic-ai-slim", "litellm"),
    "exoclaw-provider-openai",
)


class Row(NamedTuple):
    """A figure of the table, where it is stored."""

    text: str
    script: str
    case: str
    unit: str


_ROWS = [
    Row("CPU per chunk of a long stream, µs", "streams", "a stream of 20,000 chunks", "µs"),
    Row("CPU per short request, one by one, µs", "requests", "one by one", "µs"),
    Row("CPU per short request, 100 at a time, µs", "requests", "100 at a time", "µs"),
    Row("CPU per chunk, 500 paced streams at once, µs", "concurrency", "500 streams", "µs"),
    Row("CPU per chunk, 2,000 paced streams at once, µs", "concurrency", "2,000 streams", "µs"),
    Row("memory of an open stream, KiB", "open_streams", "plain", "KiB"),
    Row("memory of an open TLS stream, KiB", "open_streams", "TLS", "KiB"),
    Row(
        "memory to send 64 MiB of messages, KiB",
        "call_memory",
        "64 MiB in messages of 2048 B",
        "KiB",
    ),
    Row("memory to send one string of 32 MiB, KiB", "call_memory", "32 MiB, one string", "KiB"),
    Row("CPU to import the client, ms", "import_time", "import, ms CPU", "ms"),
]
_SAID = {
    "cut off, no finish": "an answer that ends without its finish",
    "error inside a 200": "an overload error inside a 200 stream",
    "only keep-alives": "keep-alives and no content, 1 s for a first token",
}
"""What the endings' script asks, in the table's words."""


class Stored:
    """A stored run, script by script."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.of = cache(self._of)

    def _of(self, script: str) -> dict[str, Any] | None:  # Any: JSON
        path = self._folder / f"{script}.json"
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found

    def row(self, row: Row) -> dict[str, float]:
        """Return the median of each column that has one; empty where it was not measured."""
        kept = self.of(row.script)
        for case in kept["cases"] if kept else ():
            if case["name"] == row.case and case["unit"].startswith(row.unit):
                return {
                    column: statistics.median(case["found"][name])
                    for column, names in _COLUMNS.items()
                    if (name := next((n for n in names if n in case["found"]), None))
                }
        return {}

    def said(self, what: str) -> dict[str, str]:
        """Return what each column said to a fault."""
        kept = self.of("endings")
        said: dict[str, str] = kept["said"].get(what, {}) if kept else {}
        return {
            column: code(said[name])
            for column, names in _COLUMNS.items()
            if (name := next((n for n in names if n in said), None))
        }

    def runs(self) -> list[dict[str, Any]]:  # Any: JSON
        """Return the scripts' runs that the table has figures of."""
        scripts = dict.fromkeys([*(row.script for row in _ROWS), "endings"])
        return [kept for script in scripts if (kept := self.of(script)) is not None]


def readme_with(readme: str, stored: Stored) -> str:
    """Return `readme` with the table between its marks as it should be.

    Raises:
        ValueError: It has not both marks.
    """
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the README lacks {_BEGIN} or {_END}")
    return f"{before}{begin}\n{chr(10).join(_block(stored))}\n{end}{after}"


def _block(stored: Stored) -> Iterator[str]:
    yield f"| | {' | '.join(_COLUMNS)} |"
    yield f"| --- |{' ---: |' * len(_COLUMNS)}"
    for row in _ROWS:
        if found := stored.row(row):
            cells = {column: _shown(value) for column, value in found.items()}
            yield _line(row.text, cells)
    for what, text in _SAID.items():
        if said := stored.said(what):
            yield _line(text, said)
    yield ""
    yield from _below(stored)


def _below(stored: Stored) -> Iterator[str]:
    runs = stored.runs()
    scripts = ", ".join(f"`{each['question']}`" for each in runs)
    dates = sorted({each["taken"] for each in runs})
    settings = "; ".join(sorted({each["setting"] for each in runs}))
    versions = {
        name: number
        for each in runs
        for name, number in each["versions"].items()
        if name in _PACKAGES
    }
    known = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    yield (
        f"Medians of `python -m benchmarks --save` ({scripts}), {' and '.join(dates)}: {settings}, "
        "on loopback without TLS where it is not named."
    )
    yield f"Versions: {known}."
    if ahead := list(_ahead(stored)):
        yield f"Where another client is ahead of penstock: {'; '.join(ahead)}."


def _ahead(stored: Stored) -> Iterator[str]:
    """Yield the rows in which penstock is not the best client, so that no reader must search."""
    for row in _ROWS:
        found = stored.row(row)
        ours = found.get("penstock")
        others = {name: found[name] for name in found if name not in ("floor", "penstock")}
        better = [name for name, value in others.items() if ours is not None and value < ours]
        if better:
            yield f"{row.text.rpartition(',')[0]} ({', '.join(better)})"


def _line(text: str, cells: dict[str, str]) -> str:
    return f"| {text} | {' | '.join(cells.get(column, _NONE) for column in _COLUMNS)} |"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
