"""Messages of an SQLite file on their way out: several runs are read at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from penstock.conversations.runs import within
from penstock.conversations.stores import Large
from penstock.errors import ConversationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.runs import Run

__all__ = ["RunBlocks"]


class RunBlocks:
    """The messages of a conversation from number `start` to before `stop`.

    Args:
        read: Returns the next runs from a message's number on, each with its lines; with None where
            it is large.
        pieces: Returns the JSON of a large one: of the row `id`, so many bytes.
        within: The number of the first message, and the one behind the last.
        name: The file's, for errors.
    """

    def __init__(
        self,
        read: Callable[[int], list[tuple[Run, bytes | None]]],
        pieces: Callable[[int, int], Iterator[bytes]],
        within: tuple[int, int],
        *,
        name: str,
    ) -> None:
        self._read = read
        self._pieces = pieces
        self._start, self._stop = within
        self._name = name
        self._found: list[tuple[Run, bytes | None]] = []

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        start = self._start
        if start >= self._stop:
            raise StopIteration
        if not self._found:
            self._found = self._read(start)[::-1]
        if not self._found or self._found[-1][0].first > start:
            raise ConversationError(
                f"messages were taken out of {self._name} while it was read", code="changed"
            )
        run, data = self._found.pop()
        self._start = run.first + run.messages
        if data is None:
            return Large(run.size - 1, partial(self._pieces, run.id, run.size - 1))
        return Lines(within(run, data, start, self._stop), plain=bool(run.plain))

    def ready(self) -> bool:
        """Whether the next block is read already."""
        return bool(self._found)
