"""Arrivals: their rate, their spread, and the same ones for the same seed."""

from __future__ import annotations

from itertools import islice, pairwise, takewhile
from statistics import fmean, pstdev

import pytest

from penstock.bench import Load
from penstock.bench.schedule import arrivals
from penstock.errors import UsageError


def gaps(load: Load, count: int = 20_000) -> list[float]:
    """Return the first gaps."""
    return [after - before for before, after in pairwise(islice(arrivals(load), count))]


def test_a_constant_rate_has_one_gap() -> None:
    """Requests are due at multiples of it, exactly: nothing adds up."""
    assert [0, 0.25, 0.5, 0.75] == list(islice(arrivals(Load(kind="constant", rate=4)), 4))


@pytest.mark.parametrize(
    ("load", "deviation"),
    [
        (Load(kind="poisson", rate=50), 1.0),
        (Load(kind="gamma", rate=50, burstiness=1), 1.0),
        (Load(kind="gamma", rate=50, burstiness=0.25), 2.0),
        (Load(kind="gamma", rate=50, burstiness=100), 0.1),
    ],
)
def test_gaps_have_the_rate_and_the_burstiness(load: Load, deviation: float) -> None:
    """Their mean is 1 / rate, their deviation over it 1 / sqrt(burstiness)."""
    found = gaps(load)

    assert 0.02 == pytest.approx(fmean(found), rel=0.05)
    assert deviation == pytest.approx(pstdev(found) / fmean(found), rel=0.05)


@pytest.mark.parametrize(("first", "last"), [(10, 100), (100, 10), (50, 50)])
def test_a_ramp_goes_from_one_rate_to_the_other(first: float, last: float) -> None:
    """Each tenth of it has the mean of its rates; behind it the last one stays."""
    load = Load(kind="ramp", rate=first, rate_end=last)
    due = list(takewhile(lambda at: at < 120, arrivals(load, duration=100)))
    slope = (last - first) / 100

    for begin in range(0, 100, 10):
        found = sum(begin <= at < begin + 10 for at in due)
        wanted = 10 * (first + slope * (begin + 5))
        assert wanted == pytest.approx(found, abs=4.5 * wanted**0.5)
    assert 20 * last == pytest.approx(sum(at >= 100 for at in due), abs=4.5 * (20 * last) ** 0.5)


def test_the_seed_decides() -> None:
    """The same one gives the same arrivals, another one others."""
    load = Load(kind="poisson", rate=3)
    first, again, other = (list(islice(arrivals(load, seed=seed), 9)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "load",
    [
        Load(kind="poisson"),
        Load(kind="constant", rate=0),
        Load(kind="constant", rate=float("nan")),
        Load(kind="ramp", rate=1, rate_end=-1),
        Load(kind="ramp", rate=1, rate_end=2),
        Load(kind="gamma", rate=1, burstiness=0),
    ],
)
def test_what_cannot_be_is_refused(load: Load) -> None:
    """A rate, a burstiness and a ramp's duration are above 0."""
    with pytest.raises(UsageError):
        arrivals(load)
