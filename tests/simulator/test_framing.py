"""The framing of bodies, as steps."""

from __future__ import annotations

import zlib
from itertools import islice, repeat

from penstock.simulator.behavior import parse
from penstock.simulator.framing import Head, frame_body, frame_head
from penstock.simulator.steps import End, Event, Raw, Step, Wait

EVENTS = [Event(b"one", 1), Event(b"two", 1), Event(b"three", 1)]


def framed(behavior: str, steps: list[Step], *, counted: bool = False) -> list[Step]:
    """The framed steps of a body."""
    return list(frame_body(steps, parse(behavior), counted=counted)[1])


def test_each_event_is_an_http_chunk() -> None:
    """The content is counted through the framing."""
    assert [
        Event(b"3\r\none\r\n", 1),
        Event(b"3\r\ntwo\r\n", 1),
        Event(b"5\r\nthree\r\n", 1),
        Event(b"0\r\n\r\n"),
    ] == framed("echo", list(EVENTS))


def test_groups_end_where_something_else_comes() -> None:
    """A pause or an ending does not overtake the bytes before it."""
    found = framed("echo?chunks=2", [*EVENTS, Wait(1), EVENTS[0], End.RESET])

    assert [
        Event(b"6\r\nonetwo\r\n", 2),
        Event(b"5\r\nthree\r\n", 1),
        Wait(1),
        Event(b"3\r\none\r\n", 1),
        End.RESET,
    ] == found[:5]


def test_slices_end_where_something_else_comes() -> None:
    """What is left of a slice goes out before a pause; content counts once."""
    found = framed("echo?slice=4", [*EVENTS, Wait(1), EVENTS[0]])

    assert [
        Event(b"4\r\nonet\r\n", 2),
        Event(b"4\r\nwoth\r\n", 1),
        Event(b"3\r\nree\r\n", 0),
        Wait(1),
        Event(b"3\r\none\r\n", 1),
    ] == found[:5]


def test_an_empty_event_is_no_end_of_the_body() -> None:
    """A chunk of size 0 would end it."""
    assert [Event(b"0\r\n\r\n")] == framed("echo", [Event(b"")])


def test_endings_pass_the_gzip_layer() -> None:
    """A pause inside a compressed body stays between its bytes."""
    found = framed("echo?fault=gzip,no-length", [EVENTS[0], Wait(1), EVENTS[1]])
    data = b"".join(step.data for step in found if isinstance(step, Event))

    assert (b"onetwo", Wait(1)) == (zlib.decompress(data, wbits=31), found[1])


def test_a_counted_body_is_bounded() -> None:
    """A body without end is not held for ever to be counted."""
    mib = Event(b"x" * 2**20)
    headers, steps = frame_body(repeat(mib), parse("echo"), counted=True)

    assert (("content-length", str(65 * 2**20)),) == headers
    assert 65 == len(list(steps))


def test_length_short_halves_across_events() -> None:
    """Half of the bytes are sent, wherever that is in the events."""
    headers, steps = frame_body(EVENTS, parse("echo?fault=length-short"), counted=False)

    assert (("content-length", "11"),) == headers
    assert [Event(b"one", 1), Event(b"tw"), End.CLOSE] == list(islice(steps, 3))


def test_old_clients_get_neither_chunks_nor_length() -> None:
    """HTTP/1.0 reads until the connection ends."""
    headers, steps = frame_body(EVENTS, parse("echo"), counted=False, old=True)

    assert (("connection", "close"),) == headers
    assert [*EVENTS, End.CLOSE] == list(steps)


def test_a_status_without_a_name_has_one() -> None:
    """The reason phrase is never missing."""
    head = Head(529).plus(("a", "b"))

    assert [Raw(b"HTTP/1.1 529 Sim\r\na: b\r\n\r\n")] == list(frame_head(head, parse("echo")))
