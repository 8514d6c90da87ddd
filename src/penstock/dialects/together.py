"""An answer's frames as they come in one read: together where they are alike, else one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from penstock.chunks import TextDelta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.chunks import Chunk
    from penstock.dialects.shape import Sample

__all__ = ["FEWEST", "Sized", "Together", "feed", "read_block"]

FEWEST: Final = 4
"""Frames from which on reading them together is cheaper than a typed decode of each."""
_GROUP: Final = 32
"""Frames that are read together where not all of a read are alike: one may have a quote in it."""


class Sized(Protocol):
    """A block of text, of which only the size is kept."""

    size: int


class Together(Protocol):
    """An answer that knows two ways."""

    @property
    def complete(self) -> bool:
        """Whether the terminal event has been seen."""
        ...

    def read_alike(self, frames: Sequence[Any], into: list[Chunk]) -> bool:
        """Append the chunks of `frames` if all are like an earlier one but for their text."""
        ...

    def read_each(self, frames: Sequence[Any], into: list[Chunk]) -> None:
        """Append the chunks of `frames`, of any shape, until one is the terminal event."""
        ...


def feed(answer: Together, frames: Sequence[Any], into: list[Chunk]) -> None:
    """Append the chunks of `frames`; frames after the terminal event are not read.

    It is the method ``feed`` of an answer that knows two ways.

    Raises:
        PenstockError: The answer says that it failed, or breaks the dialect.
    """
    if answer.complete:
        return
    unread = getattr(frames, "parts", None)
    count = 0 if unread is not None else len(frames)
    if (unread is not None or count >= FEWEST) and answer.read_alike(frames, into):
        return
    # Of an answer's first and last reads a few frames alone are of other kinds.
    if unread is not None:
        parts = unread(FEWEST)
    elif count <= 3 * FEWEST:
        answer.read_each(frames, into)
        return
    else:
        parts = [frames[:FEWEST], frames[FEWEST:-FEWEST], frames[-FEWEST:]]
    for part in parts:
        _feed_part(answer, part, into)


def read_block(
    alike: tuple[Sample, Sized] | None, frames: Sequence[Any], into: list[Chunk]
) -> bool:
    """Append the texts of `frames`, all of one block; False where they have another shape."""
    if alike is None:
        return False
    sample, block = alike
    texts = sample.texts(frames)
    if texts is None:
        return False
    block.size += sum(map(len, texts))
    into += map(TextDelta, filter(None, texts))
    return True


def _feed_part(answer: Together, frames: Sequence[Any], into: list[Chunk]) -> None:
    if answer.complete or (_are_many(frames) and answer.read_alike(frames, into)):
        return
    if len(frames) <= _GROUP:
        answer.read_each(frames, into)
        return
    for start in range(0, len(frames), _GROUP):
        _feed_part(answer, frames[start : start + _GROUP], into)


def _are_many(frames: Sequence[Any]) -> bool:
    return hasattr(frames, "block") or len(frames) >= FEWEST
