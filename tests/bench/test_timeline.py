"""What happened when, however long a run is."""

from __future__ import annotations

from penstock.bench import RequestRecord, Tick
from penstock.bench.timeline import Timeline


def answer(at: float, *, error: str | None = None) -> RequestRecord:
    """Return a request that was sent at `at` and took two seconds."""
    return RequestRecord(
        number=0, scheduled=at, started=at, ended=at + 2, error=error, ttft=0.5, e2e=2.0
    )


def test_tokens_stand_where_they_came() -> None:
    """Six tokens in three chunks at 0.5, 1.2 and 1.9 s: two, and four."""
    timeline = Timeline()
    timeline.began(0.0, active=1)
    timeline.left(2.0, active=0)
    timeline.ended(answer(0.0), [0.7, 0.7], 6)

    assert (
        Tick(at=0.0, started=1, active=1, output_tokens=2, ttft=0.5),
        Tick(at=1.0, active=1, output_tokens=4),
        Tick(at=2.0, ended=1, active=1),
    ) == timeline.ticks()


def test_who_waits_is_under_way() -> None:
    """Also while nothing begins, ends or comes; where nobody waits there is no interval."""
    timeline = Timeline()
    timeline.left(0.1, active=0)  # it was one to warm up
    for at, active in ((0.5, 1), (0.6, 2)):
        timeline.began(at, active)
    for at, active in ((3.2, 1), (5.5, 0)):
        timeline.left(at, active)
    timeline.began(8.5, active=1)

    assert [(0, 2), (1, 2), (2, 2), (3, 2), (4, 1), (5, 1), (8, 1)] == [
        (tick.at, tick.active) for tick in timeline.ticks()
    ]


def test_a_failed_request_is_failed_and_no_more() -> None:
    """Its tokens are no throughput."""
    timeline = Timeline()
    timeline.ended(answer(0.0, error="truncated"), [0.7], 2)

    assert (Tick(at=2.0, failed=1),) == timeline.ticks()


def test_a_long_run_has_longer_intervals() -> None:
    """An hour is at most 600 intervals, and none of it is lost."""
    timeline = Timeline()
    for second in range(3600):
        timeline.began(float(second), active=1 + second % 7)
        timeline.left(second + 0.5, active=0)
        timeline.ended(answer(float(second)), [], 5)
    ticks = timeline.ticks()

    assert (8.0, True) == (timeline.tick, len(ticks) <= 600)
    assert (3600, 3600, 18000) == tuple(
        sum(getattr(tick, name) for tick in ticks) for name in ("started", "ended", "output_tokens")
    )
    assert {7} == {tick.active for tick in ticks[:-1]}  # of any seven seconds one has the most
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)
