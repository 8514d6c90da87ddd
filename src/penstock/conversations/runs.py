"""Runs of messages in an SQLite file: neighbouring ones are kept in one row, up to a block.

A row for each message would cost more to read than the message: at 100 bytes 1.3 of ``json.dumps``,
in runs 0.1. What is appended begins as a small run; many small ones become large ones, in the same
transaction. The functions here are told the conversation and say nothing of forks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from penstock.conversations.canonical import BLOCK
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message

__all__ = [
    "AHEAD",
    "Run",
    "add",
    "cut",
    "find",
    "read",
    "remove",
    "replace",
    "runs_of",
    "size",
    "tidy",
    "within",
]

AHEAD = 4
"""Runs that are read at once: a statement costs half of what reading a block does."""
_MOST_LOOSE = 128
"""Small runs at a conversation's end, before they are put together."""
_RUN = "id, first, count, LENGTH(data), plain"
"""The columns of a `Run`."""
_FROM = (
    "conversation = ? AND first >="
    " COALESCE((SELECT MAX(first) FROM runs WHERE conversation = ? AND first <= ?), ?)"
)
"""From the run on that has a message's number, which is asked for twice."""


class Run(NamedTuple):
    """A row."""

    id: int
    first: int
    """The number of its first message."""
    messages: int
    """How many messages it has."""
    size: int
    """Bytes of their JSON, a newline each included."""
    plain: int
    """Whether each is only a role and a text (`penstock.fields.Lines`)."""

    @property
    def large(self) -> bool:
        """Whether it is one message above a block."""
        return self.size > BLOCK


def runs_of(
    database: sqlite3.Connection, conversation: int, start: int, stop: int
) -> Iterator[Run]:
    """Yield the runs with messages from number `start` to before `stop`, a few rows at once."""
    while start < stop:
        rows = database.execute(
            f"SELECT {_RUN} FROM runs WHERE {_FROM} AND first < ? ORDER BY first LIMIT 64",
            (conversation, conversation, start, start, stop),
        ).fetchall()
        if not rows:
            return
        for row in rows:
            run = Run(*row)
            if run.first + run.messages <= start:
                return  # the last that there is
            start = run.first + run.messages
            yield run


def read(
    cursor: sqlite3.Cursor, conversation: int, start: int, stop: int
) -> list[tuple[Run, bytes | None]]:
    """Return the next `AHEAD` runs of those with messages from number `start` to before `stop`.

    Each comes with its lines, a newline between each two; with None where it is large.
    """
    rows = cursor.execute(
        f"SELECT {_RUN},"
        " CASE WHEN LENGTH(data) <= ? THEN SUBSTR(data, 1, LENGTH(data) - 1) END"
        f" FROM runs WHERE {_FROM} AND first < ? ORDER BY first LIMIT ?",
        (BLOCK, conversation, conversation, start, start, stop, AHEAD),
    )
    found = [(Run(*row[:5]), row[5]) for row in rows]
    return [each for each in found if each[0].first + each[0].messages > start]


def within(run: Run, data: bytes, start: int, stop: int) -> bytes:
    """Return the lines of `run` from message number `start` to before `stop`."""
    first, last = max(start - run.first, 0), stop - run.first
    if not first and last >= run.messages:
        return data
    return b"\n".join(data.split(b"\n")[first:last])


def size(database: sqlite3.Connection, conversation: int, start: int, stop: int) -> int:
    """Return the bytes of the lines from message number `start` to before `stop`."""
    total = 0
    for run in runs_of(database, conversation, start, stop):
        total += run.size
        if start > run.first or run.first + run.messages > stop:
            [(_, data)] = read(database.cursor(), conversation, run.first, run.first + 1)
            total += len(within(run, data or b"", start, stop)) + 1 - run.size
    return total


def find(database: sqlite3.Connection, conversation: int, index: int) -> tuple[Run, list[bytes]]:
    """Return the run with message number `index`, and its lines.

    Raises:
        ConversationError: It is not there any more.
    """
    for run in runs_of(database, conversation, index, index + 1):
        found = database.execute("SELECT data FROM runs WHERE id = ?", (run.id,)).fetchone()
        if found is not None:
            data: bytes = found[0]
            return run, data[:-1].split(b"\n")
    raise ConversationError(
        f"message {index} was taken out or cut off while it was read: read it again",
        code="changed",
    )


def add(
    database: sqlite3.Connection, conversation: int, first: int, messages: Sequence[Message]
) -> None:
    """Insert `messages` as runs from number `first` on; large ones a block at a time."""
    lines: list[bytes] = []
    size, plain = 0, True
    for number, message in enumerate(messages, first):
        large = message.size >= BLOCK
        if lines and (large or size + message.size >= BLOCK):
            _insert(database, conversation, number - len(lines), lines, plain=plain)
            lines, size, plain = [], 0, True
        if large:
            _insert_large(database, conversation, number, message)
        else:
            lines.append(b"".join(message.pieces()))
            size += message.size + 1
            plain = plain and message.plain
    if lines:
        _insert(database, conversation, first + len(messages) - len(lines), lines, plain=plain)


