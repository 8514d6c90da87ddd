"""Conversations in an SQLite file: many in one, written by several processes.

SQLite keeps each transaction whole: once ``append`` has returned, its messages outlive the process
(``synchronous=NORMAL`` in WAL mode; with ``sync=True`` ``FULL``, and a power cut too). Writers wait
for each other for up to `BUSY` seconds, so two processes' messages interleave, each of them whole.

Messages are kept in runs of up to a block (`penstock.conversations.runs`); one above a block is
written and read as an incremental BLOB, a block at a time
(https://sqlite.org/c3ref/blob_open.html). A fork refers to its parent's messages.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from penstock.conversations import runs
from penstock.conversations.canonical import BLOCK
from penstock.conversations.handles import private
from penstock.conversations.numbered import seen_in
from penstock.conversations.runblocks import RunBlocks
from penstock.conversations.schema import BUSY, names_in, prepare
from penstock.conversations.stores import Chained, Mark, merged
from penstock.conversations.unmoved import check_unmoved
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.stores import Change, Metadata

__all__ = ["SUFFIXES", "SQLiteStore", "conversations_in"]

_CODES = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR_WRITE: "disk_full",  # a file may not grow: RLIMIT_FSIZE
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_CORRUPT: "damaged",
}
"""What SQLite's result codes, extended or not, are in ours (https://sqlite.org/rescode.html)."""


SUFFIXES = (".db", ".sqlite", ".sqlite3")
"""How the names of such files end."""


