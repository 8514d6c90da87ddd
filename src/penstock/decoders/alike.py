"""Frames of one read that differ in their JSON alone: it is at hand, they are made where wanted.

A dense answer has hundreds of frames in each read, and a dialect that knows what they look like
needs none of them as an object: that is a third of what a chunk costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

__all__ = ["FEWEST", "Alike"]

FrameT = TypeVar("FrameT")

FEWEST = 4
"""Frames from which on this is cheaper than a list of them."""


class Alike(Sequence[FrameT]):
    """Frames that are made as often as they are asked for.

    Args:
        lines: The JSON of each.
        make: Makes a frame of its JSON.
    """

    __slots__ = ("_make", "lines")

    def __init__(self, lines: list[bytes], make: Callable[[bytes], FrameT]) -> None:
        self.lines = lines
        """The JSON of each, in order."""
        self._make = make

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[FrameT]:
        return map(self._make, self.lines)

    @overload
    def __getitem__(self, at: int) -> FrameT: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[FrameT]: ...
    def __getitem__(self, at: int | slice) -> FrameT | Sequence[FrameT]:
        if isinstance(at, slice):
            return Alike(self.lines[at], self._make)
        return self._make(self.lines[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, Alike)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list
