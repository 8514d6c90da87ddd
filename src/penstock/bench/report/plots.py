"""The plots of a report: how a latency is distributed, what happened when, and what load costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.bench.report.axes import Axis, Plot, number, seconds
from penstock.bench.text import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock.bench.results import Point
    from penstock.bench.summary import Metric, Summary, Tick

__all__ = ["distribution", "timeline", "tradeoff"]

_MARKS = ("p50", "p90", "p99")
_BARS = 60
_WIDE = 12.0
"""From this ratio of the highest value to the median on, a distribution's axis is logarithmic."""

_NARROWEST = 0.0005
"""To each side of values that are all the same, seconds: less than a client can tell."""


def distribution(name: str, metric: Metric) -> str:
    """Return how the values of `metric` are spread, with its median, p90 and p99."""
    plot = Plot(f"Distribution of {name}", 480, 190)
    low, high = metric.min, metric.max
    middle = metric.percentiles["p50"]
    logarithmic = low > 0 and high > _WIDE * middle
    if high <= low:
        around = max(high * 0.05, _NARROWEST)
        low, high = max(low - around, 0.0), high + around
    across = Axis(low, high, 14, 466, logarithmic)
    counts = _rebinned(across, metric)
    up = Axis(0, max(counts) or 1.0, 150, 50)
    width = (across.end - across.start) / _BARS
    for at, count in enumerate(counts):
        left, top = across.start + at * width, up.place(count)
        if count:
            plot.area([(left, 150), (left, top), (left + width, top), (left + width, 150)], "bar")
    _marks(plot, across, metric)
    _bottom(plot, across, 150, seconds, " (logarithmic)" if logarithmic else "")
    return plot.svg()


def _rebinned(across: Axis, metric: Metric) -> list[float]:
    """Return the counts in bars of one width: the histogram's own differ, and a narrow bin of a
    few values would look like many if its height were its density."""
    counts = [0.0] * _BARS
    scale = _BARS / (across.end - across.start)
    for low, high, count in metric.histogram:
        left = (across.place(low) - across.start) * scale
        right = max((across.place(high) - across.start) * scale, left + 1e-6)
        for at in range(int(left), min(int(right) + 1, _BARS)):
            shared = min(right, at + 1) - max(left, at)
            counts[at] += count * max(shared, 0.0) / (right - left)
    return counts


def _marks(plot: Plot, across: Axis, metric: Metric) -> None:
    """Draw the percentiles, each label on the first line where it meets no other."""
    taken: list[tuple[int, float, float]] = []
    for mark in _MARKS:
        value = metric.percentiles.get(mark)
        if value is None:
            continue
        x = across.place(value)
        text = f"{mark} {seconds(value)}"
        width = 6.8 * len(text)
        left = x - width - 3 if x + width + 3 > plot.width else x + 3
        row = next(
            row
            for row in range(len(_MARKS))
            if all(row != r or left + width < low or left > high for r, low, high in taken)
        )
        taken.append((row, left, left + width))
        y = 12 + row * 13
        plot.line([(x, y - 8), (x, 150)], "mark")
        plot.text(left, y, text, kind="label")


def _bottom(
    plot: Plot, across: Axis, y: float, shown: Callable[[float], str], note: str = ""
) -> None:
    plot.line([(across.start, y), (across.end, y)], "axis")
    for tick in across.ticks(5):
        x = across.place(tick)
        anchor = "start" if x < 40 else "end" if x > plot.width - 40 else "middle"
        plot.line([(x, y), (x, y + 4)], "axis")
        plot.text(x, y + 17, shown(tick), kind="tick", anchor=anchor)
    if note:
        plot.text(across.end, y + 33, note.strip(), kind="tick", anchor="end")


_PANELS: tuple[tuple[str, Callable[[Tick, float], float | None]], ...] = (
    ("requests under way", lambda tick, _: tick.active),
    ("output tokens a second", lambda tick, length: tick.output_tokens / length),
    ("mean TTFT, ms", lambda tick, _: None if tick.ttft is None else tick.ttft * 1000),
)


