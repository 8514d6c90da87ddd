"""How certain a throughput is: the interval of a rate whose events are not independent.

A load's throughput is its sum over its duration, and the answers of a closed loop follow from each
other, so that nothing can be resampled one by one. The method of batch means cuts the duration into
`BATCHES` equal parts: their rates have the throughput as their mean, are nearly independent where
each part is longer than an answer, and their spread gives the mean's interval by Student's t
(Law and Kelton, "Simulation Modeling and Analysis", chapter 9; 10 to 30 parts: Schmeiser,
"Batch Size Effects in the Analysis of Simulation Output", Operations Research 30, 1982). The
beginning and the end of a load, in which fewer requests are under way, are in it, and widen it.
"""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.bench.summary import Interval

__all__ = ["BATCHES", "Pace"]

BATCHES = 20
"""Parts of the duration; fewer events than these have no interval."""

# Student's t of 0.975 with BATCHES - 1 degrees of freedom.
_T = 2.093
# At most: a part then is a hundred of them or more, and one that is cut a hundredth of it.
_BINS = 4096
_FINEST = 0.001


class Pace:
    """Amounts by when they came, in bins that grow as the time does: memory is bounded.

    The bins begin with the first amount, however long the load has warmed up before it.
    """

    def __init__(self) -> None:
        self._width = _FINEST
        self._bins: dict[int, float] = {}
        self._events = 0
        self._base = 0.0

    def add(self, at: float, amount: float) -> None:
        """Note that `amount` came at `at`, seconds; hardly ever before the one before it."""
        if not self._events:
            self._base = at
        self._events += 1
        at = max(at - self._base, 0.0)
        while at >= self._width * _BINS:
            self._double()
        place = int(at / self._width)
        self._bins[place] = self._bins.get(place, 0.0) + amount

    def interval(self, begin: float, end: float) -> Interval | None:
        """Return the 95 % interval of the amount a second from `begin` to `end`.

        None where fewer than `BATCHES` events came.
        """
        if self._events < BATCHES or end <= begin:
            return None
        rates = self._rates(begin, end)
        middle, reach = fmean(rates), _T * stdev(rates) / sqrt(BATCHES)
        return max(middle - reach, 0.0), middle + reach

    def _rates(self, begin: float, end: float) -> list[float]:
        """Return the rate of each part; a bin that two parts share is divided between them."""
        length = (end - begin) / BATCHES
        sums = [0.0] * BATCHES
        for place, amount in self._bins.items():
            low = max(self._base + place * self._width, begin)
            high = max(min(self._base + (place + 1) * self._width, end), low)
            first = min(max(int((low - begin) / length), 0), BATCHES - 1)
            last = min(max(int((high - begin) / length), first), BATCHES - 1)
            cut = begin + (first + 1) * length
            share = 1.0 if first == last or high <= low else (cut - low) / (high - low)
            sums[first] += amount * share
            sums[last] += amount * (1 - share)
        return [each / length for each in sums]

    def _double(self) -> None:
        self._width *= 2
        before, self._bins = self._bins, {}
        for place, amount in before.items():
            self._bins[place // 2] = self._bins.get(place // 2, 0.0) + amount
