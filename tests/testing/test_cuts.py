"""The ways of cutting a wire."""

from __future__ import annotations

from itertools import islice

import pytest

from penstock.testing import cuts

LONG = bytes(range(256)) * 40


@pytest.mark.parametrize("wire", [b"", b"a", b"ab", b"abcdefgh", LONG[:200], LONG])
def test_pieces_join_to_the_wire(wire: bytes) -> None:
    """No way of cutting loses, repeats or moves a byte."""
    assert {wire} == {b"".join(pieces) for pieces in cuts(wire)}


@pytest.mark.parametrize("wire", [b"", b"a"])
def test_what_cannot_be_cut_comes_whole(wire: bytes) -> None:
    """A wire of one byte or none has no other pieces than itself and nothing."""
    assert {(wire,)} == {tuple(filter(None, pieces)) or (b"",) for pieces in cuts(wire)}


def test_whole_and_byte_by_byte_come_first() -> None:
    """The two ways that find most faults are tried first."""
    assert [[b"abc"], [b"a", b"b", b"c"]] == list(islice(cuts(b"abc"), 2))


def test_every_single_cut() -> None:
    """Up to 4,096 bytes each place is tried."""
    wire = LONG[:4096]

    assert {(wire[:place], wire[place:]) for place in range(1, 4096)} <= {
        tuple(pieces) for pieces in cuts(wire) if len(pieces) == 2
    }


def test_every_pair_of_cuts() -> None:
    """Up to 96 bytes each pair of places is tried."""
    wire = LONG[:96]
    pairs = {
        (wire[:first], wire[first:second], wire[second:])
        for first in range(1, 95)
        for second in range(first + 1, 96)
    }

    assert pairs <= {tuple(pieces) for pieces in cuts(wire) if len(pieces) == 3}


def test_empty_pieces_are_among_them() -> None:
    """A read may bring nothing."""
    assert [b"", b"ab", b"", b"c", b""] in list(cuts(b"abc"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"singles": 0, "pairs": 0, "samples": 0}, 5),
        ({"singles": 10, "pairs": 0, "samples": 0}, 5 + 9),
        ({"singles": 0, "pairs": 10, "samples": 0}, 5 + 36),
        ({"singles": 0, "pairs": 0, "samples": 7}, 5 + 7),
    ],
)
def test_how_many(options: dict[str, int], expected: int) -> None:
    """The keywords say how long a wire may be for each kind, and how many samples there are."""
    assert expected == len(list(cuts(b"0123456789", **options)))


def test_a_long_wire_is_sampled() -> None:
    """A wire of 10 KiB is cut in tens of ways, of few pieces and of many."""
    sizes = [len(pieces) for pieces in cuts(LONG)]

    assert 5 + 32 == len(sizes)
    assert min(sizes[5:]) < 10
    assert max(sizes[5:]) > 500


def test_samples_are_the_same_in_every_run() -> None:
    """A failure can be seen again; another seed tries other ways."""
    assert list(cuts(LONG)) == list(cuts(LONG))
    assert list(cuts(LONG)) != list(cuts(LONG, seed=1))
