"""Frames that differ in their JSON alone, made where they are wanted."""

from __future__ import annotations

import random

import pytest

from penstock.decoders import SSEDecoder, SSEFrame, sse
from penstock.decoders.alike import Alike, Unread

# So few bytes are enough here, beside the true number: these events are as short as can be.
FEW = 64
EVENTS = {
    "plain": b'data: {"a": 1}\n\n' * 9,
    "named": b'event: x\ndata: {"a": "\xc3\xa9"}\n\n' * 9,
    "mixed": (b"data: a\n\n" * 5 + b": ping\n\nid: 7\ndata: b\ndata: c\n\n") * 2
    + b"data: d\n\n" * 5,
    "retry": (b"data: a\n\n" * 5 + b"retry: 5\n\n" + b"event: y\ndata: b\n\n") * 2,
    "broken": b"data: \xff\xfe\n\n" * 9,
    "returns": b"data: a\r\n\r\n" * 5 + b"data: b\n\n" * 5,
    "both": b"event: y\r\ndata: a\r\n\r\n" * 9,
    "alone": b"data: a\r\n\r\n" * 5 + b"data: b\r\r" * 5 + b"data: c\n\r\n" * 3,
    "tight": b"data:a\n\n" * 5 + b"data: b\n\n" * 5,
    "numbered": b"".join(b"id: %d\nevent: m\ndata: a\n\n" % at for at in range(20)),
    "numbered tightly": b"".join(b"id:%d\r\ndata:a\r\n\r\n" % at for at in range(20)),
    "numbered oddly": b"id: 1\ndata: a\n\n" * 4 + b"id: \0\ndata: b\n\n" + b"id\ndata: c\n\n" * 4,
    "numbered now and then": (b"id: 7\ndata: a\n\n" * 4 + b"data: b\n\n") * 2,
    "commented": (b": x\n\n" + b"data: a\n\n" * 5) * 3,
    "commented inside": b"id:1\nevent:r\n:HTTP_STATUS/200\ndata:a\n\n" * 6,
    "empty": b"id: \ndata: \n\n" * 5 + b"data:\n\n" * 5 + b"event:\ndata: \n\n" * 5,
}

UNCUT = {"plain", "named", "mixed", "retry", "broken", "both", "tight"}
"""Of which events are left uncut; the others begin with what none are left of, or are too few."""


def as_bytes(event: SSEFrame | bytes) -> SSEFrame | bytes:
    """What a decoder with ``text=False`` makes of an event."""
    assert isinstance(event, SSEFrame)
    data = str(event.data).encode()
    bare = event == SSEFrame("message", event.data)
    return data if bare else SSEFrame(event.event, data, event.id, event.retry)


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("few", [FEW, None])
def test_no_cut_changes_what_is_read_together(
    name: str, few: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bytes, in any pieces, the events are those that come line by line as text."""
    wire = EVENTS[name]
    if few is None:
        wire *= 3 * sse._FEW // len(wire)
    else:
        monkeypatch.setattr(sse, "_FEW", few)
    plain = SSEDecoder()
    wanted = [as_bytes(each) for at in range(len(wire)) for each in plain.decode(wire[at : at + 1])]
    chance = random.Random(name)
    uncut = 0
    for _ in range(200 if few else 20):
        cuts = sorted(chance.sample(range(len(wire)), chance.randrange(6)))
        decoder = SSEDecoder(text=False)
        found: list[SSEFrame | bytes] = []
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            frames = decoder.decode(wire[start:end])
            uncut += isinstance(frames, Unread)
            if isinstance(frames, Unread) and chance.random() < 0.5:
                found += [frame for part in frames.parts(chance.randrange(4)) for frame in part]
            else:
                found += frames
            assert 0 <= decoder.buffered <= len(wire)
        assert wanted == found + decoder.flush()
    assert uncut or name not in UNCUT


def test_frames_are_made_when_they_are_asked_for() -> None:
    """By place, in slices, in order; the JSON is at hand."""
    times = sse._FEW // len(EVENTS["named"]) + 1
    unread = SSEDecoder(text=False).decode(EVENTS["named"] * times)

    assert isinstance(unread, Unread)
    frames = unread.frames
    assert isinstance(frames, Alike)
    assert ['{"a": "é"}'.encode()] * 9 * times == frames.lines
    assert SSEFrame("x", '{"a": "é"}'.encode()) == frames[-1]
    assert [*frames][2:4] == frames[2:4]


def test_what_nobody_looked_at_is_read_before_what_follows() -> None:
    """Its id, its retry time and what it ignored hold for the frames behind it."""
    looked, blind = SSEDecoder(text=False), SSEDecoder(text=False)
    many = b"data: a\n\n" * 5 + b"id: 7\nretry: 5\n\n" + b": x\n"
    [*looked.decode(many)]
    frames = blind.decode(many)

    assert looked.ignored == blind.ignored
    assert [*looked.decode(b"data: b\n\n")] == [*blind.decode(b"data: b\n\n")]
    assert [b"a"] * 5 == [*frames]


def test_a_retry_time_waits_for_a_frame_that_is_made() -> None:
    """Where it stands before events that are read uncut, the next one behind them has it."""
    decoder = SSEDecoder(text=False)
    many = b"data: a\n\n"
    times = sse._FEW // len(many)
    unread = decoder.decode(many * times + b"retry: 5\n\n" + many * 4)
    assert isinstance(unread, Unread)
    _, middle, last = unread.parts(4)

    assert [b"a"] * (times - 4) == [*middle]
    assert isinstance(last, Unread)
    last.take()
    assert [SSEFrame("message", b"b", retry=5)] == [*decoder.decode(b"data: b\n\n")]
