"""What is known of a JSONL conversation beside its messages: a small file of its own.

It is written anew and renamed, so that it is always whole; behind its first line may be lines of
notes that were added since (`penstock.conversations.jsonl_notes`). Where it is missing or older
than the messages, nothing is lost but the trust in lines that it does not vouch for: they are
checked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from penstock.conversations.atomic import beside, fresh_beside, named
from penstock.conversations.canonical import BLOCK
from penstock.conversations.handles import private
from penstock.conversations.plain import Spans
from penstock.conversations.stores import Metadata, failed
from penstock.errors import ConversationError

__all__ = ["VERSION", "Sidecar"]

VERSION = 3
"""Of the form of these files; a later one is refused, an earlier one is written anew."""
_MOST_PAST = 128
"""Earlier generations that are remembered, two for each change: a fork of an older one is refused,
which is safe."""


@dataclass(slots=True)
class Sidecar:
    """The facts."""

    version: int = VERSION
    """The form's version."""
    checked: int = 0
    """Bytes of the messages that are known to be messages."""
    count: int = 0
    """How many messages those are."""
    checksum: int | None = 0
    """CRC-32 of those bytes; None where it is not known."""
    plain: Spans = field(default_factory=list)
    """Where in those bytes each message is only a role and a text."""
    generation: str = ""
    """Changes whenever messages are rewritten or cut: a fork knows its parent by it. It is empty
    until anything is beside the messages."""
    past: dict[str, int] = field(default_factory=dict)
    """Earlier generations, and how many bytes of theirs are still what they were."""
    shared: list[tuple[str, str, int]] = field(default_factory=list)
    """What a fork begins with, in order: a file's name in the same folder, its generation, and how
    many of its bytes."""
    metadata: Metadata = field(default_factory=dict)
    """The caller's own notes."""
    after: tuple[int, Metadata] | None = None
    """While messages are rewritten or cut: how many bytes there are once they are, and what is
    noted then."""

    @classmethod
    def of(cls, messages: Path) -> Sidecar:
        """Return what is known of the file `messages`.

        Raises:
            ConversationError: The sidecar is of a later version, or is none.
        """
        return cls.seen(messages)[0]

    @classmethod
    def seen(cls, messages: Path) -> tuple[Sidecar, bytes]:
        """Return the same, and the `digest` of what says so.

        Raises:
            ConversationError: The sidecar is of a later version, or is none.
        """
        try:
            data = beside(messages).read_bytes()
        except FileNotFoundError:
            return cls(), b""
        except OSError as error:
            raise failed(f"cannot read {beside(messages).name}", error) from error
        return cls._of(messages, data), sha256(data).digest()

    @staticmethod
    def digest(messages: Path) -> bytes:
        """Return the SHA-256 of what is beside the file `messages`; ``b""`` where nothing is.

        Raises:
            ConversationError: It cannot be read.
        """
        found = sha256()
        try:
            with beside(messages).open("rb", buffering=0) as file:
                while data := file.read(BLOCK):
                    found.update(data)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed(f"cannot read {beside(messages).name}", error) from error
        return found.digest()

    @classmethod
    def _of(cls, messages: Path, data: bytes) -> Sidecar:
        # The first is whole without a newline, the last of the others torn.
        first, *lines = data.split(b"\n")
        try:
            found = _decoded(first)
        except ValueError as error:
            raise _damaged(messages, str(error)) from None
        if not isinstance(found, dict) or not isinstance(found.get("version"), int):
            raise _damaged(messages, "it has no version")
        if found["version"] > VERSION:
            raise ConversationError(
                f"{messages.name} was written by a later penstock (form {found['version']}; this "
                f"one knows {VERSION})",
                code="damaged",
            )
        if found["version"] < 2:
            found["checksum"] = None
        try:
            side = msgspec.convert(found | {"version": VERSION}, cls)
            added = _decoded(b"[%s]" % b",".join(lines[:-1]))
            for notes in msgspec.convert(added, list[dict[str, Any]]):
                side.metadata.update(notes)
        except (msgspec.ValidationError, ValueError) as error:
            raise _damaged(messages, str(error)) from None
        return side

    def turned(self, unchanged: int) -> Sidecar:
        """Return what is known once the bytes behind the first `unchanged` are rewritten."""
        past = {**self.past, self.generation: unchanged}
        left = [(each, min(size, unchanged)) for each, size in past.items() if each and size]
        return replace(self, generation=uuid4().hex, past=dict(left[-_MOST_PAST:]))

    def settled(self, size: int) -> Sidecar:
        """Return what is known where `size` bytes are there: it says whether they are rewritten."""
        if self.after is None:
            return self
        done, metadata = self.after
        if size != done:
            return replace(self, after=None)
        settled = replace(self, metadata=metadata, after=None)
        settled.know(0, 0, 0)
        return settled

    def unchanged(self, generation: str, size: int) -> int:
        """Return how many of the bytes of a generation are what they were, of `size` at most."""
        return size if generation == self.generation else self.past.get(generation, 0)

    @staticmethod
    def is_beside(messages: Path) -> bool:
        """Whether anything is known of the file `messages`."""
        return beside(messages).exists()

    def know(self, checked: int, count: int, checksum: int | None) -> None:
        """Vouch for the first `checked` bytes; where those are none, nothing of them is plain."""
        self.checked, self.count, self.checksum = checked, count, checksum
        self.plain = self.plain if checked else []

    def found_or_written(self, messages: Path) -> None:
        """Keep it beside the file `messages`, unless there is one: its writer's is newer.

        Its generation is that one's then, where it has none of its own.

        Raises:
            ConversationError: It cannot be written.
        """
        own = self.generation
        if not self.is_beside(messages):
            with suppress(FileExistsError):  # the writer has noted something by now
                self._write(messages, named)
                return
        self.generation = own or self.of(messages).generation

    def write(self, messages: Path, *, sync: bool = False) -> None:
        """Keep it beside the file `messages`.

        Args:
            messages: The file.
            sync: Whether to wait for the disk: after a power cut it is the old one or the new.

        Raises:
            ConversationError: It cannot be written.
        """
        # One that a reader made for a fork is gone on with.
        self.generation = self.generation or self.of(messages).generation
        self._write(messages, Path.replace, sync=sync)

    def _write(
        self, messages: Path, name: Callable[[Path, Path], object], *, sync: bool = False
    ) -> None:
        path = beside(messages)
        self.generation = self.generation or uuid4().hex
        try:
            with fresh_beside(path) as fresh:
                with open(fresh, "x", encoding="utf-8", opener=private) as file:
                    file.write(json.dumps(asdict(self), ensure_ascii=False, allow_nan=False) + "\n")
                    if sync:
                        file.flush()
                        os.fsync(file.fileno())
                name(fresh, path)
        except FileExistsError:
            raise
        except OSError as error:
            raise failed(f"cannot write {path.name}", error) from error


def _decoded(data: bytes) -> Any:  # Any: JSON
    return json.loads(data.decode("utf-8"))


def _damaged(messages: Path, why: str) -> ConversationError:
    return ConversationError(
        f"{beside(messages).name} is damaged: {why}; move it away to go on with the messages alone:"
        " what was noted is lost then, and where a fork begins",
        code="damaged",
    )
