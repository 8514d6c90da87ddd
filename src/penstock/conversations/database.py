"""An SQLite file while it is open: transactions, large values in pieces, errors in our words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from penstock.conversations.atomic import fresh_beside, named
from penstock.conversations.canonical import BLOCK
from penstock.conversations.files import identity
from penstock.conversations.handles import private
from penstock.conversations.schema import BUSY, names_in, prepare
from penstock.errors import ConversationError

__all__ = ["Database", "conversations_in"]

_CODES = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR_WRITE: "disk_full",  # a file may not grow: RLIMIT_FSIZE
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_CORRUPT: "damaged",
}
"""What SQLite's result codes, extended or not, are in ours (https://sqlite.org/rescode.html)."""


class Database:
    """A file that several threads may use, one at a time.

    Args:
        path: The file; it is made where there is none.
        sync: Whether each transaction waits for the disk.

    Raises:
        ConversationError: The file is no such, or of a later version.
    """

    def __init__(self, path: Path, *, sync: bool) -> None:
        self.path = path
        """The file."""
        self._lock = RLock()
        self._closed = False
        self._process = os.getpid()
        self._blobs: set[sqlite3.Blob] = set()
        self._still = _still(path)
        if not self._still:
            with suppress(OSError):  # SQLite says better what is wrong
                _make(path)
        try:
            self.connection = _connected(path, is_still=self._still is not None)
            """For statements within `reported` or `transaction`."""
        except sqlite3.Error as error:
            raise _failed(f"cannot open {path.name}", error) from error
        try:
            with self.reported("open"):
                prepare(self.connection, path.name, sync=sync, reads=self._still is not None)
        except BaseException:
            self.connection.close()
            raise
        self._there = _identity(path)

    @contextmanager
    def transaction(self, what: str) -> Iterator[None]:
        """Do all of it or nothing; the write lock is taken at once: nobody comes between.

        Args:
            what: What is done, for errors.

        Raises:
            ConversationError: The file was removed or replaced, or SQLite does not let us.
        """
        with self.reported(what):
            if _identity(self.path) != self._there:
                raise ConversationError(
                    f"{self.path.name} was removed or replaced while it was open: put it back, or"
                    " open it again to begin anew",
                    code="changed",
                )
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reported(self, what: str, *, lets_go: bool = True) -> Iterator[None]:
        """Put SQLite's errors into our words, while no other thread does anything.

        Args:
            what: What is done, for errors.
            lets_go: Whether open BLOBs are closed before: one holds what is read to what was there
                when it was opened.

        Raises:
            ConversationError: SQLite has one; or it is closed, or another process's.
        """
        with self._lock:
            self._check()
            try:
                if self.connection.in_transaction:  # an exception came before its end
                    self.connection.execute("ROLLBACK")
                if lets_go and self._blobs:
                    self._let_go(self._blobs)
                yield
            except sqlite3.Error as error:
                raise _failed(f"cannot {what} {self.path.name}", error) from error
            if self._still:
                self._check_still(self._still)

    def pieces(self, row: int, size: int) -> Iterator[bytes]:
        """Yield a large message; its BLOB stays open, as finding a place in one goes over it.

        Args:
            row: Which of the runs has it.
            size: Bytes of its JSON.

        Raises:
            ConversationError: It was replaced or taken out.
        """
        at, blob = 0, None
        try:
            while at < size:
                with self.reported("read", lets_go=False):
                    if blob is None or blob not in self._blobs:  # something else was done since
                        blob = self._opened(row, size)
                        blob.seek(at)
                    data = blob.read(min(BLOCK, size - at))
                at += len(data)
                yield data
        finally:
            if blob is not None:
                with self._lock:
                    self._let_go(self._blobs & {blob})

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._closed = True
            self._let_go(self._blobs)
            self.connection.close()

    def _check(self) -> None:
        if self._closed:
            raise ConversationError(f"{self.path.name} is closed", code="closed")
        if self._process != os.getpid():  # https://sqlite.org/howtocorrupt.html, 2.6
            raise ConversationError(
                f"{self.path.name} was opened before this process was forked: open it again here",
                code="locked",
            )

    def _check_still(self, was: tuple[int, int, int]) -> None:
        """Refuse what was read without locks of a file that somebody else has written to."""
        if identity(os.fspath(self.path)) != was:
            raise ConversationError(
                f"{self.path.name} was written to while it was read from a folder that this user"
                " cannot write to: open it again",
                code="changed",
            )

    def _opened(self, row: int, size: int) -> sqlite3.Blob:
        blob = None
        try:
            blob = self.connection.blobopen("runs", "data", row, readonly=True)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # that there is no such row
                raise
        if blob is not None:
            self._blobs.add(blob)
            if len(blob) == size + 1:
                return blob
            self._let_go({blob})
        raise ConversationError(
            f"{self.path.name}: a message was replaced or taken out while it was read: read it"
            " again",
            code="changed",
        )

    def _let_go(self, blobs: set[sqlite3.Blob]) -> None:
        for blob in blobs:
            blob.close()
        self._blobs = self._blobs - blobs


def conversations_in(path: Path) -> list[str]:
    """Return the names of a file's conversations, which may be none.

    Raises:
        ConversationError: It cannot be read, or is no database.
    """
    try:
        database = _connected(path, is_still=_still(path) is not None, mode="&mode=ro")
        try:
            return names_in(database)
        finally:
            database.close()
    except sqlite3.Error as error:
        raise _failed(f"cannot read {path.name}", error) from error


def _connected(path: Path, *, is_still: bool, mode: str = "") -> sqlite3.Connection:
    how = "immutable=1" if is_still else "immutable=0"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}{mode}",
        uri=True,
        timeout=BUSY,
        isolation_level=None,
        check_same_thread=False,
    )


def _make(path: Path) -> None:
    """Make the file, its owner's only, where there is none.

    One that is there is not opened: closing it would end the locks that this process has on it, and
    another would take itself for the last and remove what is logged ahead
    (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    if not path.exists():
        with fresh_beside(path) as fresh:
            os.close(private(os.fspath(fresh), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            named(fresh, path)


def _still(path: Path) -> tuple[int, int, int] | None:
    """Return which file is there, if it can only be read as it is: without locks, which take files.

    SQLite keeps a log and an index of it beside a file, and makes them to read it. In a folder in
    which it cannot, and where nobody writes to the file, there is nothing in them either
    (https://sqlite.org/wal.html#readonly).
    """
    found = identity(os.fspath(path))
    if not found[1] or os.access(path.parent, os.W_OK):
        return None
    logs = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    return None if any(log.exists() for log in logs) else found


def _failed(what: str, error: sqlite3.Error) -> ConversationError:
    whole = getattr(error, "sqlite_errorcode", 0)
    code = _CODES.get(whole) or _CODES.get(whole & 0xFF, "io")
    advice = {
        "disk_full": "; free room and try again, nothing is half written",
        "locked": f"; another process writes to it for more than {BUSY:.0f} seconds",
    }
    return ConversationError(f"{what}: {error}{advice.get(code, '')}", code=code)


def _identity(path: Path) -> tuple[int, int]:
    """Return which file is at `path`; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
