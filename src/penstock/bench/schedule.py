"""When the requests of an open loop are due: pure, drawn from a seed."""

from __future__ import annotations

import random
from itertools import count
from math import sqrt
from typing import TYPE_CHECKING

from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.bench.settings import Load

__all__ = ["arrivals"]


def arrivals(load: Load, *, seed: int = 0, duration: float | None = None) -> Iterator[float]:
    """Yield the seconds from the beginning at which requests are due, without end.

    The gaps are gamma-distributed with the mean ``1 / rate`` and the shape `Load.burstiness`, as
    vLLM's ``--burstiness`` has it: 1 is a Poisson process, 0.25 has gaps that deviate twice their
    mean, a large one comes near to the constant rate. A ramp's rate goes up or down in a straight
    line over `duration`, and stays at its end; its gaps are those of a Poisson process whose rate
    changes, by inverting the integral of the rate.

    Raises:
        UsageError: The load has no rate above 0, or a ramp has no `duration`.
    """
    _check(load, duration)
    rate = load.rate or 0.0
    if load.kind == "constant":
        return (number / rate for number in count())
    draw = random.Random(f"arrivals/{seed}")
    if load.kind == "ramp":
        return _ramp(draw, rate, load.rate_end or rate, duration or 0.0)
    return _gamma(draw, rate, 1.0 if load.burstiness is None else load.burstiness)


def _gamma(draw: random.Random, rate: float, shape: float) -> Iterator[float]:
    at = 0.0
    while True:
        yield at
        at += draw.gammavariate(shape, 1 / (rate * shape))


def _ramp(draw: random.Random, first: float, last: float, duration: float) -> Iterator[float]:
    """Invert ``first * t + slope * t**2 / 2 = expected``; behind the ramp the rate is `last`."""
    slope = (last - first) / duration
    whole = (first + last) / 2 * duration
    expected = 0.0
    while True:
        if expected >= whole:
            yield duration + (expected - whole) / last
        else:
            # This form of the root is exact for a slope of 0, too.
            yield 2 * expected / (first + sqrt(first * first + 2 * slope * expected))
        expected += draw.expovariate(1.0)


def _check(load: Load, duration: float | None) -> None:
    for name, value in (("rate", load.rate), ("rate_end", load.rate_end)):
        if (value is None and name == "rate") or (value is not None and not value > 0):
            raise UsageError(f"{name} must be above 0 requests a second, not {value!r}", param=name)
    if load.burstiness is not None and not load.burstiness > 0:
        raise UsageError(f"burstiness must be above 0, not {load.burstiness!r}", param="burstiness")
    if load.kind == "ramp" and not duration:
        raise UsageError("a ramp needs a duration, over which it rises", param="duration")
