"""The page of a run: all figures are there, nothing is loaded, whatever a provider said is text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from penstock.bench import Result, load
from penstock.bench.distribution import Sample
from penstock.bench.report import html
from penstock.bench.report.axes import Axis, seconds
from penstock.bench.report.plots import distribution

RUN = Path(__file__).parent / "data" / "bench.json"
VOID = {"meta", "polyline", "polygon", "br"}


@pytest.fixture(scope="module")
def run() -> Result:
    """A run of three loads against the simulator."""
    return load(RUN)


@dataclass
class Page(HTMLParser):
    """What a page is made of."""

    tags: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag, and where it leads."""
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag that has no content."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag ends where it was begun."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words.append(data.strip())


def parsed(result: Result) -> Page:
    """The page of `result`, whose tags must all be closed in order."""
    page = Page()
    page.feed(html(result))
    assert page.open == []
    return page


def test_the_page_loads_nothing_and_runs_nothing(run: Result) -> None:
    """It can be sent by mail, and be opened in ten years."""
    page = parsed(run)

    assert [] == page.addresses
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "default-src 'none'" in html(run)
    assert not re.search(r"url\(|@import", html(run))


def test_every_figure_of_the_table_is_the_runs(run: Result) -> None:
    """The p99 of each latency of each load stands on the page."""
    words = parsed(run).words

    for point in run.points:
        for name in ("ttft", "itl", "tpot", "e2e"):
            assert seconds(point.summary.metrics[name].percentiles["p99"]) in words


def test_loads_with_bounds_say_how_many_keep_them(run: Result) -> None:
    """A column of the table of loads, which is not there without bounds."""
    settings = msgspec.structs.replace(run.settings, goodput={})
    unbound = [msgspec.structs.replace(each.summary, goodput=None) for each in run.points]
    points = tuple(
        msgspec.structs.replace(point, summary=summary)
        for point, summary in zip(run.points, unbound, strict=True)
    )

    assert "good" in parsed(run).words
    assert (
        "good" not in parsed(msgspec.structs.replace(run, settings=settings, points=points)).words
    )


def test_a_page_has_a_plot_for_each_question(run: Result) -> None:
    """Throughput against latency once, for each load four distributions and a timeline."""
    assert 1 + len(run.points) * 5 == parsed(run).tags.count("svg")


def test_one_load_needs_no_comparison_of_loads(run: Result) -> None:
    """Its page has its own plots alone."""
    page = parsed(msgspec.structs.replace(run, points=run.points[:1], knee=None))

    assert 5 == page.tags.count("svg")


def test_the_warnings_come_first(run: Result) -> None:
    """Before any figure: that the client was the limit, that the run was interrupted."""
    words = parsed(msgspec.structs.replace(run, interrupted=True, warnings=("Beware.",))).words
    first = words.index("Beware.")

    assert words.index("Read this first") < first < words.index("TTFT p50")
    assert any("interrupted" in word for word in words[:first])


def test_what_a_server_said_is_text(run: Result) -> None:
    """An error's message cannot become a part of the page."""
    evil = "<script>alert(1)</script>"
    summary = msgspec.structs.replace(
        run.points[0].summary, errors={"server": 3}, messages={"server": evil}
    )
    point = msgspec.structs.replace(run.points[0], summary=summary)
    settings = msgspec.structs.replace(run.settings, model=evil)
    page = parsed(msgspec.structs.replace(run, points=(point,), knee=None, settings=settings))

    assert "script" not in page.tags
    assert f"3: {evil}" in page.words


def nothing_came(run: Result) -> Iterator[Result]:
    """Runs that have no values to draw."""
    summary = run.points[0].summary
    for metrics in ({}, {"ttft": one_value(run)}):
        failed = msgspec.structs.replace(
            summary, metrics=metrics, succeeded=0, failed=60, timeline=(), request_throughput=0.0
        )
        points = tuple(msgspec.structs.replace(point, summary=failed) for point in run.points)
        yield msgspec.structs.replace(run, points=points)
        yield msgspec.structs.replace(run, points=points[:1], knee=None)


def one_value(run: Result) -> object:
    """A distribution of one value, which is zero."""
    marks = dict.fromkeys(("p50", "p90", "p95", "p99"), 0.0)
    metric = run.points[0].summary.metrics["ttft"]
    return msgspec.structs.replace(
        metric, count=1, mean=0.0, min=0.0, max=0.0, percentiles=marks, histogram=((0.0, 0.0, 1),)
    )


def test_a_run_in_which_nothing_came_has_a_page(run: Result) -> None:
    """Without a number that is none."""
    for result in nothing_came(run):
        parsed(result)
        assert not re.search(r"\bnan\b|\binf\b", html(result))


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_values_that_are_all_the_same_are_a_bar(value: float) -> None:
    """In the middle of an axis with round ticks, none of which is below nothing."""
    sample = Sample()
    for _ in range(3):
        sample.add(value)
    metric = sample.metric("s")
    assert metric is not None
    drawn = distribution("TPOT", metric)

    assert 1 == drawn.count('class="bar"')
    assert [] == re.findall(r">-[^<]*<", drawn)


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "ticks"),
    [
        (0.0, 1.0, False, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 83.5, False, [0.0, 20.0, 40.0, 60.0, 80.0]),
        (0.19, 0.21, False, [0.19, 0.195, 0.2, 0.205, 0.21]),
        (0.001, 10.0, True, [0.001, 0.01, 0.1, 1.0, 10.0]),
        (0.02, 0.6, True, [0.02, 0.05, 0.1, 0.2, 0.5]),
    ],
)
def test_ticks_are_round(low: float, high: float, logarithmic: bool, ticks: list[float]) -> None:
    """Ones, twos and fives, within the axis."""
    assert ticks == pytest.approx(Axis(low, high, 0, 100, logarithmic).ticks())
