"""A conversation that is kept: an append-only log of messages, in memory or on disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from penstock.conversations.blocking import BATCH, SyncConversation
from penstock.conversations.compacting import Compaction
from penstock.conversations.opening import open_store
from penstock.conversations.sending import decoded, in_thread, off_loop
from penstock.conversations.still import Still
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

    from penstock.conversations.compacting import Summarise
    from penstock.conversations.stores import Metadata
    from penstock.conversations.tokens import TokenCounter
    from penstock.conversations.windows import Window
    from penstock.fields import Lines, Streamed
    from penstock.messages import Message

__all__ = ["Conversation"]

# A message of the OpenAI shape.
Json: TypeAlias = Any


class Conversation:
    """An append-only log of messages, sent as it is kept: a turn is a copy of bytes.

    Each message is checked and encoded once, when it is appended. ``messages=conversation`` sends
    it whole, in the memory of one block, from wherever it is kept; `last` and the other views send
    a part. The methods that may wait for a disk do so in a worker thread.

        conversation = ps.Conversation.open("chat.jsonl")
        await conversation.append({"role": "user", "content": "Hello"})
        reply = await client.chat("openai/gpt-5.4", conversation)
        await conversation.append(reply.message)

    Args:
        sync: The blocking face, which has the store.
    """

    def __init__(self, sync: SyncConversation) -> None:
        self.sync = sync
        """The same conversation for code that may block."""

    @classmethod
    def open(
        cls, path: str | PathLike[str] | None = None, *, name: str = "", fsync: bool = False
    ) -> Self:
        """Open or make a conversation.

        Args:
            path: ``.jsonl`` for a file with one message a line, which has one writer at a time;
                ``.db`` or ``.sqlite`` for an SQLite file, which has many conversations and writers;
                None for memory.
            name: Which of an SQLite file's conversations.
            fsync: Whether an append waits for the disk, so that it outlives a power cut, and not
                only the process.

        Raises:
            ConfigurationError: The suffix is none of those.
            ConversationError: There is something else there.
        """
        return cls(SyncConversation(open_store(path, name, fsync=fsync)))

    @staticmethod
    async def names(path: str | PathLike[str]) -> list[str]:
        """Return which conversations a file has; see `SyncConversation.names`."""
        return await in_thread(SyncConversation.names, path)

    async def __aenter__(self) -> Self:
        """Return the conversation."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    async def append(self, message: Message) -> int:
        """Keep a message; return its index. Once it has returned the message is there.

        Raises:
            EncodeError: It is no message, or has no JSON form.
            ConversationError: The disk is full, or another writer has the conversation.
        """
        return await in_thread(self.sync.append, message)

    async def extend(self, messages: Iterable[Message] | AsyncIterable[Message]) -> int:
        """Keep messages, up to 512 at a time all or none; return how many there were.

        A process that is killed while it writes leaves whole messages: of 512 none or all in
        SQLite, in JSONL perhaps the first of them.

        Raises:
            EncodeError: One is no message; those before its batch are kept.
            ConversationError: They cannot be written.
        """
        if not isinstance(messages, AsyncIterable):
            return await in_thread(self.sync.extend, messages)
        count = 0
        batch: list[Message] = []
        async for message in messages:
            batch.append(message)
            if len(batch) == BATCH:
                count += await in_thread(self.sync.extend, batch)
                batch = []
        return count + await in_thread(self.sync.extend, batch)

    async def length(self) -> int:
        """Return how many messages there are."""
        return await in_thread(self.sync.store.length)

    async def size(self) -> int:
        """Return the bytes of the messages' JSON, a newline each included."""
        return await in_thread(self.sync.store.size)

    def __aiter__(self) -> AsyncIterator[Json]:
        """Every message, from the first."""
        return self.messages()

    def messages(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Json, None]:
        """Return the messages from `start` to before `stop`, as a slice has them."""
        return decoded(lambda: self.sync.kept(start, stop), self.sync.store.metadata)

    async def backwards(self) -> AsyncGenerator[Json, None]:
        """Yield every message, from the last."""
        messages = await in_thread(reversed, self.sync)
        while (message := await in_thread(next, messages, None)) is not None:
            yield message

    async def get(self, index: int) -> Json:
        """Return message number `index`; negative ones count from the end.

        Raises:
            IndexError: There is none.
        """
        return await in_thread(self.sync.__getitem__, index)

    off_loop = off_loop

    def still(self) -> Still:
        """Return it as one call sends it: what is appended meanwhile is not part of that."""
        return Still(self.sync.store)

    def blocks(self) -> AsyncIterator[Lines | Streamed | Json]:
        """Return one pass over the messages as they are kept: what the encoder sends."""
        return self.sync.blocks()

    async def fork(self, at: int | None = None, name: str = "") -> Conversation:
        """Return one that begins with the first `at` messages; see `SyncConversation.fork`."""
        return Conversation(await in_thread(self.sync.fork, at, name))

    async def truncate(self, length: int) -> None:
        """Let go of the messages from number `length` on; negative ones count from the end.

        Raises:
            ConversationError: Some are shared with a fork, or this is one and shares them.
        """
        await in_thread(self.sync.truncate, length)

    async def redact(self, index: int, content: str = "[redacted]") -> None:
        """Put `content` in the place of what a message says; its role and calls' ids stay.

        A summary that the message went into may repeat it, and is let go of with it. An SQLite file
        has no trace of what it said once `vacuum` is through.
        """
        await in_thread(self.sync.redact, index, content)

    async def delete(self, index: int) -> None:
        """Take a message out; those behind it move up, and pins and summaries with them."""
        await in_thread(self.sync.delete, index)

    async def pin(self, index: int) -> None:
        """Have every view include message number `index`; a call brings its results along."""
        await in_thread(self.sync.pin, index)

    async def unpin(self, index: int) -> None:
        """End what `pin` began; idempotent."""
        await in_thread(self.sync.unpin, index)

    async def pinned(self) -> list[int]:
        """Return the numbers of the pinned messages, in order."""
        return await in_thread(self.sync.pinned)

    async def last(self, count: int) -> Window:
        """Return a view of the system's and pinned messages and the last `count`.

        It never begins with a tool's result: its call, and so more than `count`, comes with it.
        """
        return await in_thread(self.sync.last, count)

    async def within_tokens(self, budget: int, counter: TokenCounter | str | None = None) -> Window:
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
        return await in_thread(self.sync.within_tokens, budget, counter)

    async def tokens(self, counter: TokenCounter | str | None = None) -> int:
        """Return about how many tokens all messages are."""
        return await in_thread(self.sync.tokens, counter)

    async def summarised(self) -> Window:
        """Return a view of everything, with summaries in the place of what `compact` summed up."""
        return await in_thread(self.sync.summarised)

    async def compact(
        self,
        summarise: Summarise,
        *,
        keep: int = 10,
        part_tokens: int = 8000,
        counter: TokenCounter | str | None = None,
    ) -> Window:
        """Sum up all but the system's, the pinned and the last `keep` messages; return the view.

        The log keeps what was said. Interrupted, it goes on where it was when it is called again.

        Args:
            summarise: ``await summarise(so_far, messages)`` returns the new summary, from any
                model: ``so_far`` is the text until now, ``""`` at first.
            keep: How many of the last messages are sent as they are.
            part_tokens: About how many tokens of messages it is given at once.
            counter: Counts them, or a model's name; by default an estimate for any.

        Raises:
            ConversationError: A summary is blank, or messages were taken out or redacted while it
                was made: they stay as they are.
        """
        going = Compaction(self.sync.store, keep=keep, part_tokens=part_tokens, counter=counter)
        part = await in_thread(going.next)
        while part is not None:
            summary = summarise(*part)
            if not isawaitable(summary):
                raise ConfigurationError(
                    "summarise is awaited: make it async, or call conversation.sync.compact"
                )
            part = await in_thread(going.next, await summary)
        return await self.summarised()

    async def metadata(self) -> Metadata:
        """Return what the caller noted of the conversation."""
        return await in_thread(self.sync.metadata)

    async def note(self, **noted: Any) -> None:  # Any: JSON
        """Note facts of the conversation: a name's value replaces an earlier one, None ends it.

        Raises:
            EncodeError: A value is no JSON.
        """
        await in_thread(lambda: self.sync.note(**noted))

    async def vacuum(self) -> None:
        """Give back the room of what is no longer there."""
        await in_thread(self.sync.vacuum)

    async def export(self, path: str | PathLike[str]) -> int:
        """Write the messages to a new JSONL file, whole or not; see `SyncConversation.export`."""
        return await in_thread(self.sync.export, path)

    async def load(self, path: str | PathLike[str]) -> int:
        """Append the messages of a JSONL file, each checked; see `SyncConversation.load`."""
        return await in_thread(self.sync.load, path)

    async def aclose(self) -> None:
        """Let go of files and locks; idempotent."""
        await in_thread(self.sync.close)
