"""The schedule of content chunks, on a clock that the test moves."""

from __future__ import annotations

from penstock.simulator.behavior import Behavior, parse
from penstock.simulator.pace import Pace


def waits(behavior: Behavior, count: int) -> list[float]:
    """What a writer waits that is never late."""
    now, pace, found = 100.0, Pace(behavior, 100.0), []
    for _ in range(count):
        found.append(round(pace.due(1, now), 6))
        now += found[-1]
    return found


def test_without_settings_nothing_waits() -> None:
    """An unpaced answer goes out at once."""
    assert [0, 0, 0] == waits(parse("echo"), 3)


def test_ttft_delays_the_first_chunk() -> None:
    """Only the first content chunk waits, from the end of the request."""
    assert [2.0, 0, 0] == waits(parse("echo?ttft=2"), 3)


def test_rate_spaces_the_rest() -> None:
    """Chunks come at 1 / rate."""
    assert [1.0, 0.25, 0.25] == waits(parse("echo?ttft=1&rate=4"), 3)


def test_what_is_late_is_caught_up() -> None:
    """A writer that was held up sends the chunks that were due without a wait."""
    pace = Pace(parse("echo?rate=10"), 100.0)

    found = [pace.due(1, now) for now in (100.0, 100.35, 100.35, 100.35, 100.35)]
    assert [0, 0, 0, 0, 0.05] == [round(wait, 6) for wait in found]


def test_a_piece_counts_its_chunks() -> None:
    """Ten chunks in one HTTP chunk are followed by ten gaps."""
    pace = Pace(parse("echo?rate=10"), 0.0)

    assert [0.0, 1.0] == [pace.due(10, 0.0), pace.due(10, 0.0)]


def test_jitter_stays_within_its_share() -> None:
    """The schedule moves by at most half the share of a gap each way, and not always the same."""
    pace = Pace(parse("echo?rate=10&jitter=0.5&ttft=1"), 0.0)
    moved = [pace.due(1, 0.0) - (1 + number / 10) for number in range(50)]

    assert max(map(abs, moved)) <= 0.025
    assert len(set(moved)) > 10
