"""Steps are put together and joined without a change to their bytes."""

from __future__ import annotations

import pytest

from penstock.simulator.steps import BLOCK, End, Event, Raw, Step, Wait, after, coalesce

ONE, TWO, ROLE, DONE = Event(b"1", 1), Event(b"2", 1), Event(b"r"), Event(b"d")
STREAM = [ROLE, ONE, TWO, DONE]
X = Raw(b"x")

PLACES = [
    (0, [ROLE, X, ONE, TWO, DONE]),
    (1, [ROLE, ONE, X, TWO, DONE]),
    (2, [ROLE, ONE, TWO, X, DONE]),
    (3, [ROLE, ONE, TWO, DONE, X]),
]


@pytest.mark.parametrize(("count", "expected"), PLACES)
def test_after_counts_content(count: int, expected: list[Step]) -> None:
    """0 is before the first content chunk; more than there are is the end."""
    assert expected == list(after(STREAM, count, [X]))


def test_after_counts_joined_chunks() -> None:
    """An event of three content chunks is not taken apart."""
    three = Event(b"3", 3)

    assert [three, X, ONE] == list(after([three, ONE], 2, [X]))


JOINED = [
    ([], []),
    ([ROLE, ONE, TWO], [Raw(b"r12")]),
    ([ROLE, Wait(1), ONE, TWO, End.HANG], [Raw(b"r"), Wait(1), Raw(b"12"), End.HANG]),
    ([Wait(1), Wait(2), End.CLOSE], [Wait(1), Wait(2), End.CLOSE]),
    ([Event(b"a" * BLOCK), ONE], [Raw(b"a" * BLOCK), Raw(b"1")]),
]


@pytest.mark.parametrize(("steps", "expected"), JOINED)
def test_neighbours_are_joined(steps: list[Step], expected: list[Step]) -> None:
    """Bytes are joined up to a block; pauses and endings stay where they are."""
    assert expected == list(coalesce(steps))
