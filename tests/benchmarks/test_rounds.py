"""Paired rounds, what is kept of them, and the page that is made of what was kept."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.environments import ENVIRONMENTS
from benchmarks.fresh import fresh
from benchmarks.markdown import section
from benchmarks.peers import CLIENTS
from benchmarks.plot import svg
from benchmarks.rounds import Case, Peer, Report, by_case, paired, present, shown

from benchmarks import __main__ as every
from benchmarks import environments, rounds

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


def test_who_takes_long_takes_part_in_the_first_rounds_alone() -> None:
    """One round of a slow peer is beside three of the others, and its ratio is of that round."""
    values = iter([10.0, 60.0, 20.0, 40.0])
    peers = [Peer("floor", "httpx"), Peer("slow", "httpx", rounds=1)]

    found = paired(peers, 3, lambda _: next(values), Report("q", ABOUT))
    case = Case("c", "µs", "floor", found)

    assert {"floor": [10.0, 20.0, 40.0], "slow": [60.0]} == found
    assert [6.0] == case.ratios("slow")


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
    assert {"b": [1]} == paired([Peer("b", "httpx")], 1, lambda _: 1, report)  # of another case
    with pytest.raises(SystemExit):
        report.finish(None)
    assert "b could not be measured: ImportError" in capsys.readouterr().err


def test_no_round_is_begun_that_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rounds of four seconds two fit into ten; the first is run in any case."""
    clock = [0.0]
    monkeypatch.setattr(rounds, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def measure(_: Peer) -> int:
        clock[0] += 2.0
        return 1

    peers = [Peer("a", "httpx"), Peer("b", "httpx")]
    for seconds, expected in ((10.0, 2), (12.0, 3), (0.1, 1), (None, 5)):
        found = paired(peers, 5, measure, Report("q", ABOUT, seconds=seconds))

        assert {"a": [1] * expected, "b": [1] * expected} == found


def test_an_environment_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is missing, and the others are measured."""

    def made(name: str) -> str:
        if name == "litellm":
            raise RuntimeError("its environment cannot be made: no such package")
        return sys.executable

    monkeypatch.setattr(rounds, "python_of", made)
    monkeypatch.setattr(rounds, "versions", lambda _: {"httpx": "1"})
    report = Report("q", ABOUT)
    chosen = argparse.Namespace(peers=None, here=False, seconds=None)
    peers = present({"litellm": "litellm", "httpx": "httpx"}, chosen, report)

    assert ["httpx"] == [peer.name for peer in peers]
    assert {"litellm": "its environment cannot be made: no such package"} == report.missing


def test_a_peer_that_is_none_is_named() -> None:
    """With those that there are."""
    chosen = argparse.Namespace(peers="penstock,flor", here=True, seconds=None)
    with pytest.raises(SystemExit, match="no peer is called flor; there is floor, penstock"):
        present({"floor": "penstock", "penstock": "penstock"}, chosen)


def test_who_is_not_done_in_time_is_an_error() -> None:
    """It is ended, and the message says so."""
    with pytest.raises(RuntimeError, match=r"time\.sleep: not done in 0 seconds"):
        fresh("time", "sleep", seconds=0.01)


@pytest.mark.parametrize(("names", "failed"), [([], 1), (["streams"], 0), (["requests"], 1)])
def test_a_script_that_fails_does_not_lose_the_rest(
    names: list[str],
    failed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All are run, each to a file of its own, then the page is written; the failed one is named."""
    ran: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command[2] if command[1] == "-m" else Path(command[1]).name)
        if "--keep" in command:
            assert command[command.index("--keep") + 1].endswith(f"{ran[-1][11:]}.json")
        return subprocess.CompletedProcess(command, ran[-1] == "benchmarks.requests")

    monkeypatch.setattr(subprocess, "run", run)
    code = every.main([*names, "--save"])

    assert failed == code
    assert [f"benchmarks.{name}" for name in names or every._SAVED] == ran[:-1]
    assert "benchmarks.py" == ran[-1]
    assert ("failed: requests" in capsys.readouterr().err) == bool(failed)


