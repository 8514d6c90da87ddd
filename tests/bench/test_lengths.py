"""Distributions of lengths, as a user writes them."""

from __future__ import annotations

from random import Random
from statistics import fmean, median, pstdev

import pytest

from penstock.bench import Lengths
from penstock.errors import UsageError


def drawn(text: str, count: int = 4000) -> list[int]:
    """Return lengths of the distribution."""
    lengths, draw = Lengths.parse(text), Random(1)
    return [lengths.draw(draw) for _ in range(count)]


def test_a_number_is_one_length() -> None:
    """And nothing else."""
    assert {512} == set(drawn("512"))


def test_a_range_is_uniform() -> None:
    """Both ends are in it."""
    found = drawn("10-20")

    assert set(range(10, 21)) == set(found)
    assert 15 == pytest.approx(fmean(found), abs=0.2)


def test_normal_has_its_mean_and_deviation() -> None:
    """Of lengths that are not near 0."""
    found = drawn("normal:500,50")

    assert (500, 50) == pytest.approx((fmean(found), pstdev(found)), rel=0.03)


def test_lognormal_has_its_median() -> None:
    """And a tail."""
    found = drawn("lognormal: 200, 0.8")

    assert 200 == pytest.approx(median(found), rel=0.05)
    assert fmean(found) > 1.2 * median(found)


def test_bounds_hold() -> None:
    """No length is outside of them, and none is below 1 in any case."""
    assert (50, 400) == (min(drawn("lognormal:200,2@50-400")), max(drawn("lognormal:200,2@50-400")))
    assert 1 == min(drawn("normal:1,50"))


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "20-10", "abc", "normal:5", "normal:0,1", "1.5", "5@9-2", "gamma:1,2"]
)
def test_what_is_none_is_refused(text: str) -> None:
    """The message names the option and what is taken."""
    with pytest.raises(UsageError, match="--input-tokens"):
        Lengths.parse(text, option="--input-tokens")
