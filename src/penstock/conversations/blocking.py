"""A kept conversation, for programs without an event loop; the async one calls this in a thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from copy import deepcopy
from functools import cache, partial
from itertools import islice
from operator import index as to_index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import msgspec

from penstock.conversations import windows
from penstock.conversations.canonical import message_of
from penstock.conversations.compacting import Compaction
from penstock.conversations.exports import exported, imported
from penstock.conversations.measuring import each, outline
from penstock.conversations.numbered import (
    OURS,
    PINNED,
    SEEN,
    cut_at,
    ends_pin,
    forked_at,
    moves_in,
    pinned_in,
    pins,
    said_anew,
    taken_out,
    users_own,
)
from penstock.conversations.opening import names_at, open_store
from penstock.conversations.redacting import redacted, referred_by
from penstock.conversations.references import forgotten, message_in
from penstock.conversations.sending import decoded, messages_of, off_loop, sent
from penstock.conversations.still import Still
from penstock.conversations.stores import positions
from penstock.conversations.tokens import counter_of
from penstock.conversations.unmoved import Unmoved, check_unmoved, if_unmoved
from penstock.encoders import encode_json
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

    from penstock.conversations.canonical import Message as Kept
    from penstock.conversations.compacting import SummariseNow
    from penstock.conversations.stores import Blocks, Change, Metadata, Store
    from penstock.conversations.tokens import TokenCounter
    from penstock.conversations.windows import Window
    from penstock.fields import Lines, Streamed
    from penstock.messages import Message

__all__ = ["BATCH", "SyncConversation"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

BATCH = 512
"""Messages that `extend` keeps together."""
_REDACTED = "[redacted]"


class SyncConversation:
    """An append-only log of messages; see `penstock.Conversation`, whose blocking face it is.

    Args:
        store: Where it is kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        """Where it is kept."""

    @classmethod
    def open(
        cls, path: str | PathLike[str] | None = None, *, name: str = "", fsync: bool = False
    ) -> Self:
        """Open or make a conversation; see `penstock.Conversation.open`."""
        return cls(open_store(path, name, fsync=fsync))

    @staticmethod
    def names(path: str | PathLike[str]) -> list[str]:
        """Return which conversations a file has, the first one first; it is not made or changed.

        Those of an SQLite file have names, the one without is ``""``; a JSONL file has that alone.

        Raises:
            ConversationError: It cannot be read, or is no such file.
        """
        return names_at(path)

    def __reduce__(self) -> str:
        raise ConfigurationError(
            "a conversation does not pickle: open it where it is used, or pass its messages"
        )

    def __enter__(self) -> Self:
        """Return the conversation."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def append(self, message: Message) -> int:
        """Keep a message; return its index. Once it has returned the message is there.

        Raises:
            EncodeError: It is no message, or has no JSON form.
            ConversationError: The disk is full, or another writer has the conversation.
        """
        return self._keep([message_of(message)])

    def extend(self, messages: Iterable[Message]) -> int:
        """Keep messages, up to 512 at a time all or none; return how many there were.

        A process that is killed while it writes leaves whole messages: of 512 none or all in
        SQLite, in JSONL perhaps the first of them.

        Raises:
            EncodeError: One is no message; those before its batch are kept.
            ConversationError: They cannot be written.
        """
        count = 0
        source = iter(messages)
        while batch := [message_of(message) for message in islice(source, BATCH)]:
            self._keep(batch)
            count += len(batch)
        return count

    def _keep(self, messages: list[Kept]) -> int:
        notes: dict[str, Json] = {}
        for message in messages:
            notes.update(message.notes)
        if notes:  # a line never refers to what is not noted
            self.store.add(notes)
        return self.store.append(messages)

    def __len__(self) -> int:
        """How many messages there are."""
        return self.store.length()

    def __iter__(self) -> Iterator[Json]:
        """Every message, from the first."""
        return self.messages()

    def __aiter__(self) -> AsyncGenerator[Json, None]:
        """Every message, read in a worker thread."""
        return decoded(self.kept, self.store.metadata)

    def __reversed__(self) -> Iterator[Json]:
        """Every message, from the last."""
        moves, length = self._moves(), self.store.length()
        known = cache(self.store.metadata)
        for line in self.store.backwards(length):
            yield message_in(line, known)
        check_unmoved(self.store.numbered(SEEN), moves, length)

    def __getitem__(self, index: int) -> Json:
        """The message number `index`; negative ones count from the end.

        Raises:
            IndexError: There is none.
        """
        if isinstance(index, slice):
            raise TypeError("a part of a conversation is read with messages(start, stop)")
        start = self._index(index)
        return next(messages_of(self.store.blocks(start, start + 1), self.store.metadata))

    def messages(self, start: int = 0, stop: int | None = None) -> Iterator[Json]:
        """Return the messages from `start` to before `stop`, as a slice has them."""
        return messages_of(self.kept(start, stop), self.store.metadata)

    off_loop = off_loop

    def still(self) -> Still:
        """Return it as one call sends it: what is appended meanwhile is not part of that."""
        return Still(self.store)

    def blocks(self) -> AsyncIterator[Lines | Streamed | Json]:
        """Return one pass over the messages as they are kept: what the encoder sends."""
        return sent(self.store, self.kept)

    def kept(self, start: int = 0, stop: int | None = None) -> Blocks:
        """Return the messages as they are kept, as many at once as fit a block."""
        store = self.store
        if start == 0 and stop is None:
            end = store.mark(summed=False)
            return Unmoved(store.whole(end), partial(store.check, end))
        moves = self._moves()
        first, last = positions(store.length(), start, stop)
        return Unmoved(
            store.blocks(first, last), lambda: check_unmoved(store.numbered(SEEN), moves, last)
        )

    @property
    def size(self) -> int:
        """Bytes of the messages' JSON, a newline each included."""
        return self.store.size()

    def fork(self, at: int | None = None, name: str = "") -> SyncConversation:
        """Return a conversation that begins with the first `at` messages of this one.

        What is shared is not copied. None is all of them.

        Args:
            at: How many; negative ones count from the end.
            name: The fork's file name in the same folder (JSONL), or its name in the same file
                (SQLite); by default one that is free.
        """
        moves = self._moves()
        _, stop = positions(self.store.length(), 0, at)
        change = if_unmoved(forked_at(stop), moves, stop - 1)
        return SyncConversation(self.store.fork(stop, name, change))

    def truncate(self, length: int) -> None:
        """Let go of the messages from number `length` on; negative ones count from the end.

        Raises:
            ConversationError: Some are shared with a fork, or this is one and shares them.
        """
        _, stop = positions(self.store.length(), 0, length)
        self.store.truncate(stop, cut_at(stop))

    def redact(self, index: int, content: str = _REDACTED) -> None:
        """Put `content` in the place of what a message says; its role and calls' ids stay.

        A summary that the message went into may repeat it, and is let go of with it. An SQLite file
        has no trace of what it said once `vacuum` is through.

        Raises:
            ConversationError: Another took out an earlier message meanwhile, or it is shared.
        """
        moves = self._moves()
        index = self._index(index)
        (message,) = each(self.store.blocks(index, index + 1))
        said = message_of(redacted(outline(message), content))
        self._replace(index, said, if_unmoved(said_anew(index), moves, index))

    def delete(self, index: int) -> None:
        """Take a message out; those behind it move up, and pins and summaries with them."""
        moves = self._moves()
        index = self._index(index)
        self._replace(index, None, if_unmoved(taken_out(index), moves, index))

    def _replace(self, index: int, message: Kept | None, change: Change) -> None:
        """Replace a message, and forget where the files are to which it alone referred."""
        gone = referred_by(self.store, index, index + 1)
        self.store.replace(index, message, change)
        if gone:
            left = referred_by(self.store, 0, self.store.length())
            self.store.note(forgotten(gone - left))

    def _moves(self) -> int:
        return moves_in(self.store.numbered(SEEN))

    def _index(self, index: int) -> int:
        length, number = self.store.length(), to_index(index)
        start = number + length if number < 0 else number
        if not 0 <= start < length:
            raise IndexError(f"message {number} of {length}")
        return start

    def pin(self, index: int) -> None:
        """Have every view include message number `index`; a call brings its results along."""
        moves = self._moves()
        index = self._index(index)
        self.store.note(if_unmoved(pins(index), moves, index))

    def unpin(self, index: int) -> None:
        """End what `pin` began; idempotent."""
        moves = self._moves()
        index = self._index(index)
        self.store.note(if_unmoved(ends_pin(index), moves, index))

    def pinned(self) -> list[int]:
        """Return the numbers of the pinned messages, in order."""
        return pinned_in(self.store.numbered((PINNED,)))

    def last(self, count: int) -> Window:
        """Return a view of the system's and pinned messages and the last `count`.

        It never begins with a tool's result: its call, and so more than `count`, comes with it.
        """
        return windows.last(self.store, count)

    def within_tokens(self, budget: int, counter: TokenCounter | str | None = None) -> Window:
        """Return a view of the system's and pinned messages and as many of the last as fit.

        Args:
            budget: Tokens of all of them together.
            counter: Counts them, or a model's name, whose family they are estimated by
                (`penstock.conversations.tokens`); by default an estimate for any.

        Raises:
            ConfigurationError: What is always sent does not fit by itself, or the last message
                beside it; or `counter` is none.
            ConversationError: Messages were pinned, summed up, taken out or cut off meanwhile.
        """
        return windows.within(self.store, budget, counter_of(counter))

    def summarised(self) -> Window:
        """Return a view of everything, with summaries in the place of what `compact` summed up."""
        return windows.summarised(self.store)

    def tokens(self, counter: TokenCounter | str | None = None) -> int:
        """Return about how many tokens all messages are."""
        how = counter_of(counter)
        return windows.tokens_between(self.store, 0, self.store.length(), how)

    def compact(
        self,
        summarise: SummariseNow,
        *,
        keep: int = 10,
        part_tokens: int = 8000,
        counter: TokenCounter | str | None = None,
    ) -> Window:
        """Sum up all but the system's, the pinned and the last `keep` messages; return the view.

        See `penstock.Conversation.compact`; here `summarise` is not awaited.
        """
        going = Compaction(self.store, keep=keep, part_tokens=part_tokens, counter=counter)
        part = going.next()
        while part is not None:
            part = going.next(summarise(*part))
        return self.summarised()

    def metadata(self) -> Metadata:
        """Return what the caller noted of the conversation."""
        return deepcopy(users_own(self.store.metadata()))

    def note(self, **noted: Any) -> None:  # Any: JSON
        """Note facts of the conversation: a name's value replaces an earlier one, None ends it.

        Raises:
            EncodeError: A value is no JSON.
        """
        if taken := [name for name in noted if name.startswith(OURS)]:
            raise ConfigurationError(f"{taken[0]!r}: names that begin with {OURS!r} are penstock's")
        told = msgspec.json.decode(b"".join(encode_json(noted)))
        self.store.add(told)

    def vacuum(self) -> None:
        """Give back the room of what is no longer there."""
        self.store.vacuum()

    def export(self, path: str | PathLike[str]) -> int:
        """Write the messages to a new JSONL file of OpenAI-shaped messages; return how many.

        Files that messages refer to are written inside: the file needs nothing beside it. It is
        there once it is whole.

        Raises:
            ConversationError: Such a file has changed, or the new one cannot be written.
            FileExistsError: There is a file at `path`.
        """
        return exported(self.store, Path(path))

    def load(self, path: str | PathLike[str]) -> int:
        """Append the messages of a JSONL file; return how many.

        The file may be a conversation's own, a fork included. Each line is checked before the first
        is kept.

        Raises:
            ConfigurationError: It is an SQLite file.
            EncodeError: A line is no message; it says which, and nothing is kept.
        """
        for _ in imported(Path(path)):
            pass
        return self.extend(imported(Path(path)))

    def close(self) -> None:
        """Let go of files and locks; idempotent."""
        self.store.close()
