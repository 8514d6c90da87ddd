"""Two runs side by side: what is called better or worse, and what makes them incomparable."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.bench import Result, load, save
from penstock.bench.compare import Comparison, compare, compared_lines
from penstock.cli.bench import main

RUN = Path(__file__).parent / "data" / "bench.json"


@pytest.fixture(scope="module")
def run() -> Result:
    """A run of three loads against the simulator."""
    return load(RUN)


def slower(run: Result, factor: float, **points: Any) -> Result:
    """The same run with each TTFT `factor` times as long, intervals and all."""
    changed = []
    for point in run.points:
        metric = point.summary.metrics["ttft"]
        metric = msgspec.structs.replace(
            metric,
            mean=metric.mean * factor,
            percentiles={name: value * factor for name, value in metric.percentiles.items()},
            ci={name: (low * factor, high * factor) for name, (low, high) in metric.ci.items()},
        )
        metrics = {**point.summary.metrics, "ttft": metric}
        summary = msgspec.structs.replace(point.summary, metrics=metrics)
        changed.append(msgspec.structs.replace(point, summary=summary, **points))
    return msgspec.structs.replace(run, points=tuple(changed))


def verdicts(comparison: Comparison, prefix: str) -> set[str | None]:
    """What is said of the figures whose names begin so."""
    return {
        change.verdict
        for point in comparison.points
        for change in point.changes
        if change.name.startswith(prefix)
    }


def test_a_run_is_the_same_as_itself(run: Result) -> None:
    """No figure is better or worse, and no load is missing."""
    found = compare(run, run)

    assert {"same"} == verdicts(found, "ttft")
    assert len(run.points) == len(found.points)
    assert [] == found.worse()


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "worse"), (0.5, "better"), (1.0001, "same")])
def test_only_what_is_more_than_chance_has_a_verdict(
    run: Result, factor: float, verdict: str
) -> None:
    """Twice as long is worse, half as long better, and a ten-thousandth is neither."""
    found = compare(run, slower(run, factor))

    assert {verdict} == verdicts(found, "ttft")
    assert {"same"} == verdicts(found, "e2e")


@pytest.mark.parametrize(("factor", "verdict"), [(3.0, "better"), (0.2, "worse"), (1.01, "same")])
def test_more_throughput_is_better(run: Result, factor: float, verdict: str) -> None:
    """It has an interval of its own; a fifth of it is a loss of four."""
    point = run.points[0]
    summary = point.summary
    assert summary.request_throughput_ci is not None
    low, high = summary.request_throughput_ci
    other = msgspec.structs.replace(
        summary,
        request_throughput=summary.request_throughput * factor,
        request_throughput_ci=(low * factor, high * factor),
    )
    after = msgspec.structs.replace(
        run, points=(msgspec.structs.replace(point, summary=other), *run.points[1:])
    )
    found = compare(run, after)

    assert verdict == next(c.verdict for c in found.points[0].changes if c.name == "requests")
    assert ["requests"] * (verdict == "worse") == [each.name for each in found.worse(0.79)]
    assert [] == found.worse(0.81)


def test_failures_and_goodput_have_verdicts(run: Result) -> None:
    """Of sixty, forty that fail are no chance, and one is."""

    def failing(count: int) -> Result:
        points = []
        for point in run.points:
            summary = point.summary
            assert summary.goodput is not None
            good = msgspec.structs.replace(summary.goodput, good=60 - count)
            summary = msgspec.structs.replace(summary, failed=count, goodput=good)
            points.append(msgspec.structs.replace(point, summary=summary))
        return msgspec.structs.replace(run, points=tuple(points))

    for count, verdict in ((1, "same"), (40, "worse")):
        found = compare(run, failing(count))

        assert {verdict} == verdicts(found, "failed") == verdicts(found, "good")


def test_the_verdict_is_right_as_often_as_it_says(run: Result) -> None:
    """Two samples of one distribution are told apart in about 5 % of the cases, not more."""
    source = random.Random(1)

    def sampled() -> Result:
        mean = source.gauss(0.1, 0.001)
        interval = (mean - 1.96 * 0.001, mean + 1.96 * 0.001)
        point = run.points[0]
        metric = msgspec.structs.replace(
            point.summary.metrics["ttft"], mean=mean, percentiles={}, ci={"mean": interval}
        )
        summary = msgspec.structs.replace(point.summary, metrics={"ttft": metric})
        return msgspec.structs.replace(
            run, points=(msgspec.structs.replace(point, summary=summary),), knee=None
        )

    wrong = sum(verdicts(compare(sampled(), sampled()), "ttft") != {"same"} for _ in range(1000))

    assert 30 <= wrong <= 75  # 50 give or take three and a half standard deviations


def test_what_differs_besides_is_named(run: Result) -> None:
    """Other settings, another machine, a load that one lacks, a client that was the limit."""
    settings = msgspec.structs.replace(run.settings, model="other", warmup=99)
    health = msgspec.structs.replace(run.points[1].health, limited=True)
    points = (run.points[0], msgspec.structs.replace(run.points[1], health=health))
    after = msgspec.structs.replace(run, settings=settings, points=points, platform="else")
    said = "\n".join(compare(run, after).warnings)

    for part in ("model was 'm', then 'other'", "warmup", "on else", "only the first run has 32"):
        assert part in said
    assert "the client was the limit in the second run: 2 users, 8 users" in said


def test_a_text_has_a_line_a_figure(run: Result) -> None:
    """With the change in per cent, and the verdict where there is one."""
    lines = list(compared_lines(compare(run, slower(run, 2.0))))

    (line,) = [line for line in lines[:10] if "ttft p50" in line]
    assert "+100.0%" in line
    assert line.endswith("worse")


@pytest.mark.parametrize(("percent", "code"), [("50", 1), ("150", 0)])
def test_a_pipeline_can_fail_by_it(
    run: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], percent: str, code: int
) -> None:
    """``--fail-worse`` is a bound on what is worse by more than chance."""
    save(slower(run, 2.0), tmp_path / "after.json")

    assert code == main(
        ["compare", str(RUN), str(tmp_path / "after.json"), "--fail-worse", percent]
    )
    assert "2 users" in capsys.readouterr().out


def test_the_json_form_has_all(
    run: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--json`` prints one object."""
    save(slower(run, 2.0), tmp_path / "after.json")
    main(["compare", str(RUN), str(tmp_path / "after.json"), "--json"])
    found = json.loads(capsys.readouterr().out)

    (change,) = [c for c in found["points"][0]["changes"] if c["name"] == "ttft p50"]
    assert math.isclose(2 * change["before"], change["after"])


