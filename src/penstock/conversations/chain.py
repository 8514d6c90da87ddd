"""The messages of a conversation that begins in other files: as if they were one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from penstock.conversations.canonical import BLOCK
from penstock.conversations.stores import Chained

if TYPE_CHECKING:
    from penstock.conversations.lines import LineFile

__all__ = ["Chain"]


class Chain:
    """Files of lines, one behind the other; the last is the one that grows.

    Args:
        files: The files, the own one last.
    """

    def __init__(self, files: Sequence[LineFile]) -> None:
        self.files = list(files)
        """The files in order."""

    @property
    def size(self) -> int:
        """The bytes of all lines."""
        return sum(file.end for file in self.files)

    @property
    def shared(self) -> int:
        """How many lines are in other files."""
        return sum([file.count() for file in self.files[:-1]]) if len(self.files) > 1 else 0

    def count(self) -> int:
        """Return how many lines there are."""
        return sum(file.count() for file in self.files)

    def whole(
        self, end: int, *, size: int = BLOCK, plain: Sequence[tuple[int, int]] = ()
    ) -> Chained:
        """Return every line, of the last file up to an offset; unlike `blocks` it counts none.

        Args:
            end: The offset.
            size: Bytes of a block.
            plain: Where in the last file the lines are known to be plain.
        """
        others = [file.blocks(0, file.end, size=size) for file in self.files[:-1]]
        return Chained([*others, self.files[-1].blocks(0, end, size=size, plain=plain)])

    def blocks(self, start: int, stop: int) -> Chained:
        """Return the lines from number `start` to before `stop`."""
        found = []
        for file in self.files:
            count = file.count()
            first, last = max(start, 0), min(stop, count)
            if first < last:
                found.append(file.blocks(file.offset(first), file.offset(last)))
            start, stop = start - count, stop - count
        return Chained(found)

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the lines before number `stop`, the last first; their places are found at once."""
        found, before = [], 0
        for file in self.files:
            count = file.count()
            if stop > before:
                found.append((file, file.offset(min(stop - before, count))))
            before += count
        return chain.from_iterable(file.backwards(offset) for file, offset in reversed(found))

    def until(self, index: int) -> Iterator[tuple[LineFile, int]]:
        """Return the files that have the first `index` lines, and how many bytes of each."""
        for file in self.files:
            count = min(index, file.count())
            if count > 0:
                yield file, file.offset(count)
            index -= count
