"""The README's table: every figure is a stored one, and none is left out for what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.readme import Stored, readme_with

README = """before
<!-- benchmarks: written by docs/benchmarks.py -->
old
<!-- benchmarks: end -->
after
"""


def kept(folder: Path, question: str, **more: Any) -> None:
    """Store the run of a script."""
    told = {
        "question": question,
        "taken": "2026-11-28",
        "setting": "CPython, 2 cores",
        "versions": {"httpx": "0.28.1", "something": "1"},
        "cases": [],
        "said": {},
    }
    (folder / f"{question}.json").write_text(json.dumps(told | more), encoding="utf-8")


def test_the_table_is_of_the_stored_run(tmp_path: Path) -> None:
    """Medians by row and column; what was not measured is a dash, a row without figures is none."""
    found = {"floor": [1.0, 2.0, 9.0], "penstock": [3.0], "bare httpx": [1234.5]}
    case = {"name": "one by one", "unit": "µs CPU a request", "found": found}
    kept(tmp_path, "requests", cases=[case])
    said = {"penstock": "TruncatedError", "openai": "normal end"}
    kept(tmp_path, "endings", said={"cut off, no finish": said})
    lines = readme_with(README, Stored(tmp_path)).splitlines()
    dash = "\u2013"

    assert ["before", "after"] == [lines[0], lines[-1]]
    assert "old" not in lines
    assert [
        "| CPU per short request, one by one, µs | 2 | 3 | 1,234 |" + f" {dash} |" * 5,
        f"| an answer that ends without its finish | {dash} | `TruncatedError` "
        f"| {dash} | {dash} | normal end |" + f" {dash} |" * 3,
    ] == lines[4:6]
    assert "Versions: httpx 0.28.1." in lines
    assert not any("ahead" in line for line in lines)


@pytest.mark.parametrize(("theirs", "said"), [(2.9, True), (3.1, False)])
def test_who_is_ahead_is_said(theirs: float, said: bool, tmp_path: Path) -> None:
    """In the row's own words; the floor is no client."""
    found = {"floor": [1.0], "penstock": [3.0], "liter-llm": [theirs]}
    kept(
        tmp_path,
        "requests",
        cases=[{"name": "one by one", "unit": "µs CPU a request", "found": found}],
    )
    text = readme_with(README, Stored(tmp_path))
    sentence = "ahead of penstock: CPU per short request, one by one (liter-llm)."

    assert said == (sentence in text)


def test_a_readme_without_its_marks_is_refused(tmp_path: Path) -> None:
    """Nothing is written to the wrong place."""
    with pytest.raises(ValueError, match="lacks"):
        readme_with("nothing", Stored(tmp_path))
