"""A JSONL conversation while it is open: its lines, those that it shares, what is noted of them.

Others may write to its files meanwhile: each call looks first. What is known here is true or not
known at all: an exception may come between any two steps, as Ctrl-C does.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from penstock.conversations.chain import Chain
from penstock.conversations.files import MessageFile
from penstock.conversations.jsonl_notes import AddedNotes
from penstock.conversations.lines import LineFile
from penstock.conversations.shared import Shared
from penstock.conversations.sidecar import Sidecar
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.stores import Metadata

__all__ = ["Opened"]


class Opened:
    """A conversation's files.

    Args:
        path: Where its messages are.
        sync: Whether what is written waits for the disk.

    Raises:
        ConversationError: There is something else at `path`, or a file that it begins in has
            changed.
    """

    def __init__(self, path: Path, *, sync: bool) -> None:
        self.path = path
        """Where its messages are."""
        self.sync = sync
        """Whether what is written waits for the disk."""
        self.added = AddedNotes(path)
        """Lines of notes behind what was written beside them."""
        self.dirty = False
        """Whether more is known of the messages than is written beside them."""
        self._closed = False
        self._seen: bytes | None
        """The digest of the notes that are known; None while it is not certain that they are."""
        side, self._seen = Sidecar.seen(path)
        self.file = MessageFile(path)
        """The file."""
        self.side = side.settled(self.file.end)
        """What is known of its lines."""
        self._shared: list[Shared] = []
        try:
            for name, generation, size in self.side.shared:
                where = path.with_name(name)
                self._shared.append(Shared(where, generation, size, fork=path.name))
        except BaseException:
            self.close()
            raise
        self.lines = self._own_lines(self.file.end)
        """The lines of the file itself."""
        self._generation: str | None = self.side.generation
        """That which the lines are of; None while that is not known."""
        self.chain = Chain([*(shared.lines for shared in self._shared), self.lines])
        """All lines."""

    def look(self) -> bool:
        """Take note of what another process has written since; return whether it has.

        Raises:
            ConversationError: It is closed, or what it shares has changed.
        """
        self.check_open()
        self.check_shared()
        if self._generation is not None and self.file.is_as_seen():
            return False
        handle, generation = self.file.handle, self._generation
        self.know_nothing()
        self.file.renew()
        self._look_beside()
        is_same = self.file.handle is handle and self.side.generation == generation
        if is_same and self.file.end >= self.lines.end:
            self.lines.grown(self.file.end)
            self._generation = generation
        else:
            self.read_anew(self.file.end)
        return True

    def begin_writing(self) -> None:
        """Become the one writer, who knows all that others have written; idempotent.

        Raises:
            ConversationError: Another is, or the file was replaced or cut by another program.
        """
        self.check_open()
        self.check_shared()
        if self._generation is not None and self.file.still_writes(self.lines.end):
            return
        self.know_nothing()
        self.file.lock()
        if self._look_beside():  # a writer was killed while it rewrote
            self.side = replace(self.side, generation=uuid4().hex)
            self.keep_beside()
        self.read_anew(self.file.end)
        self.file.writes = True

    def know_nothing(self) -> None:
        """Have the next call look at everything anew, unless this one comes to its end."""
        self.file.writes = False
        self._generation = self._seen = None

    def read_anew(self, end: int) -> None:
        """Take the lines, which end at `end`, for others than they were."""
        self.lines = self.chain.files[-1] = self._own_lines(end)
        self._generation = self.side.generation

    def know_all(self) -> None:
        """Say that what is known is so again, and go on writing."""
        self._generation, self.file.writes = self.side.generation, True

    def noted(self) -> Metadata:
        """Return what is noted now; what was doubted of the lines stays so."""
        if self._closed:
            return self.side.metadata
        self.look()  # how large the file is says which notes are true
        # What says the same as before is not taken in again: there may be many notes.
        if not self.file.writes and Sidecar.digest(self.path) != self._seen:
            found, seen = Sidecar.seen(self.path)
            found = found.settled(self.file.end)
            if found.generation == self.side.generation:
                self.side.metadata, self._seen = found.metadata, seen
            else:  # of a file that looks as it did
                self.know_nothing()
                self.look()
        return self.side.metadata

    def keep_beside(self) -> None:
        """Write what is known of the lines.

        Raises:
            ConversationError: It cannot be written.
        """
        self.put_beside(self.side)

    def put_beside(self, side: Sidecar) -> None:
        """Write `side` as a whole; it is not taken for what is known.

        Raises:
            ConversationError: It cannot be written.
        """
        side.write(self.path, sync=self.sync)
        self.added.know()

    def check_open(self) -> None:
        """Refuse to go on once it is closed."""
        if self._closed:
            raise ConversationError(f"{self.path.name} is closed", code="closed")

    def check_shared(self) -> None:
        """Look whether the messages of others are what they were.

        Raises:
            ConversationError: They are not.
        """
        for shared in self._shared:
            shared.check()

    def own(self, index: int) -> int:
        """Return the number of a message among the file's own.

        Raises:
            ConversationError: It is another file's.
        """
        own = index - self.chain.shared
        if own < 0:
            raise ConversationError(
                f"message {index} of {self.path.name} is shared with {self.side.shared[-1][0]}, of"
                " which it is a fork",
                code="shared",
            )
        return own

    def close(self) -> None:
        """Let go of the files and the lock; idempotent, also where it was broken off."""
        is_first, self._closed = not self._closed, True
        try:
            if is_first and self.dirty and self.file.writes and not self.file.is_copied:
                with suppress(ConversationError):  # the lines are only checked again then
                    self.keep_beside()
        finally:
            self.file.close()
            for shared in self._shared:
                shared.close()

    def _own_lines(self, end: int) -> LineFile:
        known = self.side.count if self.side.checked == end else None
        return LineFile(self.file.handle, end, known)

    def _look_beside(self) -> bool:
        """Take note of what another has noted; return whether it was not done with rewriting."""
        found, known = Sidecar.of(self.path), self.side
        side = found.settled(self.file.end)
        if side is found and side.generation == known.generation and side.checked < known.checked:
            side.know(known.checked, known.count, known.checksum)
            side.plain = known.plain
        self.side = side
        return side is not found
