"""The report as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.bench import Cost, Load, Result, load
from penstock.bench.text import described, lines, milliseconds

EXAMPLE = load(Path(__file__).parent / "data" / "bench.json")


def one_load(**summary: object) -> Result:
    """Return the example with its first load alone, changed as said."""
    point = EXAMPLE.points[0]
    changed = replace(point, summary=replace(point.summary, **summary))
    return replace(EXAMPLE, points=(changed,), knee=None)


def test_one_load_is_a_block() -> None:
    """Its latencies by percentile, with the interval of the median, and everything else a line."""
    text = list(lines(one_load()))
    ttft = EXAMPLE.points[0].summary.metrics["ttft"]
    row = next(line for line in text if line.startswith("TTFT"))

    assert [milliseconds(ttft.mean), *map(milliseconds, ttft.percentiles.values())] == (
        row.split()[1:6]
    )
    for begin in ("throughput: ", "goodput: ", "tokens: ", "client: ", "ITL", "TPOT", "E2E"):
        assert any(line.startswith(begin) for line in text)


def test_what_was_not_measured_is_not_shown() -> None:
    """No latency, no cost, no goodput: no line of zeros."""
    text = "\n".join(lines(one_load(metrics={}, goodput=None, cost=None)))

    assert not {"TTFT", "goodput", "cost", "retries"} & set(text.replace(":", " ").split())


def test_failures_costs_and_retries_are_said() -> None:
    """With what the first of each kind said."""
    text = "\n".join(
        lines(
            one_load(
                failed=3,
                errors={"deadline": 2, "server": 1},
                messages={"deadline": "too late", "server": "oops"},
                retries=4,
                fallbacks=1,
                cost=Cost(total=0.5, reported=10, per_request=0.05),
            )
        )
    )

    assert "60 answered, 3 failed (deadline 2, server 1) in" in text
    assert "  deadline: too late\n  server: oops\n" in text
    assert "retries: 4; requests that went to a fallback: 1" in text
    assert "cost: $0.500000 as reported for 10 answers, $0.050000 each" in text


def test_an_open_loop_says_from_when_it_counts() -> None:
    """From when a request was due; a closed loop has nothing to say."""
    result = one_load()
    opened = replace(result.points[0], load=Load(kind="poisson", rate=3.0))
    said = "TTFT, TTFOT and E2E count from when a request was due, not from when it was sent"

    assert said in list(lines(replace(result, points=(opened,))))
    assert said not in list(lines(result))


def test_several_loads_are_a_table() -> None:
    """A row each, in columns of one width, the knee marked."""
    text = list(lines(EXAMPLE))
    rows = [line for line in text if line.partition("  ")[0].endswith(("user", "users"))]

    assert [described(point.load) for point in EXAMPLE.points] == [
        row.partition("  ")[0] for row in rows
    ]
    assert [place == EXAMPLE.knee for place in range(3)] == [row.endswith("knee") for row in rows]
    assert 1 == len({row.removesuffix("<- knee").rstrip().rindex("%") for row in rows})


def test_of_several_loads_each_failure_is_said() -> None:
    """Below the table, with the load in which it was and what the first of its kind said."""
    summary = EXAMPLE.points[1].summary
    failed = replace(summary, failed=3, errors={"server": 3}, messages={"server": "oops"})
    points = (EXAMPLE.points[0], replace(EXAMPLE.points[1], summary=failed))

    assert "8 users: server 3: oops" in list(lines(replace(EXAMPLE, points=points, knee=0)))


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (Load(kind="concurrency", concurrency=1), "1 user"),
        (Load(kind="constant", rate=2.5), "2.5 requests/s (constant)"),
        (Load(kind="poisson", rate=4, concurrency=9), "4 requests/s (poisson), at most 9 at once"),
        (Load(kind="gamma", rate=4, burstiness=0.5), "4 requests/s (burstiness 0.5)"),
        (Load(kind="ramp", rate=1, rate_end=20), "1 to 20 requests/s"),
        (Load(kind="trace", speed=1.0), "trace"),
        (Load(kind="trace", speed=2.0), "trace at 2 times its speed"),
    ],
)
def test_a_load_is_a_few_words(each: Load, words: str) -> None:
    """As tables and the live view show it."""
    assert words == described(each)


def test_times_have_three_digits() -> None:
    """As many as mean something."""
    assert ["0.05", "9.99", "10.0", "123.4", "1,234"] == [
        milliseconds(value) for value in (0.00005, 0.00999, 0.01, 0.1234, 1.2344)
    ]


def test_what_an_interruption_has_dropped_is_said() -> None:
    """In the counts, and at the end; before the first load there is nothing to show."""
    run = replace(one_load(cancelled=3), interrupted=True)
    text = list(lines(run))
    nothing = list(lines(replace(run, points=())))

    assert any("60 answered, 3 cancelled in" in line for line in text)
    assert text[-1].endswith("; 3 requests under way were cancelled and are in none")
    assert ["interrupted: no load was begun"] == nothing[1:]


def test_throughputs_have_their_intervals() -> None:
    """Of few answers they have none, and none is shown."""
    some = one_load(request_throughput=4.0, request_throughput_ci=(3.5, 4.5))
    few = one_load(request_throughput=4.0, request_throughput_ci=None)

    assert any("throughput: 4 (3.5 to 4.5) requests/s" in line for line in lines(some))
    assert any("throughput: 4 requests/s" in line for line in lines(few))
