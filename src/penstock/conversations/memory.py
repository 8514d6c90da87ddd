"""Conversations in memory: their JSON, shared between forks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.conversations.canonical import BLOCK
from penstock.conversations.numbered import numbered_in, pinned_among, seen_in
from penstock.conversations.stores import Mark, Ready, checked_notes, merged
from penstock.conversations.unmoved import check_unmoved
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.stores import Blocks, Change, Metadata

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps messages for as long as the process lives.

    Args:
        lines: The messages to begin with, each with its newline.
        metadata: What is noted.
    """

    def __init__(self, lines: Sequence[bytes] = (), metadata: Metadata | None = None) -> None:
        self._lines = list(lines)
        self._size = sum(map(len, self._lines))
        self._metadata: Metadata = dict(metadata or {})
        self._lock = Lock()

    def length(self) -> int:
        """Return how many messages there are."""
        return len(self._lines)

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        return self._size

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`; return the index of the first."""
        lines = [b"".join([*message.pieces(), b"\n"]) for message in messages]
        size = sum(map(len, lines))
        with self._lock:
            first = len(self._lines)
            self._lines[first:], self._size = lines, self._size + size
            return first

    def blocks(self, start: int, stop: int) -> Blocks:
        """Return the messages from `start` to before `stop`, as many at once as fit a block."""
        return Ready(_blocks(self._lines, start, min(stop, len(self._lines))))

    def mark(self, *, summed: bool = True) -> Mark:
        """Return how many messages there are."""
        with self._lock:
            length = len(self._lines)
            return Mark(length, messages=length, seen=seen_in(self._metadata))

    def check(self, mark: Mark) -> None:
        """Look whether the messages before a mark have the numbers that they had."""
        check_unmoved(self._metadata, mark.seen.moves, mark.messages)

    def whole(self, mark: Mark, *, compared: bool = False) -> Blocks:
        """Return the messages that there were at a mark."""
        with self._lock:
            self.check(mark)
            return self.blocks(0, mark.at)

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        kept = self._lines
        return (kept[index][:-1] for index in range(stop - 1, -1, -1))

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another, None takes it out; and note a change with it."""
        lines = [] if message is None else [b"".join([*message.pieces(), b"\n"])]
        with self._lock:
            metadata = merged(self._metadata, change)
            size = self._size + sum(map(len, lines)) - len(self._lines[index])
            # Another list: a pass goes on over the one that it began with.
            kept = [*self._lines[:index], *lines, *self._lines[index + 1 :]]
            self._metadata, self._size, self._lines = metadata, size, kept

    def truncate(self, length: int, change: Change) -> None:
        """Let go of the messages from `length` on, and note a change with it."""
        with self._lock:
            if length >= len(self._lines):
                return
            metadata, kept = merged(self._metadata, change), self._lines[:length]
            size = sum(map(len, kept))
            self._metadata, self._size, self._lines = metadata, size, kept

    def fork(self, at: int, name: str, change: Change) -> MemoryStore:
        """Return a conversation that shares the JSON of the first `at` messages."""
        with self._lock:
            return MemoryStore(self._lines[:at], merged(self._metadata, change))

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        return dict(self._metadata)

    def numbered(self, names: Sequence[str]) -> Metadata:
        """Return the notes of these names, which say something of messages by their numbers."""
        with self._lock:  # no move is known before the messages have moved
            return numbered_in(self._metadata, names)

    def pinned(self, start: int, stop: int, most: int) -> Sequence[int]:
        """Return the numbers of the pinned messages from `start` to before `stop`, in order."""
        return pinned_among(self._metadata, start, stop, most)

    def note(self, change: Change) -> None:
        """Add to what is noted."""
        with self._lock:
            self._metadata = merged(self._metadata, change)

    def add(self, notes: Mapping[str, Any]) -> None:  # Any: JSON
        """Add to what is noted, whatever that is."""
        with self._lock:
            if None in notes.values():
                self._metadata = merged(self._metadata, lambda _: notes)
            else:
                self._metadata.update(checked_notes(notes))

    def vacuum(self) -> None:
        """Do nothing: there is no room to give back."""

    def close(self) -> None:
        """Do nothing: it lives as long as it is referred to."""


def _blocks(lines: Sequence[bytes], start: int, stop: int) -> Iterator[Lines]:
    block: list[bytes] = []
    room = BLOCK
    for index in range(start, stop):
        line = lines[index]
        if block and len(line) > room:
            yield Lines(b"".join(block)[:-1])
            block, room = [], BLOCK
        block.append(line)
        room -= len(line)
    if block:
        yield Lines(b"".join(block)[:-1])
