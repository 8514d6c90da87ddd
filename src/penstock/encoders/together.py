"""What is written in one call to a C encoder, and whether a group of values can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from penstock.encoders.backends import Backend
from penstock.encoders.columns import Columns, columns
from penstock.encoders.output import WORKED, Output
from penstock.encoders.sources import leaves, unchanged
from penstock.encoders.survey import Look
from penstock.encoders.ways import SINGLY, SMALLER, TRANSLATED
from penstock.fields import Each

__all__ = ["FIRST_ITEMS", "Together"]

FIRST_ITEMS = 16
"""Items of the first group that is looked at."""
_ESCAPES = 16
"""A piece is filled by a call but for so small a part of it, for what is escaped in the texts."""
_AT_LEAST = 8
"""Items; fewer are looked at one by one."""
_NOT_AT_ONCE = (TypeError, ValueError, RecursionError)
"""What looking at a value, or encoding it, raises where it has to be taken apart."""

# Anything that a caller may try to encode.
Json: TypeAlias = Any


class Together:
    """Writes what is small and plain, where a walk is.

    Args:
        output: Takes what is made.
        backend: The C encoder.
        size: Most bytes of a piece.
        max_depth: Levels of arrays and objects.
        check: Whether nothing is made.
    """

    def __init__(
        self, output: Output, backend: Backend, *, size: int, max_depth: int, check: bool
    ) -> None:
        self.group = size // 2  # its text, its bytes and a piece are in memory at once
        """Most bytes of what is written in one call."""
        self.inside: list[int] = []
        """The containers that the walk is in, by their identity."""
        self._output = output
        self._backend = backend
        self._filling = size - size // _ESCAPES
        self._fit = FIRST_ITEMS
        self._max_depth = max_depth
        self._check = check

    def whole(self, value: Json) -> bool:
        """Write `value` in one call, if it is small and of exactly JSON's types."""
        look = self._look()
        try:
            if look.size(value, self.depth(), self.group) > self.group:
                return False
            if not self._check:
                self._output.write(self._backend.encode(value, look.way))
        except _NOT_AT_ONCE:
            return False
        return True

    def at_once(self, group: Json, way: int, *, comma: bool) -> bool:
        """Write what is between the brackets of `group` in one call, unless that fails."""
        if self._check:
            return True
        try:
            encoded = self._backend.encode(group, way)
        except _NOT_AT_ONCE:
            return False
        if comma:
            self._output.write(b",")
        self._output.inside(encoded)
        return True

    def write(self, part: bytes | memoryview) -> None:
        """Write `part`, unless nothing is made."""
        if not self._check:
            self._output.write(part)

    def pieces(self) -> Sequence[bytes]:
        """Return what is ready; in a check, the sign that a piece's work is done."""
        return WORKED if self._check else self._output.take()

    def depth(self) -> int:
        """Return how many levels there may still be."""
        return self._max_depth - len(self.inside)

    def seen(self, group: Json) -> tuple[int, int]:
        """Return about how many bytes `group` takes, and how to write it."""
        look = self._look()
        try:
            size = look.size(group, self.depth() + 1, self.group)  # its brackets count already
        except _NOT_AT_ONCE:
            return self.group, SINGLY
        return size, look.way if size <= self.group else SINGLY

    def columns(self, group: Sequence[Json], each: Each | None) -> Columns | None:
        """Return what is known of many items together, if all are plain and stay as they are."""
        found = columns(group) if len(group) >= _AT_LEAST and self.depth() > 0 else None
        return found if found and (each is None or leaves(each, found.keys)) else None

    def cuts(self, found: Columns) -> Iterator[tuple[int, int]]:
        """Yield how many items, from the first on, are best written in one call, and how.

        It ends before what turns out not to be plain: see `way_of`.
        """
        found.fit = self._fit
        with suppress(TypeError, UnicodeEncodeError):
            yield from found.cuts(self._filling, surrogates=self._check)
        self._fit = found.fit

    def full(self, most: int) -> int:
        """Return up to how many items are cut into full calls alone, if they are like the last."""
        return most - most % self._fit if most > self._fit else most

    def way_of(self, group: Sequence[Json], each: Each | None) -> tuple[int, int]:
        """Return about how many items like these are best written in one call, and how."""
        if each is not None and not unchanged(each.translate, group):
            # Some of them may be unchanged, and are worth finding.
            return len(group), TRANSLATED if len(group) <= FIRST_ITEMS else SMALLER
        size, way = self.seen(group)
        if size > self.group and len(group) > 1:
            way = SMALLER
        return self.group * len(group) // size, way

    def _look(self) -> Look:
        return Look(self._max_depth, surrogates=self._check)
