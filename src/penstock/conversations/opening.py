"""Which store a conversation is kept in, by the suffix of its path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.conversations.database import conversations_in
from penstock.conversations.jsonl import JSONLStore
from penstock.conversations.memory import MemoryStore
from penstock.conversations.sqlite import SUFFIXES as SQLITE
from penstock.conversations.sqlite import SQLiteStore
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike

    from penstock.conversations.stores import Store

__all__ = ["names_at", "open_store"]


def open_store(path: str | PathLike[str] | None, name: str, *, fsync: bool) -> Store:
    """Return the store that a path's suffix stands for; None is memory.

    Raises:
        ConfigurationError: The suffix is none of those.
        ConversationError: There is something else there.
    """
    if path is None:
        return MemoryStore()
    if not isinstance(name, str):  # such as a user's that is not known: not everybody's
        raise ConfigurationError(f"name= is text, not {type(name).__name__}", param="name")
    where = Path(path).absolute()  # it stays the same file when the program changes its folder
    if where.suffix in SQLITE:
        return SQLiteStore(where, name, sync=fsync)
    if name:
        raise ConfigurationError(f"{where.name} holds one conversation: name= is for SQLite files")
    if where.suffix == ".jsonl":
        if not hasattr(os, "pread"):
            raise ConfigurationError(
                f"{where.name}: this system cannot read a file at two places at once (os.pread):"
                " keep the conversation in SQLite (.db)"
            )
        return JSONLStore(where, sync=fsync)
    raise ConfigurationError(
        f"a conversation is kept in a .jsonl, .db or .sqlite file, not in {where.name!r}"
    )


def names_at(path: str | PathLike[str]) -> list[str]:
    """Return which conversations a file has, the first one first; it is not made or changed.

    Raises:
        ConversationError: It cannot be read, or is no such file.
    """
    where = Path(path)
    if not where.exists():
        return []
    return conversations_in(where) if where.suffix in SQLITE else [""]
