"""Two runs, the second against the first: what changed by more than chance would.

Loads are paired by what they are, not by their place. A figure with two intervals differs where the
difference is larger than the two half-widths in quadrature, which is the 95 % interval of the
difference of two independent estimates (of normal ones exactly; a bootstrap interval's half-width
towards the other estimate is taken). What has no interval gets no verdict, as the throughput of few
answers has none, and neither has what fewer than `ENOUGH` answers say: a bootstrap draws only from
the values that it has, so that of three answers its interval misses one time in five, and of one it
has no width.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from penstock.bench.distribution import proportion_ci
from penstock.bench.text import described, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.bench.results import Point, Result
    from penstock.bench.settings import Settings
    from penstock.bench.summary import Interval, Metric, Summary

__all__ = ["ENOUGH", "Change", "Comparison", "PointComparison", "compare", "compared_lines"]

ENOUGH = 10
"""Answers of each run, from which on a difference is called better or worse."""

Verdict = Literal["better", "worse", "same"]

_METRICS = ("ttft", "ttfot", "itl", "tpot", "e2e")
_MARKS = ("mean", "p50", "p90", "p95", "p99")
_SETTINGS = (
    "model",
    "base_url",
    "dialect",
    "transport",
    "workload",
    "requests",
    "duration",
    "warmup",
    "goodput",
    "max_retries",
    "fallbacks",
    "extra_body",
)


class Change(Struct, frozen=True, kw_only=True):
    """One figure of both runs."""

    name: str
    """The metric and its percentile, such as ``ttft p99``, or the name of a rate."""
    unit: str
    before: float
    after: float
    verdict: Verdict | None
    """None where the figure has no interval to judge by, or too few answers gave it."""
    more_is_better: bool = False
    """Whether it is a throughput or a share of good requests."""

    @property
    def ratio(self) -> float | None:
        """The second over the first; None where the first is zero."""
        return self.after / self.before if self.before else None

    @property
    def loss(self) -> float:
        """By what share of the first the second is worse; infinite where the first is zero."""
        if self.ratio is None:
            return math.inf
        return 1 - self.ratio if self.more_is_better else self.ratio - 1


class PointComparison(Struct, frozen=True, kw_only=True):
    """One load of both runs."""

    load: str
    """What it was, in a few words."""
    changes: tuple[Change, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """Two runs."""

    points: tuple[PointComparison, ...]
    warnings: tuple[str, ...]
    """Why the two may not be comparable: other settings, other machines, loads that only one has,
    too few answers, and runs in which the client was the limit."""

    def worse(self, least: float = 0.0) -> list[Change]:
        """Return what is worse by more than chance and by at least the share `least`."""
        return [
            change
            for point in self.points
            for change in point.changes
            if change.verdict == "worse" and change.loss >= least
        ]


def compare(before: Result, after: Result) -> Comparison:
    """Return what `after` has otherwise than `before`."""
    left, right = _named(before), _named(after)
    return Comparison(
        points=tuple(
            PointComparison(load=name, changes=tuple(_changes(left[name], right[name])))
            for name in left
            if name in right
        ),
        warnings=tuple(_warnings(before, after, left, right)),
    )


def compared_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the lines of a comparison, without colours."""
    for warning in comparison.warnings:
        yield f"warning: {warning}"
    for point in comparison.points:
        yield point.load
        for change in point.changes:
            yield f"  {change.name:20}{_shown(change)}"


def _named(result: Result) -> dict[str, Point]:
    """Return the loads by what they are; one that is run again is told by which time it is."""
    named: dict[str, Point] = {}
    times: Counter[str] = Counter()
    for point in result.points:
        name = described(point.load)
        times[name] += 1
        named[name if times[name] == 1 else f"{name} (run {times[name]})"] = point
    return named


class _Figure(NamedTuple):
    value: float
    interval: Interval | None


def _changes(before: Point, after: Point) -> Iterator[Change]:
    judged = not (_few(before) or _few(after))
    for change in (*_rates(before.summary, after.summary), *_latencies(before, after)):
        yield change if judged else replace(change, verdict=None)


def _latencies(before: Point, after: Point) -> Iterator[Change]:
    for name in _METRICS:
        first, second = before.summary.metrics.get(name), after.summary.metrics.get(name)
        if first is None or second is None:
            continue
        for mark in _MARKS:
            one, two = _figure(first, mark), _figure(second, mark)
            if one is not None and two is not None:
                yield _change(f"{name} {mark}", "s", one, two)


def _rates(before: Summary, after: Summary) -> Iterator[Change]:
    one, two = (_Figure(s.request_throughput, s.request_throughput_ci) for s in (before, after))
    yield _change("requests", "1/s", one, two, more_is_better=True)
    one, two = (_Figure(s.output_throughput, s.output_throughput_ci) for s in (before, after))
    yield _change("output tokens", "1/s", one, two, more_is_better=True)
    one, two = (_percent(s.failed, s.requests) for s in (before, after))
    yield _change("failed", "%", one, two)
    if before.goodput is not None and after.goodput is not None:
        one, two = (_percent(s.goodput.good, s.requests) for s in (before, after) if s.goodput)
        yield _change("good", "%", one, two, more_is_better=True)


def _few(point: Point) -> bool:
    return point.summary.succeeded < ENOUGH


def _percent(part: int, whole: int) -> _Figure:
    low, high = proportion_ci(part, whole)
    return _Figure(100 * part / whole if whole else 0.0, (100 * low, 100 * high))


def _figure(metric: Metric, mark: str) -> _Figure | None:
    """Return a figure and its interval."""
    value = metric.mean if mark == "mean" else metric.percentiles.get(mark)
    return None if value is None else _Figure(value, metric.ci.get(mark))


def _change(
    name: str, unit: str, before: _Figure, after: _Figure, *, more_is_better: bool = False
) -> Change:
    return Change(
        name=name,
        unit=unit,
        before=before.value,
        after=after.value,
        verdict=_verdict(before, after, more_is_better=more_is_better),
        more_is_better=more_is_better,
    )


def _verdict(before: _Figure, after: _Figure, *, more_is_better: bool) -> Verdict | None:
    (first, one), (second, two) = before, after
    if one is None or two is None:
        return None
    grown = second - first
    # The half of each interval that faces the other estimate.
    if grown > 0:
        chance = math.hypot(one[1] - first, second - two[0])
    else:
        chance = math.hypot(first - one[0], two[1] - second)
    if abs(grown) <= chance:
        return "same"
    return "better" if (grown > 0) == more_is_better else "worse"


def _warnings(
    before: Result, after: Result, left: dict[str, Point], right: dict[str, Point]
) -> Iterator[str]:
    yield from _other_settings(before.settings, after.settings)
    if before.platform != after.platform or before.python != after.python:
        yield (
            f"measured with {before.python} on {before.platform}, "
            f"then with {after.python} on {after.platform}"
        )
    for names, others, which in ((left, right, "first"), (right, left, "second")):
        if missing := [name for name in names if name not in others]:
            yield f"only the {which} run has {', '.join(missing)}"
    for result, which in ((before, "first"), (after, "second")):
        if limited := [described(p.load) for p in result.points if p.health.limited]:
            yield f"the client was the limit in the {which} run: {', '.join(limited)}"
        if few := [described(p.load) for p in result.points if _few(p)]:
            yield (
                f"fewer than {ENOUGH} answers in the {which} run say nothing of chance: "
                f"{', '.join(few)}"
            )
        if result.interrupted:
            yield f"the {which} run was interrupted"


def _other_settings(before: Settings, after: Settings) -> Iterator[str]:
    for name in _SETTINGS:
        first, second = getattr(before, name), getattr(after, name)
        if first != second:
            yield f"{name} was {first!r}, then {second!r}"


def _shown(change: Change) -> str:
    if change.unit == "s":
        figures = f"{milliseconds(change.before):>10} -> {milliseconds(change.after):>8} ms"
    else:
        figures = f"{change.before:>10.4g} -> {change.after:>8.4g} {change.unit}"
    ratio = "" if change.ratio is None else f"{change.ratio - 1:+8.1%}"
    verdict = "" if change.verdict in (None, "same") else f"  {change.verdict}"
    return f"{figures:32}{ratio}{verdict}".rstrip()