def test_what_is_kept_says_what_it_hides(tmp_path: Path) -> None:
    """The question and the hidden part come from the script's own words; all values are there."""
    report = Report("q", ABOUT)
    report.add(CASE)
    report.finish(str(tmp_path / "q.json"))

    assert ["q.json"] == [path.name for path in tmp_path.iterdir()]
    kept = json.loads((tmp_path / "q.json").read_text("utf-8"))
    assert "What does it cost? CPU." == kept["title"]
    assert "the rest, on two lines." == kept["hides"]
    assert CASE == Case(**kept["cases"][0])


def test_a_folder_gets_all_three_forms(tmp_path: Path) -> None:
    """JSON with every value, Markdown with the medians and the picture's name, and the picture."""
    report = Report("q", ABOUT)
    report.add(CASE)
    report.finish(str(tmp_path / "new"))
    files = {path.name: path.read_text("utf-8") for path in (tmp_path / "new").iterdir()}

    assert {"q.json", "q.md", "q.svg"} == files.keys()
    assert CASE == Case(**json.loads(files["q.json"])["cases"][0])
    assert "## What does it cost?" == files["q.md"].splitlines()[0]
    assert "![What does it cost?](q.svg)" in files["q.md"]
    assert "| ours | 2 | 2 (1 to 3) |" in files["q.md"]
    assert svg([CASE]) == files["q.svg"]


def test_a_figure_of_one_round_has_no_spread() -> None:
    """It says that it is of one, or of how many of the rounds."""
    found = {"floor": [1.0, 2.0, 4.0], "ours": [2.0, 2.0], "slow": [9.0]}
    case = Case("a case", "µs", "floor", found)
    kept = {"title": "What?", "question": "q", "taken": "", "setting": "", "hides": ""}
    kept |= {"versions": {}, "missing": {}, "said": {}, "cases": [dataclasses.asdict(case)]}
    rows = [line for line in section(kept, "q.svg") if line.startswith("| ")]

    assert [
        "| floor | 2 | 1 (1 to 1) |",
        "| ours | 2 | 1.5 (1 to 2, 2 rounds) |",
        "| slow | 9 | 9 (one round) |",
    ] == rows[2:]
    assert "  slow                            9     9.00 x floor" == case.lines()[3]


def test_a_peer_of_several_cases_is_turned_into_cases() -> None:
    """Who lacks one is missing from it alone."""
    rows = {"a": [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}], "b": [{"y": 5.0}, {"y": 6.0}]}

    assert {"x": {"a": [1.0, 3.0]}, "y": {"a": [2.0, 4.0], "b": [5.0, 6.0]}} == by_case(rows)


def test_only_what_is_here_is_measured_here() -> None:
    """A peer that this interpreter lacks is passed over with ``--here``."""
    chosen = argparse.Namespace(peers=None, here=True, seconds=None)

    assert ["penstock"] == [
        peer.name for peer in present({"penstock": "penstock"}, chosen) if peer.python
    ]


def test_each_client_has_an_environment() -> None:
    """No peer waits for one that nobody makes."""
    assert set() == set(CLIENTS.values()) - set(ENVIRONMENTS)


@pytest.mark.parametrize("name", [name for name in ENVIRONMENTS if name.startswith("penstock")])
def test_penstocks_own_environments_have_what_it_asks_for(name: str) -> None:
    """Its dependencies and the extra's, by their bounds; it is run from its sources itself."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked, *more = ENVIRONMENTS[name][0]
    extra = own["optional-dependencies"][asked.removeprefix("penstock[").removesuffix("]")]

    assert sorted([*extra, *own["dependencies"], *more]) == sorted(environments._requirements(name))


def test_the_picture_is_one() -> None:
    """It is XML, has a bar for each peer, and the slower one's is longer."""
    root = ET.fromstring(svg([CASE]))
    bars = [float(each.attrib["width"]) for each in root.iter() if each.tag.endswith("rect")]

    assert 2 == len(bars)
    assert bars == sorted(bars)


def test_the_page_is_of_the_stored_run() -> None:
    """Page, pictures and the README's table are what would be written."""
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
    assert kept["cases"] or kept["said"]
    assert all(values for case in kept["cases"] for values in case["found"].values())
