"""Bytes between a pipe that must be drained and a reader that takes its time.

Coding agents do not wait for a slow reader: Claude Code gives up flushing a few seconds after it
wants to exit, and a last line is cut in the middle with exit code 0. So what a child writes is
taken at once: into memory up to a bound, and above it into a temporary file without a name.
"""

from __future__ import annotations

from collections import deque
from tempfile import TemporaryFile
from typing import IO

from penstock.errors import LimitExceededError

__all__ = ["MAX_SPOOL", "Spool"]

MAX_SPOOL = 1024 * 1024 * 1024
"""Bytes of a child's output that wait for their reader, memory and file together."""
_PIECE = 64 * 1024


class Spool:
    """A queue of bytes, in memory first.

    Args:
        memory: Bytes that wait in memory; more go to the file.
        limit: Bytes that wait altogether.
    """

    __slots__ = ("_file", "_limit", "_memory", "_pieces", "_read_at", "_written", "size")

    def __init__(self, *, memory: int, limit: int = MAX_SPOOL) -> None:
        self._memory = memory
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._file: IO[bytes] | None = None
        self._read_at = self._written = 0
        self.size = 0
        """Bytes that wait."""

    @property
    def spooled(self) -> bool:
        """Whether some of them wait in the file."""
        return self._file is not None

    def put(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            LimitExceededError: More would wait than may.
        """
        size = self.size + len(data)
        if size > self._limit:
            raise LimitExceededError(
                f"a child's output exceeds max_spool: {size} over {self._limit} bytes wait",
                phase="max_spool",
                limit=self._limit,
                elapsed=size,
            )
        if self._file is None and size > self._memory:
            self._file = TemporaryFile()  # noqa: SIM115  # it lives as long as what is in it
        if self._file is None:
            self._pieces.append(data)
        else:
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)
        self.size = size

    def take(self) -> bytes:
        """Return the next bytes; ``b""`` where none wait."""
        if self._pieces:
            data = self._pieces.popleft()
        elif self._file is not None:
            self._file.seek(self._read_at)
            data = self._file.read(_PIECE)
            self._read_at += len(data)
            if self._read_at == self._written:
                self._let_go()
        else:
            return b""
        self.size -= len(data)
        return data

    def clear(self) -> None:
        """Forget what waits."""
        self._pieces.clear()
        self._let_go()
        self.size = 0

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._read_at = self._written = 0
