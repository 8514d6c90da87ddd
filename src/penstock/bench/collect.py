"""From the records of single requests to the summary of a load, in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.bench.distribution import Clusters, Sample, proportion_ci
from penstock.bench.pace import Pace
from penstock.bench.records import CANCELLED
from penstock.bench.summary import Cost, Goodput, Metric, Summary, Tokens
from penstock.bench.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.bench.records import RequestRecord
    from penstock.bench.summary import Interval, Unit

__all__ = ["BOUNDS", "Collector", "keeps"]

BOUNDS = ("ttft", "ttfot", "tpot", "e2e")
"""What a request can be bound to, by the names of its record's fields."""

_UNITS: dict[str, Unit] = {
    "ttft": "s",
    "ttfot": "s",
    "tpot": "s",
    "e2e": "s",
    "start_delay": "s",
    "user_throughput": "tokens/s",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
}


_RATES = "requests", "output", "total", "good"


def keeps(record: RequestRecord, bounds: Mapping[str, float]) -> bool | None:
    """Tell whether `record` keeps all `bounds`, in seconds; None where there are none.

    A failed request keeps none, and neither does an answer in which nothing was said: it would be
    the fastest of all. A figure that a whole answer does not have (the time per token of a single
    one, the first output of a tool call) breaks no bound.
    """
    if not bounds:
        return None
    if record.error is not None or not record.chunks:
        return False
    found = {name: getattr(record, name) for name in bounds}
    return all(value is None or value <= bounds[name] for name, value in found.items())


