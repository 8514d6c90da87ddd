"""Paired rounds, what is kept of them, and the page that is made of what was kept."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmarks.environments import ENVIRONMENTS
from benchmarks.peers import CLIENTS
from benchmarks.plot import svg
from benchmarks.rounds import Case, Peer, Report, paired, present, shown

ROOT = Path(__file__).parents[2]
ABOUT = """What does it cost? CPU.

Some words.

Not shown: the rest,
on two lines.

More words.
"""
CASE = Case("a case", "µs", "floor", {"floor": [1.0, 2.0, 4.0], "ours": [2.0, 2.0, 12.0]})


def test_a_ratio_is_taken_within_its_round() -> None:
    """What slowed a whole round down does not show in it."""
    assert [2.0, 1.0, 3.0] == CASE.ratios("ours")
    assert "2.00 x floor  (1.00 to 3.00)" in CASE.lines()[2]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.0123"), (1.8, "1.8"), (43.66, "43.7"), (14160.0, "14,160")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    """And all before the point where there are more."""
    assert text == shown(value)


def test_every_other_round_goes_backwards() -> None:
    """Nobody is always the first."""
    order: list[str] = []

    def measure(peer: Peer) -> int:
        order.append(peer.name)
        return len(order)

    found = paired([Peer(name, "httpx") for name in "abc"], 3, measure, Report("q", ABOUT))

    assert list("abccbaabc") == order
    assert {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]} == found


def test_who_cannot_be_measured_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no figures, and the script fails."""

    def measure(peer: Peer) -> int:
        if peer.name == "b":
            raise RuntimeError("Traceback …\nImportError: no such module")
        return 1

    report = Report("q", ABOUT)
    found = paired([Peer("a", "httpx"), Peer("b", "httpx")], 2, measure, report)

    assert {"a": [1, 1]} == found
    assert {"b": "ImportError: no such module"} == report.missing
    with pytest.raises(SystemExit):
        report.finish(None)
    assert "b could not be measured: ImportError" in capsys.readouterr().err


def test_what_is_kept_says_what_it_hides(tmp_path: Path) -> None:
    """The question and the hidden part come from the script's own words; all values are there."""
    report = Report("q", ABOUT)
    report.add(CASE)
    report.finish(str(tmp_path / "q.json"))

    kept = json.loads((tmp_path / "q.json").read_text("utf-8"))
    assert "What does it cost? CPU." == kept["title"]
    assert "the rest, on two lines." == kept["hides"]
    assert CASE == Case(**kept["cases"][0])


def test_only_what_is_here_is_measured_here() -> None:
    """A peer that this interpreter lacks is passed over with ``--here``."""
    chosen = argparse.Namespace(peers=None, here=True)

    assert ["penstock"] == [
        peer.name for peer in present({"penstock": "penstock"}, chosen) if peer.python
    ]


def test_each_client_has_an_environment() -> None:
    """No peer waits for one that nobody makes."""
    assert set() == set(CLIENTS.values()) - set(ENVIRONMENTS)


def test_the_picture_is_one() -> None:
    """It is XML, has a bar for each peer, and the slower one's is longer."""
    root = ET.fromstring(svg([CASE]))
    bars = [float(each.attrib["width"]) for each in root.iter() if each.tag.endswith("rect")]

    assert 2 == len(bars)
    assert bars == sorted(bars)


def test_the_page_is_of_the_stored_run() -> None:
    """Page and pictures are what would be written."""
    done = subprocess.run(
        [sys.executable, "docs/benchmarks.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("benchmarks/results/*.json")), ids=lambda p: p.stem
)
def test_a_stored_run_names_its_setting(path: Path) -> None:
    """Whoever reads a figure can see when, with what and how often it was measured."""
    kept = json.loads(path.read_text("utf-8"))

    assert all(kept[name] for name in ("taken", "setting", "title", "hides"))
    assert all(values for case in kept["cases"] for values in case["found"].values())
