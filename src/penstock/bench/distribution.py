"""The distribution of a figure in bounded memory: exact while it is small, then a sketch.

Up to `EXACT` values are kept as they are. What goes beyond them, and everything that has a weight,
is in buckets whose bounds grow by 0.4 %, so that a percentile is within 0.2 % of the exact one
(DDSketch: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019). Mean, least and greatest are exact always.

Confidence intervals are bootstrap percentile intervals at 95 % (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13):

- of a percentile of independent values without a resample being drawn: the k-th smallest of n
  drawn with replacement is the value at the place ``n * Beta(k, n - k + 1)`` of the sorted ones, so
  one draw from a beta distribution stands for a resample;
- of a mean, and of everything whose values come in clusters (the gaps of one answer resemble each
  other), by resampling `GROUPS` groups of requests: with fewer requests each is its own group.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from itertools import accumulate
from math import ceil, exp, inf, isnan, log, nan, sqrt
from typing import TYPE_CHECKING

from penstock.bench.summary import Metric, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["EXACT", "GROUPS", "PERCENTILES", "Clusters", "Sample", "proportion_ci"]

EXACT = 100_000
"""Values that are kept: 800 kB."""

GROUPS = 64
"""Groups that are resampled: enough for a percentile of a bootstrap, few enough to be quick."""

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
"""The percentiles that are reported."""

_GROWTH = log(1.004)
_LEAST = 1e-9  # seconds or tokens: what is below it is nothing
_RESAMPLES = 400
_TAILS = 0.025, 0.975
_BARS = 60
_THINNEST = 1e-4  # of its value: six digits still tell its bounds apart


class _Buckets:
    """Weights by the logarithm of their value."""

    def __init__(self) -> None:
        self.weights: dict[int, float] = {}

    def add(self, value: float, weight: float) -> None:
        key = _key(value)
        self.weights[key] = self.weights.get(key, 0.0) + weight

    def join(self, other: _Buckets) -> None:
        for key, weight in other.weights.items():
            self.weights[key] = self.weights.get(key, 0.0) + weight

    def split(self, value: float) -> tuple[float, float]:
        """Return the weight up to the middle of the bucket of `value`, and all of it.

        A bucket is whole or not there, and a quantile lies within one: half of it is below.
        """
        key = _key(value)
        low = sum(weight for each, weight in self.weights.items() if each < key)
        return low + self.weights.get(key, 0.0) / 2, sum(self.weights.values())

    def sorted(self) -> tuple[list[float], list[float]]:
        """Return the middles of the buckets in order, and the weights up to and with each."""
        keys = sorted(self.weights)
        return [_middle(key) for key in keys], list(accumulate(self.weights[key] for key in keys))


_NOTHING = ceil(log(_LEAST) / _GROWTH)


def _key(value: float) -> int:
    return ceil(log(value) / _GROWTH) if value > _LEAST else _NOTHING


def _middle(key: int) -> float:
    """Return the value of a bucket that is off by the same share to both sides."""
    return 0.0 if key == _NOTHING else 2 * exp(key * _GROWTH) / (exp(_GROWTH) + 1)


class _Moments:
    """Count, mean, squares and bounds of weighted values."""

    def __init__(self) -> None:
        self.weight = self.mean = 0.0
        self._squares = 0.0
        self.least, self.greatest = inf, -inf

    def add(self, values: Sequence[float], weight: float = 1.0) -> None:
        # Merged by batches (Chan, Golub and LeVeque, 1979): sums of squares would lose digits.
        count = len(values) * weight
        mean = sum(values) / len(values)
        step = mean - self.mean
        whole = self.weight + count
        self._squares += weight * sum((value - mean) ** 2 for value in values)
        self._squares += step * step * self.weight * count / whole
        self.mean += step * count / whole
        self.weight = whole
        self.least = min(self.least, *values)
        self.greatest = max(self.greatest, *values)

    @property
    def deviation(self) -> float:
        return sqrt(self._squares / self.weight) if self.weight else 0.0


class Sample:
    """Values of requests, one each, independent of each other."""

    def __init__(self) -> None:
        self._values = array("d")
        self._buckets: _Buckets | None = None
        self._moments = _Moments()
        self._groups = _Groups()

    def __len__(self) -> int:
        return int(self._moments.weight)

    def add(self, value: float) -> None:
        """Take one more value, not below 0."""
        self._groups.add(value, 1.0)
        self._moments.add((value,))
        if self._buckets is not None:
            self._buckets.add(value, 1.0)
        elif len(self._values) < EXACT:
            self._values.append(value)
        else:
            self._buckets = _Buckets()
            for each in (*self._values, value):
                self._buckets.add(each, 1.0)
            self._values = array("d")

    def quantile(self, share: float) -> float:
        """Return the value that `share` of all values do not exceed; between two, in proportion.

        This is numpy's and statistics.quantiles' inclusive definition; nan without a value.
        """
        return self._ordered()(share)

    def metric(self, unit: Unit, seed: int = 0) -> Metric | None:
        """Return what is reported; None without a value."""
        if not len(self):
            return None
        draw = random.Random(seed)
        at = self._ordered()
        ci = {"mean": self._groups.mean_ci(draw)}
        for name, share in PERCENTILES.items():
            ci[name] = _quantile_ci(at, len(self), share, draw)
        values = {name: at(share) for name, share in PERCENTILES.items()}
        return _metric(unit, self._moments, values, ci, self._histogram())

    def _ordered(self) -> Callable[[float], float]:
        if self._buckets is not None:
            middles, sums = self._buckets.sorted()
            bounds = self._moments.least, self._moments.greatest
            return lambda share: _weighted(middles, sums, share, bounds)
        values = sorted(self._values)
        return lambda share: _between(values, share)

    def _histogram(self) -> Iterator[tuple[float, float]]:
        if self._buckets is None:
            return ((value, 1.0) for value in self._values)
        return ((_middle(key), weight) for key, weight in self._buckets.weights.items())


class Clusters:
    """Values that come by the request, each with a weight: the gaps of an answer."""

    def __init__(self) -> None:
        self._buckets = [_Buckets() for _ in range(GROUPS)]
        self._moments = _Moments()
        self._groups = _Groups()
        self._requests = 0

    def add(self, values: Sequence[float], weight: float = 1.0) -> None:
        """Take the values of one request, not below 0, each of them `weight` times."""
        if not values:
            return
        buckets = self._buckets[self._requests % GROUPS]
        self._requests += 1
        for value in values:
            buckets.add(value, weight)
        self._moments.add(values, weight)
        self._groups.add(sum(values) * weight, len(values) * weight)

    def metric(self, unit: Unit, seed: int = 0) -> Metric | None:
        """Return what is reported; None without a value."""
        if not self._requests:
            return None
        draw = random.Random(seed)
        whole = _Buckets()
        for buckets in self._buckets:
            whole.join(buckets)
        middles, sums = whole.sorted()
        bounds = self._moments.least, self._moments.greatest
        ci = {"mean": self._groups.mean_ci(draw)}
        values = {}
        for name, share in PERCENTILES.items():
            values[name] = _weighted(middles, sums, share, bounds)
            shares = self._shares(values[name], share, draw)
            ci[name] = _interval([_weighted(middles, sums, each, bounds) for each in shares])
        pairs = ((_middle(key), weight) for key, weight in whole.weights.items())
        return _metric(unit, self._moments, values, ci, pairs)

    def _shares(self, value: float, share: float, draw: random.Random) -> Iterator[float]:
        """Yield the shares at which resamples have their quantile.

        Where a resample of the groups has more of its weight up to `value` than all of them have,
        its own quantile lies lower, by as much of all the weight (Woodruff, JASA 47, 1952). What
        all of them have is `share` but for the bucket of `value`, which may hold a lot.
        """
        groups = [each.split(value) for each in self._buckets if each.weights]
        usual = _below(groups)
        for _ in range(_RESAMPLES):
            below = _below(draw.choices(groups, k=len(groups)))
            yield min(max(share + usual - below, 0.0), 1.0)


def _below(groups: Sequence[tuple[float, float]]) -> float:
    """Return the share of the first of each pair in the second."""
    return sum(low for low, _ in groups) / sum(all_ for _, all_ in groups)


class _Groups:
    """Sums of groups of requests, for the bootstrap of a mean."""

    def __init__(self) -> None:
        self._sums: list[list[float]] = []
        self._count = 0

    def add(self, total: float, weight: float) -> None:
        if len(self._sums) < GROUPS:
            self._sums.append([total, weight])
        else:
            group = self._sums[self._count % GROUPS]
            group[0] += total
            group[1] += weight
        self._count += 1

    def mean_ci(self, draw: random.Random) -> tuple[float, float]:
        means = []
        for _ in range(_RESAMPLES):
            chosen = draw.choices(self._sums, k=len(self._sums))
            means.append(sum(each[0] for each in chosen) / sum(each[1] for each in chosen))
        return _interval(means)


def proportion_ci(good: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 22, 1927): sound near 0 and 1, too."""
    if not total:
        return 0.0, 1.0
    z, share = 1.959964, good / total
    middle = share + z * z / (2 * total)
    reach = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    whole = 1 + z * z / total
    return max((middle - reach) / whole, 0.0), min((middle + reach) / whole, 1.0)


