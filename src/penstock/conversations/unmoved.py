"""A pass over messages that ends with an error where some of them were taken out under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penstock.conversations.numbered import moved
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Change, Large, Metadata
    from penstock.fields import Lines

__all__ = ["Unmoved", "check_unmoved", "has_moved", "if_unmoved"]


class Unmoved:
    """The blocks of a store; behind the last of them it is looked whether they are what was meant.

    A store reads by numbers or places, at which other messages stand once earlier ones are gone.

    Args:
        blocks: The blocks.
        check: Raises an error where messages have moved.
    """

    def __init__(self, blocks: Blocks, check: Callable[[], None]) -> None:
        self._blocks = blocks
        self._check = check

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        """Return the next block.

        Raises:
            ConversationError: It is the end, and messages have moved.
        """
        for block in self._blocks:
            return block
        self._check()
        raise StopIteration

    def ready(self) -> bool:
        """Whether the next block can be had without waiting for a disk."""
        return self._blocks.ready()


def check_unmoved(metadata: Metadata, since: int, stop: int) -> None:
    """Look whether the messages before number `stop` have the numbers that they had.

    Raises:
        ConversationError: Some were taken out or cut off, after the first `since` times.
    """
    if moved(metadata, since, stop):
        raise has_moved()


def has_moved() -> ConversationError:
    """Return the error for messages that are not where they were."""
    return ConversationError(
        "messages of the conversation were taken out or cut off while it was read, or since the"
        " call began or the view was decided: read it again, make the call again, or decide another"
        " view",
        code="changed",
    )


def if_unmoved(change: Change, since: int, index: int) -> Change:
    """Return a change that is refused once message number `index` is another.

    A store applies it before anything is done, and nobody comes between.

    Args:
        change: The change.
        since: How often messages had moved when the number was right.
        index: The number.
    """

    def checked(metadata: Metadata) -> Mapping[str, Any]:  # Any: JSON
        if moved(metadata, since, index + 1):
            raise ConversationError(
                f"message {index} was taken out, cut off or moved up meanwhile: nothing was"
                " changed; look again for its number",
                code="changed",
            )
        return change(metadata)

    return checked