@pytest.mark.parametrize("command", ["compare", "report"])
def test_a_file_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Without a traceback."""
    missing = str(tmp_path / "no.json")

    assert 0 != main([command, missing, missing])
    assert "no.json cannot be read" in capsys.readouterr().err


def test_a_report_can_be_written_later(tmp_path: Path) -> None:
    """Of any run that was kept."""
    page = tmp_path / "run.html"

    assert 0 == main(["report", str(RUN), str(page)])
    assert page.read_text("utf-8").startswith("<!doctype html>")


def of_few(run: Result, answers: int) -> Result:
    """The run's first load with so many answers."""
    point = run.points[0]
    summary = msgspec.structs.replace(point.summary, succeeded=answers)
    return msgspec.structs.replace(run, points=(msgspec.structs.replace(point, summary=summary),))


@pytest.mark.parametrize(("answers", "verdict"), [(1, None), (9, None), (10, "worse")])
def test_a_few_answers_are_called_neither_better_nor_worse(
    run: Result, answers: int, verdict: str | None
) -> None:
    """An interval of one answer has no width: every difference would be more than chance."""
    found = compare(of_few(run, answers), slower(of_few(run, 100), 2.0))

    assert {verdict} == verdicts(found, "ttft")
    assert (verdict is None) == any("fewer than 10 answers" in each for each in found.warnings)


def test_a_load_that_is_run_twice_is_compared_twice(run: Result) -> None:
    """The first with the first, the second with the second."""
    once = run.points[0]
    twice = msgspec.structs.replace(run, points=(once, once))
    found = compare(twice, slower(twice, 2.0))

    assert 2 == len(found.points)
    assert found.points[1].load == f"{found.points[0].load} (run 2)"