def _metric(
    unit: Unit,
    moments: _Moments,
    values: dict[str, float],
    ci: dict[str, tuple[float, float]],
    weighted: Iterator[tuple[float, float]],
) -> Metric:
    return Metric(
        unit=unit,
        count=moments.weight,
        mean=moments.mean,
        std=moments.deviation,
        min=moments.least,
        max=moments.greatest,
        percentiles=values,
        ci=ci,
        histogram=_histogram(weighted, moments),
    )


def _histogram(
    weighted: Iterator[tuple[float, float]], moments: _Moments
) -> tuple[tuple[float, float, float], ...]:
    """Return bars of equal width on a logarithmic axis, those that are empty left out."""
    least, greatest = max(moments.least, _LEAST), max(moments.greatest, _LEAST)
    width = max((log(greatest) - log(least)) / _BARS, _THINNEST)
    bars: dict[int, float] = {}
    for value, weight in weighted:
        place = int((log(max(value, least)) - log(least)) / width)
        place = min(max(place, 0), _BARS - 1)
        bars[place] = bars.get(place, 0.0) + weight
    low = log(least)
    edges = [float(f"{exp(low + place * width):.6g}") for place in range(_BARS + 1)]
    return tuple((edges[p], edges[p + 1], round(bars[p], 3)) for p in sorted(bars))


