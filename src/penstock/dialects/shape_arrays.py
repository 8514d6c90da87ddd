"""What the places of events alike are decoded as: one JSON array of all their values.

With no backslash before a quote of ours, every piece of an event is the inside of strings of its
own, and makes one value at least. Each array here holds that no event has taken a place of another:
between the values of one event, and between events, stands what no event can have there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Array", "array_of"]


class Array(Protocol):
    """An array of values, the same kinds of them for each event."""

    between: bytes
    """What stands between two events."""
    inside: tuple[bytes, ...]
    """What stands between the values of one."""
    nested: bool
    """Whether each event has an array of its own."""

    def texts(self, array: bytes, count: int) -> list[Any] | None:  # Any: str, or bytes
        """Return the text of each of so many events; None where there are others in `array`.

        Raises:
            msgspec.DecodeError: A value is no JSON, or none of its kind.
        """
        ...


class _Texts:
    """One string for each event, and nothing else."""

    between = b","
    inside: tuple[bytes, ...] = ()
    nested = False
    _decode = staticmethod(msgspec.json.Decoder(list[str]).decode)

    def texts(self, array: bytes, count: int) -> list[Any] | None:  # Any: see `Array`
        found = self._decode(array)
        return found if len(found) == count else None


class _Pairs:
    """Two strings for each event, with a null behind them."""

    between = b",null,"
    inside: tuple[bytes, ...] = (b",",)
    nested = False
    _decode = staticmethod(msgspec.json.Decoder(list[str | None]).decode)

    def __init__(self, text: int) -> None:
        self._text = text

    def texts(self, array: bytes, count: int) -> list[Any] | None:  # Any: see `Array`
        found = self._decode(array)
        # All nulls are ours, and two strings are before each and behind the last: no event has
        # more than one place between two strings, nor could another have none.
        nulls = found[2::3].count(None)
        right = len(found) == 3 * count - 1 and found.count(None) == nulls == count - 1
        return found[self._text :: 3] if right else None


class _Flat:
    """Two or three strings or numbers for each event, in one array with what tells them apart.

    Behind the first is false, behind the second of three true, between events null: as often as
    there are events, and no event has any of them.
    """

    between = b",null,"
    inside: tuple[bytes, ...] = (b",false,", b",true,")
    nested = False
    _decode = staticmethod(msgspec.json.Decoder(list[str | int | bool | None]).decode)

    def __init__(self, kinds: Sequence[type], text: int) -> None:
        self._kinds = kinds
        self._text = 2 * text
        self._seams = (False, True)[: len(kinds) - 1]

    def texts(self, array: bytes, count: int) -> list[Any] | None:  # Any: see `Array`
        found = self._decode(array)
        size = 2 * len(self._kinds)
        if len(found) != size * count - 1 or found[size - 1 :: size].count(None) != count - 1:
            return None
        for at, kind in enumerate(self._kinds):
            if {*map(type, found[2 * at :: size])} != {kind}:
                return None
        for at, seam in enumerate(self._seams):
            # A number may equal one, but then one that is ours would be at another's place.
            if found[2 * at + 1 :: size].count(seam) != count:
                return None
        return found[self._text :: size]


class _Tuples:
    """An array for each event, with the number of what stood there between more than two."""

    between = b","
    nested = True

    def __init__(self, kinds: Sequence[type], text: int) -> None:
        several = len(kinds) > 2
        self._text = 2 * text if several else text
        values: list[Any] = [*kinds[:1]]
        for at, kind in enumerate(kinds[1:]):
            values += [Literal[at], kind] if several else [kind]
        self.inside = tuple(b",%d," % at if several else b"," for at in range(len(kinds) - 1))
        each: Any = tuple.__class_getitem__(tuple(values))  # Any: a type that is made here
        self._decode = msgspec.json.Decoder(list[each]).decode

    def texts(self, array: bytes, count: int) -> list[Any] | None:  # Any: see `Array`
        found: list[Any] = self._decode(array)
        return [each[self._text] for each in found] if len(found) == count else None


_TEXTS = _Texts()


def array_of(kinds: Sequence[type], text: int) -> Array:
    """Return the quickest array for values of these `kinds`, of which one is the `text`.

    Args:
        kinds: `str`, `int`, or `bytes` where it is base64.
        text: The place of the text.
    """
    if bytes in kinds or len(kinds) > 3:
        return _Tuples(kinds, text)
    if int in kinds or len(kinds) > 2:
        return _Flat(kinds, text)
    return _Pairs(text) if len(kinds) == 2 else _TEXTS