def tidy(database: sqlite3.Connection, conversation: int, loose: int, stop: int) -> int:
    """Put the small runs from `loose` on together, if there are many; return the new `loose`.

    Args:
        database: The file, in a transaction.
        conversation: Whose runs.
        loose: The number from which on they were not put together so far.
        stop: How many messages the conversation has.
    """
    if stop - loose < _MOST_LOOSE:
        return loose
    rows = database.execute(
        f"SELECT {_RUN} FROM runs WHERE conversation = ? AND first >= ? ORDER BY first",
        (conversation, loose),
    ).fetchall()
    if len(rows) < _MOST_LOOSE:
        return loose
    pending: list[Run] = []
    size = 0
    for row in rows:
        run = Run(*row)
        if pending and (run.large or size + run.size > BLOCK):
            _join(database, conversation, pending)
            pending, size = [], 0
        if not run.large:
            pending.append(run)
            size += run.size
    _join(database, conversation, pending)
    return stop


def replace(database: sqlite3.Connection, conversation: int, index: int, message: Message) -> None:
    """Put `message` in the place of number `index`.

    Its row has another id, also where that would be free now: who has read a part of the one is
    told, and does not go on with the other.
    """
    run, lines = _of_several(database, conversation, index)
    at = index - run.first
    between = _insert(database, conversation, -1, (), plain=0)
    _delete(database, run.id)
    if at:
        _insert(database, conversation, run.first, lines[:at], plain=run.plain)
    add(database, conversation, index, [message])
    if lines[at + 1 :]:
        _insert(database, conversation, index + 1, lines[at + 1 :], plain=run.plain)
    _delete(database, between)


def remove(database: sqlite3.Connection, conversation: int, index: int) -> None:
    """Take out number `index`; those behind it move up."""
    run, lines = _of_several(database, conversation, index)
    _delete(database, run.id)
    del lines[index - run.first]
    if lines:
        _insert(database, conversation, run.first, lines, plain=run.plain)
    # Two steps, by way of negative numbers: SQLite checks the key row by row.
    moved = "UPDATE runs SET first = {} WHERE conversation = ? AND {}"
    database.execute(moved.format("-first", "first > ?"), (conversation, index))
    database.execute(moved.format("-1 - first", "first < 0"), (conversation,))


def cut(database: sqlite3.Connection, conversation: int, length: int) -> None:
    """Let go of the messages from number `length` on."""
    for run in list(runs_of(database, conversation, length, length + 1)):
        if run.first < length:
            _, lines = find(database, conversation, length)
            _delete(database, run.id)
            _insert(database, conversation, run.first, lines[: length - run.first], plain=run.plain)
    database.execute(
        "DELETE FROM runs WHERE conversation = ? AND first >= ?", (conversation, length)
    )


def _of_several(
    database: sqlite3.Connection, conversation: int, index: int
) -> tuple[Run, list[bytes]]:
    """Return what `find` does; of a large message, of which nothing is kept, not its line."""
    run = next(runs_of(database, conversation, index, index + 1))
    return (run, [b""]) if run.large else find(database, conversation, index)


def _insert(
    database: sqlite3.Connection,
    conversation: int,
    first: int,
    lines: Sequence[bytes],
    *,
    plain: int,
) -> int:
    """Insert a run; return its row."""
    row = database.execute(
        "INSERT INTO runs (conversation, first, count, data, plain) VALUES (?, ?, ?, ?, ?)",
        (conversation, first, len(lines), b"\n".join([*lines, b""]), plain),
    ).lastrowid
    assert row is not None
    return row


def _insert_large(
    database: sqlite3.Connection, conversation: int, number: int, message: Message
) -> None:
    row = database.execute(
        "INSERT INTO runs (conversation, first, count, data) VALUES (?, ?, 1, ZEROBLOB(?))",
        (conversation, number, message.size + 1),
    ).lastrowid
    assert row is not None
    with database.blobopen("runs", "data", row) as blob:
        for piece in message.pieces():
            blob.write(piece)
        blob.write(b"\n")


def _delete(database: sqlite3.Connection, row: int) -> None:
    database.execute("DELETE FROM runs WHERE id = ?", (row,))


def _join(database: sqlite3.Connection, conversation: int, runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        return
    marks = ", ".join("?" * len(runs))
    ids = [run.id for run in runs]
    data = database.execute(f"SELECT data FROM runs WHERE id IN ({marks}) ORDER BY first", ids)
    lines = [row[0] for row in data]
    database.execute(f"DELETE FROM runs WHERE id IN ({marks})", ids)
    database.execute(
        "INSERT INTO runs (conversation, first, count, data, plain) VALUES (?, ?, ?, ?, ?)",
        (
            conversation,
            runs[0].first,
            sum(run.messages for run in runs),
            b"".join(lines),
            all(run.plain for run in runs),
        ),
    )
