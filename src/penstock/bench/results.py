"""What a run of `penstock bench` found, as values and as JSON.

``bench.json`` is one `Result`: the settings, and for each load that was run a `Point` with its
`Summary` and the client's own `Health`. `save` and `load` are the two ways across; the field
``schema`` is `SCHEMA`, and a file of another schema is refused.

All times are seconds, as floats; all memory is bytes. What was not measured or not reported is
None, never zero. The names and definitions of the latencies are in `penstock.bench.metrics`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from penstock.errors import UsageError

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "CANCELLED",
    "SCHEMA",
    "Cost",
    "Goodput",
    "Health",
    "Interval",
    "Load",
    "LoadKind",
    "Metric",
    "Point",
    "RequestRecord",
    "Result",
    "Settings",
    "Summary",
    "Tick",
    "Tokens",
    "Unit",
    "Workload",
    "encoded",
    "load",
    "save",
]

SCHEMA = 1
"""The version of the JSON form; a change that a reader could misunderstand raises it."""

CANCELLED = "cancelled"
"""The `RequestRecord.error` of a request that was dropped: nobody failed."""

Interval: TypeAlias = tuple[float, float]
"""A 95 % confidence interval: its lower and its upper end."""

Unit: TypeAlias = Literal["s", "tokens", "tokens/s"]
"""What a metric is counted in."""

LoadKind: TypeAlias = Literal["concurrency", "constant", "poisson", "gamma", "ramp", "trace"]
"""A closed loop, and the arrivals of open ones."""


class Load(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How requests are begun."""

    kind: LoadKind
    """``concurrency`` is a closed loop: so many users, each sending when its answer is there. All
    others are open loops: requests begin when they are due, whatever became of earlier ones."""
    concurrency: int | None = None
    """The users of a closed loop; of an open one the most requests at once, None without bound."""
    rate: float | None = None
    """Requests a second, of a ramp the first ones."""
    rate_end: float | None = None
    """Requests a second at a ramp's end."""
    burstiness: float | None = None
    """The shape of the gamma distribution of the gaps: 1 is Poisson, below 1 burstier."""
    ramp_up: float | None = None
    """Seconds over which the users of a closed loop begin; None is all at once."""
    speed: float | None = None
    """How many times faster than recorded a trace is replayed."""

    @property
    def open_loop(self) -> bool:
        """Whether requests have a time at which they are due, from which latencies count."""
        return self.kind != "concurrency"


class Workload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked."""

    source: Literal["synthetic", "dataset", "trace"] = "synthetic"
    """Words drawn by the seed, the prompts of a file, or the lengths or prompts of a trace."""
    file: str | None = None
    """The name of the dataset's or trace's file, without its directory."""
    input_tokens: str | None = None
    """The distribution of prompt lengths: a word counts as a token."""
    output_tokens: str | None = None
    """The distribution of the limits on answers; None leaves them to the model."""
    prefix_tokens: int = 0
    """Words that all prompts begin with."""
    shuffle: bool = False
    """Whether a dataset's order is drawn."""
    turns: str | None = None
    """The distribution of the turns of a conversation; None is one, of a file as many as it has."""
    turn_delay: float = 0.0
    """Seconds between an answer and the next turn of its conversation."""


class Settings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was run; with the same seed and files it can be run again. No key is in it."""

    model: str
    """The model as the user named it."""
    base_url: str | None = None
    """The address, where the user gave one."""
    dialect: str | None = None
    """The dialect, where the user gave one."""
    transport: str | None = None
    """The transport, where the user gave one."""
    loads: tuple[Load, ...]
    """The loads that were asked for; a sweep begins with the first and adds its own."""
    sweep: bool = False
    """Whether the load was raised until the knee was passed."""
    workload: Workload = Workload()
    requests: int | None = None
    """Measured requests for each load; None where only time bounds it."""
    duration: float | None = None
    """Seconds for each load, after which no request begins; None where only requests bound it."""
    warmup: int = 0
    """Requests before each load's measured ones, left out of every figure."""
    seed: int = 0
    """What prompts, lengths, gaps and resampling are drawn from."""
    goodput: dict[str, float] = field(default_factory=dict)
    """The bounds that a good request keeps, seconds by the names of `Summary.metrics`."""
    price: str | None = None
    """US dollars for a million tokens, as `penstock.bench.prices.Prices.parse` reads them."""
    max_retries: int = 0
    """Tries after the first, in place."""
    fallbacks: tuple[str, ...] = ()
    """Models to try next."""
    extra_body: dict[str, Any] = field(default_factory=dict)  # Any: a vendor's own JSON
    """More fields of every request."""
    headers: tuple[str, ...] = ()
    """The names of further headers."""


class RequestRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request: a line of the JSONL file, a row of the CSV file."""

    number: int
    """Its place among the point's requests, from 0."""
    point: int = 0
    """The place of its load among `Result.points`."""
    warmup: bool = False
    """Whether it is left out of every figure."""
    conversation: int = 0
    """Its conversation's number."""
    turn: int = 0
    """Its place in the conversation, from 0."""
    scheduled: float
    """When it was due, from the point's beginning; of a closed loop when it was sent."""
    started: float
    """When it was sent, from the point's beginning."""
    ended: float
    """When its answer or error was whole, from the point's beginning."""
    error: str | None = None
    """The kind of its error (`penstock.errors.PenstockError.kind`), or ``cancelled`` where the run
    was ended before it was; None for a whole answer."""
    message: str = ""
    """The error's message."""
    status: int | None = None
    """The error's HTTP status, where there was one."""
    ttft: float | None = None
    """From `scheduled` to the first content: text, thinking, tool call, refusal or media."""
    ttfot: float | None = None
    """From `scheduled` to the first of the answer itself: neither thinking nor a tool call."""
    e2e: float | None = None
    """From `scheduled` to the last chunk of a whole answer; None for a failed request."""
    tpot: float | None = None
    """From the first content to the last, divided by the tokens after the first."""
    chunks: int = 0
    """Chunks with content."""
    input_tokens: int | None = None
    """As the provider counts them."""
    output_tokens: int | None = None
    """As the provider counts them, thinking included."""
    reasoning_tokens: int | None = None
    """As the provider counts them."""
    cached_tokens: int | None = None
    """Prompt tokens from the provider's cache."""
    cache_write_tokens: int | None = None
    """Prompt tokens into the provider's cache."""
    asked_input_tokens: int | None = None
    """The words of a synthetic prompt, history not counted."""
    asked_output_tokens: int | None = None
    """The limit on the answer."""
    cost: float | None = None
    """The provider's own figure, else by `Settings.price`; US dollars."""
    priced: bool = False
    """Whether the cost is by `Settings.price`."""
    finish_reason: str | None = None
    """Why the first choice ended."""
    deployment: str = ""
    """The deployment that answered, or failed last."""
    request_id: str | None = None
    """The provider's name for the request."""
    retries: int = 0
    """Tries after the first at the same deployment."""
    fallbacks: int = 0
    """Further deployments that were tried."""
    good: bool | None = None
    """Whether it keeps all bounds of the goodput; None where there are none."""


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


class Tokens(Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    deployments: dict[str, int]
    """Whole answers by who gave them."""
    goodput: Goodput | None = None
    cost: Cost | None = None
    tick: float = 1.0
    """Seconds of an interval of the timeline."""
    timeline: tuple[Tick, ...] = ()
    """Empty intervals are left out; at most 600."""


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


class Point(Struct, frozen=True, kw_only=True):
    """One load that was run."""

    load: Load
    summary: Summary
    health: Health


class Result(Struct, frozen=True, kw_only=True):
    """A run."""

    schema: int = SCHEMA
    penstock: str
    """penstock's version."""
    python: str
    """Python's version, with the implementation's name."""
    platform: str
    """The operating system and the processor's architecture."""
    started: str
    """When the run began, UTC, ISO 8601."""
    settings: Settings
    points: tuple[Point, ...]
    knee: int | None = None
    """Of a run with several loads, the place in `points` of the knee: the lowest load within a
    tenth of the best goodput where there are bounds, else of the best ratio of throughput to
    latency; None where no load has any."""
    interrupted: bool = False
    """Whether Ctrl-C ended it; what was measured by then is in it."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user about the run as a whole."""


def encoded(result: Result) -> bytes:
    """Return `result` as JSON, one line."""
    return msgspec.json.encode(result) + b"\n"


def save(result: Result, path: str | PathLike[str]) -> None:
    """Write `result` to the file `path`, as `encoded`.

    Raises:
        OSError: The file cannot be written.
    """
    Path(path).write_bytes(encoded(result))


def load(path: str | PathLike[str]) -> Result:
    """Return the run that `save` has written to the file `path`.

    Raises:
        UsageError: The file holds no run, or one of another schema.
        OSError: The file cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema == SCHEMA:
            return msgspec.json.decode(data, type=Result)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no result of penstock bench: {error}") from None
    raise UsageError(f"{path} has schema {schema}, and this penstock reads {SCHEMA}: run it again")


class _Schema(Struct):
    schema: int
