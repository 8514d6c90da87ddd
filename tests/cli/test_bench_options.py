"""The options of ``penstock bench``: what they amount to, and which contradict each other."""

from __future__ import annotations

import pytest

from penstock.bench import Load, Settings
from penstock.cli.bench_options import parse, settings_of
from penstock.errors import UsageError


def settings(*arguments: str) -> Settings:
    """Return what the options ask for."""
    return settings_of(parse(arguments), "m")


def closed(users: int) -> Load:
    """Return the load of so many users."""
    return Load(kind="concurrency", concurrency=users)


LOADS = {
    # the options: the loads
    "": (closed(1),),
    "-c 8": (closed(8),),
    "-c 1,2,4": (closed(1), closed(2), closed(4)),
    "-c 8 --ramp-up 5": (Load(kind="concurrency", concurrency=8, ramp_up=5),),
    "-r 2.5": (Load(kind="poisson", rate=2.5),),
    "-r 2 -c 9": (Load(kind="poisson", rate=2, concurrency=9),),
    "-r 1,2 --arrivals constant": (Load(kind="constant", rate=1), Load(kind="constant", rate=2)),
    "-r 2 --burstiness 0.5": (Load(kind="gamma", rate=2, burstiness=0.5),),
    "-r 1 --ramp-to 9 -d 60": (Load(kind="ramp", rate=1, rate_end=9),),
    "--trace t.jsonl --trace-speed 2": (Load(kind="trace", speed=2),),
}


@pytest.mark.parametrize("options", LOADS)
def test_options_are_loads(options: str) -> None:
    """Users make a closed loop, rates open ones, a trace its own."""
    assert LOADS[options] == settings(*options.split()).loads


ENDS = {
    # the options: requests, seconds
    "": (100, None),
    "-n 7": (7, None),
    "-d 7": (None, 7),
    "-n 7 -d 8": (7, 8),
    "--sweep": (None, 20),
    "--sweep -n 50": (50, None),
    "--trace t.jsonl": (None, None),
}


@pytest.mark.parametrize("options", ENDS)
def test_every_load_ends(options: str) -> None:
    """By requests, by time, or with its trace."""
    found = settings(*options.split())

    assert ENDS[options] == (found.requests, found.duration)


def test_bounds_are_milliseconds() -> None:
    """In seconds from here on; vLLM's name of the end-to-end latency is understood."""
    found = settings("--goodput", "ttft:200", "tpot:50", "e2el:2500")

    assert {"ttft": 0.2, "tpot": 0.05, "e2e": 2.5} == found.goodput


def test_files_leave_no_folder_in_the_settings() -> None:
    """A result is shown to others."""
    found = settings("--dataset", "/home/me/secret/prompts.jsonl", "--shuffle").workload

    assert ("dataset", "prompts.jsonl", True) == (found.source, found.file, found.shuffle)


def test_no_credential_is_in_the_settings() -> None:
    """Of headers the names, of the key nothing."""
    found = settings("--api-key", "sk-canary", "--header", "x-token: canary")

    assert ("x-token",) == found.headers
    assert "canary" not in repr(found)


WRONG = {
    # the options: what is said
    "-c 0": "whole number",
    "-c two": "whole number",
    "-r 0": "numbers above 0",
    "-r inf": "numbers above 0",
    "-d -1": "number above 0",
    "-n 0": "whole number above 0",
    "--nonsense": "unrecognized",
    "--warm 3": "unrecognized",  # half a name is none
    "--warmup -1": "0 or more",
    "--base-url http://x": "needs --model",
    "-r 1 --trace t": "two loads",
    "--dataset d --trace t": "two workloads",
    "--ramp-to 9 -d 60": "needs one --rate",
    "-r 1,2 --ramp-to 9 -d 60": "needs one --rate",
    "-r 1 --ramp-to 9": "needs --duration",
    "--burstiness 2": "needs --rate",
    "-r 1 --arrivals constant --burstiness 2": "of random gaps",
    "--arrivals constant": "--arrivals needs --rate",
    "-r 1 --ramp-to 9 -d 60 --burstiness 2": "gaps of its own",
    "-r 1 --ramp-to 9 -d 60 --arrivals constant": "gaps of its own",
    "--trace-speed 2": "needs --trace",
    "--turn-delay 2": "needs --turns",
    "-r 1 --ramp-up 5": "--ramp-up",
    "-r 1 -c 1,2": "one bound",
    "--sweep -c 1,2": "begins with one load",
    "--sweep --trace t": "begins with one load",
    "--dataset d --input-tokens 5": "a file brings its own",
    "--trace t --turns 5": "trace's own",
    "--shuffle": "needs --dataset",
    "--output-tokens recorded": "needs --dataset",
    "--dataset d --turns recorded": "--turns is a number",
    "--input-tokens five": "--input-tokens is a number",
    "--goodput ttft": "NAME:MILLISECONDS",
    "--goodput ttft:0": "NAME:MILLISECONDS",
    "--goodput speed:5": "ttft, ttfot, tpot, e2e",
    "--extra-body {": "no JSON",
    "--extra-body []": "object",
    "--header x": "NAME:VALUE",
}


@pytest.mark.parametrize("options", WRONG)
def test_what_does_not_fit_is_refused(options: str) -> None:
    """Nothing is ignored: it is said before anything is sent."""
    with pytest.raises(UsageError, match=WRONG[options]):
        settings(*options.split())
