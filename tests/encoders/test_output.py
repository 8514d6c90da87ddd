"""Parts become pieces of the buffer's size, cut where nothing breaks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.encoders.output import Output


def pieces(parts: list[bytes], size: int) -> list[bytes]:
    """What comes out in the end."""
    output = Output(size)
    for part in parts:
        output.write(part)
    output.flush()
    return output.take()


@given(parts=st.lists(st.text(max_size=60).map(str.encode)), size=st.integers(7, 50))
def test_nothing_is_lost_and_nothing_is_too_long(parts: list[bytes], size: int) -> None:
    """The pieces are the parts, in pieces."""
    made = pieces(parts, size)

    assert b"".join(parts) == b"".join(made)
    assert all(0 < len(piece) <= size for piece in made)


def test_parts_are_gathered() -> None:
    """A piece is made when the next part does not fit any more."""
    assert [b"abcdef", b"ghi"] == pieces([b"abc", b"def", b"ghi"], 8)


def test_a_piece_is_ready_as_soon_as_it_is_full() -> None:
    """What was written before need not wait for the end."""
    output = Output(8)
    output.write(b"abcdef")
    assert [] == output.take()
    output.write(b"ghi")
    assert [b"abcdef"] == output.take()
    assert [] == output.take()


@given(
    text=st.text(st.sampled_from('\\"\x00\n\x1fué日😀'), min_size=8, max_size=80),
    size=st.integers(7, 30),
)
def test_no_cut_is_inside_an_escape_or_a_character(text: str, size: int) -> None:
    """Each piece of a text's inside is the inside of a text."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1].encode()

    assert text == "".join(json.loads(b'"' + piece + b'"') for piece in pieces([inside], size))


@pytest.mark.parametrize("run", range(1, 20))
def test_backslashes_are_cut_in_pairs(run: int) -> None:
    r"""``\\\\n`` is two backslashes and a letter, however many come before."""
    inside = b"\\\\" * run + b"\\n" + b"x" * 9

    assert all(json.loads(b'"' + piece + b'"') for piece in pieces([inside], 7))
