"""What of an answer made of blocks goes back with the next turn, and how it is told.

Anthropic and Bedrock want a model's blocks back as they came: thinking unchanged and with its
signature, a server's tools and what they gave, each at its place. `provider_state` has the blocks
in order, under `BLOCKS`. What the message has itself is not there twice: a block of text stands for
the next so many characters of the message's content, a call for call number I; each dialect spells
such a `StandIn` like its own blocks. Any other entry is the block itself.

An answer of one text and then calls says the same without: it has no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from penstock.chunks import Chunk, State

__all__ = ["BLOCKS", "Read", "Record", "StandIn", "restored", "whole_text"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any

BLOCKS = "blocks"
"""The name of the list in ``provider_state``."""


class StandIn(NamedTuple):
    """An entry for what the message has itself."""

    kind: Literal["text", "call"]
    number: Json
    """Characters of text, or the place among the calls; as it was kept, so of any type."""
    more: Mapping[str, Json]
    """What else the block has, such as citations."""


Read: TypeAlias = Callable[[Mapping[str, Json]], StandIn | None]
"""Reads an entry; None: it is the block itself. A ValueError says that it is no block at all."""


class Record:
    """Tells of an answer's blocks as they end, from the first on that is not plain.

    Args:
        read: Reads the dialect's entries.
    """

    __slots__ = ("_pending", "_read")

    def __init__(self, read: Read) -> None:
        self._read = read
        self._pending: list[Json] | None = []
        """Plain blocks so far; None once there was another."""

    def add(self, entry: dict[str, Json], into: list[Chunk]) -> None:
        """Take the next block, and append what is to be told of it."""
        if self._pending is None:
            into.append(State({BLOCKS: [entry]}))
        elif self._is_plain(entry):
            self._pending.append(entry)
        else:
            into.append(State({BLOCKS: [*self._pending, entry]}))
            self._pending = None

    def _is_plain(self, entry: dict[str, Json]) -> bool:
        """Whether `entry` is what a message without state becomes at its place."""
        found = self._read(entry)
        if found is None or found.more:
            return False
        return found.kind == "call" or not self._pending


def restored(
    kept: Json,
    text: str,
    calls: list[Json],
    *,
    read: Read,
    said: Callable[[str, Mapping[str, Json]], Json | None],
) -> list[Json] | None:
    """Return the blocks of an earlier answer; None where they no longer fit the message.

    Args:
        kept: What `Record` told.
        text: The message's text.
        calls: Its tool calls as the dialect's blocks.
        read: Reads the dialect's entries.
        said: Makes the block of a piece of text and of what else it had; None: it is left out.
    """
    if not isinstance(kept, list):
        return None
    found: list[Json] = []
    place, used = 0, 0
    for entry in kept:
        try:
            if not isinstance(entry, Mapping):
                return None
            stand_in = read(entry)
        except ValueError:
            return None
        if stand_in is None:
            found.append(dict(entry))
        elif stand_in.kind == "text":
            length = stand_in.number
            if type(length) is not int or not 0 < length <= len(text) - place:
                return None
            piece, place = text[place : place + length], place + length
            if (block := said(piece, stand_in.more)) is not None:
                found.append(block)
        else:
            if stand_in.number != used or used >= len(calls):
                return None
            found.append({**calls[used], **stand_in.more})
            used += 1
    return found if place == len(text) and used == len(calls) else None


def whole_text(content: Json) -> str | None:
    """Return the text of a message; None where it has more than text."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, (list, tuple)):
        return None
    texts: list[str] = []
    for part in content:
        text = part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(text, str):
            return None
        texts.append(text)
    return "".join(texts)
