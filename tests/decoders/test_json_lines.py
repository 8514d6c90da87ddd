"""The JSON lines decoder."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoders import JSONLinesDecoder
from penstock.errors import DecodeError, LimitExceededError

KIB = 1024
MIB = 1024 * 1024

# Shapes as Ollama streams them and as command-line agents print them, and what else a pipe brings.
CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "objects": (b'{"done":false}\n{"done":true}\n', [b'{"done":false}', b'{"done":true}']),
    "CRLF": (b'{"a":1}\r\n[2]\r\n', [b'{"a":1}', b"[2]"]),
    "blank lines": (b'\n\r\n \t \n{"a":1}\n\n', [b'{"a":1}']),
    "space around": (b' {"a":1} \n', [b' {"a":1} ']),
    "CR within is no line end": (b'{"a":\r1}\n', [b'{"a":\r1}']),
    "CR CR LF": (b"1\r\r\n", [b"1\r"]),
    "not JSON is the dialect's affair": (b"oops\n{\n", [b"oops", b"{"]),
    "no last line end": (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
    "no last line end but a CR": (b'{"a":1}\r', [b'{"a":1}']),
    "no last line end but space": (b'{"a":1} ', [b'{"a":1} ']),
    "a last name": (b"true", [b"true"]),
    "a last string": (b'"x"', [b'"x"']),
    "last space": (b"1\n \t", [b"1"]),
    "a last CR": (b"1\n\r", [b"1"]),
    "nothing": (b"", []),
    "row 32: characters of 2, 3 and 4 bytes": ('"é€😀"\n'.encode(), ['"é€😀"'.encode()]),
    "row 34: U+2028, U+2029, U+0085, VT, FF, FS are text": (
        '"a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"\n'.encode(),
        ['"a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"'.encode()],
    ),
}


@pytest.mark.parametrize(("wire", "expected"), CASES.values(), ids=CASES)
def test_lines(wire: bytes, expected: list[bytes], play: Any) -> None:
    """Rows 32 and 34: lines end at LF or CRLF, on bytes; blank ones are none."""
    outcome = play(JSONLinesDecoder, [wire])

    assert (tuple(expected), None) == (outcome.frames, outcome.error)


TORN = [b'{"a":1', b'{"a":"', b"[1,", b'"x', b"12", b"-", b"1.5", b"tru", b"oops", b'{"a":1}}']


@pytest.mark.parametrize("wire", TORN)
def test_torn_end(wire: bytes, play: Any) -> None:
    """Half a line is an error, after the lines before it; a number may be half of one."""
    outcome = play(JSONLinesDecoder, [b"{}\n" + wire])

    assert (b"{}",) == outcome.frames
    assert ("DecodeError", "torn_end") == (outcome.error[0], outcome.error[2])


def test_too_deep_to_be_read(play: Any) -> None:
    """A last line nested beyond the interpreter's stack is not whole JSON."""
    outcome = play(JSONLinesDecoder, [b"[" * 100_000 + b"]" * 100_000])

    assert "torn_end" == outcome.error[2]


@pytest.mark.parametrize("wire", [*(wire for wire, _ in CASES.values()), *TORN])
def test_no_cut_changes_the_lines(wire: bytes, outcomes: Any) -> None:
    """Every cut, and every pair of cuts, gives one answer, also at a torn end."""
    assert 1 == len(outcomes(JSONLinesDecoder, b'{"first":1}\r\n' + wire))


@given(
    values=st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)),
    end=st.sampled_from([b"\n", b"\r\n"]),
    places=st.lists(st.integers(0, 500), max_size=12),
)
def test_what_is_written_is_read(values: list[object], end: bytes, places: list[int]) -> None:
    """Values written one a line come back, in any cut."""
    wire = b"".join(json.dumps(value, ensure_ascii=False).encode() + end for value in values)
    bounds = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    decoder = JSONLinesDecoder()
    lines = [line for a, b in pairwise(bounds) for line in decoder.decode(wire[a:b])]

    assert values == [json.loads(line) for line in lines]
    assert [] == decoder.flush()


