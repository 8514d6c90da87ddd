"""Attachments that a conversation refers to: a line says what they are, a note where they are.

A line has the digest, size and type of a file, and the conversation's notes have the path for it: a
line that somebody else wrote can name no file that this conversation was not given. The file is
read when the message is sent; one that has changed since is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

from penstock.conversations.attachments import KINDS, Attachment
from penstock.conversations.file_bytes import FileBytes
from penstock.conversations.numbered import OURS
from penstock.errors import ConversationError, EncodeError

if TYPE_CHECKING:
    from penstock.conversations.stores import Change, Large

__all__ = [
    "KEY",
    "MARK",
    "Notes",
    "broken",
    "digests_in",
    "forgotten",
    "is_referring",
    "message_in",
    "parsed",
    "referred",
]

# A message of the OpenAI shape, or a part of one.
Json: TypeAlias = Any
Notes: TypeAlias = "Callable[[], Mapping[str, Any]]"
"""Returns what is noted of a conversation. Any: JSON."""


class _File(msgspec.Struct, omit_defaults=True):
    """What a message says of a file that it refers to: `Attachment.described`, and where."""

    part: Annotated[int, msgspec.Meta(ge=0)]
    kind: Literal["image", "audio", "document", "video"]
    sha256: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    media_type: str
    filename: str
    detail: str | None = None


KEY = "penstock_files"
"""A key of a message that refers to files: ``[{"part", "kind", "sha256", "size", ...}]``. In the
place of each part stands None."""
MARK = b"\t"
"""Begins the line of such a message. No other kept line has a tab, which texts write as an escape:
a block is looked through for it in half a microsecond, for the key in ten."""
_NOTE = OURS + "file:"
"""Begins the name of a note, which ends with the digest: ``{"path", "stamp"}``; see `_stamp`."""
_READ = 256 * 1024
_TICK = 2_000_000_000
"""Nanoseconds within which two changes of a file may have the same time: FAT's two seconds."""


def is_referring(data: bytes) -> bool:
    """Whether a line, or several, may have a message that refers to files."""
    return MARK in data


def referred(message: Mapping[str, Json]) -> tuple[Json, dict[str, Json]]:
    """Return a message as its line has it, and what is to be noted of its files.

    Raises:
        EncodeError: It says itself that it refers to files.
    """
    if KEY in message:
        raise EncodeError(f"a message has no {KEY!r}: attach files as typed parts", param=KEY)
    content = message.get("content")
    if not isinstance(content, (list, tuple)):
        return message, {}
    parts: list[Json] = []
    files: list[Json] = []
    notes: dict[str, Json] = {}
    for number, part in enumerate(content):
        if isinstance(part, Attachment) and part.keep == "reference":
            digest, note = _digested(part)
            files.append({"part": number, "sha256": digest, **part.described()})
            notes[_NOTE + digest] = note
            part = None
        elif hasattr(part, "to_openai"):
            part = part.to_openai()
        parts.append(part)
    said = {**message, "content": parts}
    return ({KEY: files, **said} if files else said), notes


def parsed(line: bytes) -> dict[str, Json]:
    """Return the message of a line as it stands there.

    Raises:
        ConversationError: It is none any more: another program has written over it.
    """
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise broken(str(fault)) from None
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise broken("it has no role")
    return message


def broken(why: str) -> ConversationError:
    """Return the error for a line that is not what was kept."""
    return ConversationError(
        f"a message that is kept is none any more, another program has changed it: {why}",
        code="changed",
    )


def message_in(line: bytes, notes: Notes) -> Json:
    """Return the message of a line; files that it refers to are typed parts again.

    Raises:
        ConversationError: It is no message, or what it says of files is not what was kept.
    """
    message = parsed(line)
    if not line.startswith(MARK) or KEY not in message:
        return message
    known = notes()
    content = message.get("content")
    for said in _files(message.pop(KEY)):
        if not isinstance(content, list) or not 0 <= said.part < len(content):
            raise broken(f"it refers to a file in part {said.part}, and has no such part")
        note = known.get(_NOTE + said.sha256) or {}
        where = ReferredBytes(said.sha256, said.size, **note)
        content[said.part] = KINDS[said.kind].of(where, msgspec.structs.asdict(said))
    return message


