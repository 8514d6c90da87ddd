"""``penstock bench`` as a process; in the base install, too."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.bench import Result, load
from penstock.cli.bench import main
from penstock.simulator import SimulatorThread

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")
COMMAND = [sys.executable, "-m", "penstock", "bench"]


def environment(**more: str) -> dict[str, str]:
    """Return an environment without keys, in which ``penstock`` can be imported."""
    env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    env["PENSTOCK_CONFIG"] = ""  # whatever the user has set up
    return env | {"PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "200"} | more


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(**env),
        check=False,
    )


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    """Run a simulator that stands for a provider."""
    with SimulatorThread() as thread:
        yield thread


def test_a_model_is_measured_and_everything_written(
    simulator: SimulatorThread, tmp_path: Path
) -> None:
    """Text on stdout, figures, requests and a table in files, the key and headers sent."""
    files = {name: tmp_path / f"run.{name}" for name in ("json", "jsonl", "csv")}
    done = run(
        *["-m", "text?tokens=5&ttft=0.01", "--base-url", f"{simulator.url}/v1"],
        *["--api-key", "env:BENCH_KEY", "--header", "x-tag: bench", "--extra-body", '{"top_k": 3}'],
        *["-c", "3", "-n", "12", "--warmup", "3", "--goodput", "ttft:60000", "tpot:60000"],
        *(part for name, path in files.items() for part in (f"--{name}", str(path))),
        BENCH_KEY="canary",
    )
    asked = simulator.requests[-1]
    result = load(files["json"])
    with files["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert 0 == done.returncode, done.stderr
    assert "3 users: 12 answered" in done.stdout
    assert "goodput: 100.0%" in done.stdout
    assert ("Bearer canary", "bench") == (asked.headers["authorization"], asked.headers["x-tag"])
    assert 3 == json.loads(asked.body)["top_k"]
    assert (12, 60) == (result.points[0].summary.succeeded, result.points[0].summary.tokens.output)
    assert 15 == len(rows) == len(files["jsonl"].read_bytes().splitlines())
    assert "canary" not in files["json"].read_text("utf-8") + done.stdout + done.stderr


def test_loads_are_a_table_with_its_knee(simulator: SimulatorThread) -> None:
    """One row each, in another dialect; progress goes to stderr and can be left out."""
    done = run(
        *["-m", "text?tokens=2&ttft=0.02", "--base-url", f"{simulator.url}/v1", "-q"],
        *["--dialect", "anthropic_messages", "--api-key", "any", "-c", "1,4", "-n", "8"],
        *["--input-tokens", "5-9", "--output-tokens", "16"],
    )
    rows = [line for line in done.stdout.splitlines() if " user" in line and "8  " in line]

    assert (0, "") == (done.returncode, done.stderr)
    assert ("/v1/messages", "any") == (
        simulator.requests[-1].path,
        simulator.requests[-1].headers["x-api-key"],
    )
    assert ["1 user", "4 users"] == [row.partition("  ")[0] for row in rows]
    assert 1 == done.stdout.count("<- knee")


def test_json_may_go_to_stdout() -> None:
    """And nothing else does; without a key the simulator is measured, which is said."""
    done = run("--json", "-", "-n", "3")
    told = json.loads(done.stdout)

    assert 0 == done.returncode
    assert (1, 3) == (told["schema"], told["points"][0]["summary"]["succeeded"])
    assert "sim/text" in done.stderr
    assert any("simulator ran in this process" in each for each in told["warnings"])


def test_a_mistake_is_one_line_and_sends_nothing(
    simulator: SimulatorThread, tmp_path: Path
) -> None:
    """Exit code 2, as of every command; a file that cannot be written is one."""
    before = simulator.stats().requests
    missing = str(tmp_path / "missing" / "run.json")
    done = run("-m", "text", "--base-url", f"{simulator.url}/v1", "--json", missing)

    assert (2, "") == (done.returncode, done.stdout)
    assert [f"penstock: usage: --json {missing}: there is no such folder"] == (
        done.stderr.splitlines()
    )
    assert before == simulator.stats().requests


def test_no_file_of_a_run_is_written_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trace that is replayed stays what it is, however its path is written."""
    trace = tmp_path / "run.jsonl"
    trace.write_text('{"timestamp": 0, "input_length": 1}\n')
    same = str(tmp_path / "." / "run.jsonl")
    codes = [
        main(["-m", "sim/text", "--trace", str(trace), "--jsonl", same]),
        main(["-m", "sim/text", "-n", "1", "--csv", same, "--html", same]),
        main(["-m", "sim/text", "-n", "1", "--json", str(tmp_path)]),
    ]

    assert [2, 2, 2] == codes
    assert ["would overwrite --trace", "would overwrite --csv", "is a folder"] == [
        line.partition(same if same in line else str(tmp_path))[2].partition(":")[0].strip()
        for line in capsys.readouterr().err.splitlines()
    ]
    assert '{"timestamp": 0, "input_length": 1}\n' == trace.read_text()