BOUNDS = {
    "longest": (b"12345678\n12345678\r\n", 2, None),
    "longest, torn": (b'"345678"', 1, None),
    "too long": (b"1\n123456789\n", 1, "max_line"),
    "too long, torn": (b"1\n123456789", 1, "max_line"),
    "too long with CRLF": (b"1\n123456789\r\n", 1, "max_line"),
    "CR counts where no LF follows": (b"1\n12345678\r9\n", 1, "max_line"),
    "endless": (b"1\n" + b"x" * 300, 1, "max_line"),
    "blank": (b"1\n" + b" " * 9 + b"\n", 1, "max_line"),
    "many short ones": (b"1234\n" * 50, 50, None),
}
BOUNDED = partial(JSONLinesDecoder, max_line=8)


@pytest.mark.parametrize(("wire", "lines", "bound"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(wire: bytes, lines: int, bound: str | None, play: Any) -> None:
    """Row 35: the bound is exact, named and typed, and the lines before it are kept."""
    outcome = play(BOUNDED, [wire])

    assert lines == len(outcome.frames)
    assert bound == (outcome.error and outcome.error[3])


@pytest.mark.parametrize("wire", [wire for wire, *_ in BOUNDS.values()], ids=BOUNDS)
def test_no_cut_changes_a_bound(wire: bytes, outcomes: Any) -> None:
    """The bound is met after the same lines, however the bytes come."""
    assert 1 == len(outcomes(BOUNDED, wire))


def test_a_bound_says_how_far_it_got() -> None:
    """Row 35: the error names the bound, the limit and the bytes that had come."""
    with pytest.raises(LimitExceededError) as caught:
        JSONLinesDecoder(max_line=100).decode(b"1\n" + b"x" * 200)

    assert ("max_line", 100, 200) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )
    assert [b"1"] == caught.value.frames


def test_a_line_of_8_mib_is_read() -> None:
    """Row 35: valid lines far above 64 KiB and 1 MiB pass by default."""
    wire = b"[" + b" " * 8 * MIB + b"]\n"
    decoder = JSONLinesDecoder()
    pieces = [wire[start : start + 65_536] for start in range(0, len(wire), 65_536)]

    assert [wire[:-1]] == [line for piece in pieces for line in decoder.decode(piece)]


@pytest.mark.parametrize("call", [lambda d: d.decode(b"1\n"), lambda d: d.flush()])
def test_an_error_is_final(call: Callable[[JSONLinesDecoder], object]) -> None:
    """A spent decoder raises the same error again, and keeps nothing."""
    decoder = BOUNDED()
    decoder.decode(b"12345678")
    with pytest.raises(LimitExceededError) as first:
        decoder.decode(b"9")
    with pytest.raises(LimitExceededError) as second:
        call(decoder)

    assert ([], []) == (first.value.frames, second.value.frames)
    assert str(first.value) == str(second.value)
    assert 0 == decoder.buffered


def test_a_torn_end_is_final() -> None:
    """After a torn end there is only that error."""
    decoder = JSONLinesDecoder()
    decoder.decode(b"{")
    for _ in range(2):
        with pytest.raises(DecodeError, match="ended inside"):
            decoder.flush()


def test_the_end_may_be_asked_for_twice() -> None:
    """After the end nothing is left."""
    decoder = JSONLinesDecoder()
    decoder.decode(b"{}")

    assert [b"{}"] == decoder.flush()
    assert [] == decoder.flush()


@pytest.mark.parametrize(
    ("wire", "expected"), [(b"\n \n\r\n", 5), (b"\n1\n", 0), (b"1\n\n\n", 2), (b"12", 0)]
)
def test_ignored_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`ignored` is what came in blank lines since the last line."""
    decoder = JSONLinesDecoder()
    decoder.decode(wire)

    assert expected == decoder.ignored


@pytest.mark.parametrize(("wire", "expected"), [(b"1\n", 0), (b"1\n12", 2)])
def test_buffered_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`buffered` is what waits for the rest of its line."""
    decoder = JSONLinesDecoder()
    decoder.decode(wire)

    assert expected == decoder.buffered


@pytest.mark.parametrize("unit", [b"x", b"\n", b" "])
def test_memory_stays_within_the_bound(unit: bytes) -> None:
    """Row 35: a line without end costs its bound, one read's work and what a `bytearray` keeps to
    grow; blank lines cost nothing.
    """
    bound = 256 * KIB
    decoder = JSONLinesDecoder(max_line=bound)
    piece = unit * 8192
    tracemalloc.start()
    try:
        for _ in range(bound // 8192):
            decoder.decode(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < bound + bound // 8 + 128 * KIB
