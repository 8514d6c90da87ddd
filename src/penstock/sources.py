"""One-shot conversations: what can be read once, and what to do when it is needed again.

A retry or a fallback sends the conversation anew. What is left of a generator after a failed
attempt must never be sent as if it were the conversation, so its second pass is refused, or comes
out of a temporary file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import IO, TYPE_CHECKING

from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.messages import Message

__all__ = ["Once", "Spool"]


class Once:
    """A conversation with one pass in it, as a factory that works once."""

    def __init__(self, messages: Iterator[Message] | AsyncIterator[Message]) -> None:
        self._messages: Iterator[Message] | AsyncIterator[Message] | None = messages

    def __call__(self) -> Iterator[Message] | AsyncIterator[Message]:
        """Return the conversation, the first time.

        Raises:
            UsageError: It was asked for before.
        """
        if self._messages is None:
            raise UsageError(
                "messages was an iterator and is used up, so it cannot be sent again: pass a "
                "list or a function that returns a fresh iterator, or spool=True",
                param="messages",
            )
        messages, self._messages = self._messages, None
        return messages


class Spool:
    """A conversation that is read once and kept in a temporary file for the next pass.

    Memory holds one message at a time. Calling it gives a pass from the beginning.
    """

    def __init__(self, messages: Iterator[Message] | AsyncIterator[Message]) -> None:
        self._messages = messages
        self._kept = 0
        self._file: IO[bytes] | None = None

    async def __call__(self) -> AsyncIterator[Message]:
        """Yield every message: those of the file first, then those still to come."""
        place = at = 0
        while True:
            if at < self._kept:
                message, place = self._load(place)
            else:
                pulled = await self._pull()
                if pulled is None:
                    return
                message, place = pulled, self._keep(pulled)
            at += 1
            yield message

    def close(self) -> None:
        """Delete the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _pull(self) -> Message | None:
        if isinstance(self._messages, AsyncIterator):
            # Not anext with a default: on CPython 3.11 that fails with iterators written in C or
            # by hand, whose __anext__ returns any awaitable.
            try:
                return await anext(self._messages)
            except StopAsyncIteration:
                return None
        return next(self._messages, None)

    def _keep(self, message: Message) -> int:
        from pickle import dump  # with tempfile a MiB resident, which few conversations need
        from tempfile import TemporaryFile

        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115  # `close` closes it
        self._file.seek(0, 2)
        dump(message, self._file)
        self._kept += 1
        return self._file.tell()

    def _load(self, place: int) -> tuple[Message, int]:
        from pickle import load

        assert self._file is not None
        self._file.seek(place)
        message = load(self._file)  # written above, by this object
        return message, self._file.tell()
