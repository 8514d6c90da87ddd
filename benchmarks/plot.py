"""The bars of a report as one SVG: a panel for each comparison, on a logarithmic axis.

An axis that begins at nothing would show the slowest peer alone, as some are hundreds of times the
reference; the axis says so. The whisker is from the lowest round to the highest.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from html import escape

from benchmarks.rounds import Case, shown

__all__ = ["svg"]

_WIDTH, _LEFT, _RIGHT = 760, 170, 120
_BAR, _GAP, _HEAD = 16, 6, 34
_INK, _OURS, _OTHERS = "#808080", "#2a7f9e", "#b9c3c9"


def svg(cases: list[Case]) -> str:
    """Return the picture of all that have two peers or more."""
    drawn = [case for case in cases if len(case.found) > 1]
    parts, top = [], 0
    for case in drawn:
        parts += _panel(case, top)
        top += _HEAD + len(case.found) * (_BAR + _GAP) + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        f'width="{_WIDTH}" height="{top}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _panel(case: Case, top: int) -> Iterator[str]:
    low, high = _bounds(case)
    yield _text(0, top + 16, f"{case.name}, {case.unit} (logarithmic)", "bold")
    for at, (peer, values) in enumerate(case.found.items()):
        y = top + _HEAD + at * (_BAR + _GAP) - 8
        middle = statistics.median(values)
        end = _place(middle, low, high)
        color = _OURS if peer.startswith(("penstock", "Body")) else _OTHERS
        yield _text(_LEFT - 8, y + 12, peer, anchor="end")
        yield (
            f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{color}"/>'
        )
        left, right = _place(min(values), low, high), _place(max(values), low, high)
        half = y + _BAR / 2
        yield f'<path d="M{left:.1f} {half}H{right:.1f}" stroke="{_INK}" stroke-width="2"/>'
        yield _text(max(end, right) + 6, y + 12, _figure(case, peer, middle))


def _figure(case: Case, peer: str, middle: float) -> str:
    if case.reference not in case.found or peer == case.reference:
        return shown(middle)
    return f"{shown(middle)} ({shown(statistics.median(case.ratios(peer)))} x)"


def _bounds(case: Case) -> tuple[float, float]:
    """Where the axis begins and ends: decades, so that a bar's length says its order."""
    values = [value for each in case.found.values() for value in each if value > 0] or [1.0]
    low = 10.0 ** math.floor(math.log10(min(values)) - 0.05)
    return low, max(max(values), low * 10)


def _place(value: float, low: float, high: float) -> float:
    share = math.log(max(value, low) / low) / math.log(high / low)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{_INK}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
