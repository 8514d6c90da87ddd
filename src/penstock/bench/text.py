"""A run as text: a block for one load, a table for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from penstock.bench.results import Point, Result
    from penstock.bench.settings import Load, Settings
    from penstock.bench.summary import Cost, Health, Interval, Metric, Summary

__all__ = ["cost_source", "described", "lines", "milliseconds"]

_MIB = 1024 * 1024
_NAMES = {
    "ttft": "TTFT",
    "ttfot": "TTFOT",
    "itl": "ITL",
    "tpot": "TPOT",
    "e2e": "E2E",
}


def lines(result: Result) -> Iterator[str]:
    """Yield the lines of a report, without colours."""
    yield f"{result.settings.model}: {_workload(result.settings)}"
    if len(result.points) == 1:
        yield from _block(result.points[0])
    elif result.points:
        yield from _table(result)
    for warning in _warnings(result):
        yield f"warning: {warning}"
    if result.interrupted:
        until = "these are the figures until then" if result.points else "no load was begun"
        yield f"interrupted: {until}{_dropped(result)}"


def _dropped(result: Result) -> str:
    count = sum(point.summary.cancelled for point in result.points)
    return f"; {count} requests under way were cancelled and are in none" if count else ""


def described(load: Load) -> str:
    """Return a load in a few words: ``32 users``, ``8 requests/s (poisson)``."""
    cap = f", at most {load.concurrency} at once" if load.open_loop and load.concurrency else ""
    match load.kind:
        case "concurrency":
            return f"{load.concurrency} user{'' if load.concurrency == 1 else 's'}"
        case "trace":
            speed = "" if load.speed in (None, 1.0) else f" at {load.speed:g} times its speed"
            return f"trace{speed}{cap}"
        case "ramp":
            return f"{load.rate:g} to {load.rate_end:g} requests/s{cap}"
        case "gamma":
            return f"{load.rate:g} requests/s (burstiness {load.burstiness:g}){cap}"
        case _:
            return f"{load.rate:g} requests/s ({load.kind}){cap}"


def milliseconds(seconds: float) -> str:
    """Return a time in milliseconds, with three digits that mean something."""
    value = seconds * 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def _workload(settings: Settings) -> str:
    asked = settings.workload
    parts = [asked.file or "drawn words"]
    if asked.input_tokens is not None:
        parts.append(f"{asked.input_tokens} in")
    if asked.output_tokens is not None:
        parts.append(f"{asked.output_tokens} out")
    if asked.turns is not None and asked.turns != "1":
        parts.append(f"{asked.turns} turns")
    if settings.warmup:
        parts.append(f"{settings.warmup} to warm up")
    return ", ".join([*parts, f"seed {settings.seed}"])


def _block(point: Point) -> Iterator[str]:
    summary = point.summary
    yield f"{described(point.load)}: {_counts(summary)}"
    for kind, message in summary.messages.items():
        yield f"  {kind}: {message}"
    rows = [["ms", "mean", "p50", "p90", "p95", "p99", "95 % interval of p50"]]
    for name, shown in _NAMES.items():
        if (metric := summary.metrics.get(name)) is not None:
            rows.append([shown, *_latency(metric)])
    if len(rows) > 1:
        yield ""
        yield from _columns(rows)
        yield ""
        if point.load.open_loop:
            yield "TTFT, TTFOT and E2E count from when a request was due, not from when it was sent"
    yield from _figures(summary)
    yield f"client: {_health(point.health)}"


def _latency(metric: Metric) -> list[str]:
    low, high = metric.ci["p50"]
    return [
        milliseconds(metric.mean),
        *(milliseconds(value) for value in metric.percentiles.values()),
        f"{milliseconds(low)} to {milliseconds(high)}",
    ]


def _counts(summary: Summary) -> str:
    failed = ""
    if summary.failed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in summary.errors.items())
        failed = f", {summary.failed} failed ({kinds})"
    if summary.cancelled:
        failed += f", {summary.cancelled} cancelled"
    return f"{summary.succeeded} answered{failed} in {summary.duration:.1f} s"


def _figures(summary: Summary) -> Iterator[str]:
    """Yield what is no latency."""
    parts = [
        f"{_rate(summary.request_throughput, summary.request_throughput_ci)} requests/s",
        f"{_rate(summary.output_throughput, summary.output_throughput_ci)} output tokens/s",
    ]
    if summary.total_throughput is not None:
        parts.append(
            f"{_rate(summary.total_throughput, summary.total_throughput_ci)} tokens/s in and out"
        )
    user = summary.metrics.get("user_throughput")
    if user is not None:
        parts.append(f"{user.percentiles['p50']:.4g} tokens/s for one user (p50)")
    yield f"throughput: {', '.join(parts)}"
    yield (f"under way: {summary.concurrency:.1f} on average, {summary.peak_concurrency} at most")
    if summary.goodput is not None:
        bounds = ", ".join(f"{n} {milliseconds(v)} ms" for n, v in summary.goodput.bounds.items())
        low, high = summary.goodput.ratio_ci
        yield (
            f"goodput: {summary.goodput.ratio:.1%} ({low:.1%} to {high:.1%}) keep {bounds}: "
            f"{_rate(summary.goodput.request_throughput, summary.goodput.request_throughput_ci)} "
            "requests/s"
        )
    yield f"tokens: {_tokens(summary)}"
    if summary.retries or summary.fallbacks:
        yield (f"retries: {summary.retries}; requests that went to a fallback: {summary.fallbacks}")
    if summary.cost is not None:
        yield (
            f"cost: ${summary.cost.total:.6f} {cost_source(summary.cost)}, "
            f"${summary.cost.per_request:.6f} each"
        )


def cost_source(cost: Cost) -> str:
    """Return whose figures a cost is made of."""
    parts = [
        f"{words} for {answers} answers"
        for words, answers in (("as reported", cost.reported), ("by the given price", cost.priced))
        if answers
    ]
    return ", ".join(parts)


def _rate(value: float, interval: Interval | None) -> str:
    """Return a rate, and what it may as well be."""
    if interval is None:
        return f"{value:,.4g}"
    return f"{value:,.4g} ({interval[0]:,.4g} to {interval[1]:,.4g})"


def _tokens(summary: Summary) -> str:
    tokens = summary.tokens
    parts = [f"{tokens.output:,} out"]
    if tokens.input is not None:
        parts.insert(0, f"{tokens.input:,} in")
    if tokens.reasoning:
        parts.append(f"{tokens.reasoning:,} of them thinking")
    if tokens.cache_hit_rate is not None:
        parts.append(f"{tokens.cache_hit_rate:.1%} of the prompts from the provider's cache")
    if tokens.uncounted:
        parts.append(f"{tokens.uncounted} answers not counted by the provider")
    return ", ".join(parts)


def _health(health: Health) -> str:
    parts = [f"{health.cpu:.0%} of a core"]
    if health.loop_lag is not None:
        late = health.loop_lag.percentiles
        parts.append(
            f"event loop {milliseconds(late['p50'])} ms late (p50), "
            f"{milliseconds(late['p99'])} ms (p99)"
        )
    if health.memory is not None:
        grown = (health.memory_growth or 0) / _MIB
        parts.append(f"{health.memory / _MIB:.0f} MiB resident, {grown:+.1f} MiB by this load")
    return ", ".join(parts)


def _table(result: Result) -> Iterator[str]:
    bounds = result.settings.goodput
    head = ["load", "answered", "failed", "requests/s", "tokens/s", "TTFT p50", "p99", "TPOT p50"]
    rows = [[*head, "E2E p50", "p99", *(["good"] if bounds else []), "CPU", ""]]
    for place, point in enumerate(result.points):
        mark = "<- knee" if place == result.knee else ""
        rows.append([*_row(point, goodput=bool(bounds)), mark])
    yield from _columns(rows)
    yield "times in ms"
    for point in result.points:
        for kind, count in point.summary.errors.items():
            said = point.summary.messages.get(kind, "")
            yield f"{described(point.load)}: {kind} {count}: {said}"


def _row(point: Point, *, goodput: bool) -> list[str]:
    summary = point.summary
    row = [
        described(point.load),
        str(summary.succeeded),
        str(summary.failed),
        f"{summary.request_throughput:.4g}",
        f"{summary.output_throughput:,.4g}",
        *_times(summary, "ttft", ("p50", "p99")),
        *_times(summary, "tpot", ("p50",)),
        *_times(summary, "e2e", ("p50", "p99")),
    ]
    if goodput:
        row.append("" if summary.goodput is None else f"{summary.goodput.ratio:.1%}")
    return [*row, f"{point.health.cpu:.0%}"]


def _times(summary: Summary, name: str, percentiles: Iterable[str]) -> list[str]:
    metric = summary.metrics.get(name)
    return ["-" if metric is None else milliseconds(metric.percentiles[p]) for p in percentiles]


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield `rows` in columns, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip()


def _warnings(result: Result) -> Iterator[str]:
    yield from result.warnings
    for point in result.points:
        where = f"{described(point.load)}: " if len(result.points) > 1 else ""
        for warning in point.health.warnings:
            yield f"{where}{warning}"
