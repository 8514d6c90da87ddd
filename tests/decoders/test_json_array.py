"""The JSON array decoder, by the grammar of RFC 8259 and the form in which Gemini streams."""

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

from penstock.decoders import JSONArrayDecoder
from penstock.errors import DecodeError, LimitExceededError

KIB = 1024
MIB = 1024 * 1024

# As generativelanguage.googleapis.com answers streamGenerateContent without alt=sse.
GEMINI = (
    b'[{\n  "candidates": [\n    {\n      "content": {\n        "parts": [\n          {\n'
    b'            "text": "He said \\"[1]\\" {"\n          }\n        ],\n        "role": "model"\n'
    b'      },\n      "index": 0\n    }\n  ]\n}\n,\r\n{\n  "usageMetadata": {\n'
    b'    "promptTokenCount": 4\n  },\n  "modelVersion": "gemini-2.5-flash"\n}\n]\n'
)
CASES: dict[str, tuple[bytes, list[object]]] = {
    "empty": (b"[]", []),
    "empty with space": (b" \r\n[\t]\n ", []),
    "objects": (b'[{"a":1},{"b":[{}]}]', [{"a": 1}, {"b": [{}]}]),
    "arrays": (b"[[],[[]],[1,[2]]]", [[], [[]], [1, [2]]]),
    "strings": (rb'["", "a", "\"", "\\", "\\\"]", "[{"]', ["", "a", '"', "\\", '\\"]', "[{"]),
    "escapes at the end": (rb'["\\","\\\\",{"\\":"\""}]', ["\\", "\\\\", {"\\": '"'}]),
    "numbers": (b"[0,-1 , 1.5,2e3\n]", [0, -1, 1.5, 2000.0]),
    "names": (b"[true,false,null]", [True, False, None]),
    "brackets in strings": (b'[{"a":"]}","b":"[{"}]', [{"a": "]}", "b": "[{"}]),
    "more strings than one match takes": (
        b'[{"k":[' + b",".join([b'"]"'] * 200) + b"]}]",
        [{"k": ["]"] * 200}],
    ),
    "row 32: characters of 2, 3 and 4 bytes": ('["é€😀"]'.encode(), ["é€😀"]),
    "row 34: U+2028, U+2029, U+0085 are text": (
        '["a\u2028b\u2029c\u0085d"]'.encode(),
        ["a\u2028b\u2029c\u0085d"],
    ),
    "Gemini": (GEMINI, json.loads(GEMINI)),
}


@pytest.mark.parametrize(("wire", "expected"), CASES.values(), ids=CASES)
def test_elements(wire: bytes, expected: list[object], play: Any) -> None:
    """Rows 32 and 34: each element comes as its bytes."""
    outcome = play(JSONArrayDecoder, [wire])

    assert expected == [json.loads(element) for element in outcome.frames]
    assert outcome.error is None


@pytest.mark.parametrize("wire", [wire for wire, _ in CASES.values()], ids=CASES)
def test_no_cut_changes_the_elements(wire: bytes, outcomes: Any) -> None:
    """Every cut, and every pair of cuts of the short ones, gives one answer."""
    assert 1 == len(outcomes(JSONArrayDecoder, wire))


@pytest.mark.parametrize(
    ("element", "more"), [(b'{"a":1}', 0), (b"[1]", 0), (b'"x"', 0), (b"1", 1), (b"true", 1)]
)
def test_elements_do_not_wait(element: bytes, more: int) -> None:
    """What ends with a byte of its own comes with that byte; the rest with the byte behind it."""
    decoder = JSONArrayDecoder()
    wire = element + b" "

    assert [] == decoder.decode(b"[" + element[:-1])
    assert [element] == decoder.decode(wire[len(element) - 1 : len(element) + more])


FAULTS: dict[str, tuple[bytes, int]] = {
    "no array": (b'{"error":1}', 0),
    "no JSON": (b"<html>", 0),
    "byte order mark": (b"\xef\xbb\xbf[]", 0),
    "no first element": (b"[,1]", 0),
    "no element between": (b"[1,,2]", 1),
    "comma at the end": (b"[1,]", 1),
    "no comma": (b"[1 2]", 1),
    "no comma between objects": (b"[{}{}]", 1),
    "another array": (b"[1][2]", 1),
    "garbage behind": (b"[1]x", 1),
    "element that closes what it does not open": (b"[1,}]", 1),
    "colon": (b'["a":1]', 1),
    "wrong bracket": (b"[1,{]]", 1),
    "no value": (b'[1,{"a":}]', 1),
    "name that is none": (b"[1,nul]", 1),
    "number that is none": (b"[1,01]", 1),
    "NaN": (b"[1,NaN]", 1),
    "raw control character": (b'[1,"\n"]', 1),
    "unknown escape": (rb'[1,"\x"]', 1),
}
TORN: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 0),
    "space": (b" \n", 0),
    "first bracket": (b"[", 0),
    "after an element": (b"[{}", 1),
    "after a comma": (b"[{},", 1),
    "in an object": (b'[{},{"a":1', 1),
    "in a string": (b'[{},"a', 1),
    "in an escape": (b'[{},"a\\', 1),
    "in a number": (b"[{},1", 1),
}


