"""Many objects of the same keys and only texts, looked at together: what nearly all messages are.

Built-ins go over a thousand of them at once, and then over as many as are written in one call: 85
ns for a message of 100 bytes, of which a third is memory that is in no cache yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from penstock.encoders.ways import PER_VALUE, SINGLY, Way, find_surrogates, way_of

__all__ = ["MOST_ITEMS", "Columns", "columns"]

# JSON of any shape: this module finds out which.
Json = Any

MOST_ITEMS = 1024
"""Objects that are looked at together: with what is found of them they fit in a core's cache."""
_MOST_COLUMNS = 8
"""Keys; each is paid for, and messages have two to four."""
_FEW = "role"
"""The key whose texts are few and short: a set of them says what a list does, for half."""
_READ = 400
"""Characters of a text up to which it is read to know whether it is ASCII: 5 ns for a message of
100 bytes where asking takes 10, 160 for one of 2 KiB where that takes 15."""
_PLAIN = int(Way.PLAIN)
_TEXT = {str}
_DICT = {dict}


class Columns:
    """The texts of objects of the same keys.

    Args:
        keys: Those of each object.
        objects: The objects.

    Raises:
        KeyError: An object has another key.
        TypeError: A value is no text; of most of them that is found when they are looked at.
    """

    __slots__ = ("_beside", "_columns", "_count", "_few", "fit", "keys")

    def __init__(self, keys: list[str], objects: Sequence[Json]) -> None:
        few = {*map(itemgetter(_FEW), objects)} if _FEW in keys else {""}
        self.keys = keys
        """Those of each object, in the order of the first."""
        self.fit = MOST_ITEMS
        """As many objects like those last looked at as fill the room of a call."""
        self._count = len(objects)
        self._few = [] if all(map(str.isascii, few)) else [*few]
        self._columns = [[*map(itemgetter(key), objects)] for key in keys if key != _FEW]
        self._beside = len("".join(keys)) + PER_VALUE * len(keys) + len("{}") + max(map(len, few))

    def whole(self, room: int, *, surrogates: bool) -> tuple[int, int, int]:
        """Return how many bytes all objects take, escapes and UTF-8 not counted, how many of their
        texts are not ASCII, about, and how long those are together.

        Once the first is above `room`, which bounds what is allocated, the rest was not looked at.

        Raises:
            TypeError: A value is no text.
            UnicodeEncodeError: There is half of a surrogate pair.
        """
        texts, size = self._part(0, self._count)
        foreign = self._foreign(texts, size, self._count) if size <= room else []
        if surrogates:
            find_surrogates("".join(chain.from_iterable(foreign)))
        return size, sum(map(len, foreign)), sum(map(len, chain.from_iterable(foreign)))

    def cuts(self, room: int, *, surrogates: bool) -> Iterator[tuple[int, int]]:
        """Yield how many objects, from the first to the last, are written in one call, and how.

        Args:
            room: Most bytes of a call; of texts that are not ASCII half as many, as they may be
                more in UTF-8, and are copied.
            surrogates: Whether to look for their halves.

        Raises:
            TypeError: A value is no text.
            UnicodeEncodeError: There is half of a surrogate pair.
        """
        start = 0
        while start < self._count:
            count = min(self.fit, self._count - start)
            texts, size = self._part(start, count)
            foreign = self._foreign(texts, size, count) if size <= room else []
            most = room // 2 if foreign else room
            self.fit = max(most * count // size, 1)
            if size <= most:
                yield count, self._way(foreign, surrogates=surrogates)
            elif count > 1:
                continue
            else:
                yield 1, SINGLY
            start += count

    def _part(self, start: int, count: int) -> tuple[list[list[str]], int]:
        """Return the texts of `count` objects, but those that are few, and how much they take."""
        texts = [column[start : start + count] for column in self._columns]
        return texts, count * self._beside + sum([sum(map(len, column)) for column in texts])

    def _foreign(self, texts: list[list[str]], size: int, count: int) -> list[list[str]]:
        """Return the columns with others than ASCII in them."""
        ask = size > _READ * count
        foreign = [column for column in texts if not _is_ascii(column, ask=ask)]
        return [*foreign, *([text] for text in self._few)]  # which may be long, and are not joined

    def _way(self, foreign: list[list[str]], *, surrogates: bool) -> int:
        """Return how to write objects with these columns that are not ASCII."""
        if not foreign:
            return _PLAIN
        if surrogates:
            for column in foreign:
                find_surrogates("".join(column))
        return way_of(sum(map(len, foreign)), sum(map(len, chain.from_iterable(foreign))))


def columns(values: Sequence[Json]) -> Columns | None:
    """Look at many values together; None unless they are objects of the same keys, and of texts.

    Only the first object's values are known to be texts: asking for `Columns.cuts` says of others.
    """
    try:
        if {*map(type, values)} != _DICT:
            return None
        keys = [*values[0]]
        if len(keys) > _MOST_COLUMNS or {*map(len, values)} != {len(keys)}:
            return None
        if {*map(type, keys)} != _TEXT or not "".join(keys).isascii():
            return None
        if {*map(type, values[0].values())} != _TEXT:
            return None
        return Columns(keys, values)
    except (KeyError, TypeError):
        return None


def _is_ascii(texts: list[str], *, ask: bool) -> bool:
    """Whether all texts are ASCII; each knows, but to read short ones costs less than to `ask`.

    Raises:
        TypeError: One of them is no text.
    """
    return all(map(str.isascii, texts)) if ask else "".join(texts).isascii()
