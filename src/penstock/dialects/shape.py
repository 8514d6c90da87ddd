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
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from penstock.dialects.reading import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FEWEST", "GROUP", "Shape", "data_of", "lines_of", "shape_of"]

FEWEST: Final = 4
"""Events from which on this is cheaper than a typed decode of each."""
GROUP: Final = 32
"""Events that are read together where not all of a read are alike: one may have a quote in it."""

_MOST_BETWEEN = 99
"""CPython's search for longer needles takes ten times as long (Objects/stringlib/fastsearch.h)."""

_texts = msgspec.json.Decoder(list[str]).decode
_pairs = msgspec.json.Decoder(list[str | None]).decode
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]{0,17})(?=[,}\]])")


def lines_of(frames: Sequence[Any]) -> Sequence[Any]:  # Any: a decoder's frames, or bytes
    """Return the JSON of `frames` where it is at hand for all of them, else the frames."""
    lines: Sequence[Any] = getattr(frames, "lines", frames)
    return lines


def data_of(frames: Sequence[Any]) -> Sequence[bytes]:  # Any: a decoder's frames, or bytes
    """Return the data of each of `frames`, of which there is one at least."""
    lines = lines_of(frames)
    return lines if type(lines[0]) is bytes else [frame.data for frame in frames]


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
        "_before",
        "_begin",
        "_between",
        "_decode",
        "_end",
        "_inner",
        "_next",
        "_text",
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
        self._between = after + b"\n" + before
        self._text = 2 * text if len(kinds) > 2 else text
        self._decode = _decoder_of(kinds)
        marks = [b"" if kind is int else b'"' for kind in kinds]
        flat = self._decode in (_texts, _pairs)
        opening, closing = (b"", b"") if flat else (b"[", b"]")
        self._begin, self._end = b"[" + opening + marks[0], marks[-1] + closing + b"]"
        middle = b",null," if self._decode is _pairs else b","
        self._next = marks[-1] + closing + middle + opening + marks[0]
        # Two strings have a null behind them. In an array of arrays each event has one of its own:
        # of a value for each of its places, and between more than two the number of what stood
        # there, lest any change theirs.
        puts = (b",", b",") if len(kinds) < 3 else tuple(b",%d," % at for at in range(len(inner)))
        self._inner = [
            (piece, one + put + two)
            for piece, put, (one, two) in zip(inner, puts, pairwise(marks), strict=False)
        ]

    def texts(self, events: Sequence[bytes]) -> list[Any] | None:  # Any: str, or bytes
        """Return the text of each of `events`; None where one of them is not of this shape.

        None also for what needs a closer look: backslashes in a text, control characters, halves of
        surrogate pairs.
        """
        first, last = len(self._before), -len(self._after)
        pieces = [event[first:last] for event in events]
        # One comparison for all: a split at what is between two texts searches a long needle.
        if b"".join((self._before, self._between.join(pieces), self._after)) != b"\n".join(events):
            return None
        array = self._next.join(pieces)
        for piece, put in self._inner:
            size = len(array)
            array = array.replace(piece, put)
            if size - len(array) != len(events) * (len(piece) - len(put)):
                return None
        array = b"".join((self._begin, array, self._end))
        # With no backslash before a quote of ours every piece is the inside of strings of its own:
        # it makes one value at least, and as many values as events are one each.
        if b"\\" in array and (b"\\\\" in array or b'\\",' in array or b'\\"]' in array):
            return None
        try:
            found: list[Any] = self._decode(array)
        except UNREADABLE:
            return None
        return self._texts_in(found, len(events))

    def _texts_in(self, found: list[Any], count: int) -> list[Any] | None:
        """Return the texts of `count` events in what was decoded, None where it is not theirs."""
        text = self._text
        if self._decode is _pairs:
            # All nulls are ours, and two strings are before each and behind the last: no event has
            # more than one place between two strings, nor could another have none.
            nulls = found[2::3].count(None)
            right = len(found) == 3 * count - 1 and found.count(None) == nulls == count - 1
            return found[text::3] if right else None
        if len(found) != count:
            return None
        return found if self._decode is _texts else [each[text] for each in found]


def _decoder_of(kinds: Sequence[type]) -> Callable[[bytes], list[Any]]:
    if all(kind is str for kind in kinds) and len(kinds) < 3:
        return _texts if len(kinds) == 1 else _pairs
    return _tuples(kinds)


def _tuples(kinds: Sequence[type]) -> Callable[[bytes], list[Any]]:
    values: list[Any] = [*kinds]
    if len(kinds) > 2:
        values = [*kinds[:1]]
        for at, kind in enumerate(kinds[1:]):
            values += [Literal[at], kind]
    several: Any = tuple.__class_getitem__(tuple(values))  # Any: a type that is made here
    return msgspec.json.Decoder(list[several]).decode


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
    if any(len(piece) > _MOST_BETWEEN for piece in inner):
        return None
    return Shape(
        event[: places[0][0]],
        event[places[-1][1] :],
        inner,
        kinds=[kind if each is place else each[2] for each in places],
        text=places.index(place),
    )


def _place(event: bytes, name: bytes) -> tuple[int, int, type] | None:
    """Where the only value under `name` begins and ends, and what it is."""
    key = b'"%b":' % name
    start = event.find(key) + len(key)
    if start < len(key) or event.count(key) != 1:
        return None
    start += event[start : start + 1] == b" "
    if event[start : start + 1] == b'"':
        end = event.find(b'"', start + 1)
        return None if end < 0 else (start + 1, end, str)
    number = _NUMBER.match(event, start)
    return None if number is None else (start, number.end(), int)
