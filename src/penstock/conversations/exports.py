"""A conversation as a JSONL file that needs nothing beside it: written, and read again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.conversations.canonical import message_of, whole_lines
from penstock.conversations.handles import private
from penstock.conversations.jsonl import JSONLStore
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.sqlite import SUFFIXES
from penstock.conversations.stores import failed
from penstock.errors import ConfigurationError, EncodeError

if TYPE_CHECKING:
    from penstock.conversations.stores import Store

__all__ = ["exported", "imported"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_BOM = b"\xef\xbb\xbf"


def exported(store: Store, path: Path) -> int:
    """Write the messages of a store to a new file, whole or not at all; return how many.

    Raises:
        ConversationError: The file cannot be written, or one that a message refers to has changed.
        FileExistsError: There is a file at `path`.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        if path.exists():
            raise FileExistsError(f"there is a file {path} already")
        with open(fresh, "wb", opener=private) as file:
            count = 0
            for pieces, messages in whole_lines(store.whole(), store.metadata):
                file.writelines(pieces)
                count += messages
        fresh.rename(path)
    except BaseException as error:
        fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            raise failed(f"cannot export to {path}", error) from error
        raise
    return count


def imported(path: Path) -> Iterator[Json]:
    """Yield the messages of a file, as many as there are now.

    A file that a conversation is kept in may begin in another one, or refer to files: what it
    yields is what `exported` writes of it.

    Raises:
        ConfigurationError: It is an SQLite file.
        EncodeError: A line is no message; it says which.
        ConversationError: It is a conversation's, and cannot be read.
    """
    if path.suffix in SUFFIXES:
        raise ConfigurationError(
            f"{path.name} is an SQLite file: export a conversation of it, and load what that wrote"
        )
    if Sidecar.is_beside(path):
        store = JSONLStore(path)
        try:
            for pieces, _ in whole_lines(store.whole(), store.metadata):
                for line in b"".join(pieces).splitlines():
                    yield msgspec.json.decode(line)
        finally:
            store.close()
        return
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size  # it may be the file that is appended to
        for number, line in enumerate(file, 1):
            if left <= 0:
                return
            left -= len(line)
            if line.strip():
                yield _message(line, f"{path.name}, line {number}")


def _message(line: bytes, where: str) -> Json:
    """Return the message of a line."""
    try:
        message = msgspec.json.decode(line.removeprefix(_BOM))
        if isinstance(message, list) or (isinstance(message, dict) and "messages" in message):
            raise EncodeError("there is a list of messages: put each on a line of its own")
        message_of(message)
    except msgspec.DecodeError as fault:
        raise EncodeError(f"{where}: {fault}; each line is to be one message's JSON") from None
    except EncodeError as fault:
        raise EncodeError(f"{where}: {fault}") from None
    return message
