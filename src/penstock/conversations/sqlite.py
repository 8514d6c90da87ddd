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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.conversations import runs, sqlite_notes
from penstock.conversations.database import Database
from penstock.conversations.numbered import SEEN, seen_in
from penstock.conversations.runblocks import RunBlocks
from penstock.conversations.stores import Chained, Mark, checked_notes
from penstock.conversations.unmoved import check_unmoved
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.stores import Change, Metadata

__all__ = ["SUFFIXES", "SQLiteStore"]

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
        self._name = name
        self._sync = sync
        self._file = Database(path, sync=sync)
        self._database = self._file.connection
        try:
            with self._file.reported("open"):
                self._id = self._found_or_made(name)
        except BaseException:
            self._file.close()
            raise

    def length(self) -> int:
        """Return how many messages there are."""
        with self._file.reported("read"):
            return self._length()

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        with self._file.reported("read"):
            total = 0
            for owner, start, stop in self._ranges(0, self._length()):
                total += runs.size(self._database, owner, start, stop)
            return total

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`, all or none of them; return the index of the first.

        Raises:
            ConversationError: The disk is full, or another writer did not finish.
        """
        with self._file.transaction("append"):
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
        with self._file.reported("read"):
            ranges = self._ranges(start, min(stop, self._length()))
        return Chained(self._blocks(*each) for each in ranges)

    def mark(self, *, summed: bool = True) -> Mark:
        """Return how many messages there are."""
        with self._file.reported("read"):
            length, seen = self._noted_as(SEEN)
        return Mark(length, messages=length, seen=seen_in(seen))

    def check(self, mark: Mark) -> None:
        """Look whether the messages before a mark have the numbers that they had.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        with self._file.reported("read"):
            _, seen = self._noted_as(SEEN)
        check_unmoved(seen, mark.seen.moves, mark.messages)

    def whole(self, mark: Mark, *, compared: bool = False) -> Chained:
        """Return the messages that there were at a mark.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        self.check(mark)
        return self.blocks(0, mark.at)

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        with self._file.reported("read"):
            ranges = self._ranges(0, min(stop, self._length()))
        for owner, first, last in reversed(ranges):
            while first < last:
                with self._file.reported("read"):
                    run, lines = runs.find(self._database, owner, last - 1)
                yield from reversed(lines[max(first - run.first, 0) : last - run.first])
                last = run.first

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another; None takes it out, and later ones move up.

        Raises:
            ConversationError: The message is shared with a fork, or with what this is a fork of.
        """
        with self._file.transaction("replace"):
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
        with self._file.transaction("truncate"):
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
        with self._file.transaction("fork"):
            name = name or self._free_name()
            told = self._told(change)
            made = self._database.execute(
                "INSERT OR IGNORE INTO conversations (name, parent, base, length)"
                " VALUES (?, ?, ?, ?)",
                (name, self._id, at, at),
            )
            if not made.rowcount or made.lastrowid is None:
                raise ConversationError(f"there is a conversation {name!r} already", code="exists")
            sqlite_notes.copy(self._database, self._id, made.lastrowid)
            sqlite_notes.put(self._database, made.lastrowid, told)
        return SQLiteStore(self._file.path, name, sync=self._sync)

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        with self._file.reported("read"):
            return self._noted()

    def numbered(self, names: Sequence[str]) -> Metadata:
        """Return the notes of these names, which say something of messages by their numbers."""
        with self._file.reported("read"):
            return self._noted_as(tuple(names))[1]

    def pinned(self, start: int, stop: int, most: int) -> Sequence[int]:
        """Return the numbers of the pinned messages from `start` to before `stop`, in order."""
        with self._file.reported("read"):
            return sqlite_notes.numbers(self._database, self._id, (start, stop), most)

    def note(self, change: Change) -> None:
        """Add to what is noted."""
        with self._file.transaction("note"):
            self._change(change)

    def add(self, notes: Mapping[str, Any]) -> None:  # Any: JSON
        """Add to what is noted, whatever that is."""
        told = checked_notes(notes)
        with self._file.transaction("note"):
            self._length()  # it is there
            sqlite_notes.put(self._database, self._id, told)

    def vacuum(self) -> None:
        """Give the room of what was replaced or let go of back to the disk."""
        with self._file.reported("vacuum"):
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def _found_or_made(self, name: str) -> int:
        found = self._database.execute("SELECT id FROM conversations WHERE name = ?", (name,))
        row = found.fetchone()
        if row is None:
            with self._file.transaction("make"):
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
            raise ConversationError(
                f"{self._file.path.name}: {self._name!r} is gone", code="changed"
            )
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
                f"message {index} of {self._file.path.name} is shared with a fork", code="shared"
            )

    def _change(self, change: Change) -> None:
        sqlite_notes.put(self._database, self._id, self._told(change))

    def _told(self, change: Change) -> Mapping[str, Any]:  # Any: JSON
        return checked_notes(change(self._noted()))

    def _noted(self) -> Metadata:
        self._length()  # it is there
        return sqlite_notes.read(self._database, self._id)

    def _noted_as(self, names: tuple[str, ...]) -> tuple[int, Metadata]:
        """Return the length, and what is noted under `names`, as they are at one time."""
        length, *values = self._row(f"length, {sqlite_notes.columns(names)}")
        noted = zip(names, values, strict=True)
        return length, {name: json.loads(value) for name, value in noted if value is not None}

    def _shorten(self, length: int) -> None:
        self._database.execute(
            "UPDATE conversations SET length = ?, loose = MIN(loose, ?) WHERE id = ?",
            (length, length, self._id),
        )

    def _blocks(self, owner: int, start: int, stop: int) -> RunBlocks:
        with self._file.reported("read"):
            cursor = self._database.cursor()  # a connection remembers the last 200 of its cursors

        def read(start: int) -> list[tuple[runs.Run, bytes | None]]:
            with self._file.reported("read"):
                return runs.read(cursor, owner, start, stop)

        return RunBlocks(read, self._file.pieces, (start, stop), name=self._file.path.name)

    def _free_name(self) -> str:
        names = {row[0] for row in self._database.execute("SELECT name FROM conversations")}
        number = 1
        while (name := f"{self._name or 'fork'}.{number}") in names:
            number += 1
        return name
