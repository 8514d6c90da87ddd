"""The page: the verdict first, then the figures, the plots, and what was run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import msgspec

from penstock.bench.report.axes import number, seconds
from penstock.bench.report.plots import distribution, timeline, tradeoff
from penstock.bench.report.style import STYLE
from penstock.bench.text import cost_source, described

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.bench.results import Point, Result
    from penstock.bench.summary import Health, Interval, Metric, Summary

__all__ = ["html"]

_NAMES = {
    "ttft": "TTFT: time to first token",
    "ttfot": "TTFOT: time to first token of the answer itself",
    "itl": "ITL: inter-token latency, per token",
    "icl": "ICL: inter-chunk latency",
    "tpot": "TPOT: time per output token, per request",
    "e2e": "E2E: the whole request",
    "start_delay": "delay of the start",
    "user_throughput": "tokens a second, per user",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
}
_PLOTTED = ("ttft", "itl", "tpot", "e2e")
_COLUMNS = ("mean", "p50", "p90", "p95", "p99")


def html(result: Result) -> str:
    """Return the report of `result`: one page that loads nothing and runs no script."""
    title = f"penstock bench: {result.settings.model}"
    several = len(result.points) > 1
    body = [
        f"<header><h1>{escape(result.settings.model)}</h1><p>{escape(_where(result))}</p></header>",
        *_warnings(result),
    ]
    if several:
        body += ["<section><h2>Throughput against latency</h2>"]
        body += [_scroll(tradeoff(result.points, result.knee)), _loads(result), "</section>"]
    for at, point in enumerate(result.points):
        body += _point(point, opened=not several or at == result.knee, alone=not several)
    body += [_settings(result)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _where(result: Result) -> str:
    at = f" at {result.settings.base_url}" if result.settings.base_url else ""
    return (
        f"penstock bench {result.penstock}{at}, {result.started}, "
        f"{result.python}, {result.platform}"
    )


def _warnings(result: Result) -> Iterator[str]:
    """Yield what makes the figures doubtful, before any of them."""
    said = ["The run was interrupted: these are the figures up to then."] * result.interrupted
    if dropped := sum(point.summary.cancelled for point in result.points):
        said.append(f"{dropped} requests were under way then, and are in no latency.")
    said += result.warnings
    for point in result.points:
        said += [f"{described(point.load)}: {warning}" for warning in point.health.warnings]
    if said:
        yield '<section class="warning" role="alert"><h2>Read this first</h2><ul>'
        yield from (f"<li>{escape(sentence)}</li>" for sentence in said)
        yield "</ul></section>"


def _point(point: Point, *, opened: bool, alone: bool) -> Iterator[str]:
    name = escape(described(point.load))
    if alone:
        yield f"<section><h2>{name}</h2>"
    else:
        yield f"<details{' open' if opened else ''}><summary><h2>{name}</h2></summary>"
    yield _cards(point.summary)
    yield _metrics(point.summary)
    yield '<div class="plots">'
    for key in _PLOTTED:
        metric = point.summary.metrics.get(key)
        if metric is not None and metric.histogram:
            picture = distribution(key.upper(), metric)
            yield f"<figure><figcaption>{escape(_NAMES[key])}</figcaption>{picture}</figure>"
    yield "</div>"
    if point.summary.timeline:
        yield "<h3>Timeline</h3>" + _scroll(timeline(point.summary))
    yield _counts(point.summary)
    yield _health(point.health)
    yield "</section>" if alone else "</details>"


def _cards(summary: Summary) -> str:
    cards = [
        ("requests a second", number(summary.request_throughput)),
        ("output tokens a second", number(summary.output_throughput)),
    ]
    for key, mark in (("ttft", "p50"), ("ttft", "p99"), ("itl", "p50"), ("itl", "p99")):
        if (metric := summary.metrics.get(key)) is not None:
            cards.append((f"{key.upper()} {mark}", seconds(metric.percentiles[mark])))
    cards.append(("failed", f"{number(summary.failed)} of {number(summary.requests)}"))
    if summary.goodput is not None:
        cards.append(("goodput", f"{summary.goodput.ratio:.1%}"))
    inner = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in cards
    )
    return f'<div class="cards">{inner}</div>'


def _metrics(summary: Summary) -> str:
    rows = [
        [
            _NAMES.get(key, key),
            *(_cell(metric, column) for column in _COLUMNS),
            number(metric.count),
        ]
        for key, metric in sorted(summary.metrics.items(), key=_in_order)
    ]
    caption = "Under each figure its 95 % bootstrap interval."
    return _table(["", *_COLUMNS, "count"], rows, caption)


def _in_order(item: tuple[str, Metric]) -> int:
    names = list(_NAMES)
    return names.index(item[0]) if item[0] in names else len(names)


def _cell(metric: Metric, column: str) -> str:
    """Return a figure, and under it what it may as well be."""
    shown = seconds if metric.unit == "s" else number
    value = metric.mean if column == "mean" else metric.percentiles.get(column)
    if value is None:
        return ""
    interval = metric.ci.get(column)
    low_high = "" if interval is None else f"\n{shown(interval[0])} to {shown(interval[1])}"
    return f"{shown(value)}{low_high}"


def _loads(result: Result) -> str:
    rows = []
    bounded = bool(result.settings.goodput)
    for at, point in enumerate(result.points):
        summary = point.summary
        good = "" if summary.goodput is None else f"{summary.goodput.ratio:.1%}"
        ttft = summary.metrics.get("ttft")
        marks = [seconds(ttft.percentiles[mark]) if ttft else "" for mark in ("p50", "p99")]
        rows.append(
            [
                described(point.load) + (" (the knee)" if at == result.knee else ""),
                number(summary.request_throughput),
                number(summary.output_throughput),
                *marks,
                number(summary.failed),
                *([good] if bounded else []),
                "the client" if point.health.limited else "",
            ]
        )
    heads = ["load", "requests/s", "output tokens/s", "TTFT p50", "TTFT p99", "failed"]
    return _table([*heads, *(["good"] if bounded else []), "limit"], rows)


def _counts(summary: Summary) -> str:
    tokens = summary.tokens
    rows = [
        ["duration", seconds(summary.duration)],
        [
            "under way",
            f"{number(summary.concurrency)} on average, {summary.peak_concurrency} at most",
        ],
        *_throughputs(summary),
        ["output tokens", number(tokens.output)],
        ["input tokens", _known(tokens.input)],
        ["prompt tokens from the cache", _share(tokens.cached, tokens.cache_hit_rate)],
        ["tries again, fallbacks", f"{summary.retries}, {summary.fallbacks}"],
        ["finish reasons", _listed(summary.finish_reasons)],
    ]
    if tokens.uncounted:
        rows.append(["answers without reported tokens", number(tokens.uncounted)])
    if summary.cost is not None:
        rows.append(["cost", f"${summary.cost.total:.6g} {cost_source(summary.cost)}"])
    if summary.goodput is not None:
        bounds = ", ".join(f"{k} {seconds(v)}" for k, v in summary.goodput.bounds.items())
        pace = summary.goodput.request_throughput, summary.goodput.request_throughput_ci
        rows.append([f"good ({bounds})", f"{summary.goodput.good}, {_rate(*pace)} a second"])
    if summary.cancelled:
        rows.append(["cancelled by the end of the run", number(summary.cancelled)])
    rows += [
        [f"failed: {kind}", f"{number(count)}: {summary.messages.get(kind, '')}"]
        for kind, count in summary.errors.items()
    ]
    return "<h3>Counts</h3>" + _table(None, rows)


def _throughputs(summary: Summary) -> Iterator[list[str]]:
    pace = summary.request_throughput, summary.request_throughput_ci
    yield ["requests a second", _rate(*pace)]
    yield [
        "output tokens a second",
        _rate(summary.output_throughput, summary.output_throughput_ci),
    ]
    if (total := summary.total_throughput) is not None:
        yield ["tokens a second, in and out", _rate(total, summary.total_throughput_ci)]


def _rate(value: float, interval: Interval | None) -> str:
    """Return a rate, and what it may as well be."""
    if interval is None:
        return number(value)
    return f"{number(value)} ({number(interval[0])} to {number(interval[1])})"


def _health(health: Health) -> str:
    rows = [
        ["CPU of the loop's thread", f"{health.cpu:.0%} of a core"],
        ["CPU of the process", f"{health.process_cpu:.0%} of a core"],
        ["memory", _mib(health.memory, health.memory_growth)],
    ]
    if health.loop_lag is not None:
        lag = health.loop_lag.percentiles
        rows.insert(2, ["lag of the loop", f"p50 {seconds(lag['p50'])}, p99 {seconds(lag['p99'])}"])
    return "<h3>The client itself</h3>" + _table(None, rows)


def _settings(result: Result) -> str:
    text = msgspec.json.format(msgspec.json.encode(result.settings), indent=2).decode()
    return f"<details><summary>What was run</summary><pre>{escape(text)}</pre></details>"


def _table(heads: list[str] | None, rows: Iterable[list[str]], caption: str = "") -> str:
    parts = ['<div class="scroll"><table>']
    if caption:
        parts.append(f"<caption>{escape(caption)}</caption>")
    if heads is not None:
        parts.append("<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>")
    for first, *rest in rows:
        cells = "".join(f"<td>{_lines(cell)}</td>" for cell in rest)
        parts.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return "".join([*parts, "</table></div>"])


def _lines(cell: str) -> str:
    first, _, second = escape(cell).partition("\n")
    return f"{first}<small>{second}</small>" if second else first


def _scroll(picture: str) -> str:
    return f'<div class="scroll">{picture}</div>'


def _known(value: int | None) -> str:
    return "not reported" if value is None else number(value)


def _share(value: int | None, rate: float | None) -> str:
    return _known(value) + (f" ({rate:.1%} of the prompts)" if rate is not None else "")


def _mib(memory: int | None, growth: int | None) -> str:
    if memory is None:
        return "the system does not say"
    grown = f", {growth / 2**20:+.1f} MiB while it ran" if growth is not None else ""
    return f"{memory / 2**20:.1f} MiB{grown}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items())