@pytest.mark.parametrize(("wire", "elements"), FAULTS.values(), ids=FAULTS)
def test_faults(wire: bytes, elements: int, play: Any) -> None:
    """What is not one JSON array is an error, after the elements before it."""
    outcome = play(JSONArrayDecoder, [wire])

    assert elements == len(outcome.frames)
    assert ("DecodeError", None) == (outcome.error[0], outcome.error[2])


@pytest.mark.parametrize(("wire", "elements"), TORN.values(), ids=TORN)
def test_torn_end(wire: bytes, elements: int, play: Any) -> None:
    """An array without its last bracket is torn, also where all elements are whole."""
    outcome = play(JSONArrayDecoder, [wire])

    assert elements == len(outcome.frames)
    assert ("DecodeError", "torn_end") == (outcome.error[0], outcome.error[2])


@pytest.mark.parametrize("wire", [wire for wire, _ in (FAULTS | TORN).values()], ids=FAULTS | TORN)
def test_no_cut_changes_a_fault(wire: bytes, outcomes: Any) -> None:
    """The same fault comes after the same elements, however the bytes come."""
    assert 1 == len(outcomes(JSONArrayDecoder, wire))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(
    values=st.lists(JSON),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    places=st.lists(st.integers(0, 500), max_size=12),
)
def test_what_is_written_is_read(
    values: list[object], indent: int | None, ascii_only: bool, places: list[int]
) -> None:
    """Any JSON array comes back element by element, in any cut."""
    wire = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    bounds = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    decoder = JSONArrayDecoder()
    elements = [each for a, b in pairwise(bounds) for each in decoder.decode(wire[a:b])]

    assert values == [json.loads(element) for element in elements]
    assert [] == decoder.flush()


MARKS = st.lists(st.sampled_from(list(b'[]{}",:\\ 1a')), max_size=40).map(bytes)


@given(
    wire=MARKS,
    bound=st.integers(1, 12),
    depth=st.integers(1, 3),
    places=st.sets(st.integers(0, 40)),
)
def test_any_marks_in_any_cut(
    wire: bytes, bound: int, depth: int, places: set[int], play: Any
) -> None:
    """Whatever the bytes and bounds, cuts change neither the elements nor the error."""
    wire = b"[" + wire
    bounds = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    pieces = [wire[a:b] for a, b in pairwise(bounds)]
    make = partial(JSONArrayDecoder, max_event=bound, max_json_depth=depth)

    assert play(make, [wire]) == play(make, pieces)


# Bounds of 12 bytes and 3 levels: wire, elements, the bound that is met.
BOUNDS: dict[str, tuple[bytes, int, str | None]] = {
    "longest": (b'["1234567890", "1234567890" ]', 2, None),
    "too long": (b'[1,"12345678901"]', 1, "max_event"),
    "too long, torn": (b'[1,"123456789012', 1, "max_event"),
    "endless string": (b'[1,"' + b"x" * 300, 1, "max_event"),
    "endless number": (b"[1," + b"1" * 300, 1, "max_event"),
    "endless space within": (b"[1,[" + b" " * 300, 1, "max_event"),
    "endless space between is none": (b"[1" + b" " * 300 + b",2]", 2, None),
    "deepest": (b"[[[[]]],[[[]]]]", 2, None),
    "too deep": (b"[1,[[[[]]]]]", 1, "max_json_depth"),
    "too deep in objects": (b'[1,{"":[{"":{', 1, "max_json_depth"),
    "too deep after too long": (b"[1,[            [[[]]]]]", 1, "max_event"),
    "too deep before too long": (b"[1,[[[[            ]]]]]", 1, "max_json_depth"),
}
BOUNDED = partial(JSONArrayDecoder, max_event=12, max_json_depth=3)