class SQLiteStore:
    """Keeps one conversation of an SQLite file.

    Args:
        path: The file; it is made where there is none.
        name: Which of its conversations; it is made where there is none.
        sync: Whether each append waits for the disk.

    Raises:
        ConversationError: The file is no such, or of a later version.
    """

    def __init__(self, path: Path, name: str = "", *, sync: bool = False) -> None:
        self._path = path
        self._name = name
        self._sync = sync
        self._lock = RLock()
        self._closed = False
        self._process = os.getpid()
        self._blobs: set[sqlite3.Blob] = set()
        with suppress(OSError):  # SQLite says better what is wrong
            os.close(private(os.fspath(path), os.O_RDWR | os.O_CREAT))
        with self._reported("open"):
            self._database = sqlite3.connect(
                path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
        try:
            with self._reported("open"):
                prepare(self._database, path.name, sync=sync)
                self._there = _identity(path)
                self._id = self._found_or_made(name)
        except BaseException:
            self._database.close()
            raise

    def length(self) -> int:
        """Return how many messages there are."""
        with self._lock, self._reported("read"):
            return self._length()

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        with self._lock, self._reported("read"):
            total = 0
            for owner, start, stop in self._ranges(0, self._length()):
                total += runs.size(self._database, owner, start, stop)
            return total

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`, all or none of them; return the index of the first.

        Raises:
            ConversationError: The disk is full, or another writer did not finish.
        """
        with self._lock, self._transaction("append"):
            first = self._length()
            runs.add(self._database, self._id, first, messages)
            length = first + len(messages)
            loose = runs.tidy(self._database, self._id, self._row("loose"), length)
            self._database.execute(
                "UPDATE conversations SET length = ?, loose = ? WHERE id = ?",
                (length, loose, self._id),
            )
            return first

    def blocks(self, start: int, stop: int) -> Chained:
        """Return the messages from `start` to before `stop`, as many at once as fit a block."""
        with self._lock, self._reported("read"):
            ranges = self._ranges(start, min(stop, self._length()))
        return Chained(self._blocks(*each) for each in ranges)

    def mark(self, *, summed: bool = True) -> Mark:
        """Return how many messages there are."""
        with self._lock, self._reported("read"):
            length, noted = self._row("length, metadata")
        return Mark(length, messages=length, seen=seen_in(json.loads(noted)))

    def check(self, mark: Mark) -> None:
        """Look whether the messages before a mark have the numbers that they had.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        check_unmoved(self.metadata(), mark.seen.moves, mark.messages)

    def whole(self, mark: Mark, *, compared: bool = False) -> Chained:
        """Return the messages that there were at a mark.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        self.check(mark)
        return self.blocks(0, mark.at)

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        with self._lock, self._reported("read"):
            ranges = self._ranges(0, min(stop, self._length()))
        for owner, first, last in reversed(ranges):
            while first < last:
                with self._lock, self._reported("read"):
                    run, lines = runs.find(self._database, owner, last - 1)
                yield from reversed(lines[max(first - run.first, 0) : last - run.first])
                last = run.first

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another; None takes it out, and later ones move up.

        Raises:
            ConversationError: The message is shared with a fork, or with what this is a fork of.
        """
        with self._lock, self._transaction("replace"):
            self._own(index)
            self._change(change)
            if message is not None:
                runs.replace(self._database, self._id, index, message)
                return
            runs.remove(self._database, self._id, index)
            self._shorten(self._length() - 1)

    def truncate(self, length: int, change: Change) -> None:
        """Let go of the messages from `length` on.

        Raises:
            ConversationError: Some are shared.
        """
        with self._lock, self._transaction("truncate"):
            if length >= self._length():
                return
            self._own(length)
            self._change(change)
            runs.cut(self._database, self._id, length)
            self._shorten(length)

    def fork(self, at: int, name: str, change: Change) -> SQLiteStore:
        """Return a conversation of the same file that begins with the first `at` messages.

        Raises:
            ConversationError: There is one of that name.
        """
        with self._lock, self._transaction("fork"):
            name = name or self._free_name()
            made = self._database.execute(
                "INSERT OR IGNORE INTO conversations (name, parent, base, length, metadata)"
                " VALUES (?, ?, ?, ?, ?)",
                (name, self._id, at, at, self._changed(change)),
            )
            if not made.rowcount:
                raise ConversationError(f"there is a conversation {name!r} already", code="exists")
        return SQLiteStore(self._path, name, sync=self._sync)

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        with self._lock, self._reported("read"):
            row = self._row("metadata")
        noted: Metadata = json.loads(row)
        return noted

    def note(self, change: Change) -> None:
        """Add to what is noted."""
        with self._lock, self._transaction("note"):
            self._change(change)

    def vacuum(self) -> None:
        """Give the room of what was replaced or let go of back to the disk."""
        with self._lock, self._reported("vacuum"):
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._closed = True
            self._let_go(self._blobs)
            self._database.close()

    def _found_or_made(self, name: str) -> int:
        found = self._database.execute("SELECT id FROM conversations WHERE name = ?", (name,))
        row = found.fetchone()
        if row is None:
            with self._transaction("make"):
                self._database.execute(
                    "INSERT OR IGNORE INTO conversations (name) VALUES (?)", (name,)
                )
            return self._found_or_made(name)
        made: int = row[0]
        return made

    def _row(self, columns: str) -> Any:  # a column's own type; of several a tuple
        found = self._database.execute(
            f"SELECT {columns} FROM conversations WHERE id = ?", (self._id,)
        ).fetchone()
        if found is None:
            raise ConversationError(f"{self._path.name}: {self._name!r} is gone", code="changed")
        return found if len(found) > 1 else found[0]

    def _length(self) -> int:
        length: int = self._row("length")
        return length

    def _ranges(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Return whose messages those from `start` to before `stop` are, the earliest first."""
        found: list[tuple[int, int, int]] = []
        owner: int | None = self._id
        while owner is not None and start < stop:
            parent, base = self._database.execute(
                "SELECT parent, base FROM conversations WHERE id = ?", (owner,)
            ).fetchone()
            if stop > base:
                found.append((owner, max(start, base), stop))
            owner, stop = parent, min(stop, base)
        return found[::-1]

    def _own(self, index: int) -> None:
        """Refuse to change message number `index` where it is not this conversation's alone."""
        shared = self._row("base")
        if index >= shared:
            row = self._database.execute(
                "SELECT COALESCE(MAX(base), 0) FROM conversations WHERE parent = ?", (self._id,)
            ).fetchone()
            shared = row[0]
        if index < shared:
            raise ConversationError(
                f"message {index} of {self._path.name} is shared with a fork", code="shared"
            )

    def _change(self, change: Change) -> None:
        self._database.execute(
            "UPDATE conversations SET metadata = ? WHERE id = ?", (self._changed(change), self._id)
        )

    def _changed(self, change: Change) -> str:
        whole = merged(json.loads(self._row("metadata")), change)
        return json.dumps(whole, ensure_ascii=False, allow_nan=False)

    def _shorten(self, length: int) -> None:
        self._database.execute(
            "UPDATE conversations SET length = ?, loose = MIN(loose, ?) WHERE id = ?",
            (length, length, self._id),
        )

    def _blocks(self, owner: int, start: int, stop: int) -> RunBlocks:
        with self._lock, self._reported("read"):
            cursor = self._database.cursor()  # a connection remembers the last 200 of its cursors

        def read(start: int) -> list[tuple[runs.Run, bytes | None]]:
            with self._lock, self._reported("read"):
                return runs.read(cursor, owner, start, stop)

        return RunBlocks(read, self._pieces, (start, stop), name=self._path.name)

    def _pieces(self, row: int, size: int) -> Iterator[bytes]:
        """Yield a large message; its BLOB stays open, as finding a place in one goes over it."""
        at, blob = 0, None
        try:
            while at < size:
                with self._lock, self._reported("read", lets_go=False):
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

    def _free_name(self) -> str:
        names = {row[0] for row in self._database.execute("SELECT name FROM conversations")}
        number = 1
        while (name := f"{self._name or 'fork'}.{number}") in names:
            number += 1
        return name

    @contextmanager
    def _transaction(self, what: str) -> Iterator[None]:
        """Do all of it or nothing; the write lock is taken at once: nobody comes between."""
        with self._reported(what):
            if _identity(self._path) != self._there:
                raise ConversationError(
                    f"{self._path.name} was removed or replaced while it was open: put it back, or"
                    " open it again to begin anew",
                    code="changed",
                )
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _opened(self, row: int, size: int) -> sqlite3.Blob:
        there = self._database.execute("SELECT LENGTH(data) FROM runs WHERE id = ?", (row,))
        if there.fetchone() != (size + 1,):
            raise ConversationError(
                f"{self._path.name}: a message was replaced or taken out while it was read",
                code="changed",
            )
        blob = self._database.blobopen("runs", "data", row, readonly=True)
        self._blobs.add(blob)
        return blob

    def _let_go(self, blobs: set[sqlite3.Blob]) -> None:
        """Close BLOBs: an open one holds what is read to what was there when it was opened."""
        for blob in blobs:
            blob.close()
        self._blobs = self._blobs - blobs

    @contextmanager
    def _reported(self, what: str, *, lets_go: bool = True) -> Iterator[None]:
        """Put SQLite's errors into our words."""
        if self._closed:
            raise ConversationError(f"{self._path.name} is closed", code="closed")
        if self._process != os.getpid():  # https://sqlite.org/howtocorrupt.html, 2.6
            raise ConversationError(
                f"{self._path.name} was opened before this process was forked: open it again here",
                code="locked",
            )
        try:
            if lets_go and self._blobs:
                self._let_go(self._blobs)
            yield
        except sqlite3.Error as error:
            raise _failed(f"cannot {what} {self._path.name}", error) from error


def conversations_in(path: Path) -> list[str]:
    """Return the names of a file's conversations, which may be none.

    Raises:
        ConversationError: It cannot be read, or is no database.
    """
    try:
        return names_in(path)
    except sqlite3.Error as error:
        raise _failed(f"cannot read {path.name}", error) from error


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
