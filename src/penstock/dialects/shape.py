"""Events of one answer that differ in a text alone: read together, not each by itself.

A dense stream repeats the same hundred bytes around every piece of text. Once one event was read by
its dialect, those that have the same bytes around their text say the same of everything else: the
texts of a whole network read are then cut out, compared and decoded by a few calls for all of them.
Some vendors have a date, a number or padding of its own in every event, too: it is cut out with the
text, where the dialect says that it has no use for it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.dialects.reading import UNREADABLE
from penstock.dialects.shape_arrays import array_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Sample", "Shape", "data_of", "last_of", "lines_of", "shape_of"]

# CPython's search (Objects/stringlib/fastsearch.h) passes over bytes that a needle has none of: one
# of five bytes, among them line ends or quotes, costs a fifth of the whole that it is part of.
_NEEDLE = 5

_string = msgspec.json.Decoder(str).decode
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]{0,17})(?=[,}\]])")


def lines_of(frames: Sequence[Any]) -> Sequence[Any]:  # Any: a decoder's frames, or bytes
    """Return the JSON of `frames` where it is at hand for all of them, else the frames."""
    cut: Sequence[Any] = getattr(frames, "frames", frames)
    lines: Sequence[Any] = getattr(cut, "lines", cut)
    return lines


def data_of(frames: Sequence[Any]) -> Sequence[bytes]:  # Any: a decoder's frames, or bytes
    """Return the data of each of `frames`, of which there is one at least."""
    lines = lines_of(frames)
    if {*map(type, lines)} == {bytes}:
        return lines
    return [line if type(line) is bytes else line.data for line in lines]


def last_of(frames: Sequence[Any]) -> bytes:  # Any: a decoder's frames, or bytes
    """Return the data of the last of `frames`, which have been read together."""
    block = getattr(frames, "block", None)
    if block is None:
        return data_of(frames)[-1]
    unread: Any = frames  # Any: as `penstock.decoders.alike.Unread` has it
    seam: bytes = unread.end + unread.head
    at = block.rfind(seam)
    last: bytes = block[at + len(seam) if at >= 0 else len(unread.head) : -len(unread.end)]
    return last


class Shape:
    """What stands around the text, in one event like in the others.

    Args:
        before: What comes before the first place where they differ.
        after: What comes behind the last.
        inner: What stands between the places.
        kinds: What is in each: `str`, `int`, or `bytes` where it is base64.
        text: Which of them is the text.
    """

    __slots__ = (
        "_after",
        "_array",
        "_before",
        "_begin",
        "_end",
        "_inner",
        "_known",
        "_next",
    )

    def __init__(
        self,
        before: bytes,
        after: bytes,
        inner: Sequence[bytes] = (),
        *,
        kinds: Sequence[type] = (str,),
        text: int = 0,
    ) -> None:
        self._before = before
        self._after = after
        self._known = _Seam(before, after, b"", b"\n")
        self._array = array = array_of(kinds, text)
        marks = [b"" if kind is int else b'"' for kind in kinds]
        opening, closing = (b"[", b"]") if array.nested else (b"", b"")
        self._begin, self._end = b"[" + opening + marks[0], marks[-1] + closing + b"]"
        self._next = marks[-1] + closing + array.between + opening + marks[0]
        self._inner = [
            (piece, one + put + two)
            for piece, put, (one, two) in zip(inner, array.inside, pairwise(marks), strict=False)
        ]

    def texts(self, frames: Sequence[Any]) -> list[Any] | None:  # Any: frames, bytes; str, or bytes
        """Return the text of each of `frames`; None where one of them is not of this shape.

        None also for what needs a closer look: backslashes in a text, control characters, halves of
        surrogate pairs.

        Args:
            frames: A decoder's, or the JSON of each. They count as read if the texts are returned.
        """
        block = getattr(frames, "block", None)
        if block is None:
            pieces = self._pieces_of(data_of(frames))
            return None if pieces is None else self._read(pieces)
        unread: Any = frames  # Any: as `penstock.decoders.alike.Unread` has it
        pieces = self._pieces_in(block, unread.head, unread.end)
        found = None if pieces is None else self._read(pieces)
        if found is not None:
            unread.take()
        return found

    def _pieces_of(self, events: Sequence[bytes]) -> list[bytes] | None:
        """Return what stands between what all `events` begin and end with."""
        if not events[-1].endswith(self._after):  # as the last ones of an answer do
            return None
        pieces = [*map(itemgetter(slice(len(self._before), -len(self._after))), events)]
        # One comparison for all: a split at what is between two texts searches a long needle.
        between = self._after + b"\n" + self._before
        same = b"".join((self._before, between.join(pieces), self._after)) == b"\n".join(events)
        return pieces if same else None

    def _pieces_in(self, block: bytes, head: bytes, end: bytes) -> list[bytes] | None:
        """Return the same of events that are not cut yet."""
        seam = self._known
        if seam.head != head or seam.end != end:
            seam = self._known = _Seam(self._before, self._after, head, end)
        return seam.pieces_in(block)

    def _read(self, pieces: list[bytes]) -> list[Any] | None:
        """Return the texts in `pieces`, one in each."""
        array = self._next.join(pieces)
        for inner, put in self._inner:
            swapped = _swapped(array, inner, put, len(pieces))
            if swapped is None:
                return None
            array = swapped
        array = b"".join((self._begin, array, self._end))
        # With no backslash before a quote of ours every piece is the inside of strings of its own:
        # it makes one value at least, and as many values as events are one each.
        if b"\\" in array and (b"\\\\" in array or b'\\",' in array or b'\\"]' in array):
            return None
        try:
            return self._array.texts(array, len(pieces))
        except UNREADABLE:
            return None


class _Seam:
    """What stands between the pieces of two events that are not cut yet.

    Args:
        before: What each has before its piece.
        after: What each has behind it.
        head: What stands before each of them.
        end: What stands behind each of them.
    """

    __slots__ = (
        "_begin",
        "_between",
        "_finish",
        "_first",
        "_last",
        "_needle",
        "_slice",
        "end",
        "head",
    )

    def __init__(self, before: bytes, after: bytes, head: bytes, end: bytes) -> None:
        self.head = head
        self.end = end
        self._begin, self._finish = head + before, after + end
        self._between = after + end + head + before
        self._needle = (end + head)[:_NEEDLE]
        # Events are cut at the needle; so that all are cut alike, the first lacks as much of its
        # head as the needle has.
        self._first, self._last = max(0, len(self._needle) - len(end)), -len(end)
        begin = len(end + head) - len(self._needle) + len(before)
        self._slice = itemgetter(slice(begin, -len(after)))

    def pieces_in(self, block: bytes) -> list[bytes] | None:
        """Return the piece of each event in `block`; None where one of them has something else."""
        around = len(self._begin) + len(self._finish)
        if len(block) < around or not (
            block.startswith(self._begin) and block.endswith(self._finish)
        ):
            return None
        events = block[self._first : self._last].split(self._needle)
        pieces = [*map(self._slice, events)]
        same = self._between.join(pieces) == block[len(self._begin) : -len(self._finish)]
        return pieces if same else None


def _swapped(array: bytes, inner: bytes, put: bytes, count: int) -> bytes | None:
    """Return `array` with `inner` replaced by `put`; None where it is not in it `count` times."""
    short = inner[:_NEEDLE]
    first, *others = array.split(short)
    if len(others) == count:
        rests = [first, *map(itemgetter(slice(len(inner) - len(short), None)), others)]
        if inner.join(rests) == array:
            return put.join(rests)
    # The needle is somewhere else, too: five times as dear.
    swapped = array.replace(inner, put)
    return swapped if len(array) - len(swapped) == count * (len(inner) - len(put)) else None


def shape_of(
    event: bytes, name: bytes, text: str, *, free: Sequence[bytes] = (), kind: type = str
) -> Shape | None:
    """Return the shape of an event that has `text` under `name`, None where it has no plain one.

    Args:
        event: Its JSON.
        name: The text's name.
        text: The text, as the dialect has read it; as it stands in the JSON if `kind` is `bytes`.
        free: Names of strings and numbers that may differ, too, and say nothing.
        kind: `str`, or `bytes` for base64.
    """
    place = _place(event, name)
    if place is None or b"\\" in event:
        return None
    if event[place[0] : place[1]] != text.encode("utf-8", "surrogatepass"):
        return None
    others = [each for other in free if (each := _place(event, other)) is not None]
    places = sorted([place, *others], key=lambda each: each[0])
    inner = [event[one[1] : two[0]] for one, two in pairwise(places)]
    return Shape(
        event[: places[0][0]],
        event[places[-1][1] :],
        inner,
        kinds=[kind if each is place else each[2] for each in places],
        text=places.index(place),
    )


class Sample(msgspec.Struct, gc=False):
    """An event that others may be like: what it looks like is only found once there are others."""

    event: bytes
    """Its JSON."""
    name: bytes
    """The text's name."""
    text: str
    """The text, as `shape_of` takes it."""
    free: Sequence[bytes] = ()
    """Names of what may differ, too."""
    _shape: Shape | None = None
    _sought: bool = False
    _around: tuple[bytes, slice, bytes] | None = None

    def texts(self, frames: Sequence[Any]) -> list[Any] | None:  # Any: as `Shape.texts` has it
        """Return the text of each of `frames`; None where one of them is not like the sample."""
        if not self._sought:
            self._sought = True
            self._shape = shape_of(self.event, self.name, self.text, free=self.free)
        return None if self._shape is None else self._shape.texts(frames)

    def text_of(self, event: bytes) -> str | None:
        """Return the text of one `event` that is like the sample in all else; None for any other.

        Of a few events each costs half of its typed decode so; a shape is ten times as dear to
        find, and four times to compare with. What may differ, too, is not passed over.
        """
        if self._around is None:
            self._around = _around(self.event, self.name, self.text)
        before, between, after = self._around
        piece = event[between]
        if before + piece + after != event:
            return None
        try:
            return _string(piece)
        except UNREADABLE:
            return None