@pytest.mark.parametrize(("wire", "elements", "bound"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(wire: bytes, elements: int, bound: str | None, play: Any) -> None:
    """Row 35: both bounds are exact, named and typed, and the elements before are kept."""
    outcome = play(BOUNDED, [wire])

    assert elements == len(outcome.frames)
    assert bound == (outcome.error and outcome.error[3])


@pytest.mark.parametrize("wire", [wire for wire, *_ in BOUNDS.values()], ids=BOUNDS)
def test_no_cut_changes_a_bound(wire: bytes, outcomes: Any) -> None:
    """The same bound is met after the same elements, however the bytes come."""
    assert 1 == len(outcomes(BOUNDED, wire))


def test_depth_is_256_by_default() -> None:
    """A hundred thousand brackets (JSONTestSuite) are refused at the 257th, without recursion."""
    deep = b"[" * 256 + b"]" * 256

    assert [deep] == JSONArrayDecoder().decode(b"[" + deep + b"]")
    with pytest.raises(LimitExceededError) as caught:
        JSONArrayDecoder().decode(b"[" * 100_000)
    assert ("max_json_depth", 256, 257) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )


def test_a_depth_beyond_the_stack_is_an_error() -> None:
    """Who sets the bound above what the interpreter can nest gets an error, not a crash."""
    decoder = JSONArrayDecoder(max_json_depth=1_000_000)
    with pytest.raises(DecodeError):
        decoder.decode(b"[" * 100_001 + b"]" * 100_001)


def test_a_bound_says_how_far_it_got() -> None:
    """Row 35: the error names the bound, the limit and the bytes that had come."""
    with pytest.raises(LimitExceededError) as caught:
        JSONArrayDecoder(max_event=100).decode(b'[1,"' + b"x" * 199)

    assert ("max_event", 100, 200) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )
    assert [b"1"] == caught.value.frames


def test_an_element_of_8_mib_is_read() -> None:
    """Row 35: valid elements far above 64 KiB and 1 MiB pass by default."""
    element = b'{"data":"' + b"\\n" * 4 * MIB + b'"}'
    wire = b"[" + element + b"]"
    decoder = JSONArrayDecoder()
    pieces = [wire[start : start + 65_536] for start in range(0, len(wire), 65_536)]

    assert [element] == [each for piece in pieces for each in decoder.decode(piece)]


@pytest.mark.parametrize("call", [lambda d: d.decode(b"]"), lambda d: d.flush()])
def test_an_error_is_final(call: Callable[[JSONArrayDecoder], object]) -> None:
    """A spent decoder raises the same error again, without the elements."""
    decoder = JSONArrayDecoder()
    with pytest.raises(DecodeError) as first:
        decoder.decode(b"[1 2]")
    with pytest.raises(DecodeError) as second:
        call(decoder)

    assert ([b"1"], []) == (first.value.frames, second.value.frames)
    assert str(first.value) == str(second.value)


def test_a_torn_end_is_final() -> None:
    """After a torn end there is only that error."""
    decoder = JSONArrayDecoder()
    decoder.decode(b"[[")
    for _ in range(2):
        with pytest.raises(DecodeError, match="ended inside"):
            decoder.flush()
    with pytest.raises(DecodeError, match="ended inside"):
        decoder.decode(b"]")
    assert 0 == decoder.buffered


@pytest.mark.parametrize(
    ("wire", "expected"), [(b" [ ", 3), (b"[{} ", 1), (b"[{}, ", 2), (b"[{}", 0), (b"[1", 1)]
)
def test_ignored_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`ignored` is what came between elements since the last one."""
    decoder = JSONArrayDecoder()
    decoder.decode(wire)

    assert expected == decoder.ignored


@pytest.mark.parametrize(("wire", "expected"), [(b"[{},", 0), (b'[{},"abc', 4)])
def test_buffered_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`buffered` is what waits for the rest of its element."""
    decoder = JSONArrayDecoder()
    decoder.decode(wire)

    assert expected == decoder.buffered


@pytest.mark.parametrize("unit", [b"x", b"\\n", b'","', b" "])
def test_memory_stays_within_the_bound(unit: bytes) -> None:
    """Row 35: an element without end costs its bound, one read's work and what a `bytearray` keeps
    to grow, whatever it is made of.
    """
    bound = 256 * KIB
    decoder = JSONArrayDecoder(max_event=bound)
    piece = (unit * 8192)[:8192]
    tracemalloc.start()
    try:
        decoder.decode(b'[{"')
        for _ in range(bound // 8192 - 1):
            decoder.decode(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < bound + bound // 8 + 128 * KIB


@pytest.mark.parametrize(
    "data", [b' {"a": [1, {"b": "]"}]} \n', b'{"a": 1}', b'[{"a": 1}, {"b": 2}]']
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_one_object_may_stand_for_an_array_of_it(data: bytes, size: int) -> None:
    """Where it is asked for, a bare object is the only element."""
    decoder = JSONArrayDecoder(alone=True)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = [json.loads(element) for piece in pieces for element in decoder.decode(piece)]
    value = json.loads(data)

    assert [] == decoder.flush()
    assert found == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize("data", [b'{"a": 1} {"b": 2}', b'{"a": 1},', b"1", b'{"a": 1}]'])
def test_a_bare_object_is_alone(data: bytes) -> None:
    """Nothing may follow it, and nothing else may stand in its place."""
    with pytest.raises(DecodeError):
        JSONArrayDecoder(alone=True).decode(data)


def test_a_bare_object_may_be_torn() -> None:
    """Its end is its last bracket."""
    decoder = JSONArrayDecoder(alone=True)

    assert [] == decoder.decode(b'{"a": [1, 2]')
    with pytest.raises(DecodeError):
        decoder.flush()
