"""How certain a throughput is, held against processes whose rate is known."""

from __future__ import annotations

import random

import pytest

from penstock.bench.pace import BATCHES, Pace


def paced(times: list[float], amount: float = 1.0) -> Pace:
    """Return the pace of what came at `times`."""
    pace = Pace()
    for at in times:
        pace.add(at, amount)
    return pace


def test_of_few_events_nothing_is_said() -> None:
    """Nineteen have no interval, and neither has no time."""
    assert paced([0.1 * n for n in range(BATCHES - 1)]).interval(0.0, 2.0) is None
    assert paced([1.0] * BATCHES).interval(1.0, 1.0) is None


def test_what_is_even_is_certain() -> None:
    """Ten a second for forty seconds, a tenth of a second apart."""
    interval = paced([0.05 + n / 10 for n in range(400)]).interval(0.0, 40.0)

    assert (10.0, 10.0) == pytest.approx(interval, abs=0.05)


def test_its_middle_is_the_rate_itself() -> None:
    """Nothing is lost between the parts, nor by a warm-up, nor by bins that have grown."""
    draw = random.Random(2)
    times = sorted(draw.uniform(500.0, 530.0) for _ in range(900))
    interval = paced(times, amount=7.0).interval(499.0, 531.0)

    assert interval is not None
    assert 900 * 7 / 32 == pytest.approx(sum(interval) / 2)


def test_the_interval_holds_as_often_as_it_says() -> None:
    """Of 400 Poisson processes of ten a second, about 20 miss it."""
    missed = 0
    for seed in range(400):
        draw, at, pace = random.Random(seed), 0.0, Pace()
        while (at := at + draw.expovariate(10)) < 30:
            pace.add(at, 1.0)
        low, high = pace.interval(0.0, 30.0) or (0.0, 0.0)
        missed += not low <= 10 <= high

    assert 8 <= missed <= 36  # 20 give or take three and a half standard deviations


def test_its_memory_is_bounded() -> None:
    """A month of it is no more than a few thousand numbers."""
    pace = paced([1e-3 * 1.001**n for n in range(22_000)])

    assert len(pace._bins) <= 4096
