"""Paired rounds: every peer once in each, so that what changes on the machine meets all of them.

A ratio is taken within a round and the median over the rounds, with the lowest and the highest
beside it: a figure whose spread is as large as its distance from one says nothing.

A `Report` is what a script found. It prints as a table, and ``--keep FOLDER`` writes it there as
JSON, values and all, as Markdown and as a picture; ``--keep FILE.json`` only as JSON, which is what
the page of figures (``docs/benchmarks.py``) is made of.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import here, python_of, versions
from benchmarks.fresh import setting

__all__ = [
    *("Case", "Peer", "Report", "by_case", "note_own_versions", "options", "paired", "present"),
    "shown",
]

SCHEMA = 1
"""The version of the JSON form."""


def shown(value: float) -> str:
    """Return `value` with three digits, or more where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody who is measured."""

    name: str
    """What it is called in the tables."""
    environment: str
    """What it is installed in, a name of `ENVIRONMENTS`."""
    python: str = sys.executable
    """The interpreter to measure it with."""
    rounds: int | None = None
    """How many of the rounds it takes part in, the first ones, as it takes long; None is all."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison: what was measured of each peer, a figure for each round."""

    name: str
    unit: str
    reference: str
    """The peer whom the ratios are to."""
    found: dict[str, list[float]]

    def ratios(self, peer: str) -> list[float]:
        """Return the ratio of `peer` to the reference in each round that it took part in."""
        pairs = zip(self.found[peer], self.found[self.reference], strict=False)
        return [value / other if other else float("nan") for value, other in pairs]

    def lines(self) -> list[str]:
        """Return the table, a line a peer."""
        lines = [f"{self.name}  ({self.unit})"]
        for peer, values in self.found.items():
            line = f"  {peer:22} {shown(statistics.median(values)):>10}"
            if self.reference in self.found:
                ratios = self.ratios(peer)
                line += f" {statistics.median(ratios):8.2f} x {self.reference}"
                if len(ratios) > 1:
                    line += f"  ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(line)
        return lines


@dataclass(slots=True)
class Report:
    """What a script found.

    Args:
        question: The script's name.
        about: Its docstring: the first line is the question, the paragraph that begins with
            ``Not shown`` what the figures hide.
    """

    question: str
    about: str = field(repr=False)
    cases: list[Case] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Peers that could not be measured, all or some of what was asked, and why."""
    said: dict[str, dict[str, str]] = field(default_factory=dict)
    """Answers that are no figures: of each question what each peer said."""
    seconds: float | None = None
    """After these a comparison begins no further round; None lets all rounds run."""

    def add(self, case: Case) -> None:
        """Keep `case`, and print it."""
        self.cases.append(case)
        print("\n".join(case.lines()), flush=True)

    def finish(self, path: str | None) -> None:
        """Write to the file or the folder `path`, if any, and leave with 1 if a peer is missing."""
        if path is not None:
            self._save(Path(path))
        for name, why in self.missing.items():
            print(f"{name} could not be measured: {why}", file=sys.stderr)
        if self.missing:
            raise SystemExit(1)

    def _save(self, path: Path) -> None:
        kept = self._kept()
        told = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
        if path.suffix == ".json":
            path.write_text(told, "utf-8")
            return
        from benchmarks.markdown import section  # both draw what is defined here
        from benchmarks.plot import svg

        path.mkdir(parents=True, exist_ok=True)
        written = {"json": told, "md": "\n".join(section(kept, f"{self.question}.svg")).lstrip()}
        written |= {"svg": svg(self.cases)} if self.cases else {}
        for kind, text in written.items():
            (path / f"{self.question}.{kind}").write_text(text, "utf-8")

    def _kept(self) -> dict[str, Any]:  # Any: JSON
        title, _, rest = self.about.partition("\n")
        hides = re.search(r"^Not shown: (.*?)(?:\n\n|\Z)", rest, re.DOTALL | re.MULTILINE)
        return {
            "schema": SCHEMA,
            "question": self.question,
            "title": title,
            "hides": " ".join(hides[1].split()) if hides else "",
            "taken": datetime.date.today().isoformat(),
            "setting": setting(),
            "versions": self.versions,
            "missing": self.missing,
            "said": self.said,
            "cases": [dataclasses.asdict(case) for case in self.cases],
        }


def options(about: str | None, *, rounds: int = 5) -> argparse.Namespace:
    """Return what the command line of a script says."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run, as --here")
    parser.add_argument(
        "--keep",
        metavar="PATH",
        help="write what was found: FILE.json alone, or JSON, Markdown and SVG into a folder",
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="for each comparison: no round is begun that would end later; one is run in any case",
    )
    parser.add_argument(
        "--here", action="store_true", help="only the peers that this interpreter has"
    )
    parser.add_argument("--peers", help="only these, by name, with commas between")
    found = parser.parse_args()
    if found.smoke:
        found.rounds, found.here = 1, True
    return found


