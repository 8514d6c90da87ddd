"""Percentiles, moments and intervals, against the standard library and against coverage."""

from __future__ import annotations

import random
from math import isclose, isnan
from statistics import fmean, pstdev, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.bench.distribution import EXACT, Clusters, Sample, proportion_ci
from penstock.bench.summary import Metric

values = st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=2, max_size=200)


def sampled(numbers: list[float]) -> Metric:
    """Return the metric of independent values."""
    sample = Sample()
    for number in numbers:
        sample.add(number)
    metric = sample.metric("s")
    assert metric is not None
    return metric


@given(values)
def test_small_samples_are_exact(numbers: list[float]) -> None:
    """Percentiles are statistics.quantiles' inclusive ones, mean and deviation statistics' own."""
    metric, hundredths = sampled(numbers), quantiles(numbers, n=100, method="inclusive")

    assert [hundredths[49], hundredths[89], hundredths[94], hundredths[98]] == pytest.approx(
        list(metric.percentiles.values()), rel=1e-9, abs=1e-12
    )
    assert isclose(fmean(numbers), metric.mean, rel_tol=1e-9, abs_tol=1e-9)
    assert isclose(pstdev(numbers), metric.std, rel_tol=1e-6, abs_tol=1e-6)
    assert (min(numbers), max(numbers)) == (metric.min, metric.max)


@given(values)
def test_a_histogram_loses_nothing(numbers: list[float]) -> None:
    """Its bars are in order, none is empty, and they hold every value."""
    bars = sampled(numbers).histogram

    assert len(numbers) == sum(count for _, _, count in bars)
    assert all(low < high and count > 0 for low, high, count in bars)
    assert sorted(bars) == list(bars)


def test_no_value_is_no_metric() -> None:
    """Nothing was measured: there is nothing to report, least of all a zero."""
    assert Sample().metric("s") is None
    assert Clusters().metric("s") is None
    assert isnan(Sample().quantile(0.5))


def test_a_large_sample_becomes_a_sketch() -> None:
    """Beyond what is kept, percentiles are within 0.2 %, and the values are let go of."""
    draw, sample = random.Random(1), Sample()
    numbers = [draw.lognormvariate(0, 2) for _ in range(EXACT + 1000)]
    for number in numbers:
        sample.add(number)
    metric, hundredths = sample.metric("s"), quantiles(numbers, n=100, method="inclusive")

    assert metric is not None
    assert not sample._values
    assert [hundredths[49], hundredths[98]] == pytest.approx(
        [metric.percentiles["p50"], metric.percentiles["p99"]], rel=0.003
    )


def test_weights_count() -> None:
    """Two values of weight 3 stand for six of weight 1: mean, count and percentiles."""
    heavy, light = Clusters(), Clusters()
    heavy.add([0.1, 0.3], 3)
    light.add([0.1, 0.1, 0.1, 0.3, 0.3, 0.3])

    assert (6, 0.2) == (heavy.metric("s").count, pytest.approx(heavy.metric("s").mean))  # type: ignore[union-attr]
    assert light.metric("s").percentiles == heavy.metric("s").percentiles  # type: ignore[union-attr]


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.001, 10), min_size=1, max_size=9), st.integers(1, 5)),
        min_size=2,
        max_size=40,
    )
)
def test_a_sketch_has_the_same_percentiles(requests: list[tuple[list[float], int]]) -> None:
    """They are the inclusive ones of all values, each as often as it weighs, to 0.2 %."""
    clusters = Clusters()
    for gaps, weight in requests:
        clusters.add(gaps, weight)
    all_ = [gap for gaps, weight in requests for gap in gaps for _ in range(weight)]
    metric, hundredths = clusters.metric("s"), quantiles(all_, n=100, method="inclusive")

    assert metric is not None
    assert [hundredths[49], hundredths[89], hundredths[94], hundredths[98]] == pytest.approx(
        list(metric.percentiles.values()), rel=0.0021
    )


def test_the_same_seed_gives_the_same_interval() -> None:
    """A report can be made again."""
    draw = random.Random(2)
    numbers = [draw.expovariate(1) for _ in range(50)]

    assert sampled(numbers) == sampled(numbers)


TRUE = {"mean": 1.0, "p50": 0.693147, "p90": 2.302585}
"""Of the exponential distribution (the logarithms of 2 and of 10)."""


def exponential(kind: type[Sample] | type[Clusters], seed: int) -> Metric:
    """Return the metric of exponential values, drawn from `seed`."""
    draw, metric = random.Random(seed), None
    if kind is Sample:
        metric = sampled([draw.expovariate(1) for _ in range(120)])
    else:
        clusters = Clusters()
        for _ in range(60):
            clusters.add([draw.expovariate(1) for _ in range(10)])
        metric = clusters.metric("s", seed)
    assert metric is not None
    return metric


@pytest.mark.parametrize("kind", [Sample, Clusters])
def test_intervals_hold_the_truth_as_often_as_they_say(kind: type[Sample] | type[Clusters]) -> None:
    """Of sixty 95 % intervals at least 52 hold the true value."""
    hits = dict.fromkeys(TRUE, 0)
    for seed in range(60):
        ci = exponential(kind, seed).ci
        for name, true in TRUE.items():
            hits[name] += ci[name][0] <= true <= ci[name][1]

    assert {} == {name: count for name, count in hits.items() if count < 52}


def test_an_interval_holds_its_own_figure_where_many_values_are_alike() -> None:
    """A bucket with a third of all values is not halved: each percentile lies in its interval."""
    outside = []
    for seed in range(8, 20):
        draw, clusters = random.Random(seed), Clusters()
        for _ in range(40):
            clusters.add([0.04 + (draw.random() < 0.3) * 0.004 for _ in range(2)], 5.5)
        metric = clusters.metric("s")
        assert metric is not None
        ends = {name: metric.ci[name] for name in metric.percentiles}
        outside += [
            (seed, name)
            for name, (low, high) in ends.items()
            if not low <= metric.percentiles[name] <= high
        ]

    assert [] == outside


def test_gaps_of_one_answer_are_not_independent() -> None:
    """Ten answers whose gaps resemble each other say less than as many gaps of their own."""
    draw, alike, apart = random.Random(3), Clusters(), Clusters()
    for _ in range(10):
        pace = draw.uniform(0.5, 1.5)
        alike.add([pace * draw.uniform(0.9, 1.1) for _ in range(100)])
        apart.add([draw.uniform(0.5, 1.5) for _ in range(100)])
    (low, high), (lower, higher) = (
        each.metric("s").ci["p50"]  # type: ignore[union-attr]
        for each in (alike, apart)
    )

    assert high - low > 2 * (higher - lower)


@pytest.mark.parametrize(
    ("good", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (81, 263, 0.255, 0.366)],
)
def test_a_share_has_wilsons_interval(good: int, total: int, low: float, high: float) -> None:
    """The last case is Newcombe's (Statistics in Medicine 17, 1998, table I, method 3)."""
    assert (low, high) == pytest.approx(proportion_ci(good, total), abs=0.001)
