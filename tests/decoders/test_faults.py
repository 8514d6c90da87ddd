"""What the decoders share about faults."""

from __future__ import annotations

import pickle

import pytest

from penstock.decoders._faults import Fuse, exceeded, is_json, torn
from penstock.errors import DecodeError, LimitExceededError


def test_a_whole_fuse_lets_pass() -> None:
    """Nothing is raised before there was a fault."""
    Fuse().check()


def test_a_blown_fuse_raises_a_copy_each_time() -> None:
    """The fault comes again with its fields, without frames and without a growing traceback."""
    fuse = Fuse()
    fault = exceeded("max_line", 10, 11)
    fuse.blow(fault, [b"frame"])
    again = []
    for _ in range(2):
        with pytest.raises(LimitExceededError) as caught:
            fuse.check()
        again.append(caught.value)

    assert [b"frame"] == fault.frames
    assert [[], []] == [each.frames for each in again]
    assert [("max_line", 10, 11)] * 2 == [(e.phase, e.limit, e.elapsed) for e in again]
    assert again[0] is not again[1]


def test_a_torn_end_is_told_from_wrong_bytes() -> None:
    """Its code lets a reader treat it as a truncation."""
    error = torn("a line")

    assert isinstance(error, DecodeError)
    assert "torn_end" == error.code
    assert "The answer ended inside a line" == str(error)


def test_faults_pickle() -> None:
    """A fault travels between processes with what it says."""
    fault = pickle.loads(pickle.dumps(exceeded("max_event", 5, 7)))

    assert ("max_event", 5, 7) == (fault.phase, fault.limit, fault.elapsed)


@pytest.mark.parametrize("data", [b"{}", b'{"a": [1, "\\u00e9"]}', b" 1 ", bytearray(b"null")])
def test_whole_json(data: bytes) -> None:
    """One value, with space around it, is whole."""
    assert is_json(data)


@pytest.mark.parametrize("data", [b"", b"{", b"{}{}", b"[1,]", b"nul", b"[" * 100_000])
def test_not_whole_json(data: bytes) -> None:
    """Half a value, two values, or brackets beyond the stack are not."""
    assert not is_json(data)
