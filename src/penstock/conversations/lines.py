"""A file of lines, read in blocks: where each begins, and those of a range or from the end.

What is known of places is a sparse index of bounded size: the offset of every so many lines. The
lines in between are counted where they are asked for.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence

from penstock.conversations.canonical import BLOCK
from penstock.conversations.handles import Handle
from penstock.conversations.plain import covers
from penstock.conversations.stores import Large
from penstock.errors import ConversationError
from penstock.fields import Lines

__all__ = ["LineFile"]

_MOST_MARKS = 4096
"""Offsets kept: 32 KiB; with twice as many lines, every second one is let go of."""
_FIRST_STEP = 256
_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)
"""Linux: read what is in the page cache, and nothing else (preadv2(2))."""


class LineFile:
    """The whole lines of an open file, up to `end`.

    Args:
        handle: The file.
        end: Where its last whole line ends.
        count: How many lines there are, where that is known.
    """

    def __init__(self, handle: Handle, end: int, count: int | None = None) -> None:
        self._total = count
        self._handle = handle
        self.end = end
        """Bytes that count; what is behind them is no line yet."""
        self._step = _FIRST_STEP
        self._marks = array("q", [0])
        """The offset of line number ``index * step``."""
        self._counted = 0
        """Lines before `_scanned`."""
        self._scanned = 0

    def count(self) -> int:
        """Return how many lines there are; what was counted is not counted again."""
        if self._total is None:
            self._scan(None)
            self._total = self._counted
        return self._total

    def added(self, offset: int, sizes: list[int]) -> int:
        """Note lines that were written at `offset`, which was the end; return the first's number.

        The lines before are counted now, if nobody has so far.
        """
        first = self.count()
        total, end = first + len(sizes), offset + sum(sizes)
        self._total, self.end = total, end
        if self._scanned == offset:
            for size in sizes:
                self._past(1, size)
        return first

    def grown(self, end: int) -> None:
        """Note that another process has added lines; where those before are stays known."""
        self.end, self._total = end, None

    def offset(self, index: int) -> int:
        """Return where line number `index` begins, which may be the end.

        Raises:
            ConversationError: There are fewer lines by now: another program changed the file.
        """
        self._scan(index)
        at = min(index // self._step, len(self._marks) - 1)
        offset, left = self._marks[at], index - at * self._step
        while left > 0:
            data = self.read(offset, min(BLOCK, self.end - offset))
            if not data:
                raise self._truncated()
            found = data.count(b"\n")
            if found < left:
                left -= found
                offset += len(data)
                continue
            place = -1
            for _ in range(left):
                place = data.find(b"\n", place + 1)
            return offset + place + 1
        return offset

    def blocks(
        self,
        start: int,
        stop: int,
        *,
        size: int = BLOCK,
        plain: Sequence[tuple[int, int]] = (),
    ) -> LineBlocks:
        """Return the lines between two offsets, as many at once as fit a block.

        Args:
            start: The first.
            stop: The second.
            size: Bytes of a block.
            plain: Where the lines are known to be plain (`penstock.fields.Lines`).
        """
        return LineBlocks(self, (start, stop), size, plain)

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the lines before the offset `stop`, the last first, without their newlines."""
        tail: list[bytes] = []  # of the line whose beginning is still to be found, the last first
        while stop > 0:
            start = max(0, stop - BLOCK)
            data = self.read(start, stop - start)
            # The first line may have begun before; the last newline of all ends the last line.
            known = len(data) if tail else len(data) - 1
            begin = data.find(b"\n", 0, known) + 1
            if begin or not start:
                rest = b"".join([data[begin:] if start else data, *reversed(tail)])
                yield from reversed(rest.split(b"\n")[:-1])
                tail = []
            tail.append(data[:begin] if begin and start else data)
            stop = start

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`.

        Raises:
            ConversationError: They are no longer there, or cannot be read.
        """
        data = self._handle.read(offset, size)
        if len(data) < size:
            raise self._truncated()
        return data

    def fill(self, offset: int, buffer: memoryview) -> bool:
        """Read what is in the page cache at `offset`; False unless that is all of `buffer`."""
        if _NO_WAIT is None:
            return False
        try:
            return os.preadv(self._handle.number, [buffer], offset, _NO_WAIT) == len(buffer)
        except OSError:  # EAGAIN: it would have to wait; or a file system that cannot tell
            return False

    def large(self, start: int, size: int) -> Large:
        """Return a line above a block."""

        def pieces() -> Iterator[bytes]:
            at = 0
            while at < size:
                data = self.read(start + at, min(BLOCK, size - at))
                at += len(data)
                yield data

        return Large(size, pieces)

    def line_end(self, offset: int) -> int:
        """Return where the line ends that goes on at `offset`: behind its newline."""
        while offset < self.end:
            data = self.read(offset, min(BLOCK, self.end - offset))
            if end := data.find(b"\n") + 1:
                return offset + end
            offset += len(data)
        raise self._truncated()

    def _truncated(self) -> ConversationError:
        return ConversationError(
            f"{self._handle.name} was truncated while it was read", code="changed"
        )

    def _scan(self, index: int | None) -> None:
        """Count lines up to number `index`, or all of them."""
        while self._scanned < self.end and (index is None or self._counted < index):
            data = self.read(self._scanned, min(BLOCK, self.end - self._scanned))
            found = data.count(b"\n")
            due = self._step - self._counted % self._step
            if found < due:
                self._past(found, len(data))
                continue
            place = -1
            for _ in range(due):
                place = data.find(b"\n", place + 1)
            self._past(due, place + 1)

    def _past(self, lines: int, size: int) -> None:
        """Go past counted lines; whatever comes between two of the steps, they may be done anew."""
        counted, scanned = self._counted + lines, self._scanned + size
        if not counted % self._step and lines:
            at = counted // self._step
            self._marks[at:] = array("q", [scanned])
            if at >= _MOST_MARKS:
                marks = self._marks[::2]
                self._marks, self._step = marks, self._step * 2
        self._counted, self._scanned = counted, scanned


class LineBlocks:
    """The lines between two offsets of a file, a block at a time; see `LineFile.blocks`."""

    def __init__(
        self,
        file: LineFile,
        between: tuple[int, int],
        block: int,
        plain: Sequence[tuple[int, int]],
    ) -> None:
        self._file = file
        self._start, self._stop = between
        self._block = block
        self._plain = plain
        self._buffer = bytearray()
        self._filled = 0

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        start, file = self._start, self._file
        if start >= self._stop:
            raise StopIteration
        data, size = self._data()
        end = data.rfind(b"\n", 0, size)
        if end >= 0:
            self._start += end + 1
            plain = bool(self._plain) and covers(self._plain, start, self._start)
            return Lines(bytes(memoryview(data)[:end]), plain=plain)
        self._start = file.line_end(start + size)
        return file.large(start, self._start - start - 1)

    def _data(self) -> tuple[bytes | bytearray, int]:
        """Return the next bytes, and how many of them count."""
        filled, self._filled = self._filled, 0
        if filled:
            return self._buffer, filled
        data = self._file.read(self._start, min(self._block, self._stop - self._start))
        return data, len(data)

    def ready(self) -> bool:
        """Whether the next block can be had without waiting for the disk: it is read by now."""
        size = min(self._block, self._stop - self._start)
        if size > 0 and not self._filled:
            self._buffer = self._buffer or bytearray(size)
            self._filled = size * self._file.fill(self._start, memoryview(self._buffer)[:size])
        return self._filled > 0
