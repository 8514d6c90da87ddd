"""The items of a list in groups, each with how it is to be written.

The check that comes before the first byte finds them, and the first pass after it takes them as it
noted them (`penstock.encoders.settled`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.encoders.columns import MOST_ITEMS, Columns
from penstock.encoders.settled import Listed, Settled
from penstock.encoders.together import FIRST_ITEMS, Together
from penstock.encoders.values import at
from penstock.encoders.ways import SMALLER
from penstock.errors import UsageError
from penstock.fields import Each, Slices

__all__ = ["Groups"]

_WIDER = 8
"""Times as many items are looked at where all were as expected: a look too wide is lost."""

# Whatever a list holds.
Json = Any


class Groups:
    """The groups of one list, up to the length that was settled.

    Args:
        items: The list.
        each: What it is the source of; None where the items are as they are.
        settled: What is settled of it.
        together: Knows what may be written in one call.
        path: Where the list is, for errors.
    """

    __slots__ = ("_each", "_items", "_path", "_settled", "_together")

    def __init__(
        self,
        items: Listed,
        each: Each | None,
        *,
        settled: Settled,
        together: Together,
        path: list[str | int],
    ) -> None:
        self._items = items
        self._each = each
        self._settled = settled
        self._together = together
        self._path = path

    def noted(self) -> Iterator[tuple[Sequence[Json], int]]:
        """Yield the groups that a check has noted, and those behind them as they are found.

        Raises:
            UsageError: The list has lost items.
        """
        start = 0
        for count, way in self._settled.notes():
            yield self._slice(start, count), way
            start += count
        yield from self._found(start)

    def checked(self) -> Iterator[tuple[Sequence[Json], int]]:
        """Yield all groups as they are found, and note them.

        Raises:
            UsageError: The list has lost items.
        """
        for group, way in self._found(0):
            self._settled.note(len(group), way)
            yield group, way

    def _found(self, start: int) -> Iterator[tuple[Sequence[Json], int]]:
        """Yield groups from the item `start` on."""
        step, wide = FIRST_ITEMS, False
        while start < self._settled.length:
            group, found = self._looked_at(start, step)
            done = 0
            for count, way in self._together.cuts(found) if found else ():
                yield group[done : done + count], way
                done += count
            start += done
            if done == len(group):
                step, wide = self._together.full(min(_WIDER * step, MOST_ITEMS)), True
            elif wide:
                step, wide = FIRST_ITEMS, False
            elif not done:
                fit, way = self._together.way_of(group, self._each)
                if way == SMALLER:
                    step = max(len(group) // 2, 1)
                    continue
                yield group, way
                start += len(group)
                step = max(min(fit, 2 * step, MOST_ITEMS), 1)

    def _looked_at(self, start: int, count: int) -> tuple[Sequence[Json], Columns | None]:
        """Return the next items, and what is known of all of them together."""
        items, each = self._items, self._each
        if each is not None and isinstance(items, Slices):
            place = slice(start, min(start + count, self._settled.length))
            given = items.given(place)
            found = self._together.columns(given, each)
            if found is not None and items.stays(place):
                return given, found
        group = self._slice(start, count)
        return group, self._together.columns(group, each)

    def _slice(self, start: int, count: int) -> Sequence[Json]:
        """Return the next items.

        Raises:
            UsageError: The list has lost items.
        """
        settled, left = self._settled.length, len(self._items)
        if left < settled:
            raise UsageError(
                f"{at(self._path)}the list had {settled} items when the call began and has {left}"
                " now; do not take messages out of a list while it is sent"
            )
        return self._items[start : min(start + count, settled)]
