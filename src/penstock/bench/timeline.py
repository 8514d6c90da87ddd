"""What happened when, in intervals that grow longer as the run does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.bench.summary import Tick

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.bench.records import RequestRecord

__all__ = ["Timeline"]

_MOST = 600


@dataclass(slots=True)
class _Interval:
    started: int = 0
    ended: int = 0
    failed: int = 0
    active: int = 0
    after: int | None = None  # under way at its end; None where nothing began or left in it
    tokens: float = 0.0
    ttft: float = 0.0
    firsts: int = 0

    def join(self, other: _Interval) -> None:
        """Add the one that follows."""
        self.started += other.started
        self.ended += other.ended
        self.failed += other.failed
        self.active = max(self.active, other.active)
        self.after = self.after if other.after is None else other.after
        self.tokens += other.tokens
        self.ttft += other.ttft
        self.firsts += other.firsts

    def tick(self, at: float, before: int) -> Tick:
        """Return its figures; `before` are under way when it begins."""
        return Tick(
            at=at,
            started=self.started,
            ended=self.ended,
            failed=self.failed,
            active=max(self.active, before),
            output_tokens=round(self.tokens, 3),
            ttft=self.ttft / self.firsts if self.firsts else None,
        )


_NOTHING = _Interval()


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
        interval.after = active

    def left(self, at: float, active: int) -> None:
        """Note that a request is under way no more, and how many still are."""
        if not self._intervals:  # it was one to warm up
            return
        interval = self._at(at)
        interval.active = max(interval.active, active + 1)
        interval.after = active

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
        """Return the intervals in which something happened or was waited for, in order."""
        return tuple(self._ticks())

    def _ticks(self) -> Iterator[Tick]:
        under_way = 0
        places = self._intervals.keys()
        for place in range(min(places), max(places) + 1) if places else ():
            interval = self._intervals.get(place, _NOTHING)
            tick = interval.tick(place * self.tick, under_way)
            if tick.active or interval is not _NOTHING:
                yield tick
            under_way = under_way if interval.after is None else interval.after

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
        for place in sorted(before):
            kept = self._intervals.setdefault(place // 2, _Interval())
            kept.join(before[place])
