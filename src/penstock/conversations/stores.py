"""Where conversations are kept: the seam between `Conversation` and its stores.

A store is plain and blocking: what it does may wait for a disk, so the async face calls it in a
worker thread. It serialises its own calls: several threads may use one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from penstock.conversations.numbered import Seen
from penstock.encoders import encode_json
from penstock.errors import ConversationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message

__all__ = [
    "Blocks",
    "Chained",
    "Change",
    "Large",
    "Mark",
    "Metadata",
    "Ready",
    "Store",
    "checked_notes",
    "failed",
    "lines_of",
    "merged",
    "positions",
]

Metadata: TypeAlias = "dict[str, Any]"
"""What is noted of a conversation. Any: JSON."""

Change: TypeAlias = "Callable[[Metadata], Mapping[str, Any]]"
"""Returns what is to be noted, told what is: a value replaces its name's, None ends it."""

_FULL = {27, 28, 122}
"""EFBIG (RLIMIT_FSIZE), ENOSPC and EDQUOT (Linux's numbers; 69 is EDQUOT on macOS)."""


class Large(NamedTuple):
    """A message above a block."""

    size: int
    """Bytes of its JSON."""
    pieces: Callable[[], Iterator[bytes]]
    """Returns one pass over them, a block at a time."""


class Mark(NamedTuple):
    """Where a conversation's messages end at one time, in its store's own measure."""

    at: int
    """The place."""
    checksum: int | None = None
    """CRC-32 of the bytes before it, each message's newline included; None where none is kept."""
    messages: int = 0
    """How many messages are before it, but for those that are another file's."""
    seen: Seen = Seen(0, 0, 0)
    """How the conversation was then."""


class Blocks(Protocol):
    """Messages as they are kept, a block at a time."""

    def __iter__(self) -> Iterator[Lines | Large]:
        """Return itself."""
        ...

    def __next__(self) -> Lines | Large:
        """Return the next messages, as many at once as fit a block."""
        ...

    def ready(self) -> bool:
        """Whether the next block can be had without waiting for a disk; False at the end."""
        ...


class Ready:
    """Blocks that nobody waits for.

    Args:
        blocks: The blocks.
        count: How many there are, where something that may wait can come behind them.
    """

    def __init__(self, blocks: Iterator[Lines | Large], count: int = -1) -> None:
        self._blocks = blocks
        self._left = count

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        self._left -= 1
        return next(self._blocks)

    def ready(self) -> bool:
        """Say that the next block can be had."""
        return self._left != 0


class Chained:
    """The blocks of several sources, one behind the other.

    Args:
        sources: The sources; each is only asked for once those before it are at their end.
    """

    def __init__(self, sources: Iterable[Blocks]) -> None:
        self._sources = iter(sources)
        self._source: Blocks = Ready(iter(()), 0)

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        while True:
            for block in self._source:
                return block
            self._source = next(self._sources)

    def ready(self) -> bool:
        """Whether the next block can be had without waiting for a disk."""
        return self._source.ready()


class Store(Protocol):
    """One conversation's messages, in the order in which they were appended."""

    def length(self) -> int:
        """Return how many messages there are."""
        ...

    def size(self) -> int:
        """Return the bytes of their JSON, a newline each included."""
        ...

    def append(self, messages: Sequence[Message]) -> int:
        """Keep `messages`, all or none of them; return the index of the first.

        Once it has returned they are there, whatever becomes of the process.

        Raises:
            ConversationError: The disk is full, or another writer has the conversation.
        """
        ...

    def blocks(self, start: int, stop: int) -> Blocks:
        """Return the messages from `start` to before `stop`, as many at once as fit a block."""
        ...

    def mark(self, *, summed: bool = True) -> Mark:
        """Return where the messages end now, `summed` with a checksum where one is kept."""
        ...

    def check(self, mark: Mark) -> None:
        """Look whether the messages before a mark have the numbers that they had.

        Raises:
            ConversationError: Some were taken out or cut off since.
        """
        ...

    def whole(self, mark: Mark, *, compared: bool = False) -> Blocks:
        """Return the messages that there were at a mark, without counting them.

        Where the mark has a checksum and they are to be `compared` with it, that is done before the
        last of them is handed out.

        Raises:
            ConversationError: There are others in their place.
        """
        ...

    def backwards(self, stop: int) -> Iterator[bytes]:
        """Return the JSON of the messages before `stop`, the last first."""
        ...

    def replace(self, index: int, message: Message | None, change: Change) -> None:
        """Put `message` in the place of another, None takes it out; and note a change with it."""
        ...

    def truncate(self, length: int, change: Change) -> None:
        """Let go of the messages from `length` on, and note a change with it."""
        ...

    def fork(self, at: int, name: str, change: Change) -> Store:
        """Return a conversation of its own that begins with the first `at` messages of this one.

        What is shared is not copied.

        Args:
            at: How many messages.
            name: The new one's name or file, where the store has such; ``""`` lets it choose.
            change: Makes its notes from this one's.
        """
        ...

    def metadata(self) -> Metadata:
        """Return what is noted of the conversation."""
        ...

    def numbered(self, names: Sequence[str]) -> Metadata:
        """Return what says something of messages by their numbers: the notes of these names."""
        ...

    def pinned(self, start: int, stop: int, most: int) -> Sequence[int]:
        """Return the numbers of the pinned messages from `start` to before `stop`, in order.

        Of more than `most` the first are returned; the last where `most` is negative.
        """
        ...

    def note(self, change: Change) -> None:
        """Add to what is noted; nobody else does between what `change` is told and what it says."""
        ...

    def add(self, notes: Mapping[str, Any]) -> None:  # Any: JSON
        """Add to what is noted, whatever that is: it costs the same however much there is.

        Once it has returned they are there, whatever becomes of the process.
        """
        ...

    def vacuum(self) -> None:
        """Give back the room of what is no longer there."""
        ...

    def close(self) -> None:
        """Let go of files and locks; idempotent."""
        ...


def failed(what: str, error: OSError) -> ConversationError:
    """Return the error for a system call that failed while `what` was done."""
    full = error.errno in _FULL
    advice = "; free room and try again, nothing is half written" if full else ""
    return ConversationError(
        f"{what}: {error.strerror or error}{advice}", code="disk_full" if full else "io"
    )


def merged(metadata: Metadata, change: Change) -> Metadata:
    """Return what is noted after a change.

    Raises:
        EncodeError: It notes what has no JSON form, such as half of a surrogate pair.
    """
    noted = {**metadata, **checked_notes(change(metadata))}
    return {name: value for name, value in noted.items() if value is not None}


def checked_notes(told: Mapping[str, Any]) -> Mapping[str, Any]:  # Any: JSON
    """Return what is to be noted.

    Raises:
        EncodeError: It has no JSON form, such as half of a surrogate pair.
    """
    for _ in encode_json(told):
        pass
    return told


def positions(length: int, start: int, stop: int | None) -> tuple[int, int]:
    """Return the bounds of a slice of `length` messages, as Python's slices have them."""
    return slice(start, stop).indices(length)[:2]


def lines_of(blocks: Iterable[Lines | Large]) -> Iterator[bytes]:
    """Yield the JSON of each message of `blocks`."""
    for block in blocks:
        if isinstance(block, Lines):
            yield from block.data.split(b"\n")
        else:
            yield b"".join(block.pieces())