def digests_in(message: bytes | Large) -> set[str]:
    """Return the digests of the files that a message refers to; none of one that is broken.

    It is asked when messages are taken out, which is what can be done with a broken one.
    """
    begun = message if isinstance(message, bytes) else next(message.pieces())
    if not begun.startswith(MARK):
        return set()
    line = message if isinstance(message, bytes) else b"".join(message.pieces())
    try:
        return {said.sha256 for said in _files(parsed(line).get(KEY, ()))}
    except ConversationError:
        return set()


def _files(said: Json) -> list[_File]:
    try:
        return msgspec.convert(said, list[_File])
    except msgspec.ValidationError as fault:
        raise broken(f"{KEY}: {fault}") from None


def forgotten(digests: Iterable[str]) -> Change:
    """Return what ends the notes of files to which no message refers any more."""
    return lambda _: {_NOTE + digest: None for digest in digests}


def _digested(part: Attachment) -> tuple[str, Json]:
    """Return the digest of a part's file, and what is noted of it."""
    source = part.source
    if isinstance(source, ReferredBytes):
        source.check()
    digest = sha256()
    for data in _blocks(source):
        digest.update(data)
    assert source.path is not None  # `Attachment` has seen to it
    path = source.path.absolute()
    return digest.hexdigest(), {"path": str(path), "stamp": _stamp(path.stat())}


def _stamp(found: os.stat_result) -> list[int]:
    """Return what a file that was not touched has still; nothing where it was so just now.

    Who sets the time of a file back cannot set back that of the inode. What is written within a
    tick of the clock that counts is told by nothing but the digest.
    """
    last = max(found.st_mtime_ns, found.st_ctime_ns)
    if time_ns() - last < _TICK:
        return []
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _blocks(source: FileBytes) -> Iterator[bytes]:
    for offset in range(0, source.size, _READ):
        yield source.read(offset, min(_READ, source.size - offset))


class ReferredBytes(FileBytes):
    """Reads a file that is noted, once it is known to be what it was.

    Args:
        digest: Its SHA-256 in hexadecimal.
        size: Its bytes.
        path: Where it is; ``""`` where the conversation was not given it.
        stamp: What it had then, if that says anything; see `_stamp`.
    """

    def __init__(self, digest: str, size: int, path: str = "", stamp: Sequence[int] = ()) -> None:
        self.path = self._where = Path(path)
        self._compares = True
        self.name = self.path.name
        self.size = size
        self._digest = digest
        self._given = bool(path)
        self._stamp = list(stamp)
        self._seen: tuple[int, ...] = ()

    def check(self) -> None:
        """Look whether the file is what it was: by its stamp, then by its digest.

        Raises:
            ConversationError: It is not, or is gone, or the conversation was not given it.
        """
        if not self._given:
            raise ConversationError(
                f"a message refers to a file {self._digest[:12]} that this conversation was not"
                " given: its notes have no path for it",
                code="changed",
            )
        try:
            with self._where.open("rb", buffering=0) as file:
                self._check(file.fileno())
        except OSError as error:
            raise self._changed(error.strerror or str(error)) from error

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes at an offset.

        Raises:
            ConversationError: The file is not what it was, or cannot be read.
        """
        if not self._given:
            self.check()
        try:
            with self._where.open("rb", buffering=0) as file:
                self._check(file.fileno())
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise self._changed(error.strerror or str(error)) from error

    def _check(self, descriptor: int) -> None:
        now = os.fstat(descriptor)
        found = (now.st_size, now.st_ino, now.st_mtime_ns, now.st_ctime_ns)
        if found == self._seen or [*found] == self._stamp:
            return
        digest = sha256()
        while now.st_size == self.size and (data := os.read(descriptor, _READ)):
            digest.update(data)
        if digest.hexdigest() != self._digest:
            raise self._changed("it is not what it was when it was attached")
        self._seen = found  # touched, copied back: its bytes are the same

    def identity(self) -> str:
        """Return its digest."""
        return self._digest

    def _changed(self, why: str) -> ConversationError:
        return ConversationError(
            f"{self.name}, which a message refers to, cannot be sent: {why}", code="changed"
        )
