"""A look at values before they are encoded: how long, which encoder, and whether they are JSON.

The refusal of what JSON cannot say comes before the first byte, so a body is looked at once more
than it is encoded, and this look decides what that costs. Measured on CPython 3.11 as a share of
the compact ``json.dumps``, 64 MiB in messages of 100 bytes: `columns` 0.13, `Look` 0.22, going
level by level with built-ins 0.17, the C encoder with a string encoder that returns "" 0.30,
``marshal.dumps`` 0.23; ``msgspec.convert`` 0.11, but it says nothing of surrogates and lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple

__all__ = ["LONG", "PER_VALUE", "Columns", "Look", "Way", "columns", "find_surrogates"]

# JSON of any shape: this module finds out which.
Json = Any

PER_VALUE = 6
"""Bytes that a value adds beside its text: quotes, a colon or comma, a short number."""
_MOST_COLUMNS = 8
"""Keys; `columns` pays for each, and messages have two to four."""
_MANY = 16
"""Values; for fewer, `columns` costs more than it saves."""
_READ = 400
"""Characters of a text up to which it is read to know whether it is ASCII: 113 ns for a message of
100 bytes where asking takes 120, 328 for one of 2 KiB where that takes 164."""
LONG = 200
"""Characters of a text from which on a copy is made by slicing and not by ``marshal``, with orjson
0.79 and 0.72 of ``json.dumps`` at 100 bytes, 0.57 and 0.64 at 200, 0.25 and 0.51 at 2 KiB."""
_MOST_BITS = 1024
"""Of an integer; a longer one is looked at by itself."""
_LEVELS_OF_ALL = 200
"""Levels that every encoder takes; orjson refuses 255."""
_TEXT = {str}
_DICT = {dict}


class Way(IntEnum):
    """How values are to be encoded so that the bytes are the same and nothing is left in them."""

    PLAIN = 0
    """By any encoder: ASCII and ordinary numbers."""
    COPIED = 1
    """By any encoder, from copies of the texts: long ones that are not ASCII."""
    EXACT = 2
    """By the standard library: numbers that the others write otherwise, and what is very deep."""
    SHORT = 3
    """By any encoder, from copies made together: short texts that are not ASCII."""


_PLAIN, _COPIED, _EXACT, _SHORT = map(int, Way)


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
        return _EXACT if self._exact else _way(self._foreign, self._characters)

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
            found = columns(value, room, surrogates=self._surrogates)
            if found is not None:
                self._foreign += found.foreign
                self._characters += found.characters
                return found.size
        size = PER_VALUE
        for item in value:
            if type(item) is dict:  # as `size` does, but a call cheaper
                size += self._object(item, depth - 1, room - size)
            else:
                size += self.size(item, depth - 1, room - size)
            if size > room:
                break
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


class Columns(NamedTuple):
    """What was seen of objects of the same keys, all of whose values are texts."""

    keys: list[str]
    """Those of each of them."""
    size: int
    """About how many bytes they take; once that is above the room, the rest was not looked at."""
    foreign: int
    """How many of the texts are in columns with others than ASCII in them."""
    characters: int
    """How long those are together."""

    @property
    def way(self) -> int:
        """The `Way` in which they are to be encoded."""
        return _way(self.foreign, self.characters)


def columns(values: Sequence[Json], room: int, *, surrogates: bool) -> Columns | None:
    """Look at many values together; None unless they are objects of the same keys and only texts.

    What it allocates is of the order of `room`.
    """
    try:
        if set(map(type, values)) != _DICT:
            return None
        keys = [*values[0]]
        if len(keys) > _MOST_COLUMNS or set(map(len, values)) != {len(keys)}:
            return None
        if set(map(type, keys)) != _TEXT or not all(map(str.isascii, keys)):
            return None
        size = len(values) * (sum(map(len, keys)) + 2 * PER_VALUE * len(keys))
        foreign = characters = 0
        for key in keys:
            if type(values[0][key]) is not str:
                return None
            column = [*map(itemgetter(key), values)]
            length = sum(map(len, column))
            size += length
            if size > room:
                break
            if not _is_ascii(column, length):
                foreign += len(column)
                characters += length
                if surrogates:
                    find_surrogates("".join(column))
    except (KeyError, TypeError, UnicodeEncodeError):
        return None
    return Columns(keys, size, foreign, characters)


def _is_ascii(texts: list[str], length: int) -> bool:
    """Whether all texts, so long together, are ASCII.

    Each of them knows, but asking short ones costs more than reading them.

    Raises:
        TypeError: One of them is no text.
    """
    if length > _READ * len(texts):
        return all(map(str.isascii, texts))
    return "".join(texts).isascii()


def _way(foreign: int, characters: int) -> int:
    """Return how to encode values with so many texts that are not ASCII, so long together."""
    if not foreign:
        return _PLAIN
    return _COPIED if characters >= LONG * foreign else _SHORT


def find_surrogates(text: str) -> None:
    """Refuse half of a surrogate pair, in less than half the time that encoding to UTF-8 takes.

    Raises:
        UnicodeEncodeError: There is one in `text`.
    """
    if text.__sizeof__() >= 2 * len(text):  # else it is in Latin-1, which has none
        text.encode("utf-16")
