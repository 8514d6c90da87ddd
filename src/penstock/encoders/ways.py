"""In which way values are encoded, so that the bytes are the same and nothing is left in them."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "LONG",
    "PER_VALUE",
    "SINGLY",
    "SMALLER",
    "TRANSLATED",
    "Way",
    "find_surrogates",
    "may_have_surrogates",
    "way_of",
]

PER_VALUE = 6
"""Bytes that a value adds beside its text: quotes, a colon or comma, a short number."""
LONG = 200
"""Characters of a text from which on a copy is made by slicing and not by ``marshal``, with orjson
0.79 and 0.72 of ``json.dumps`` at 100 bytes, 0.57 and 0.64 at 200, 0.25 and 0.51 at 2 KiB."""


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
SINGLY, TRANSLATED, SMALLER = 4, 5, 6
"""Beside each `Way`: not in one call; not as they are; not so many of them."""


def way_of(foreign: int, characters: int) -> int:
    """Return how to encode values with so many texts that are not ASCII, so long together."""
    if not foreign:
        return _PLAIN
    return _COPIED if characters >= LONG * foreign else _SHORT


def may_have_surrogates(text: str) -> bool:
    """Whether there may be halves of surrogate pairs in `text`: it is not kept in Latin-1."""
    return text.__sizeof__() >= 2 * len(text)


def find_surrogates(text: str) -> None:
    """Refuse half of a surrogate pair, in less than half the time that encoding to UTF-8 takes.

    Raises:
        UnicodeEncodeError: There is one in `text`.
    """
    if may_have_surrogates(text):
        text.encode("utf-16")
