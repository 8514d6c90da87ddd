"""The next load of a sweep, and where its knee is: pure functions of the points so far."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.bench.results import Point
    from penstock.bench.settings import Load

__all__ = ["knee", "next_load"]

# A doubled load that brings less than this much more is past the knee; two loads that are not
# further apart are as good, which is about what two runs of the same load differ by.
_GAIN = 1.1
_ENOUGH = 2
_MOST = 14


def next_load(points: Sequence[Point]) -> Load | None:
    """Return the load to run next, twice the last one; None once the knee is passed.

    It is passed when two doublings in a row have raised the throughput (with bounds: the goodput)
    by a tenth each or less, or when most requests fail.
    """
    last = points[-1]
    if len(points) >= _MOST or last.summary.failed > last.summary.succeeded:
        return None
    values = [_value(point) for point in points]
    steps = list(pairwise(values))
    if len(steps) >= _ENOUGH and all(new <= old * _GAIN for old, new in steps[-_ENOUGH:]):
        return None
    if last.load.open_loop:
        return replace(last.load, rate=2 * (last.load.rate or 1.0))
    return replace(last.load, concurrency=2 * (last.load.concurrency or 1))


def knee(points: Sequence[Point]) -> int | None:
    """Return the place of the knee among `points`; None where there is but one, or none is good.

    It is the lowest load that comes within a tenth of the best: behind it the score is flat, and
    the place of its greatest value is chance. With bounds the score is the goodput. Without, it is
    the "power", throughput divided by latency (Kleinrock, "Power and Deterministic Rules of Thumb
    for Probabilistic Problems in Computer Communications", ICC 1979): before it more load brings
    more answers, behind it only longer waiting.
    """
    bounded = any(point.summary.goodput is not None for point in points)
    scores = [_value(point) if bounded else _power(point) for point in points]
    best = max(scores, default=0.0)
    if len(points) < 2 or not best:
        return None
    near = [place for place, score in enumerate(scores) if score * _GAIN >= best]
    return min(near, key=lambda place: _size(points[place].load))


def _size(load: Load) -> float:
    """Return what makes one load higher than another of its kind."""
    return (load.rate if load.open_loop else load.concurrency) or 0.0


def _value(point: Point) -> float:
    summary = point.summary
    return (
        summary.request_throughput
        if summary.goodput is None
        else summary.goodput.request_throughput
    )


def _power(point: Point) -> float:
    latency = point.summary.metrics.get("e2e")
    if latency is None or not latency.mean:
        return 0.0
    return point.summary.request_throughput / latency.mean