@pytest.mark.skipif(not FULL.exists(), reason="platform: it has no device that is always full")
def test_a_full_disk_takes_no_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be written is named at the end; the others are written, and the text."""
    kept = tmp_path / "run.json"
    files = ["--json", str(kept), "--html", str(FULL), "--jsonl", str(FULL)]
    code = main(["-m", "sim/text?tokens=2", "-q", "-n", "2", *files])
    said = capsys.readouterr()

    assert 2 == code
    assert "2 answered" in said.out
    assert 2 == load(kept).points[0].summary.succeeded
    assert ["penstock: /dev/full is not whole: No space left on device"] == said.err.splitlines()


def test_only_the_named_model_is_measured(
    simulator: SimulatorThread,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the user's file says of fallbacks and retries is for others: the options say it here."""
    file = tmp_path / "penstock.toml"
    file.write_text(
        "max_retries = 3\n"
        '[fallbacks]\nbad = ["sim/text"]\n[deployments.bad]\napi_key = "any"\n'
        f'base_url = "{simulator.url}/v1"\nmodel = "text?status=503"\n'
    )
    monkeypatch.setenv("PENSTOCK_CONFIG", str(file))
    before = simulator.stats().requests

    assert 1 == main(["-m", "bad", "-n", "3", "-q"])
    assert "0 answered, 3 failed (unavailable 3)" in capsys.readouterr().out
    assert 4 == simulator.stats().requests - before  # one for the list of models


def test_without_an_answer_the_exit_code_says_why(simulator: SimulatorThread) -> None:
    """4 for a rate limit; the figures say what was refused."""
    done = run(
        *["-m", "text?status=429", "--base-url", f"{simulator.url}/v1", "--api-key", "any"],
        *["-n", "4"],
    )

    assert 4 == done.returncode
    assert "0 answered, 4 failed (rate_limit 4)" in done.stdout
    assert "no request of a load was answered" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="platform: no SIGINT for a child alone")
def test_interrupting_gives_the_figures_so_far(simulator: SimulatorThread, tmp_path: Path) -> None:
    """Exit code 130, and a result that says that it is not whole, and what was dropped."""
    path, lines = tmp_path / "run.json", tmp_path / "run.jsonl"
    command = [*COMMAND, "-m", "text?tokens=2&ttft=0.02", "--base-url", f"{simulator.url}/v1"]
    command += ["--api-key", "any", "-d", "600", "--json", str(path), "--jsonl", str(lines)]
    command += ["-c", "3"]
    before = simulator.stats().requests
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as child:
        while simulator.stats().requests < before + 8:
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=30)
    result: Result = load(path)

    assert (130, True) == (child.returncode, result.interrupted)
    summary = result.points[0].summary
    kept = [json.loads(line) for line in lines.read_bytes().splitlines()]

    assert [summary.succeeded, summary.cancelled] == [
        sum(each.get("error") == kind for each in kept) for kind in (None, "cancelled")
    ]
    assert summary.succeeded >= 4  # of eight requests one asked for the models, three are under way
    assert 3 >= summary.cancelled
    assert "interrupted: these are the figures until then" in out


def test_help_teaches() -> None:
    """Examples and every group of options, without the `cli` extra's help."""
    done = run("--help")

    assert 0 == done.returncode
    for words in ("penstock bench -m openai/", "--goodput", "--trace FILE", "Exit codes"):
        assert words in done.stdout
