"""Notes that are only added to a JSONL conversation: a line at the end of the file beside it.

That file is written anew as a whole by everything else, and when the lines behind its first are
more than that: a note costs the same however many there are. Nothing that is replaced or ended goes
as a line, as what it was would stay in the file. A line that is torn is not read.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.conversations.atomic import beside
from penstock.conversations.files import identity
from penstock.conversations.stores import failed

if TYPE_CHECKING:
    from penstock.conversations.stores import Metadata

__all__ = ["AddedNotes"]

_NONE = (0, 0, 0)
_LEAST = 16 * 1024
"""Bytes of lines that there may be behind a first that is smaller: reading them takes 0.1 ms."""


class AddedNotes:
    """Adds lines to the file that is known to be what was written here, and to no other.

    Args:
        messages: The conversation's file.
    """

    def __init__(self, messages: Path) -> None:
        self._path = beside(messages)
        self._known = _NONE
        self._first = 0

    def know(self) -> None:
        """Take the file that is there, which was just written as a whole."""
        self._known = identity(os.fspath(self._path))
        self._first = self._known[1]

    def add(self, notes: Metadata, *, sync: bool) -> bool:
        """Write `notes` as a line, whole or not at all.

        Args:
            notes: Of names that are not noted yet.
            sync: Whether to wait for the disk.

        Returns:
            Whether it is done; if not, the file is to be written as a whole.

        Raises:
            ConversationError: It cannot be written.
        """
        known, self._known = self._known, _NONE  # whatever comes in between
        line = _line(notes) if notes else b""
        if known[1] + len(line) > self._first + max(self._first, _LEAST):
            return False
        try:
            with FileIO(self._path, "r+") as file:
                if _identity(file) != known:
                    return False
                _put(file, line, sync=sync)
                self._known = _identity(file)
        except (FileNotFoundError, PermissionError):  # a name may be given all the same
            return False
        except OSError as error:
            raise failed(f"cannot write {self._path.name}", error) from error
        return True


def _line(notes: Metadata) -> bytes:
    return json.dumps(notes, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _put(file: FileIO, line: bytes, *, sync: bool) -> None:
    end = file.seek(0, os.SEEK_END)
    try:
        done = 0
        while done < len(line):
            done += file.write(line[done:])
        if sync and line:
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # what stays is torn, and not read; the next writes it all anew
            file.truncate(end)
        raise


def _identity(file: FileIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns
