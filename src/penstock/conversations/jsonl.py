"""Conversations in a file, one message of the OpenAI shape a line.

A line is whole once its newline is there: what a killed writer leaves behind the last newline is
torn. Readers stop before it; the next writer sets it aside in ``<name>.torn`` and goes on. One
process at a time may write, held by the system's lock on the file; any number may read.

``append`` has handed the bytes to the operating system when it returns: they outlive the process,
``kill -9`` included. ``sync=True`` waits for the disk as well, so that they outlive a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from penstock.conversations import rewriting, vouching
from penstock.conversations.atomic import beside
from penstock.conversations.canonical import BLOCK
from penstock.conversations.jsonl_files import Opened
from penstock.conversations.numbered import (
    is_other,
    moves_in,
    numbered_in,
    pinned_among,
    seen_in,
)
from penstock.conversations.plain import extend
from penstock.conversations.shared import made_beside
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.stores import Mark, checked_notes, merged
from penstock.conversations.unmoved import check_unmoved, has_moved
from penstock.conversations.verified import Verified

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.stores import Blocks, Chained, Change, Metadata
    from penstock.errors import ConversationError

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
        self._lock = RLock()
        self._opened = Opened(path, sync=sync)

    @property
    def torn(self) -> int:
        """Bytes of a message that was not written whole, found when the file was opened."""
        return self._opened.file.torn

    def length(self) -> int:
        """Return how many messages there are."""
        with self._lock:
            self._opened.look()
            return self._opened.chain.count()

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        with self._lock:
            self._opened.look()
            return self._opened.chain.size

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`, all or none of them; return the index of the first.

        Raises:
            ConversationError: The disk is full, or another process writes to the file.
        """
        with self._lock:
            opened = self._opened
            opened.begin_writing()
            side, lines, start = opened.side, opened.lines, opened.lines.end
            seen = vouching.Summed(side.checksum)
            pieces = map(seen.seen, rewriting.lines_of(messages))
            opened.know_nothing()
            try:
                end = opened.file.append(start, pieces, sync=opened.sync)
            except BaseException:
                rewriting.taken_back(opened, start)
                raise
            first = lines.added(start, [message.size + 1 for message in messages])
            if side.checked == start:
                side.know(end, lines.count(), seen.checksum)
                opened.dirty = True
                for message in messages:
                    start += message.size + 1
                    if message.plain:
                        extend(side.plain, start - message.size - 1, start)
            opened.know_all()
            return opened.chain.shared + first

    def blocks(self, start: int, stop: int) -> Chained:
        """Return the messages from `start` to before `stop`, as many at once as fit a block.

        Raises:
            ConversationError: What is there is no conversation.
        """
        with self._lock:
            vouching.vouch(self._opened)
            return self._opened.chain.blocks(start, stop)

    def mark(self, *, summed: bool = True) -> Mark:
        """Return where the last whole line ends, and what is before it."""
        with self._lock:
            vouching.vouch(self._opened)
            side, lines = self._opened.side, self._opened.lines
            seen = seen_in(side.metadata)
            if side.shared or not summed:  # nobody has a checksum of a part of another file
                return Mark(lines.end, messages=side.count, seen=seen)
            if side.checksum is None:
                side.checksum = vouching.summed(lines)
            return Mark(lines.end, side.checksum, messages=side.count, seen=seen)

    def check(self, mark: Mark) -> None:
        """Look whether the messages before a mark have the numbers that they had.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        with self._lock:
            metadata = self._opened.noted()
            if moves_in(metadata) != mark.seen.moves:
                check_unmoved(metadata, mark.seen.moves, self._before(mark))

    def whole(self, mark: Mark, *, compared: bool = False) -> Blocks:
        """Return the messages before a mark; unlike `blocks` it counts none of them.

        Raises:
            ConversationError: There are others in their place.
        """
        with self._lock:
            opened = self._opened
            vouching.vouch(opened)
            size = BLOCK if compared else _BLOCK_NOT_SENT
            if mark.checksum is None:  # nobody sees whether what is known of them is still so
                now = opened.side.metadata
                if seen_in(now) != mark.seen and is_other(now, mark.seen, self._before(mark)):
                    raise has_moved()
                return opened.chain.whole(mark.at, size=size)
            blocks = opened.chain.whole(mark.at, size=size, plain=opened.side.plain)
            return Verified(blocks, mark, self._doubted) if compared else blocks

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        with self._lock:
            vouching.vouch(self._opened)
            return self._opened.chain.backwards(stop)

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another, or take it out: the file is written anew.

        Raises:
            ConversationError: The message is shared with the conversation that this is a fork of.
        """
        with self._lock:
            rewriting.replace(self._opened, self._opened.own(index), message, change)

    def truncate(self, length: int, change: Change) -> None:
        """Let go of the messages from `length` on.

        Raises:
            ConversationError: Some are shared with the conversation that this is a fork of.
        """
        with self._lock:
            if length < self.length():
                rewriting.cut(self._opened, self._opened.own(length), change)

    def fork(self, at: int, name: str, change: Change) -> JSONLStore:
        """Return a file of its own that begins with the first `at` messages of this one.

        It refers to this file by name, so both move together. Where what is shared is rewritten
        (`replace`, `truncate`), the fork is unreadable, with an error that says so.

        Raises:
            ConfigurationError: `name` is no name of a ``.jsonl`` file.
            ConversationError: There is a file of that name.
        """
        with self._lock:
            opened = self._opened
            opened.check_open()
            opened.side.found_or_written(opened.path)
            opened.noted()
            vouching.vouch(opened)
            metadata = merged(opened.side.metadata, change)  # of the generation that is shared
            whose = [*opened.side.shared, (opened.path.name, opened.side.generation, 0)]
            pieces = zip(whose, opened.chain.until(at), strict=False)
            shared = [(file, generation, size) for (file, generation, _), (_, size) in pieces]
            path = made_beside(opened.path, name)
            try:
                Sidecar(shared=shared, metadata=metadata).write(path, sync=opened.sync)
                return JSONLStore(path, sync=opened.sync)
            except BaseException:
                path.unlink()  # it would be an empty conversation
                beside(path).unlink(missing_ok=True)
                raise

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        with self._lock:
            return dict(self._opened.noted())

    def numbered(self, names: Sequence[str]) -> Metadata:
        """Return the notes of these names, which say something of messages by their numbers."""
        with self._lock:
            return numbered_in(self._opened.noted(), names)

    def pinned(self, start: int, stop: int, most: int) -> Sequence[int]:
        """Return the numbers of the pinned messages from `start` to before `stop`, in order."""
        with self._lock:
            return pinned_among(self._opened.noted(), start, stop, most)

    def note(self, change: Change) -> None:
        """Add to what is noted."""
        with self._lock:
            opened = self._opened
            opened.begin_writing()
            self._put(merged(opened.side.metadata, change))

    def add(self, notes: Mapping[str, Any]) -> None:  # Any: JSON
        """Add to what is noted, whatever that is."""
        told = checked_notes(notes)
        with self._lock:
            opened = self._opened
            opened.begin_writing()
            noted = opened.side.metadata
            new = {name: value for name, value in told.items() if not _is(value, noted.get(name))}
            opened.know_nothing()
            is_more = not any(name in noted for name in new)
            if is_more and opened.added.add(new, sync=opened.sync):
                noted.update(new)
                opened.know_all()
            else:
                self._put(merged(noted, lambda _: new))

    def vacuum(self) -> None:
        """Do nothing: what is replaced is gone at once."""

    def close(self) -> None:
        """Let go of the file and its lock; idempotent."""
        with self._lock:
            self._opened.close()

    def _put(self, metadata: Metadata) -> None:
        opened = self._opened
        side = replace(opened.side, metadata=metadata)
        opened.know_nothing()
        opened.put_beside(side)
        opened.side = side
        opened.know_all()

    def _before(self, mark: Mark) -> int:
        """Return how many messages are before a mark; those of others are what they were."""
        return self._opened.chain.shared + mark.messages

    def _doubted(self) -> ConversationError:
        with self._lock:
            return vouching.doubted(self._opened)


def _is(value: Any, noted: Any) -> bool:  # Any: JSON
    """Whether a value is noted already; None is where nothing is. 1 and true are not the same."""
    return json.dumps(value) == json.dumps(noted)
