"""Where a sweep goes on, stops, and finds its knee: a server with a known capacity."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.bench import Goodput, Load, Point, load
from penstock.bench.sweep import knee, next_load

EXAMPLE = load(Path(__file__).parent / "data" / "bench.json").points[0]


def served(users: int, *, capacity: float = 20.0, goodput: bool = False, failed: int = 0) -> Point:
    """Return what a server does that answers in a second, and `capacity` a second at most."""
    rate = 0.0 if failed else min(users, capacity)
    latency = max(1.0, users / capacity)
    e2e = replace(EXAMPLE.summary.metrics["e2e"], mean=latency)
    good = rate if latency <= 2.0 else 0.0
    kept = Goodput(bounds={"e2e": 2.0}, good=0, ratio=0, ratio_ci=(0, 1), request_throughput=good)
    summary = replace(
        EXAMPLE.summary,
        request_throughput=rate,
        metrics={"e2e": e2e},
        goodput=kept if goodput else None,
        succeeded=0 if failed else 10,
        failed=failed,
    )
    return replace(EXAMPLE, load=Load(kind="concurrency", concurrency=users), summary=summary)


def swept(first: int = 1, *, goodput: bool = False) -> list[Point]:
    """Sweep to the end."""
    points = [served(first, goodput=goodput)]
    while (following := next_load(points)) is not None:
        points.append(served(following.concurrency or 0, goodput=goodput))
    return points


def test_a_sweep_doubles_until_the_knee_is_passed() -> None:
    """Throughput stands from 32 on: two more doublings show it."""
    assert [1, 2, 4, 8, 16, 32, 64, 128] == [each.load.concurrency for each in swept()]


def test_the_knee_is_where_waiting_begins() -> None:
    """Of a capacity of 20, one at a time a second long: 16, before 32 that wait."""
    points = swept()

    assert 16 == points[knee(points) or 0].load.concurrency


def test_with_bounds_the_knee_is_the_most_goodput() -> None:
    """32 wait 1.6 s, which the bound of two allows; 64 do not keep it."""
    points = swept(goodput=True)

    assert 32 == points[knee(points) or 0].load.concurrency


@pytest.mark.parametrize("order", [1, -1])
def test_the_knee_is_the_lowest_load_that_is_as_good(order: int) -> None:
    """Behind it the goodput is flat, and its greatest value is chance, wherever it stands."""
    goods = {8: 8.0, 16: 16.0, 32: 18.9, 64: 19.4, 128: 20.1}
    points = [
        replace(point, summary=replace(point.summary, goodput=replace(kept, request_throughput=g)))
        for users, g in goods.items()
        if (kept := (point := served(users, goodput=True)).summary.goodput)
    ][::order]

    assert 32 == points[knee(points) or 0].load.concurrency


def test_a_sweep_ends_where_no_load_is_good() -> None:
    """Nothing but worse comes after it, and no load is the one to run at."""
    points = [served(users, goodput=True) for users in (64, 128, 256)]

    assert next_load(points[:2]) is not None
    assert next_load(points) is None
    assert knee(points) is None


def test_a_rate_is_doubled_too() -> None:
    """Its arrivals stay what they are."""
    first = replace(served(1), load=Load(kind="gamma", rate=3, burstiness=0.5))

    assert Load(kind="gamma", rate=6, burstiness=0.5) == next_load([first])


def test_a_server_that_fails_ends_the_sweep() -> None:
    """More load would not answer more."""
    assert next_load([served(1), served(2, failed=20)]) is None


def test_a_sweep_ends_in_any_case() -> None:
    """A server that is always faster is asked fourteen times."""
    points = [served(1)]
    while (following := next_load(points)) is not None:
        points.append(served(following.concurrency or 0, capacity=1e9))

    assert 14 == len(points)


@pytest.mark.parametrize("points", [[], [served(1)], [served(1, failed=1), served(2, failed=1)]])
def test_without_two_answers_there_is_no_knee(points: list[Point]) -> None:
    """One load has none, nor have failures."""
    assert knee(points) is None
