"""What is noted of the conversations of an SQLite file: a row for each note.

Adding one reads and writes none of the others, and appending a message reads none at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from penstock.conversations.numbered import PINNED

if TYPE_CHECKING:
    from penstock.conversations.stores import Metadata

__all__ = ["columns", "copy", "numbers", "put", "read"]


def read(database: Connection, conversation: int) -> Metadata:
    """Return what is noted of a conversation."""
    rows = database.execute(
        "SELECT name, value FROM notes WHERE conversation = ? ORDER BY id", (conversation,)
    ).fetchall()
    values = json.loads(f"[{','.join(value for _, value in rows)}]")  # one call for all
    return {name: value for (name, _), value in zip(rows, values, strict=True)}


@cache
def columns(names: tuple[str, ...]) -> str:
    """Return what selects the values of notes, beside others of a row of ``conversations``."""
    value = "SELECT value FROM notes WHERE conversation = conversations.id AND name ="
    return ", ".join(f"({value} '{name}')" for name in names)


def numbers(
    database: Connection, conversation: int, between: tuple[int, int], most: int
) -> list[int]:
    """Return the pinned numbers between two; see `stores.Store.pinned`.

    SQLite goes over the note, so that it is not here as a whole (https://sqlite.org/json1.html).
    """
    order = "ASC" if most > 0 else "DESC"
    found = database.execute(
        "SELECT number.value FROM notes, JSON_EACH(notes.value) AS number"
        " WHERE conversation = ? AND name = ? AND number.value >= ? AND number.value < ?"
        f" ORDER BY number.value {order} LIMIT ?",
        (conversation, PINNED, *between, abs(most)),
    )
    return sorted(row[0] for row in found)


def put(database: Connection, conversation: int, told: Mapping[str, Any]) -> None:  # Any: JSON
    """Note something, which has a JSON form: a value replaces its name's, None ends it."""
    ended = [(conversation, name) for name, value in told.items() if value is None]
    database.executemany("DELETE FROM notes WHERE conversation = ? AND name = ?", ended)
    database.executemany(
        "INSERT INTO notes (conversation, name, value) VALUES (?, ?, ?)"
        " ON CONFLICT (conversation, name) DO UPDATE SET value = excluded.value",
        [
            (conversation, name, json.dumps(value, ensure_ascii=False, allow_nan=False))
            for name, value in told.items()
            if value is not None
        ],
    )


def copy(database: Connection, conversation: int, fork: int) -> None:
    """Note of a fork what is noted of a conversation."""
    database.execute(
        "INSERT INTO notes (conversation, name, value)"
        " SELECT ?, name, value FROM notes WHERE conversation = ? ORDER BY id",
        (fork, conversation),
    )
