"""The figures of one load, and what the measuring cost.

Times are seconds, as floats; memory is bytes. What was not measured or not reported is None, never
zero. `penstock.bench.metrics` defines the latencies.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["Cost", "Goodput", "Health", "Interval", "Metric", "Summary", "Tick", "Tokens", "Unit"]

Interval: TypeAlias = tuple[float, float]
"""A 95 % confidence interval: its lower and its upper end."""

Unit: TypeAlias = Literal["s", "tokens", "tokens/s"]
"""What a metric is counted in."""


class Metric(Struct, frozen=True, kw_only=True):
    """The distribution of one figure, over the measured requests that have it."""

    unit: Unit
    """``s``, ``tokens`` or ``tokens/s``."""
    count: float
    """Values: requests, of ``itl`` tokens, of ``icl`` gaps between chunks."""
    mean: float
    std: float
    """The standard deviation."""
    min: float
    max: float
    percentiles: dict[str, float]
    """By name: ``p50``, ``p90``, ``p95``, ``p99``."""
    ci: dict[str, Interval]
    """The 95 % bootstrap intervals of ``mean`` and of each percentile."""
    histogram: tuple[tuple[float, float, float], ...] = ()
    """Lower bound, upper bound and count, in order; at most 60 of them, none of them empty."""


class Tokens(Struct, frozen=True, kw_only=True):
    """Sums over the whole answers of a point; None where no provider said."""

    input: int | None = None
    output: int = 0
    """Content chunks stand for tokens where a provider does not count (`uncounted`)."""
    reasoning: int | None = None
    cached: int | None = None
    """Prompt tokens from the provider's cache."""
    cache_write: int | None = None
    uncounted: int = 0
    """Answers without reported tokens."""
    cache_hit_rate: float | None = None
    """Cached over all prompt tokens, of the answers that report both."""


class Goodput(Struct, frozen=True, kw_only=True):
    """How many requests keep the bounds; failed ones keep none."""

    bounds: dict[str, float]
    """Seconds, by the names of `Summary.metrics`."""
    good: int
    ratio: float
    """Of all measured requests, failed ones among them."""
    ratio_ci: Interval
    request_throughput: float
    """Good requests a second."""
    request_throughput_ci: Interval | None = None


class Cost(Struct, frozen=True, kw_only=True):
    """What it cost: as providers say, and by `Settings.price` where they do not."""

    total: float
    """US dollars."""
    reported: int
    """Answers with a figure of the provider's."""
    priced: int = 0
    """Answers whose figure is by `Settings.price`."""
    per_request: float
    """US dollars, of both."""


class Tick(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interval of the timeline; its length is `Summary.tick`."""

    at: float
    """Its beginning, from the point's."""
    started: int = 0
    ended: int = 0
    """Whole answers."""
    failed: int = 0
    active: int = 0
    """Requests under way, the most of the interval."""
    output_tokens: float = 0
    """Content that came, in the tokens it amounts to; only of whole answers."""
    ttft: float | None = None
    """The mean of the first tokens that came."""


class Summary(Struct, frozen=True, kw_only=True):
    """The figures of one load; warm-up is in none of them."""

    requests: int
    """All measured requests that have ended of themselves."""
    succeeded: int
    """Those with a whole answer."""
    failed: int
    cancelled: int = 0
    """Requests besides that the end of an interrupted run has dropped: neither answered nor failed,
    and in no latency; the time until then is in `duration`."""
    duration: float
    """From the first measured request to the end of the last one."""
    request_throughput: float
    """Whole answers a second."""
    request_throughput_ci: Interval | None = None
    """Of fewer than twenty answers None, as of the others (`penstock.bench.pace`)."""
    output_throughput: float
    """Output tokens a second, of whole answers."""
    output_throughput_ci: Interval | None = None
    """An answer's tokens count at its end, so that it is rather too wide."""
    total_throughput: float | None
    """Input and output tokens a second; None where no provider counts the input."""
    total_throughput_ci: Interval | None = None
    concurrency: float
    """Requests under way, on average over the duration."""
    peak_concurrency: int
    """The most requests under way when one of the measured ones began."""
    metrics: dict[str, Metric]
    """``ttft``, ``ttfot``, ``itl``, ``icl``, ``tpot``, ``e2e``, ``start_delay``, ``input_tokens``,
    ``output_tokens``, ``user_throughput``; those without a value are missing."""
    tokens: Tokens
    errors: dict[str, int]
    """Failed requests by kind, the most frequent first."""
    messages: dict[str, str]
    """What the first error of each kind said."""
    finish_reasons: dict[str, int]
    retries: int
    """Tries after the first, in all."""
    fallbacks: int
    """Requests that went to a further deployment."""
    empty: int = 0
    """Whole answers in which nothing was said; they keep no bound."""
    at_once: int = 0
    """Whole answers of several tokens that came in one network read: their ITL and TPOT are 0."""
    deployments: dict[str, int]
    """Whole answers by who gave them."""
    goodput: Goodput | None = None
    cost: Cost | None = None
    tick: float = 1.0
    """Seconds of an interval of the timeline."""
    timeline: tuple[Tick, ...] = ()
    """Those in which nothing happened and nothing was under way are left out; at most 600."""


class Health(Struct, frozen=True, kw_only=True):
    """What the measuring cost the client while a load ran, and whether that was the limit."""

    cpu: float
    """CPU of the event loop's thread over wall time: 1.0 is a core that did nothing else."""
    process_cpu: float
    """The same of the whole process; an embedded simulator is in it."""
    loop_lag: Metric | None
    """By how much a timer of the event loop comes late, sampled every 20 ms."""
    memory: int | None
    """Resident bytes at the end; None where the system does not say."""
    memory_growth: int | None
    """Since the point's beginning."""
    limited: bool
    """Whether the client had a part in the figures beyond their precision (2 %, or 1 ms)."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user, why."""
