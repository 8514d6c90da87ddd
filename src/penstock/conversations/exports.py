"""A conversation as a JSONL file that needs nothing beside it: written, and read again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.conversations.atomic import fresh_beside, named
from penstock.conversations.canonical import message_of, whole_lines
from penstock.conversations.handles import private
from penstock.conversations.jsonl import JSONLStore
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.sqlite import SUFFIXES
from penstock.conversations.stores import failed
from penstock.conversations.unmoved import Unmoved
from penstock.errors import ConfigurationError, ConversationError, EncodeError

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Mark, Store

__all__ = ["exported", "imported"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_AGAIN = 3
"""Times that an export begins anew where messages were taken out under it, as a turn that is taken
back."""
_BOM = b"\xef\xbb\xbf"


def exported(store: Store, path: Path) -> int:
    """Write the messages of a store to a new file, whole or not at all; return how many.

    Raises:
        ConversationError: The file cannot be written, or one that a message refers to has changed.
        FileExistsError: There is a file at `path`.
    """
    try:
        if path.exists():
            raise FileExistsError(f"there is a file {path} already")
        for _ in range(_AGAIN):
            end = store.mark()
            try:
                return _written(store, end, path)
            except ConversationError:
                if store.mark().seen == end.seen:
                    raise
        return _written(store, store.mark(), path)
    except FileExistsError:
        raise
    except OSError as error:
        raise failed(f"cannot export to {path}", error) from error


def _written(store: Store, end: Mark, path: Path) -> int:
    """Write the messages beside `path`, where nobody else does, and give the file its name."""
    with fresh_beside(path) as fresh:
        count = 0
        with open(fresh, "xb", opener=private) as file:
            for pieces, messages in whole_lines(_compared(store, end), store.metadata):
                file.writelines(pieces)
                count += messages
        named(fresh, path)
    return count


def _compared(store: Store, end: Mark) -> Blocks:
    """Return the messages before a mark, compared with what was appended where that is known.

    A line that another program broke is not written to a file that says nothing of it.
    """
    blocks = store.whole(end, compared=True)
    return blocks if end.checksum is not None else Unmoved(blocks, partial(store.check, end))


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
            for pieces, _ in whole_lines(_compared(store, store.mark()), store.metadata):
                for line in b"".join(pieces)[:-1].split(b"\n"):
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
