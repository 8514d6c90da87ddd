"""The tables of an SQLite file of conversations, and how earlier forms become the present one."""

from __future__ import annotations

import json
import sqlite3
from time import monotonic, sleep

from penstock.conversations.sqlite_notes import put
from penstock.errors import ConversationError

__all__ = ["APPLICATION_ID", "BUSY", "VERSION", "names_in", "prepare"]

APPLICATION_ID = 0x50454E53
"""``PENS`` in ASCII: SQLite's ``application_id`` tells whose file it is."""

_STEPS = (
    # 0 -> 1
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        parent INTEGER REFERENCES conversations (id),
        base INTEGER NOT NULL DEFAULT 0,
        length INTEGER NOT NULL DEFAULT 0,
        loose INTEGER NOT NULL DEFAULT 0,
        metadata TEXT NOT NULL DEFAULT '{}'
    );
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (id),
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (conversation, first)
    );
    """,
    # 1 -> 2
    """
    ALTER TABLE runs ADD COLUMN plain INTEGER NOT NULL DEFAULT 0
    """,
    # 2 -> 3, with `_note_in_rows`
    """
    CREATE TABLE notes (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (id),
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (conversation, name)
    )
    """,
)
"""What makes each version of the one before it; ``user_version`` counts the steps taken.

A conversation has the messages of its own from number `base` on; those before are its parent's. A
run is neighbouring messages, each with its newline: number `first` and so on; a message above a
block is a run by itself. It is `plain` if each is only a role and a text: 0 and 1 are in a row's
header, which is read without the data before them. From number `loose` on the runs are small, and
are put together when there are many. What is noted is a row each, the value as JSON; `metadata`
had all of it in the first two forms, and is empty: each append writes the row that it is in.
"""
_IN_ROWS = 3
"""The version since which notes are rows."""
_CACHE = 256
"""KiB of pages in memory; SQLite's default is 2,000, and a conversation is read once through."""
_PAGE = 8192
"""Bytes of a page; a run has several, and half as many cost less to read than the default's."""
BUSY = 30.0
"""Seconds for which another process is waited for."""
_AGAIN = 0.01
"""Seconds after which it is tried again where SQLite does not wait."""
VERSION = len(_STEPS)
"""The present version."""


def prepare(database: sqlite3.Connection, name: str, *, sync: bool, reads: bool = False) -> None:
    """Make `database` a file of conversations of the present version.

    Args:
        database: An open file, in autocommit mode.
        name: The file's name, for errors.
        sync: Whether a transaction waits for the disk.
        reads: Whether it can only be read.

    Raises:
        ConversationError: It is another program's, or of a later version.
        sqlite3.Error: It is no database, or cannot be written.
    """
    database.execute("BEGIN")  # all three as they were at one time: another may be making the file
    whose = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    database.execute("COMMIT")
    if whose != APPLICATION_ID and tables:
        raise ConversationError(f"{name} is another program's database", code="damaged")
    if version > VERSION:
        raise ConversationError(
            f"{name} was written by a later penstock (form {version}; this one knows {VERSION})",
            code="damaged",
        )
    if not reads:
        database.execute(f"PRAGMA page_size = {_PAGE}")  # of a file that is still to be made
        _log_ahead(database)
    database.execute(f"PRAGMA cache_size = -{_CACHE}")
    database.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
    if version < VERSION:
        _migrate(database)


def names_in(database: sqlite3.Connection) -> list[str]:
    """Return the names of a file's conversations, in the order in which they were begun.

    Raises:
        sqlite3.Error: It cannot be read, or is no database.
    """
    known = "SELECT 1 FROM sqlite_master WHERE name = 'conversations'"
    if database.execute(known).fetchone() is None:
        return []
    rows = database.execute("SELECT name FROM conversations ORDER BY id").fetchall()
    return [row[0] for row in rows]


def _log_ahead(database: sqlite3.Connection) -> None:
    """Have what is written logged ahead, so that readers and a writer do not wait for each other.

    While another process does it for the same new file SQLite says that it is busy, and does not
    wait as it does elsewhere (https://sqlite.org/c3ref/busy_handler.html).
    """
    until = monotonic() + BUSY
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(_AGAIN)
        else:
            return


def _note_in_rows(database: sqlite3.Connection) -> None:
    for conversation, noted in database.execute(
        "SELECT id, metadata FROM conversations"
    ).fetchall():
        put(database, conversation, json.loads(noted))
    database.execute("UPDATE conversations SET metadata = '{}' WHERE metadata <> '{}'")


def _migrate(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited.
        version = database.execute("PRAGMA user_version").fetchone()[0]
        for step in _STEPS[version:]:
            for statement in filter(str.strip, step.split(";")):
                database.execute(statement)
        if version < _IN_ROWS:
            _note_in_rows(database)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