def present(
    peers: Mapping[str, str], chosen: argparse.Namespace, report: Report | None = None
) -> list[Peer]:
    """Return those of `peers` (name to environment) that can be measured, each with its Python."""
    names = chosen.peers.split(",") if chosen.peers else list(peers)
    if unknown := [name for name in names if name not in peers]:
        raise SystemExit(f"no peer is called {', '.join(unknown)}; there is {', '.join(peers)}")
    if report is not None:
        report.seconds = chosen.seconds
    found = []
    for name in names:
        environment = peers[name]
        if chosen.here:
            if here(environment):
                found.append(Peer(name, environment))
            continue
        try:
            peer = Peer(name, environment, python_of(environment))
        except RuntimeError as error:
            if report is None:
                raise
            report.missing[name] = str(error)
            continue
        found.append(peer)
        if report is not None:
            _note_versions(report, peer)
    return found


_SHOWN = {"any-llm": "any-llm-sdk", "pydantic-ai": "pydantic-ai-slim"}
_SHOWN |= {"exoclaw": "exoclaw-provider-openai", "penstock-fast": "aiohttp"}
_SHOWN |= {"penstock-aws": "botocore"}
_SHOWN |= {"penstock-httpx2": "httpx2", "penstock-mcp": "mcp", "penstock-streams": "aiostream"}
_SHOWN |= {"penstock-uvloop": "uvloop"}


def note_own_versions(report: Report, *packages: str) -> None:
    """Note the versions of those `packages` that this interpreter has; the others are missing."""
    found = versions(sys.executable)
    report.versions |= {name: found[name] for name in packages if name in found}
    report.missing |= {name: "not installed" for name in packages if name not in found}


def _note_versions(report: Report, peer: Peer) -> None:
    package = _SHOWN.get(peer.environment, peer.environment)
    if package != "penstock" and package not in report.versions:
        report.versions[package] = versions(peer.python)[package]


def paired(
    peers: Iterable[Peer], rounds: int, measure: Callable[[Peer], Any], report: Report
) -> dict[str, list[Any]]:  # Any: whatever `measure` returns
    """Return what `measure` says of each peer, a value for each round.

    Every other round goes backwards, so that a machine that warms or tires favours nobody. Who
    fails is noted in the report, and is left out of this comparison. No round is begun that would
    end after `Report.seconds`, but for the first.
    """
    found: dict[str, list[Any]] = {}
    left, failed = list(peers), set[str]()
    took: dict[str, float] = {}
    end = None if report.seconds is None else time.monotonic() + report.seconds
    for at in range(rounds):
        these = [peer for peer in left if peer.rounds is None or at < peer.rounds]
        if at and end is not None and time.monotonic() + sum(took[p.name] for p in these) > end:
            break
        for peer in these if at % 2 == 0 else these[::-1]:
            began = time.monotonic()
            try:
                found.setdefault(peer.name, []).append(measure(peer))
            except (RuntimeError, subprocess.SubprocessError) as error:
                failed.add(peer.name)
                report.missing[peer.name] = str(error).strip().rpartition("\n")[2][:200]
            took[peer.name] = max(took.get(peer.name, 0.0), time.monotonic() - began)
        left = [peer for peer in left if peer.name not in failed]
    return {peer.name: found[peer.name] for peer in left}


def by_case(rows: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """Turn what `paired` returns of peers that measure many cases in one process, case by case."""
    found: dict[str, dict[str, list[float]]] = {}
    for peer, rounds in rows.items():
        for each in rounds:
            for case, value in each.items():
                found.setdefault(case, {}).setdefault(peer, []).append(value)
    return found