def _around(event: bytes, name: bytes, text: str) -> tuple[bytes, slice, bytes]:
    """Return what is around `text` with its quotes, and where that is; nothing if it is not plain.

    No other event is nothing and a string.
    """
    key = b'"' + name + b'":'
    said = b'"' + text.encode("utf-8", "replace") + b'"'
    before, found, after = event.partition(key + said)
    if not found:
        before, found, after = event.partition(key + b" " + said)
    # The name alone is counted: its last value holds, and may have a space before the colon.
    if found and event.count(key[:-1]) == 1 and event.find(b"\\") < 0:
        before += found[: -len(said)]
        return before, slice(len(before), -len(after)), after
    return b"", slice(0, 0), b""


def _place(event: bytes, name: bytes) -> tuple[int, int, type] | None:
    """Where the only value under `name` begins and ends, and what it is."""
    key = b'"%b":' % name
    start = event.find(key) + len(key)
    if start < len(key) or not _names_once(event, key[:-1]):
        return None
    start += event[start : start + 1] == b" "
    if event[start : start + 1] == b'"':
        end = event.find(b'"', start + 1)
        return None if end < 0 else (start + 1, end, str)
    number = _NUMBER.match(event, start)
    return None if number is None else (start, number.end(), int)


def _names_once(event: bytes, name: bytes) -> bool:
    """Whether `name`, in its quotes, is the name of one value; its last holds, if it has several.

    It may be a value, too, and may have a space before its colon.
    """
    return event.count(name) == 1 or len(re.findall(re.escape(name) + rb"\s*:", event)) == 1