class Collector:
    """Takes a load's records as they come, and sums them up.

    Args:
        bounds: The bounds of a good request, seconds by the names of `BOUNDS`.
        seed: What the resampling of the intervals is drawn from.
    """

    def __init__(self, bounds: Mapping[str, float], *, seed: int = 0) -> None:
        self._bounds = dict(bounds)
        self._seed = seed
        self._samples = {name: Sample() for name in _UNITS}
        self._itl, self._icl = Clusters(), Clusters()
        self.timeline = Timeline()
        """What happened when."""
        self.succeeded = self.failed = self.cancelled = 0
        self.output_tokens = 0
        """Of whole answers."""
        self.errors: Counter[str] = Counter()
        """Failed requests by kind."""
        self._messages: dict[str, str] = {}
        self._good = self._retries = self._fallbacks = self._empty = self._at_once = 0
        self._sums: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._cache = [0, 0]
        self._cost = 0.0
        self._costing: Counter[bool] = Counter()
        self._deployments: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._begin, self._end = float("inf"), 0.0
        self._busy = 0.0
        self._paces = {name: Pace() for name in _RATES}

    def quantile(self, name: str, share: float) -> float:
        """Return a quantile so far of one of the requests' figures; nan without a value."""
        return self._samples[name].quantile(share)

    def take(self, record: RequestRecord, gaps: Sequence[float], streamed: int) -> None:
        """Add one measured request.

        Args:
            record: What is known of it.
            gaps: Seconds between its chunks with content.
            streamed: The tokens in those chunks.
        """
        self._begin = min(self._begin, record.scheduled)
        self._end = max(self._end, record.ended)
        self._busy += record.ended - record.started
        if record.error == CANCELLED:
            self.cancelled += 1
            return
        self.timeline.ended(record, gaps, streamed)
        self._retries += record.retries
        self._fallbacks += record.fallbacks > 0
        self._samples["start_delay"].add(max(record.started - record.scheduled, 0.0))
        if keeps(record, self._bounds):
            self._good += 1
            self._paces["good"].add(record.ended, 1.0)
        if record.error is not None:
            self.failed += 1
            self.errors[record.error] += 1
            self._messages.setdefault(record.error, record.message)
            return
        self.succeeded += 1
        self._empty += not record.chunks
        self._at_once += len(gaps) > 0 and streamed > 1 and not any(gaps)
        self._answered(record)
        self._count(record, streamed)
        if gaps and streamed > 1:
            share = (streamed - 1) / len(gaps)
            self._itl.add([gap / share for gap in gaps], share)
        self._icl.add(gaps)

    def summary(self, peak: int) -> Summary:
        """Return the figures; `peak` is the most requests that were under way at once."""
        total = self.succeeded + self.failed
        duration = max(self._end - self._begin, 1e-9) if total + self.cancelled else 0.0
        per_second = 1 / duration if duration else 0.0
        tokens = self._tokens()
        whole = None if tokens.input is None else tokens.input + tokens.output
        return Summary(
            requests=total,
            succeeded=self.succeeded,
            failed=self.failed,
            cancelled=self.cancelled,
            duration=duration,
            request_throughput=self.succeeded * per_second,
            request_throughput_ci=self._interval("requests"),
            output_throughput=tokens.output * per_second,
            output_throughput_ci=self._interval("output"),
            total_throughput=None if whole is None else whole * per_second,
            total_throughput_ci=None if whole is None else self._interval("total"),
            concurrency=self._busy * per_second,
            peak_concurrency=peak,
            metrics=self._metrics(),
            tokens=tokens,
            errors=dict(self.errors.most_common()),
            messages=self._messages,
            finish_reasons=dict(self._reasons.most_common()),
            retries=self._retries,
            fallbacks=self._fallbacks,
            empty=self._empty,
            at_once=self._at_once,
            deployments=dict(self._deployments.most_common()),
            goodput=self._goodput(total, per_second),
            cost=self._costs(),
            tick=self.timeline.tick,
            timeline=self.timeline.ticks(),
        )

    def _answered(self, record: RequestRecord) -> None:
        for name in ("ttft", "ttfot", "tpot", "e2e"):
            if (value := getattr(record, name)) is not None:
                self._samples[name].add(value)
        if record.tpot:
            self._samples["user_throughput"].add(1 / record.tpot)
        self._deployments[record.deployment] += 1
        if record.finish_reason is not None:
            self._reasons[record.finish_reason] += 1

    def _count(self, record: RequestRecord, streamed: int) -> None:
        for name in ("input", "output", "reasoning", "cached", "cache_write"):
            if (tokens := getattr(record, f"{name}_tokens")) is not None:
                self._sums[name] += tokens
                self._reported[name] += 1
        for name in ("input_tokens", "output_tokens"):
            if (tokens := getattr(record, name)) is not None:
                self._samples[name].add(float(tokens))
        if record.output_tokens is None and record.chunks:
            self._sums["uncounted"] += 1
        output = streamed if record.output_tokens is None else record.output_tokens
        self.output_tokens += output
        self._paces["requests"].add(record.ended, 1.0)
        self._paces["output"].add(record.ended, output)
        self._paces["total"].add(record.ended, output + (record.input_tokens or 0))
        if record.cached_tokens is not None and record.input_tokens:
            self._cache[0] += record.cached_tokens
            self._cache[1] += record.input_tokens
        if record.cost is not None:
            self._cost += record.cost
            self._costing[record.priced] += 1

    def _metrics(self) -> dict[str, Metric]:
        found: dict[str, Metric | None] = {}
        for name, unit in _UNITS.items():
            found[name] = self._samples[name].metric(unit, self._seed)
        found["itl"] = self._itl.metric("s", self._seed)
        found["icl"] = self._icl.metric("s", self._seed)
        return {name: metric for name, metric in found.items() if metric is not None}

    def _tokens(self) -> Tokens:
        said = {name: self._sums[name] for name in self._reported if name != "output"}
        cached, prompts = self._cache
        return Tokens(
            output=self.output_tokens,
            uncounted=self._sums["uncounted"],
            cache_hit_rate=cached / prompts if prompts else None,
            **said,
        )

    def _goodput(self, total: int, per_second: float) -> Goodput | None:
        if not self._bounds:
            return None
        return Goodput(
            bounds=self._bounds,
            good=self._good,
            ratio=self._good / total if total else 0.0,
            ratio_ci=proportion_ci(self._good, total),
            request_throughput=self._good * per_second,
            request_throughput_ci=self._interval("good"),
        )

    def _interval(self, name: str) -> Interval | None:
        return self._paces[name].interval(self._begin, self._end)

    def _costs(self) -> Cost | None:
        if not self._costing:
            return None
        return Cost(
            total=self._cost,
            reported=self._costing[False],
            priced=self._costing[True],
            per_request=self._cost / self._costing.total(),
        )
