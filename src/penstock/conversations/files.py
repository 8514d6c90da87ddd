"""A conversation's file while it is open: its last whole line, its one writer, what is torn."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from penstock.conversations.atomic import clear, fresh_beside
from penstock.conversations.canonical import BLOCK
from penstock.conversations.handles import Handle, private
from penstock.conversations.locks import try_lock
from penstock.conversations.stores import failed
from penstock.errors import ConversationError

__all__ = ["MessageFile", "identity"]

_log = logging.getLogger("penstock.conversations")
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class MessageFile:
    """One file of lines, for reading, and for writing once its lock is held.

    Args:
        path: The file; it may not be there yet.

    Raises:
        ConversationError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The file."""
        self.writes = False
        """Whether this is the one writer, who knows all of the file."""
        self.torn = 0
        """Bytes behind the last whole line when the file was opened."""
        self.end = 0
        """Where the last whole line ended then."""
        self.handle = Handle(-1, path.name)
        """The open file; closed where there is none yet."""
        self._process = os.getpid()
        self._name = os.fspath(path)  # each append looks: a `Path` is made text each time
        self._is_new = False
        self._reads_only = False
        self._seen = (0, 0, 0)
        self._open()
        if self.torn:
            _log.warning(
                "%s: the %d bytes behind its last newline are no whole line, and are not read; who"
                " writes next sets them aside in %s.torn (where another program wrote them, end"
                " them with a newline)",
                path.name,
                self.torn,
                path.name,
            )

    def is_as_seen(self) -> bool:
        """Whether no other process has written to the file since its end was found."""
        return self.writes or self._seen == identity(self._name)

    def renew(self) -> None:
        """Find the end anew; a file that was replaced is opened anew, with another handle."""
        if self.handle.number >= 0 and self._seen[0] == identity(self._name)[0]:
            self._find_end()
        else:
            self._open()

    def lock(self) -> None:
        """Keep all others from writing, and set aside what an earlier writer left torn; idempotent.

        Raises:
            ConversationError: Another process is the writer, or the file cannot be written.
        """
        self._check_process()
        if self._reads_only:
            raise ConversationError(
                f"cannot write to {self.path.name}: it may be read, and not written, by this user",
                code="io",
            )
        while True:
            if self.handle.number < 0:
                self._make()
            if not self._locked():
                break
            if os.fstat(self.handle.number).st_ino == identity(self._name)[0]:
                self._find_end()
                if self.torn:
                    self._set_aside()
                return
            self.handle = Handle(-1, self.path.name)  # it was rewritten since: take the new one
        raise ConversationError(
            f"{self.path.name} is being written by another process, or was opened a second time in"
            " this one: a JSONL conversation has one writer; close it there, or keep the"
            " conversation in SQLite (.db), which takes several",
            code="locked",
        )

    def there(self) -> tuple[int, int]:
        """Return which file has the name now, and its size."""
        return identity(self._name)[:2]

    def still_writes(self, end: int) -> bool:
        """Whether this is the writer, and the file ends where this one left it, at `end`.

        The lock is advisory, and a name can be given to another file. A file that has grown is
        written to anew; of one that was replaced nothing here is true any more.

        Raises:
            ConversationError: It was removed, replaced or cut since, or this process is a copy of
                the one that writes.
        """
        if not self.writes:
            return False
        self._check_process()
        inode, size, _ = identity(self._name)
        if inode == self._seen[0] and size >= end:
            self.writes = size == end
            return self.writes
        self.writes = False
        self._check_there()
        raise ConversationError(
            f"{self.path.name} was replaced or cut by another program while it was open: nothing"
            " was written; the next call goes on with what is there now",
            code="changed",
        )

    def append(self, offset: int, pieces: Iterable[bytes], *, sync: bool) -> int:
        """Write `pieces` at `offset`, all or nothing; return where they end.

        Raises:
            ConversationError: They do not fit on the disk, or cannot be written.
        """
        start, pending = offset, bytearray()
        try:
            for piece in pieces:
                pending += piece
                if len(pending) >= BLOCK:
                    offset = self._put(pending, offset)
            offset = self._put(pending, offset)
            if sync:
                self._sync()
        except BaseException as error:
            with suppress(OSError):  # what stays is torn then, and is set aside by the next writer
                os.ftruncate(self.handle.number, start)
            if isinstance(error, OSError):
                raise failed(f"cannot append to {self.path.name}", error) from error
            raise
        return offset

    def truncate(self, end: int) -> None:
        """End the file at the offset `end`.

        Raises:
            ConversationError: The system does not let us.
        """
        try:
            os.ftruncate(self.handle.number, end)
        except OSError as error:
            raise failed(f"cannot truncate {self.path.name}", error) from error
        self._find_end()

    def rewrite(self, write: Callable[[Callable[[bytes], object]], None]) -> int:
        """Replace the file by what `write` writes, whole or not at all; return its size.

        Raises:
            ConversationError: It cannot be written.
        """
        clear(self.path)
        handle = Handle(-1, self.path.name)
        try:
            with fresh_beside(self.path) as fresh:
                with open(fresh, "xb", opener=private) as file:
                    write(file.write)
                    file.flush()
                    os.fsync(file.fileno())
                if self.handle.number >= 0:
                    fresh.chmod(os.fstat(self.handle.number).st_mode & 0o777)
                handle.number = os.open(fresh, os.O_RDWR | _FLAGS)
                try_lock(handle.number)  # before anybody else can open it by its name
                fresh.replace(self.path)
        except BaseException as error:
            handle.close()
            if isinstance(error, OSError):
                raise failed(f"cannot rewrite {self.path.name}", error) from error
            raise
        self._is_new = True
        self.handle = handle  # who reads the old one keeps it open
        self._find_end()
        return self.end

    @property
    def is_copied(self) -> bool:
        """Whether the process that opened the file was forked into this one."""
        return self._process != os.getpid()

    def close(self) -> None:
        """Let go of the file and its lock; idempotent."""
        self.handle.close()

    def _check_process(self) -> None:
        """Refuse to write where the lock's descriptor is another process's as well."""
        if self.is_copied:
            raise ConversationError(
                f"{self.path.name} was opened before this process was forked: open it again here,"
                " once it is closed there",
                code="locked",
            )

    def _check_there(self) -> None:
        """Refuse to go on without a file that was there."""
        if self._seen[0] and not self.path.exists():
            raise ConversationError(
                f"{self.path.name} was removed while it was open: put it back, or open it again to"
                " begin anew",
                code="changed",
            )

    def _open(self) -> None:
        """Open the file, if it is there, and find its end."""
        self._check_there()
        try:
            number = self._opened()
        except FileNotFoundError:
            return
        except OSError as error:
            raise failed(f"cannot open {self.path.name}", error) from error
        self.handle = Handle(number, self.path.name)
        self._find_end()

    def _opened(self) -> int:
        self._reads_only = False
        try:
            return os.open(self.path, os.O_RDWR | _FLAGS)
        except PermissionError:
            self._reads_only = True
            return os.open(self.path, os.O_RDONLY | _FLAGS)

    def _make(self) -> None:
        self._check_there()
        try:
            number = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        except OSError as error:
            raise failed(f"cannot make {self.path.name}", error) from error
        self._is_new = True
        self.handle = Handle(number, self.path.name)

    def _locked(self) -> bool:
        try:
            return try_lock(self.handle.number)
        except OSError as error:
            raise failed(f"cannot lock {self.path.name}", error) from error

    def _sync(self) -> None:
        """Wait for the disk; of a file that is new, for its name in the folder as well."""
        os.fsync(self.handle.number)
        if self._is_new and sys.platform != "win32":  # which opens no folders
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._is_new = False

    def _find_end(self) -> None:
        found = os.fstat(self.handle.number)
        size = end = found.st_size
        while end > 0:
            start = max(0, end - BLOCK)
            newline = self.handle.read(start, end - start).rfind(b"\n") + 1
            if newline:
                end = start + newline
                break
            end = start
        self.torn, self.end = size - end, end
        self._seen = (found.st_ino, size, found.st_mtime_ns)

    def _set_aside(self) -> None:
        """Move what is behind the last whole line to a file of its own."""
        aside = self.path.with_name(self.path.name + ".torn")
        left = self.torn
        try:
            with open(aside, "ab", opener=private) as file:
                while left > 0:
                    at = self.end + self.torn - left
                    data = self.handle.read(at, min(BLOCK, left))
                    file.write(data)
                    left -= len(data)
                file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.ftruncate(self.handle.number, self.end)
            _log.warning("%s: %d torn bytes are in %s now", self.path.name, self.torn, aside.name)
        except OSError as error:
            raise failed(f"cannot set aside the torn end of {self.path.name}", error) from error

    def _put(self, pending: bytearray, offset: int) -> int:
        done = 0
        with memoryview(pending) as view:
            while done < len(view):
                done += os.pwrite(self.handle.number, view[done:], offset + done)
        pending.clear()
        return offset + done


def identity(path: str) -> tuple[int, int, int]:
    """Return which file is at `path`, its size and time; zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns
