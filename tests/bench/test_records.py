"""Requests in files, as they end."""

from __future__ import annotations

import csv
import errno
import json
from pathlib import Path

import pytest

from penstock.bench import RequestRecord
from penstock.bench.records import RecordWriter

FULL = Path("/dev/full")
RECORDS = [
    RequestRecord(number=0, scheduled=0.5, started=0.5, ended=1.5, ttft=0.25, output_tokens=3),
    RequestRecord(
        number=1, scheduled=1, started=1, ended=2, error="server", message='a "b",\nc', status=500
    ),
]


def test_each_format_has_every_request(tmp_path: Path) -> None:
    """JSONL leaves out what is not known; CSV has a column for everything, empty there."""
    with RecordWriter(jsonl=tmp_path / "r.jsonl", table=tmp_path / "r.csv") as write:
        for record in RECORDS:
            write(record)
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines()]
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert {"number": 0, "scheduled": 0.5, "started": 0.5, "ended": 1.5} | {
        "ttft": 0.25,
        "output_tokens": 3,
    } == lines[0]
    assert ["server", 'a "b",\nc', 500] == [lines[1][k] for k in ("error", "message", "status")]
    assert list(RequestRecord.__struct_fields__) == list(rows[0])
    assert [("0.25", "3", ""), ("", "", "500")] == [
        (row["ttft"], row["output_tokens"], row["status"]) for row in rows
    ]
    assert RECORDS[1].message == rows[1]["message"]


@pytest.mark.skipif(not FULL.exists(), reason="platform: it has no device that is always full")
def test_a_file_that_is_full_is_left(tmp_path: Path) -> None:
    """The run goes on, the other file is whole, and the reason can be read."""
    with RecordWriter(jsonl=FULL, table=tmp_path / "r.csv") as write:
        for _ in range(1000):  # more than is held back for a write
            write(RECORDS[0])

    assert {str(FULL): errno.ENOSPC} == {p: error.errno for p, error in write.failures.items()}
    assert 1001 == len((tmp_path / "r.csv").read_text("utf-8").splitlines())


@pytest.mark.skipif(not FULL.exists(), reason="platform: it has no device that is always full")
def test_what_is_lost_at_the_end_is_said() -> None:
    """A few records are written when the file is closed."""
    with RecordWriter(jsonl=FULL) as write:
        write(RECORDS[0])

    assert [str(FULL)] == list(write.failures)


def test_without_files_nothing_is_written(tmp_path: Path) -> None:
    """Nobody asked for any."""
    with RecordWriter() as write:
        write(RECORDS[0])

    assert [] == list(tmp_path.iterdir())
