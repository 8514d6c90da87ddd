"""Events of one answer that differ in a text alone: read together, not each by itself.

A dense stream repeats the same hundred bytes around every piece of text. Once one event was read by
its dialect, those that have the same bytes around their text say the same of everything else: the
texts of a whole network read are then cut out, compared and decoded by a few calls for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from penstock.dialects.reading import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FEWEST", "Shape", "shape_of"]

FEWEST: Final = 4
"""Events from which on this is cheaper than a typed decode of each."""

_texts = msgspec.json.Decoder(list[str]).decode


class Shape:
    """What stands before and behind the text, in one event like in the others."""

    __slots__ = ("_after", "_before", "_between")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self._between = after + b"\n" + before

    def texts(self, events: Sequence[bytes]) -> list[str] | None:
        """Return the text of each of `events`; None where one of them is not of this shape.

        None also for what needs a closer look: quotes and backslashes in a text, control
        characters, halves of surrogate pairs.
        """
        first, last = len(self._before), -len(self._after)
        pieces = [event[first:last] for event in events]
        # One comparison for all: a split at what is between two texts searches a long needle.
        if b"".join((self._before, self._between.join(pieces), self._after)) != b"\n".join(events):
            return None
        count = len(events)
        array = b'["%b"]' % b'","'.join(pieces)
        # No quotes but ours, none of them escaped: then every piece is a JSON string's inside.
        if array.count(b'"') != 2 * count or b'\\"' in array or b"\\\\" in array:
            return None
        try:
            return _texts(array)
        except UNREADABLE:
            return None


def shape_of(event: bytes, name: bytes, text: str) -> Shape | None:
    """Return the shape of an event that has `text` under `name`, None where it has no plain one."""
    for key in (b'"%b":"' % name, b'"%b": "' % name):
        start = event.find(key) + len(key)
        end = event.find(b'"', start)
        if start < len(key) or event.count(key) != 1 or end < 0 or b"\\" in event:
            continue
        if event[start:end] == text.encode("utf-8", "surrogatepass"):
            return Shape(event[:start], event[end:])
    return None