def _between(values: Sequence[float], share: float) -> float:
    if not values:
        return nan
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _weighted(
    middles: list[float], sums: list[float], share: float, bounds: tuple[float, float]
) -> float:
    """Return the quantile of values that are there as often as their weights say.

    It is the inclusive one of `_between`: a value that is there three times has the places from its
    first to its third, and only between two values there is something in proportion.
    """
    if not sums:
        return nan
    place = share * max(sums[-1] - 1, 0.0)
    at = min(bisect_right(sums, place), len(middles) - 1)
    value = middles[at]
    last = max(sums[at] - 1, sums[at - 1] if at else 0.0)
    if place > last and at + 1 < len(middles):
        value += (middles[at + 1] - value) * (place - last) / (sums[at] - last)
    return min(max(value, bounds[0]), bounds[1])


def _quantile_ci(
    at: Callable[[float], float], count: int, share: float, draw: random.Random
) -> tuple[float, float]:
    """Return the bootstrap's interval of a quantile, from draws of where it falls.

    The places of order statistics may be fractions (Hutson, J. Appl. Statist. 26, 1999), as the
    quantile that lies between two values is.
    """
    place = 1 + share * (count - 1)
    draws = [at(draw.betavariate(place, count - place + 1)) for _ in range(_RESAMPLES)]
    return _interval(draws)


def _interval(values: list[float]) -> tuple[float, float]:
    values = sorted(value for value in values if not isnan(value))
    return _between(values, _TAILS[0]), _between(values, _TAILS[1])