def timeline(summary: Summary) -> str:
    """Return what happened when: requests under way, tokens, the first tokens, and failures."""
    ticks, length = summary.timeline, summary.tick
    end = max(summary.duration, max(tick.at for tick in ticks) + length)
    plot = Plot("Timeline", 980, 40 + 110 * len(_PANELS))
    across = Axis(0, end, 70, 960)
    for at, (name, value) in enumerate(_PANELS):
        top = 24 + at * 110
        known = [(tick.at, found) for tick in ticks if (found := value(tick, length)) is not None]
        up = Axis(0, max((found for _, found in known), default=0) or 1.0, top + 80, top)
        plot.text(70, top - 8, name, kind="label")
        for level in up.ticks(3):
            y = up.place(level)
            plot.line([(across.start, y), (across.end, y)], "grid")
            plot.text(62, y + 4, number(level), kind="tick", anchor="end")
        for tick in ticks:
            if tick.failed:
                x = across.place(tick.at + length / 2)
                plot.line([(x, top), (x, top + 80)], "failed")
        for points in _steps(known, length, across, up):
            plot.line(points, "curve")
    _bottom(plot, across, plot.height - 30, seconds)
    return plot.svg()


def _steps(
    known: list[tuple[float, float]], length: float, across: Axis, up: Axis
) -> Iterator[list[tuple[float, float]]]:
    """Yield a line for each run of intervals that follow each other: an interval is a step."""
    points: list[tuple[float, float]] = []
    last = None
    for at, found in known:
        if last is not None and at > last + length * 0.01:
            yield points
            points = []
        y = up.place(found)
        points += [(across.place(at), y), (across.place(at + length), y)]
        last = at + length
    yield points


def tradeoff(points: Sequence[Point], knee: int | None) -> str:
    """Return throughput against latency, a dot for each load, the knee marked."""
    plot = Plot("Throughput against latency", 980, 330)
    rows = [
        (point.summary.request_throughput, point.summary.metrics.get("ttft"), described(point.load))
        for point in points
    ]
    known = [(rate, ttft, name) for rate, ttft, name in rows if ttft is not None]
    most = max((rate for rate, _, _ in known), default=0) or 1.0
    across = Axis(0, most * 1.05, 70, 900)
    values = [ttft.percentiles[mark] for _, ttft, _ in known for mark in ("p50", "p99")]
    low, high = min(values, default=0.001), max(values, default=1.0)
    logarithmic = low > 0 and high > 10 * low
    up = Axis(low * 0.9 if logarithmic else 0, (high or 1.0) * 1.1, 280, 30, logarithmic)
    for tick in up.ticks(5):
        y = up.place(tick)
        plot.line([(70, y), (900, y)], "grid")
        plot.text(62, y + 4, seconds(tick), kind="tick", anchor="end")
    for mark, kind in (("p99", "second"), ("p50", "curve")):
        places = [(across.place(r), up.place(m.percentiles[mark])) for r, m, _ in known]
        plot.line(places, kind)
        for (x, y), (rate, metric, name) in zip(places, known, strict=True):
            value = seconds(metric.percentiles[mark])
            plot.dot(x, y, f"{kind}-dot", f"{name}: {number(rate)} requests/s, TTFT {mark} {value}")
        if places:
            plot.text(places[-1][0] + 8, places[-1][1] + 4, f"TTFT {mark}", kind="label")
    if knee is not None and rows[knee][1] is not None:
        x = across.place(rows[knee][0])
        plot.line([(x, 30), (x, 280)], "mark")
        anchor = "end" if x > 700 else "start"
        plot.text(x, 24, f"the knee: {rows[knee][2]}", kind="label", anchor=anchor)
    _bottom(plot, across, 280, number, "whole answers a second")
    return plot.svg()
