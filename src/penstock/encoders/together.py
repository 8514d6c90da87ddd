"""What is written in one call to a C encoder, and whether a group of values can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from penstock.encoders.backends import Backend
from penstock.encoders.output import WORKED, Output
from penstock.encoders.sources import leaves, unchanged
from penstock.encoders.survey import Look, columns
from penstock.fields import Each

__all__ = ["FIRST_ITEMS", "SINGLY", "SMALLER", "TRANSLATED", "Together"]

FIRST_ITEMS = 16
"""Items of the first group that is looked at."""
SINGLY, TRANSLATED, SMALLER = 4, 5, 6
"""Beside each `Way`: not in one call; not as they are; not so many of them."""
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
        group: Most bytes of what is written in one call.
        max_depth: Levels of arrays and objects.
        check: Whether nothing is made.
    """

    def __init__(
        self, output: Output, backend: Backend, *, group: int, max_depth: int, check: bool
    ) -> None:
        self.group = group
        """Most bytes of what is written in one call."""
        self.inside: list[int] = []
        """The containers that the walk is in, by their identity."""
        self._output = output
        self._backend = backend
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
        self._output.write(memoryview(encoded)[1:-1])
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

    def way_of(self, group: Sequence[Json], each: Each | None) -> tuple[int, int]:
        """Return about how many items like these are best written in one call, and how."""
        found = None
        if len(group) >= _AT_LEAST and self.depth() > 0:
            found = columns(group, self.group, surrogates=self._check)
        left = each is None or (found is not None and leaves(each, found.keys))
        if not left and each is not None and not unchanged(each.translate, group):
            # Some of them may be unchanged, and are worth finding.
            return len(group), TRANSLATED if len(group) <= FIRST_ITEMS else SMALLER
        size, way = self.seen(group) if found is None else (found.size, found.way)
        if size > self.group and len(group) > 1:
            way = SMALLER
        return self.group * len(group) // size, way

    def _look(self) -> Look:
        return Look(self._max_depth, surrogates=self._check)
