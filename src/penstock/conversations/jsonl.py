"""Conversations in a file, one message of the OpenAI shape a line.

A line is whole once its newline is there: what a killed writer leaves behind the last newline is
torn. Readers stop before it; the next writer sets it aside in ``<name>.torn`` and goes on. One
process at a time may write, held by the system's lock on the file; any number may read.

``append`` has handed the bytes to the operating system when it returns: they outlive the process,
``kill -9`` included. ``sync=True`` waits for the disk as well, so that they outlive a power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4
from zlib import crc32

import msgspec

from penstock.conversations.canonical import BLOCK
from penstock.conversations.chain import Chain
from penstock.conversations.checking import checked
from penstock.conversations.files import MessageFile
from penstock.conversations.lines import LineFile
from penstock.conversations.numbered import moves_in
from penstock.conversations.plain import extend, without
from penstock.conversations.shared import Shared, made_beside
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.stores import Mark, merged
from penstock.conversations.verified import Verified
from penstock.errors import ConversationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.plain import Spans
    from penstock.conversations.stores import Blocks, Chained, Change, Metadata

__all__ = ["JSONLStore"]


_BLOCK_NOT_SENT = 2 * BLOCK
"""Bytes that are read at once in a pass by which nothing is sent: it holds fewer of them."""


class JSONLStore:
    """Keeps a conversation in a file.

    Args:
        path: The file; it is made with the first message.
        sync: Whether each append waits for the disk.

    Raises:
        ConversationError: There is something else at `path`, or a file that it begins in has
            changed.
    """

    def __init__(self, path: Path, *, sync: bool = False) -> None:
        self._sync = sync
        self._lock = RLock()
        self._closed = False
        self._dirty = False
        self._side = Sidecar.of(path)
        self._file = MessageFile(path)
        self._side = self._side.settled(self._file.end)
        self._shared: list[Shared] = []
        try:
            for name, generation, size in self._side.shared:
                where = path.with_name(name)
                self._shared.append(Shared(where, generation, size, fork=path.name))
        except BaseException:
            self.close()
            raise
        self._lines = self._own_lines(self._file.end)
        self._generation = self._side.generation  # of what is known of the lines
        self._chain = Chain([*(shared.lines for shared in self._shared), self._lines])

    @property
    def torn(self) -> int:
        """Bytes of a message that was not written whole, found when the file was opened."""
        return self._file.torn

    def length(self) -> int:
        """Return how many messages there are."""
        with self._lock:
            self._look()
            return self._chain.count()

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        with self._lock:
            self._look()
            return self._chain.size

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`, all or none of them; return the index of the first.

        Raises:
            ConversationError: The disk is full, or another process writes to the file.
        """
        with self._lock:
            self._begin_writing()
            start = self._lines.end
            summed = _Summed(self._side.checksum)
            pieces = map(summed.seen, _lines_of(messages))
            end = self._file.append(start, pieces, sync=self._sync)
            first = self._lines.added(start, [message.size + 1 for message in messages])
            if self._side.checked == start:
                self._side.know(end, self._lines.count(), summed.checksum)
                self._dirty = True
                for message in messages:
                    start += message.size + 1
                    if message.plain:
                        extend(self._side.plain, start - message.size - 1, start)
            return self._chain.shared + first

    def blocks(self, start: int, stop: int) -> Chained:
        """Return the messages from `start` to before `stop`, as many at once as fit a block.

        Raises:
            ConversationError: What is there is no conversation.
        """
        with self._lock:
            self._vouch()
            return self._chain.blocks(start, stop)

    def mark(self) -> Mark:
        """Return where the last whole line ends, and what is before it."""
        with self._lock:
            self._vouch()
            if self._side.shared:  # nobody has a checksum of a part of another file
                return Mark(self._lines.end, moves=moves_in(self._side.metadata))
            if self._side.checksum is None:
                self._side.checksum = self._summed()
            return Mark(self._lines.end, self._side.checksum)

    def whole(self, mark: Mark | None = None, *, compared: bool = False) -> Blocks:
        """Return all messages, or those before a mark; unlike `blocks` it counts none of them."""
        with self._lock:
            self._vouch()
            if mark is None:
                return self._chain.whole(self._lines.end)
            size = BLOCK if compared else _BLOCK_NOT_SENT
            if mark.checksum is None:  # nobody sees whether what is known of them is still so
                return self._chain.whole(mark.at, size=size)
            blocks = self._chain.whole(mark.at, size=size, plain=self._side.plain)
            return Verified(blocks, mark, self._doubt) if compared else blocks

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        with self._lock:
            self._vouch()
            return self._chain.backwards(stop)

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another, or take it out: the file is written anew.

        Raises:
            ConversationError: The message is shared with the conversation that this is a fork of.
        """
        with self._lock:
            own = self._own(index)
            self._begin_writing()
            start, stop = self._lines.offset(own), self._lines.offset(own + 1)
            end, known = self._lines.end, self._is_as_known()

            def write(put: Callable[[bytes], object]) -> None:
                self._copy(0, start, put)
                for piece in () if message is None else _lines_of([message]):
                    put(piece)
                self._copy(stop, end, put)

            size = end - stop + start + (0 if message is None else message.size + 1)
            with self._rewriting(start, size, change):
                renewed = self._file.rewrite(write)
            plain = without(self._side.plain, start, stop, moved=renewed - end)
            self._renew(renewed, plain if known else None)

    def truncate(self, length: int, change: Change) -> None:
        """Let go of the messages from `length` on.

        Raises:
            ConversationError: Some are shared with the conversation that this is a fork of.
        """
        with self._lock:
            if length >= self.length():
                return
            own = self._own(length)
            self._begin_writing()
            end, stop, known = self._lines.offset(own), self._lines.end, self._is_as_known()
            with self._rewriting(end, end, change):
                self._file.truncate(end)
            self._renew(end, without(self._side.plain, end, stop) if known else None)

    def fork(self, at: int, name: str, change: Change) -> JSONLStore:
        """Return a file of its own that begins with the first `at` messages of this one.

        It refers to this file by name, so both move together. Where what is shared is rewritten
        (`replace`, `truncate`), the fork is unreadable, with an error that says so.

        Raises:
            ConfigurationError: `name` is no name of a ``.jsonl`` file.
            ConversationError: There is a file of that name.
        """
        with self._lock:
            self._check_open()
            self._side.found_or_written(self._file.path)
            self._vouch()
            path = made_beside(self._file.path, name)
            whose = [*self._side.shared, (self._file.path.name, self._side.generation, 0)]
            pieces = zip(whose, self._chain.until(at), strict=False)
            shared = [(file, generation, size) for (file, generation, _), (_, size) in pieces]
            side = Sidecar(shared=shared, metadata=merged(self._side.metadata, change))
            try:
                side.write(path, sync=self._sync)
            except BaseException:
                path.unlink()  # it would be an empty conversation
                raise
            return JSONLStore(path, sync=self._sync)

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        with self._lock:
            if not self._closed:
                self._look_at_shared()
                if not self._file.writes:  # the notes alone: what was doubted of the lines stays so
                    found = Sidecar.of(self._file.path).settled(self._file.end)
                    self._side.metadata = found.metadata
            return dict(self._side.metadata)

    def note(self, change: Change) -> None:
        """Add to what is noted."""
        with self._lock:
            self._begin_writing()
            side = replace(self._side, metadata=merged(self._side.metadata, change))
            side.write(self._file.path, sync=self._sync)
            self._side = side

    def vacuum(self) -> None:
        """Do nothing: what is replaced is gone at once."""

    def close(self) -> None:
        """Let go of the file and its lock; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                if self._dirty and not self._file.is_copied:
                    with suppress(ConversationError):  # the lines are only checked again then
                        self._side.write(self._file.path, sync=self._sync)
            finally:
                self._file.close()
                for shared in self._shared:
                    shared.close()

    def _look_at_shared(self) -> None:
        for shared in self._shared:
            shared.check()

    def _begin_writing(self) -> None:
        self._check_open()
        self._look_at_shared()
        if not self._file.still_writes(self._lines.end):
            self._file.begin_writing()
            if self._look_beside():  # a writer was killed while it rewrote
                self._side = replace(self._side, generation=uuid4().hex)
                self._keep_beside()
            self._set_lines(self._file.end)

    def _check_open(self) -> None:
        if self._closed:
            raise ConversationError(f"{self._file.path.name} is closed", code="closed")

    def _set_lines(self, end: int) -> None:
        self._lines = self._chain.files[-1] = self._own_lines(end)
        self._generation = self._side.generation

    def _own_lines(self, end: int) -> LineFile:
        known = self._side.count if self._side.checked == end else None
        return LineFile(self._file.handle, end, known)

    def _look(self) -> bool:
        """Take note of what another process has written since; return whether it has."""
        self._check_open()
        self._look_at_shared()
        before = self._file.handle
        if not self._file.renewed():
            return False
        self._look_beside()
        is_same = self._file.handle is before and self._side.generation == self._generation
        if is_same and self._file.end >= self._lines.end:
            self._lines.grown(self._file.end)
        else:
            self._set_lines(self._file.end)
        return True

    def _look_beside(self) -> bool:
        """Take note of what another has noted; return whether it was not done with rewriting."""
        found, known = Sidecar.of(self._file.path), self._side
        side = found.settled(self._file.end)
        if side is found and side.generation == known.generation and side.checked < known.checked:
            side.know(known.checked, known.count, known.checksum)
            side.plain = known.plain
        self._side = side
        return side is not found

    def _vouch(self) -> None:
        """Check lines that nobody vouches for: another program may have written them.

        Raises:
            ConversationError: One is no message.
        """
        self._look()
        if self._side.checked > self._lines.end:
            self._forget()
        while self._side.checked != self._lines.end:
            try:
                self._check_on()
            except ConversationError:
                # It may be cut meanwhile, or an editor have moved what was vouched for.
                if not self._look() and not self._side.checked:
                    raise
                self._forget()

    def _forget(self) -> None:
        """Vouch for nothing, and count anew."""
        self._side.know(0, 0, 0)
        self._set_lines(self._lines.end)

    def _check_on(self) -> None:
        """Check the lines behind those that are vouched for.

        Raises:
            ConversationError: One is no message.
        """
        at, count, spans = self._side.checked, self._side.count, [*self._side.plain]
        summed = _Summed(self._side.checksum)
        for block in self._lines.blocks(at, self._lines.end):
            lines: Sequence[bytes | Iterator[bytes]]
            if isinstance(block, Lines):
                lines = summed.seen(block.data).split(b"\n")
            else:
                lines = [map(summed.seen, block.pieces())]
            for line in lines:
                try:
                    size, plain = checked(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
                    raise ConversationError(
                        f"{self._file.path.name}: what begins at byte {at} is no message: {fault}",
                        code="damaged",
                    ) from None
                at += size + 1
                count += 1
                if plain:
                    extend(spans, at - size - 1, at)
            summed.seen(b"\n")
        self._side.know(at, count, summed.checksum)
        self._side.plain = spans
        self._dirty = self._file.writes

    def _summed(self) -> int:
        """Return the checksum of the lines, which takes reading them."""
        summed = _Summed(0)
        self._copy(0, self._lines.end, summed.seen)
        return summed.checksum or 0

    def _doubt(self) -> ConversationError:
        """Check all lines anew with the next call; return the error of this one."""
        with self._lock:
            self._look()  # else the next call does, and takes the word of what is beside the file
            self._forget()
            self._dirty = self._file.writes
        return ConversationError(
            f"{self._file.path.name} is not what was appended to it: it was rewritten while it was"
            " sent, or by another program; the next call checks what is there now",
            code="changed",
        )

    def _copy(self, start: int, stop: int, put: Callable[[bytes], object]) -> None:
        while start < stop:
            data = self._lines.read(start, min(BLOCK, stop - start))
            put(data)
            start += len(data)

    @contextmanager
    def _rewriting(self, unchanged: int, size: int, change: Change) -> Iterator[None]:
        """Say beforehand what becomes of the file: how large it is then, and what is noted.

        After a process that was killed in between, the file's size says which notes are true; where
        it stays the same, a summary may be let go of. It may leave a fork unreadable: never one
        that reads other messages than it was made of.
        """
        before = self._side
        # Until something is written here a reader may have named the file, for a fork of its own.
        before.generation = before.generation or Sidecar.of(self._file.path).generation
        side = before.turned(unchanged)
        side.after = (size, merged(before.metadata, change))
        side.write(self._file.path, sync=self._sync)
        self._side = side
        try:
            yield
            # Anew: who has looked in between may have seen the one or the other.
            self._side = replace(side.turned(unchanged), metadata=side.after[1], after=None)
        except BaseException:
            self._side = before
            with suppress(ConversationError):
                self._keep_beside()
            raise

    def _is_as_known(self) -> bool:
        """Whether all lines are vouched for, and are still so where some are known to be plain."""
        side = self._side
        whole = side.checked >= self._lines.end
        return whole and not (side.plain and side.checksum != self._summed())

    def _renew(self, end: int, plain: Spans | None) -> None:
        """Begin anew with what is known of the file; None: nothing is."""
        try:
            self._side.know(0, 0, 0)
            self._set_lines(end)
            if plain is not None:
                self._side.know(end, self._lines.count(), self._summed() if plain else None)
                self._side.plain = plain
        except BaseException:  # what is beside the file tells of the one before
            self._file.writes = False
            raise
        self._keep_beside()

    def _keep_beside(self) -> None:
        """Write what is known; where that fails, the next who appends settles it first."""
        try:
            self._side.write(self._file.path, sync=self._sync)
        except BaseException:
            self._file.writes = False
            raise

    def _own(self, index: int) -> int:
        """Return the number of a message among this file's own."""
        own = index - self._chain.shared
        if own < 0:
            raise ConversationError(
                f"message {index} of {self._file.path.name} is shared with"
                f" {self._side.shared[-1][0]}, of which it is a fork",
                code="shared",
            )
        return own


class _Summed:
    """A checksum of what passes by; None where it is not known from the beginning."""

    __slots__ = ("checksum",)

    def __init__(self, checksum: int | None) -> None:
        self.checksum = checksum

    def seen(self, piece: bytes) -> bytes:
        """Return `piece`."""
        if self.checksum is not None:
            self.checksum = crc32(piece, self.checksum)
        return piece


def _lines_of(messages: Sequence[Message]) -> Iterator[bytes]:
    for message in messages:
        yield from message.pieces()
        yield b"\n"
