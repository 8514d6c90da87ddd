"""The words and tables of a stored run, in Markdown: one section for each question."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.rounds import Case, shown

__all__ = ["cases_of", "code", "section"]


def cases_of(kept: Mapping[str, Any]) -> list[Case]:  # Any: JSON
    """Return the comparisons of a stored run."""
    return [Case(**case) for case in kept["cases"]]


def code(said: str) -> str:
    """Return an error's class as code, and words as they are."""
    return f"`{said}`" if re.fullmatch(r"\w+", said) else said


def section(kept: Mapping[str, Any], picture: str) -> Iterator[str]:  # Any: JSON
    """Yield the lines on one question, whose picture lies at the address `picture`."""
    question, mark, rest = kept["title"].partition("?")
    cases = cases_of(kept)
    yield f"\n## {question}{mark}\n"
    if rest:
        yield rest.strip()
    known = ", ".join(f"{package} {version}" for package, version in kept["versions"].items())
    yield f"`python -m benchmarks.{kept['question']}`, {kept['taken']}, {kept['setting']}."
    if known:
        yield f"Against {known}."
    yield f"\n![{question}{mark}]({picture})\n" if cases else ""
    for case in cases:
        yield from _table(case)
    yield from _said(kept["said"])
    for peer, why in kept["missing"].items():
        yield f"Where {peer} has no row it could not be measured: {why}\n"
    hidden = re.sub(r"(?<=[a-z`)][.?]) +(?=[A-Z])", "\n", kept["hides"])
    yield f"What this hides: {hidden}\n"


def _table(case: Case) -> Iterator[str]:
    against = case.reference in case.found
    rounds = max(map(len, case.found.values()), default=0)
    yield f"**{case.name}**, {rounds} round{'' if rounds == 1 else 's'}\n"
    yield f"| | {case.unit} |" + (f" times {case.reference} |" if against else "")
    yield "| --- | ---: |" + (" ---: |" if against else "")
    for peer, values in case.found.items():
        line = f"| {peer} | {shown(statistics.median(values))} |"
        if against:
            line += (
                f" {shown(statistics.median(case.ratios(peer)))} ({_spread(case, peer, rounds)}) |"
            )
        yield line
    yield ""


def _spread(case: Case, peer: str, rounds: int) -> str:
    """Return from where to where the ratios of `peer` go, and of how many rounds if not of all."""
    ratios = case.ratios(peer)
    if len(ratios) == 1:
        return "one round"
    fewer = "" if len(ratios) == rounds else f", {len(ratios)} rounds"
    return f"{shown(min(ratios))} to {shown(max(ratios))}{fewer}"


def _said(said: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield what each peer said, a row a question."""
    if not said:
        return
    peers = list(dict.fromkeys(peer for each in said.values() for peer in each))
    yield f"| | {' | '.join(peers)} |"
    yield f"| --- |{' --- |' * len(peers)}"
    for what, each in said.items():
        yield f"| {what} | {' | '.join(code(each.get(peer, '')) for peer in peers)} |"
    yield ""
