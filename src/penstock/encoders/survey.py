"""A look at values before they are encoded: how long, which encoder, and whether they are JSON.

The refusal of what JSON cannot say comes before the first byte, so a body is looked at once more
than it is encoded, and this look decides what that costs. Measured on CPython 3.11 as a share of
the compact ``json.dumps``, 64 MiB in messages of 100 bytes: `columns` 0.11, `Look` 0.22, going
level by level with built-ins 0.17, the C encoder with a string encoder that returns "" 0.30,
``marshal.dumps`` 0.23; ``msgspec.convert`` 0.11, but it says nothing of surrogates and lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from penstock.encoders.columns import columns
from penstock.encoders.ways import PER_VALUE, Way, find_surrogates, way_of

__all__ = ["Look"]

# JSON of any shape: this module finds out which.
Json = Any

_MANY = 16
"""Values; for fewer, `columns` costs more than it saves."""
_MOST_BITS = 1024
"""Of an integer; a longer one is looked at by itself."""
_LEVELS_OF_ALL = 200
"""Levels that every encoder takes; orjson refuses 255."""
_EXACT = int(Way.EXACT)


class Look:
    """Looks at values one by one.

    What is no JSON value of exactly JSON's types raises `TypeError`, half of a surrogate pair
    `UnicodeEncodeError`. Neither is a verdict: a subclass, a fragment or an object with a JSON form
    is to be looked at by the walk itself.

    Args:
        depth: How many levels of arrays and objects there may be.
        surrogates: Whether to look for their halves, which an encoder finds by itself.
    """

    __slots__ = ("_characters", "_deepest", "_exact", "_foreign", "_surrogates")

    def __init__(self, depth: int, *, surrogates: bool) -> None:
        self._deepest = depth - _LEVELS_OF_ALL
        self._surrogates = surrogates
        self._exact = False
        self._foreign = 0
        self._characters = 0

    @property
    def way(self) -> int:
        """The `Way` in which everything seen so far is to be encoded."""
        return _EXACT if self._exact else way_of(self._foreign, self._characters)

    def size(self, value: Json, depth: int, room: int) -> int:
        """Return about how many bytes `value` takes, escapes and UTF-8 not counted.

        Once that is above `room`, the rest was not looked at. At most `depth` levels are gone down.
        """
        kind = type(value)
        if kind is str:
            if not value.isascii():
                self._note(value, room)
            return len(value) + PER_VALUE
        if kind is dict:
            return self._object(value, depth, room)
        if kind is list or kind is tuple:
            return self._array(value, depth, room)
        if kind is int or kind is float:
            self._number(value)
        elif value is not None and kind is not bool:
            raise TypeError
        return PER_VALUE

    def _array(self, value: Sequence[Json], depth: int, room: int) -> int:
        self._down(depth)
        if depth > 1 and _MANY <= len(value) <= room // PER_VALUE:
            size = self._together(value, room)
            if size:
                return size
        size = PER_VALUE
        for item in value:
            if type(item) is dict:  # as `size` does, but a call cheaper
                size += self._object(item, depth - 1, room - size)
            else:
                size += self.size(item, depth - 1, room - size)
            if size > room:
                break
        return size

    def _together(self, value: Sequence[Json], room: int) -> int:
        """Look at many values at once, and return what `size` does; 0 where that is not possible.

        Raises:
            UnicodeEncodeError: There is half of a surrogate pair.
        """
        found = columns(value)
        if found is None:
            return 0
        try:
            size, foreign, characters = found.whole(room, surrogates=self._surrogates)
        except TypeError:
            return 0
        self._foreign += foreign
        self._characters += characters
        return size

    def _object(self, value: dict[Json, Json], depth: int, room: int) -> int:
        self._down(depth)
        size = PER_VALUE
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError
            if not key.isascii():
                self._note(key, room)
            size += len(key) + PER_VALUE
            if type(item) is str:  # as below, but a call cheaper: most of a conversation is this
                size += len(item) + PER_VALUE
                if not item.isascii():
                    self._note(item, room)
            elif item is None or item is True or item is False:
                size += PER_VALUE
            else:
                size += self.size(item, depth - 1, room - size)
            if size > room:
                break
        return size

    def _down(self, depth: int) -> None:
        if depth < 1:
            raise TypeError
        if depth <= self._deepest:
            self._exact = True

    def _note(self, text: str, room: int) -> None:
        """Note a text that is not ASCII; one above `room` will be looked at in slices."""
        self._foreign += 1
        self._characters += len(text)
        if self._surrogates and len(text) <= room:
            find_surrogates(text)

    def _number(self, number: float) -> None:
        """Note a number that encoders write differently.

        Integers of 64 bits are alike, and floats that `repr` writes without an exponent (``1e-07``
        or ``1e-7``): msgspec 0.22 and orjson 3.13 agreed with it on 1.5 million of them.
        """
        if type(number) is int:
            bits = number.bit_length()
            if bits > _MOST_BITS:
                raise TypeError
            if bits >= 64:
                self._exact = True
        elif not isfinite(number):
            raise TypeError
        elif number != 0 and not 1e-4 <= abs(number) < 1e15:
            self._exact = True
