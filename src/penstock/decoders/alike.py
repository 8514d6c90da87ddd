"""Frames of one read that differ in their JSON alone: it is at hand, they are made where wanted.

A dense answer has hundreds of frames in each read, and a dialect that knows what they look like
needs none of them as an object: that is a third of what a chunk costs. Nor does it need them one by
one to see that they look like that, which is as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, overload

__all__ = ["FEWEST", "Alike", "Source", "Unread"]

FrameT = TypeVar("FrameT")

FEWEST = 4
"""Frames from which on this is cheaper than a list of them."""


class Alike(Sequence[FrameT]):
    """Frames that are made as often as they are asked for.

    Args:
        lines: The JSON of each.
        make: Makes a frame of its JSON, and of its id where there are `ids`.
        ids: The id of each.
    """

    __slots__ = ("_ids", "_make", "lines")

    def __init__(
        self,
        lines: list[bytes],
        make: Callable[..., FrameT],
        ids: list[str] | None = None,
    ) -> None:
        self.lines = lines
        """The JSON of each, in order."""
        self._make = make
        self._ids = ids

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[FrameT]:
        if self._ids is None:
            return map(self._make, self.lines)
        return map(self._make, self.lines, self._ids)

    @overload
    def __getitem__(self, at: int) -> FrameT: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[FrameT]: ...
    def __getitem__(self, at: int | slice) -> FrameT | Sequence[FrameT]:
        ids = self._ids
        if isinstance(at, slice):
            return Alike(self.lines[at], self._make, ids if ids is None else ids[at])
        return self._make(self.lines[at], *(() if ids is None else (ids[at],)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, Alike, Unread)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list


class Source(Protocol[FrameT]):
    """Who has left frames unread."""

    @property
    def between(self) -> bool:
        """Whether nothing of one frame is left for the next."""
        ...

    def read(self, unread: Unread[FrameT], *, last: bool) -> Sequence[FrameT]:
        """Return the frames of `unread`, behind which is no other of one read if it is the `last`.

        All that came before them has been read.
        """
        ...

    def taken(self, *, last: bool) -> None:
        """Note that they are read, and are what they seemed to be."""
        ...


class Unread(Sequence[FrameT]):
    """Frames that begin alike and are not cut yet: they are when somebody looks at them.

    Who knows what all of `block` must be, between the heads and the ends, compares that, and says
    with `take` that they have read it. At the latest the decoder's next call cuts it.

    Args:
        block: The frames as they came.
        head: What each of them begins with, as far as one can see.
        end: What each of them ends with.
        source: Cuts them.
        last: Whether there are no others behind them, of the same read.
    """

    __slots__ = ("_frames", "_last", "_parts", "_source", "block", "end", "head")

    def __init__(
        self, block: bytes, head: bytes, end: bytes, source: Source[FrameT], *, last: bool = True
    ) -> None:
        self.block = block
        """The frames as they came."""
        self.head = head
        """What the first begins with, before its JSON."""
        self.end = end
        """What the last ends with, behind its JSON."""
        self._frames: Sequence[FrameT] | None = None
        self._parts: list[Sequence[FrameT]] = []
        self._source = source
        self._last = last

    @property
    def frames(self) -> Sequence[FrameT]:
        """What they are."""
        if self._frames is None:
            if self._parts:
                self._frames = [frame for part in self._parts for frame in part]
            else:
                self._frames = self._source.read(self, last=self._last)
        return self._frames

    def take(self) -> None:
        """Note that they all are JSON between `head` and `end`, and have been read."""
        if self._frames is None:
            self._source.taken(last=self._last)

    def parts(self, count: int) -> list[Sequence[FrameT]]:
        """Return the first frames, so many of them, those between, and the last; read in order.

        An answer's begin and end are not like the rest of it, which stays unread.
        """
        block, end = self.block, self.end
        first, last = 0, len(block)
        for _ in range(count):
            first = block.find(end, first) + len(end)
            last = block.rfind(end, 0, last - len(end)) + len(end)
            if first >= last or last < len(end):
                return [self.frames]
        begin = Unread(block[:first], self.head, end, self._source, last=False)
        self._parts = [begin.frames]
        if not self._source.between:
            self._parts.append(Unread(block[first:], self.head, end, self._source).frames)
            return self._parts
        middle = Unread(block[first:last], self.head, end, self._source, last=False)
        self._parts += [middle, Unread(block[last:], self.head, end, self._source)]
        return self._parts

    def __bool__(self) -> bool:
        return True  # without a look

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameT]:
        return iter(self.frames)

    @overload
    def __getitem__(self, at: int) -> FrameT: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[FrameT]: ...
    def __getitem__(self, at: int | slice) -> FrameT | Sequence[FrameT]:
        return self.frames[at]

    def __eq__(self, other: object) -> bool:
        return self.frames == other

    __hash__ = None  # type: ignore[assignment]  # as a list
