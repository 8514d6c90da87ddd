"""What is settled of a caller's lists before their items are encoded."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, TypeAlias

from penstock.fields import Each, Slices

__all__ = ["Listed", "Settled", "settle"]

_MOST_NOTES = 4096
"""Groups of a list that are remembered, in 2 bytes each: 128 MiB at the default buffer."""
_WAY_BITS = 3

# Whatever a list holds.
Json = Any
Listed: TypeAlias = "list[Json] | tuple[Json, ...] | Slices"


class Settled:
    """A list that outlives the walks over it: how many items count, and what a check saw of them.

    The first pass after a check need not look at the items again. The notes are used up by it, as
    an edit makes them wrong: an item that was edited in between goes out as the C encoder has it
    (NaN as null, a number for a key as text) and in as much memory as it needs. What goes out is
    JSON all the same, and a promised length or digest is compared as always.
    """

    __slots__ = ("_notes", "items", "length")

    def __init__(self, items: Listed) -> None:
        self.items = items
        """Kept, so that no other list can have its identity."""
        self.length = len(items)
        """A pass ends here, however long the list is by then."""
        self._notes = array("H")

    def note(self, count: int, way: int) -> None:
        """Remember how the next `count` items are to be written; at most 1024."""
        if len(self._notes) < _MOST_NOTES:
            self._notes.append(count << _WAY_BITS | way)

    def notes(self) -> Iterable[tuple[int, int]]:
        """Return the notes in their order, once."""
        notes, self._notes = self._notes, array("H")
        return ((note >> _WAY_BITS, note & (1 << _WAY_BITS) - 1) for note in notes)


def settle(values: Iterable[Json]) -> dict[int, Settled]:
    """Return what is settled of the lists among `values`, by their identity."""
    settled = {}
    for value in values:
        items = value.source if isinstance(value, Each) else value
        if isinstance(items, (list, tuple, Slices)):
            settled[id(items)] = Settled(items)
    return settled
