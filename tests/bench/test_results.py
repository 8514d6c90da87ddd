"""A run as JSON: what was written is read again, and what is something else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.bench import SCHEMA, load, save
from penstock.errors import UsageError

EXAMPLE = Path(__file__).parent / "data" / "bench.json"
"""Written by a run against the simulator: 2, 8 and 32 users, 60 requests each."""


def test_a_run_survives_its_json(tmp_path: Path) -> None:
    """What `save` writes `load` returns, and writing it again gives the same bytes."""
    result = load(EXAMPLE)
    save(result, tmp_path / "again.json")

    assert result == load(tmp_path / "again.json")
    assert EXAMPLE.read_bytes() == (tmp_path / "again.json").read_bytes()


def test_the_example_holds_what_a_report_needs() -> None:
    """Each load has its distributions with intervals, a timeline, and the client's health."""
    for point in load(EXAMPLE).points:
        ttft = point.summary.metrics["ttft"]

        assert {"p50", "p90", "p95", "p99"} == ttft.percentiles.keys()
        assert {"mean", "p50", "p90", "p95", "p99"} == ttft.ci.keys()
        assert point.summary.succeeded == sum(count for _, _, count in ttft.histogram)
        assert point.summary.succeeded == sum(tick.ended for tick in point.summary.timeline)
        assert point.health.loop_lag is not None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": "x"}', "\xff"])
def test_what_is_no_run_is_refused(text: str, tmp_path: Path) -> None:
    """A file of something else is an error that names it."""
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(UsageError, match=r"other\.json is no result of penstock bench"):
        load(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A file of a later or earlier form is not half understood."""
    told = json.loads(EXAMPLE.read_bytes()) | {"schema": SCHEMA + 1}
    path = tmp_path / "later.json"
    path.write_text(json.dumps(told), encoding="utf-8")

    with pytest.raises(UsageError, match="schema 2"):
        load(path)
