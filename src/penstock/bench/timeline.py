"""What happened when, in intervals that grow longer as the run does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.bench.summary import Tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.bench.records import RequestRecord

__all__ = ["Timeline"]

_MOST = 600


@dataclass(slots=True)
class _Interval:
    started: int = 0
    ended: int = 0
    failed: int = 0
    active: int = 0
    tokens: float = 0.0
    ttft: float = 0.0
    firsts: int = 0

    def join(self, other: _Interval) -> None:
        self.started += other.started
        self.ended += other.ended
        self.failed += other.failed
        self.active = max(self.active, other.active)
        self.tokens += other.tokens
        self.ttft += other.ttft
        self.firsts += other.firsts

    def tick(self, at: float) -> Tick:
        return Tick(
            at=at,
            started=self.started,
            ended=self.ended,
            failed=self.failed,
            active=self.active,
            output_tokens=round(self.tokens, 3),
            ttft=self.ttft / self.firsts if self.firsts else None,
        )


class Timeline:
    """Counts by the interval, at most 600 of them: then neighbours join and `tick` doubles."""

    def __init__(self, tick: float = 1.0) -> None:
        self.tick = tick
        """Seconds of an interval."""
        self._intervals: dict[int, _Interval] = {}

    def began(self, at: float, active: int) -> None:
        """Note a request that was sent, and how many are then under way."""
        interval = self._at(at)
        interval.started += 1
        interval.active = max(interval.active, active)

    def ended(self, record: RequestRecord, gaps: Sequence[float], streamed: int) -> None:
        """Note a request that has ended, with its gaps and the tokens in its chunks."""
        interval = self._at(record.ended)
        if record.error is not None:
            interval.failed += 1
            return
        interval.ended += 1
        if record.ttft is None:
            return
        first = record.scheduled + record.ttft
        interval = self._at(first)
        interval.ttft += record.ttft
        interval.firsts += 1
        share = streamed / (len(gaps) + 1)
        interval.tokens += share
        for gap in gaps:
            first += gap
            self._at(first).tokens += share

    def ticks(self) -> tuple[Tick, ...]:
        """Return the intervals in which something happened, in order."""
        return tuple(self._intervals[n].tick(n * self.tick) for n in sorted(self._intervals))

    def _at(self, seconds: float) -> _Interval:
        place = int(max(seconds, 0.0) / self.tick)
        while place >= _MOST:
            self._halve()
            place = int(seconds / self.tick)
        interval = self._intervals.get(place)
        if interval is None:
            interval = self._intervals[place] = _Interval()
        return interval

    def _halve(self) -> None:
        self.tick *= 2
        before, self._intervals = self._intervals, {}
        for place, interval in before.items():
            kept = self._intervals.setdefault(place // 2, _Interval())
            kept.join(interval)
