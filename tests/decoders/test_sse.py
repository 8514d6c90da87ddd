"""The SSE decoder, by the WHATWG standard's examples and the web-platform-tests' facts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoders import SSEDecoder, SSEFrame
from penstock.errors import DecodeError, LimitExceededError

KIB = 1024
MIB = 1024 * 1024


def frames(wire: bytes, **options: Any) -> list[SSEFrame]:
    """The events of `wire`, whose end is not torn."""
    decoder = SSEDecoder(**options)
    return [*decoder.decode(wire), *decoder.flush()]


def message(data: str, last_id: str = "", retry: int | None = None) -> SSEFrame:
    """An event without a name."""
    return SSEFrame("message", data, last_id, retry)


LONG = b"x" * 2049

# From https://html.spec.whatwg.org/multipage/server-sent-events.html (section 9.2) and from
# web-platform-tests/wpt, eventsource/format-*.js and event-data.js: the bytes sent, what is seen.
STANDARD = {
    "spec: one, two and three lines": (
        b"data: This is the first message.\n\n"
        b"data: This is the second message, it\ndata: has two lines.\n\n"
        b"data: This is the third message.\n\n",
        [
            message("This is the first message."),
            message("This is the second message, it\nhas two lines."),
            message("This is the third message."),
        ],
    ),
    "spec: named events": (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
        [SSEFrame("add", "73857293"), SSEFrame("remove", "2153"), SSEFrame("add", "113411")],
    ),
    "spec: stock ticker": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [message("YHOO\n+2\n10")],
    ),
    "spec: comment, ids, an id taken back": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
        b"data:  third event\n\n",
        [message("first event", "1"), message("second event"), message(" third event")],
    ),
    "spec: empty data is data": (
        b"data\n\ndata\ndata\n\n",
        [message(""), message("\n")],
    ),
    "spec: one space after the colon is not data": (
        b"data:test\n\ndata: test\n\n",
        [message("test"), message("test")],
    ),
    "wpt: data with no value": (
        b"data:\n\ndata\ndata\n\ndata:test\n\n",
        [message(""), message("\n"), message("test")],
    ),
    "wpt: newline fest": (b"data:test\r\ndata\ndata:test\r\n\r", [message("test\n\ntest")]),
    "wpt: leading space": (b"data:\ttest\rdata: \ndata:test\n\n", [message("\ttest\n\ntest")]),
    "wpt: field parsing": (
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        b" data:32\ndata:4\n\n",
        [message("\0\n 2\n1\n3\n\n4")],
    ),
    "wpt: unknown fields": (
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        [message("test\n\ntest")],
    ),
    "wpt: comment fest": (
        b"data:1\r:\0\n:\r\ndata:2\n:" + LONG + b"\rdata:3\n:data:fail\r:" + LONG + b"\ndata:4\n\n",
        [message("1\n2\n3\n4")],
    ),
    "wpt: byte order mark": (
        b"\xef\xbb\xbfdata:1\n\n\xef\xbb\xbfdata:2\n\ndata:3\n\n",
        [message("1"), message("3")],
    ),
    "wpt: two byte order marks": (
        b"\xef\xbb\xbf\xef\xbb\xbfdata:1\n\ndata:2\n\ndata:3\n\n",
        [message("2"), message("3")],
    ),
    "wpt: NUL is data": (b"data:\0\n\n", [message("\0")]),
    "wpt: UTF-8": ("data:ok…\n\n".encode(), [message("ok…")]),
    "wpt: event name, reset": (
        b"event:test\ndata:x\n\ndata:x\n\n",
        [SSEFrame("test", "x"), message("x")],
    ),
    "wpt: empty event name": (b"event: \ndata:data\n\n", [message("data")]),
    "wpt: id with NUL is no id": (
        b"id: ok\nid: \0\0\nid: x\0\nid: \0x\nid: x\0x\nid:  \0\ndata: x\n\n",
        [message("x", "ok")],
    ),
    "wpt: id stays": (b"id: 1\ndata:1\n\ndata:2\n\n", [message("1", "1"), message("2", "1")]),
    "wpt: id alone counts for the next": (b"id: 7\n\ndata:2\n\n", [message("2", "7")]),
    "wpt: retry": (b"retry:3000\ndata:x\n\ndata:y\n\n", [message("x", "", 3000), message("y")]),
    "wpt: bogus retry": (b"retry:3000\nretry:1000x\ndata:x\n\n", [message("x", "", 3000)]),
    "wpt: empty retry": (b"retry\ndata:test\n\n", [message("test")]),
    "retry is ASCII digits": (
        "retry: ٣\nretry: -1\nretry: +1\ndata: x\n\n".encode(),
        [message("x")],
    ),
    "retry in base ten": (b"retry: 0010\ndata: x\n\n", [message("x", "", 10)]),
    "retry of zero": (b"retry: 0\ndata: x\n\n", [message("x", "", 0)]),
    "retry beyond int()": (
        b"retry: " + b"9" * 5000 + b"\ndata: x\n\n",
        [message("x", "", 2**63 - 1)],
    ),
    "retry alone counts for the next, between others": (
        b"data: w\n\nretry: 5\n\ndata: x\n\n",
        [message("w"), message("x", "", 5)],
    ),
    "retry of 18 digits, with zeros": (
        b"retry: 00" + b"9" * 18 + b"\ndata: x\n\n",
        [message("x", "", 10**18 - 1)],
    ),
    "retry of 19 digits": (
        b"retry: " + b"9" * 19 + b"\ndata: x\n\n",
        [message("x", "", 2**63 - 1)],
    ),
    "retry alone counts for the next": (b"retry: 5\n\ndata: x\n\n", [message("x", "", 5)]),
    "a name alone is no event": (b"event: ping\n\ndata: x\n\n", [message("x")]),
    "blank lines are no events": (b"\n\n\r\n\r\rdata: x\n\n\n\n", [message("x")]),
    "the last name wins": (b"event: a\nevent: b\ndata: x\n\n", [SSEFrame("b", "x")]),
    "names are case sensitive": (b"DATA: x\nEvent: y\n\n", []),
    "invalid UTF-8 is replaced": (
        b"event: \xff\nid: \xc3\ndata: a\xffb\xe2\x82\n\ndata: \xed\xa0\x80\n\n",
        [
            SSEFrame("�", "a�b�", "�"),
            SSEFrame("message", "���", "�"),
        ],
    ),
    "plain events, then half of one": (
        b"data: 1\n\ndata: 2\n\ndata: 3\n\n",
        [message("1"), message("2"), message("3")],
    ),
    "a field in the midst of plain events": (
        b"data: 1\n\ndata: 2\ndata: 3\n\ndata: 4\n\n",
        [message("1"), message("2\n3"), message("4")],
    ),
    "a plain event after an id": (b"id: 1\n\ndata: 2\n\n", [message("2", "1")]),
    "nothing": (b"", []),
}

# Rows 32 to 34 of the fault matrix, each with what the faulty readers made of it.
ROWS = {
    "row 32: characters of 2, 3 and 4 bytes": (
        "data: é€😀\n\n".encode(),
        [message("é€😀")],
    ),
    "row 33: no space": (b'data:{"a":1}\n\n', [message('{"a":1}')]),
    "row 34: U+2028, U+2029 and U+0085 are text": (
        "data: a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\n\n".encode(),
        [message("a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg")],
    ),
}

CASES = STANDARD | ROWS
DEFAULT = SSEDecoder
BYTES = partial(SSEDecoder, text=False)


@pytest.mark.parametrize(("wire", "expected"), STANDARD.values(), ids=STANDARD)
def test_standard(wire: bytes, expected: list[SSEFrame]) -> None:
    """The standard's examples and the browsers' tests give what they say."""
    assert expected == frames(wire)


@pytest.mark.parametrize(("wire", "expected"), ROWS.values(), ids=ROWS)
def test_rows_of_the_fault_matrix(wire: bytes, expected: list[SSEFrame]) -> None:
    """Rows 32, 33 and 34: frame on bytes, `data:` without a space, only CR, LF and CRLF."""
    assert expected == frames(wire)


@pytest.mark.parametrize("make", [DEFAULT, BYTES], ids=["text", "bytes"])
@pytest.mark.parametrize("wire", [wire for wire, _ in CASES.values()], ids=CASES)
def test_no_cut_changes_the_frames(make: Any, wire: bytes, outcomes: Any) -> None:
    """Rows 32 and 34: every cut, and every pair of cuts of the short ones, gives one answer."""
    assert 1 == len(outcomes(make, wire))


@pytest.mark.parametrize("wire", [wire for wire, _ in CASES.values()], ids=CASES)
def test_bytes_are_the_text_encoded(wire: bytes) -> None:
    """With ``text=False`` the data is the same, as UTF-8, and all there is of most events."""
    expected = [
        str(each.data).encode()
        if each == SSEFrame("message", each.data)
        else SSEFrame(each.event, str(each.data).encode(), each.id, each.retry)
        for each in frames(wire)
    ]

    assert expected == frames(wire, text=False)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end(end: bytes) -> None:
    """LF, CR and CRLF all end a line."""
    wire = b"event: e\ndata: 1\ndata: 2\n\ndata: 3\n\n".replace(b"\n", end)

    assert [SSEFrame("e", "1\n2"), message("3")] == frames(wire)


def test_a_cr_ends_its_line_at_once() -> None:
    """An event whose last byte is a CR does not wait for the LF that may follow."""
    decoder = SSEDecoder()

    assert [message("x")] == decoder.decode(b"data: x\r\n\r")
    assert [] == decoder.decode(b"")
    assert [] == decoder.decode(b"\n")
    assert [message("y")] == decoder.decode(b"data: y\n\n")


LINES = st.sampled_from(
    [
        *[b"data: 1", b"data:2", b"data", b"data: \xc3\xa9", b"data: \xff", b"event: e"],
        *[b"id: 7", b"id", b"retry: 9", b":", b": comment", b"unknown: x", b"datax", b"dat"],
        *[b"", b"", b"\xef\xbb\xbf"],
    ]
)
WIRES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=24).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(wire=WIRES, places=st.lists(st.integers(0, 400), max_size=12), text=st.booleans())
def test_any_lines_in_any_cut(wire: bytes, places: list[int], text: bool, play: Any) -> None:
    """Whatever the lines and wherever the cuts, the answer is that of the whole."""
    bounds = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    pieces = [wire[a:b] for a, b in pairwise(bounds)]
    make = partial(SSEDecoder, text=text)

    assert play(make, [wire]) == play(make, pieces)


# The end of a stream: what is delivered, or None for a torn end.
ENDS = {
    "nothing pending": (b"data: 1\n\n", [message("1")]),
    "one line end missing": (b"data: 1\n\ndata: [DONE]\n", [message("1"), message("[DONE]")]),
    "one CR missing": (b"data: [DONE]\r", [message("[DONE]")]),
    "all line ends missing": (b"data: [DONE]", [message("[DONE]")]),
    "no space either": (b"data:[DONE]", [message("[DONE]")]),
    "whole JSON": (b'data: {"a":[1]}', [message('{"a":[1]}')]),
    "whole JSON over two lines": (b'data: {"a":\ndata: 1}', [message('{"a":\n1}')]),
    "whole JSON, named": (b'event: e\ndata: {"a":1}', [SSEFrame("e", '{"a":1}')]),
    "text whose line has its end": (b"data: hello\n", [message("hello")]),
    "number whose line has its end": (b"data: 12\n", [message("12")]),
    "event, then a torn comment": (b"data: 1\n\n: pi", [message("1")]),
    "line, then a torn comment": (b"data: 1\n: pi", [message("1")]),
    "line, then a long torn comment": (b"data: 1\n: ping ping", [message("1")]),
    "torn unknown field": (b"foo: x", []),
    "id and retry alone": (b"id: 1\nretry: 5\n", []),
    "half a byte order mark": (b"\xef\xbb", []),
    "a byte order mark": (b"\xef\xbb\xbf", []),
    "half JSON": (b'data: {"a":1', None),
    "half JSON whose line has its end": (b'data: {"a":\n', None),
    "half a string": (b'data: "abc', None),
    "half of [DONE]": (b"data: [DON", None),
    "half a text": (b"data: hel", None),
    "half a number": (b"data: 12", None),
    "data with nothing": (b"data: ", None),
    "half a field name": (b"da", None),
    "a name without its data": (b"event: error\n", None),
    "half an event name": (b"event: err", None),
    "half an id": (b"id: 1", None),
    "half an id after a whole line": (b"data: 1\nid: 1", None),
    "too deep to be read": (b"data: " + b"[" * 100_000 + b"]" * 100_000, None),
}


@pytest.mark.parametrize(("wire", "expected"), ENDS.values(), ids=ENDS)
def test_end(wire: bytes, expected: list[SSEFrame] | None, play: Any) -> None:
    """A last event that is whole is delivered; a cut one is an error, never half an event."""
    outcome = play(SSEDecoder, [wire])

    if expected is None:
        assert ("DecodeError", "torn_end") == (outcome.error[0], outcome.error[2])
        assert () == outcome.frames
    else:
        assert (tuple(expected), None) == (outcome.frames, outcome.error)


@pytest.mark.parametrize("wire", [w for w, _ in ENDS.values() if len(w) < KIB], ids=lambda w: w)
def test_no_cut_changes_the_end(wire: bytes, outcomes: Any) -> None:
    """Whether the end is torn does not depend on the cuts."""
    assert 1 == len(outcomes(SSEDecoder, wire))


def test_the_end_may_be_asked_for_twice() -> None:
    """After the end nothing is left."""
    decoder = SSEDecoder()
    decoder.decode(b"data: [DONE]")

    assert [message("[DONE]")] == decoder.flush()
    assert [] == decoder.flush()


# Bounds of 20 bytes for a line and 24 for an event: wire, frames, the bound that is met.
BOUNDS: dict[str, tuple[bytes, list[str], str | None]] = {
    "longest line": (b"data: " + b"x" * 14 + b"\n\n", ["x" * 14], None),
    "line": (b"data: a\n\ndata: " + b"x" * 15 + b"\n\n", ["a"], "max_line"),
    "torn line": (b"data: a\n\ndata: " + b"x" * 15, ["a"], "max_line"),
    "endless line": (b"data: a\n\ndata: " + b"x" * 300, ["a"], "max_line"),
    "line without a space": (b"data:" + b"x" * 16 + b"\n\n", [], "max_line"),
    "id": (b"id: " + b"x" * 17, [], "max_line"),
    "event name": (b"event: " + b"x" * 14, [], "max_line"),
    "retry": (b"retry: " + b"9" * 14, [], "max_line"),
    "longest event": (
        b"data:1234567\ndata:1234567\ndata:12345678\n\n",
        ["1234567\n1234567\n12345678"],
        None,
    ),
    "event": (b"data: a\n\ndata:1234567\ndata:1234567\ndata:123456789\n\n", ["a"], "max_event"),
    "event of many lines": (b"data: a\n\n" + b"data\n" * 30, ["a"], "max_event"),
    "event in its torn line": (b"data:" + b"x" * 15 + b"\ndata: " + b"y" * 16, [], "max_event"),
    "event by its name": (b"event: 1234567890\ndata:" + b"x" * 15 + b"\n\n", [], "max_event"),
    "event by the last id": (b"id: 1234567890\n\ndata:" + b"x" * 15 + b"\n\n", [], "max_event"),
    "plain event by the last id": (
        b"id: 123456789012\n\ndata: " + b"x" * 13 + b"\n\n",
        [],
        "max_event",
    ),
    "id by the id before": (b"id: 123456789012\nid: 1234567890123\n", [], "max_event"),
    "line before event": (b"data:" + b"x" * 12 + b"\ndata:" + b"y" * 30 + b"\n\n", [], "max_event"),
    "comment": (b": " + b"x" * 300 + b"\ndata: a\n\n", ["a"], None),
    "unknown field": (b"x" * 300 + b": y\ndata: a\n\n", ["a"], None),
    "unknown field like a known one": (b"data" + b"x" * 300 + b"\ndata: a\n\n", ["a"], None),
    "events together": (b"data: 123456\n\n" * 9, ["123456"] * 9, None),
}
BOUNDED = partial(SSEDecoder, max_line=20, max_event=24)


@pytest.mark.parametrize(("wire", "expected", "bound"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(wire: bytes, expected: list[str], bound: str | None, play: Any) -> None:
    """Row 35: a bound is exact, named and typed; ignored lines have none."""
    outcome = play(BOUNDED, [wire])

    assert expected == [frame.data for frame in outcome.frames]
    assert bound == (outcome.error and outcome.error[3])


@pytest.mark.parametrize("wire", [wire for wire, *_ in BOUNDS.values()], ids=BOUNDS)
def test_no_cut_changes_a_bound(wire: bytes, outcomes: Any) -> None:
    """The same bound is met after the same frames, however the bytes come."""
    assert 1 == len(outcomes(BOUNDED, wire))


@given(
    wire=WIRES,
    max_line=st.integers(1, 12),
    max_event=st.integers(1, 12),
    places=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_bound_in_any_cut(
    wire: bytes, max_line: int, max_event: int, places: list[int], play: Any
) -> None:
    """Whatever the bounds, cuts do not move where they are met."""
    bounds = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    pieces = [wire[a:b] for a, b in pairwise(bounds)]
    make = partial(SSEDecoder, max_line=max_line, max_event=max_event)

    assert play(make, [wire]) == play(make, pieces)


def test_a_bound_says_how_far_it_got() -> None:
    """Row 35: the error names the bound, the limit and the bytes that had come."""
    decoder = SSEDecoder(max_line=100)
    with pytest.raises(LimitExceededError) as caught:
        decoder.decode(b"data: 1\n\ndata: " + b"x" * 200)

    assert ("max_line", 100, 206) == (
        caught.value.phase,
        caught.value.limit,
        caught.value.elapsed,
    )
    assert [message("1")] == caught.value.frames


def test_an_event_says_how_far_it_got() -> None:
    """`elapsed` of an event counts what it had and the line that is too much."""
    decoder = SSEDecoder(max_event=100)
    with pytest.raises(LimitExceededError) as caught:
        decoder.decode(b"data: " + b"x" * 60 + b"\ndata: " + b"y" * 60 + b"\n")

    assert ("max_event", 100) == (caught.value.phase, caught.value.limit)
    assert caught.value.elapsed is not None
    assert 101 <= caught.value.elapsed <= 121


def test_an_event_is_refused_before_its_line_ends() -> None:
    """Row 35: a torn line that is too long for its event is not waited for."""
    decoder = SSEDecoder(max_line=1000, max_event=20)
    decoder.decode(b"data: 1234567890\ndata: 123456")
    with pytest.raises(LimitExceededError, match="max_event=20"):
        decoder.decode(b"7890123")


def test_a_line_of_8_mib_is_read() -> None:
    """Row 35: valid lines far above 64 KiB and 1 MiB pass by default."""
    size = 8 * MIB
    wire = b"data: " + b"x" * size + b"\n\n"
    decoder = SSEDecoder()
    got = [
        frame
        for start in range(0, len(wire), 65_536)
        for frame in decoder.decode(wire[start : start + 65_536])
    ]

    assert [size] == [len(frame.data) for frame in got]


LONG_LINE = b"x" * 70_000
LONG_LINES = {
    "LF": (b"data: " + LONG_LINE + b"\n\ndata: 2\n\n", 2),
    "CR": (b"data: " + LONG_LINE + b"\r\rdata: 2\r\r", 2),
    "CRLF": (b"data: " + LONG_LINE + b"\r\n\r\ndata: 2\r\n\r\n", 2),
    "no space": (b"data:" + LONG_LINE + b"\n\ndata: 2\n\n", 2),
    "two lines": (b"data: 1\ndata: " + LONG_LINE + b"\n\ndata: 2\n\n", 2),
    "a long name": (b"event: " + LONG_LINE + b"\ndata: 2\n\n", 1),
    "too long for the event": (b"data: 1234567\ndata: " + LONG_LINE + b"\n\n", 0),
    "too long for the event by one byte": (b"data: 2\ndata:" + LONG_LINE[1:] + b"12345\n\n", 0),
    "too long": (b"data: 1\n\ndata: " + LONG_LINE + b"12\n\n", 1),
}


@pytest.mark.parametrize(("wire", "events"), LONG_LINES.values(), ids=LONG_LINES)
def test_lines_longer_than_a_read(wire: bytes, events: int, outcomes: Any) -> None:
    """A line that takes more than one read is a line like any other, whatever ends it."""
    make = partial(SSEDecoder, max_line=70_007, max_event=70_004)
    (outcome,) = outcomes(make, wire)

    assert events == len(outcome.frames)


@pytest.mark.parametrize("text", [True, False])
def test_a_long_line_costs_two_copies(text: bool) -> None:
    """While a line of 4 MiB becomes an event it is in memory twice: an image may have 128 MiB."""
    reads = [b"data: ", *[b"x" * 65_536] * 64, b"\n\n"]
    decoder = SSEDecoder(text=text)

    assert peak(lambda: [decoder.decode(read) for read in reads]) < 9 * MIB


@pytest.mark.parametrize("call", [lambda d: d.decode(b"data: 1\n\n"), lambda d: d.flush()])
def test_an_error_is_final(call: Callable[[SSEDecoder], object]) -> None:
    """A spent decoder raises the same error again, without the frames."""
    decoder = SSEDecoder(max_line=10)
    decoder.decode(b"data: 0\n\n")
    with pytest.raises(LimitExceededError) as first:
        decoder.decode(b"data: 1\n\nevent: e\ndata:\ndata: 1234567890")
    with pytest.raises(LimitExceededError) as second:
        call(decoder)

    assert [message("1")] == first.value.frames
    assert [] == second.value.frames
    assert (str(first.value), first.value.phase) == (str(second.value), second.value.phase)
    assert 0 == decoder.buffered


def test_a_torn_end_is_final() -> None:
    """After a torn end there is only that error."""
    decoder = SSEDecoder()
    decoder.decode(b"data: {")
    for _ in range(2):
        with pytest.raises(DecodeError, match="ended inside"):
            decoder.flush()
    with pytest.raises(DecodeError, match="ended inside"):
        decoder.decode(b"data: 1\n\n")
    assert 0 == decoder.buffered


def test_the_end_has_bounds_too() -> None:
    """A last line that its missing space makes too long for the event is refused at the end."""
    decoder = SSEDecoder(max_event=10)
    decoder.decode(b"data:12345678901")
    with pytest.raises(LimitExceededError, match="max_event"):
        decoder.flush()


IGNORED = {
    "comment": (b": ping\n", 7),
    "comment in CRLF": (b": ping\r\n", 7),
    "torn comment": (b": ping", 6),
    "long torn comment": (b": " + b"x" * 1000, 1002),
    "unknown field": (b"foo: x\n", 7),
    "blank lines": (b"\n\r\n\r", 3),
    "name, id and retry": (b"event: x\nid: 1\nretry: 5\n\n", 25),
    "event after a comment": (b": ping\n\ndata: x\n\n", 0),
    "comment after an event": (b"data: x\n\n: ping\n\n", 8),
    "data under way": (b"data: x\ndata: y\n", 0),
}


@pytest.mark.parametrize(("wire", "expected"), IGNORED.values(), ids=IGNORED)
def test_ignored_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`ignored` is what came since the last event without being data; a line end counts one."""
    decoder = SSEDecoder()
    decoder.decode(wire)

    assert expected == decoder.ignored


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"data: x\n\n", 0),
        (b"data: x", 7),
        (b"data: x\n", 1),
        (b"event: ab\ndata: x\ndata: yz\nid", 8),
        (b": comment that never ends", 0),
    ],
)
def test_buffered_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`buffered` is what waits for the rest of its event."""
    decoder = SSEDecoder()
    decoder.decode(wire)

    assert expected == decoder.buffered


def peak(feed: Callable[[], object]) -> int:
    """The most bytes that `feed` had allocated at once."""
    tracemalloc.start()
    try:
        feed()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "unit", [b":" + b"x" * 999, b"x" * 1000, b": ping\n", b"x\n", b"\n", b"event: xyz\n"]
)
def test_ignored_lines_keep_nothing(unit: bytes) -> None:
    """Row 35: 512 KiB of comments, of one endless comment, or of blank lines leave nothing."""
    decoder = SSEDecoder()
    piece = (unit * 16_384)[:16_384]

    assert peak(lambda: [decoder.decode(piece) for _ in range(32)]) < 384 * KIB


@pytest.mark.parametrize("unit", [b"x", b"data\n", b"data:x\n", b"data: xyz\n"])
def test_memory_stays_within_the_bound(unit: bytes) -> None:
    """Row 35: a line or event without end costs its bound, one read's work and what a `bytearray`
    keeps to grow (an eighth); never many times that, whatever its lines are like.
    """
    bound = 128 * KIB
    decoder = SSEDecoder(max_line=bound, max_event=bound)
    piece = (unit * 8192)[:8192]

    def feed() -> None:
        decoder.decode(b"data: ")
        for _ in range(1024):
            decoder.decode(piece)

    def refused() -> None:
        with pytest.raises(LimitExceededError):
            feed()

    assert peak(refused) < bound + bound // 8 + 128 * KIB


def test_one_huge_call_is_taken_in_steps() -> None:
    """512 KiB of blank lines in one call do not make as many references, which would be 4 MiB."""
    wire = b"\n" * (512 * KIB)
    decoder = SSEDecoder()

    assert peak(lambda: decoder.decode(wire)) < MIB


def test_frames_are_values() -> None:
    """A frame compares and hashes by its fields and cannot be changed."""
    frame = SSEFrame("message", "x")

    assert frame == SSEFrame(event="message", data="x", id="", retry=None)
    assert hash(frame) == hash(SSEFrame("message", "x"))
    with pytest.raises(AttributeError):
        frame.data = "y"  # type: ignore[misc]
