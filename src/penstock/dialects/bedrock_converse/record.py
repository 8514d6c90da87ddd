"""What of an answer goes back with the next turn, and how it is told.

Bedrock wants a model's thinking back unchanged and with its signature, at its place among the other
blocks. `provider_state` has the answer's blocks as ``blocks``, in order:

- ``{"text": N}`` stands for the next N characters of the message's content; ``citations`` beside it
  are those of the text;
- ``{"toolUse": I}`` stands for call number I;
- any other is the block itself. Thinking is kept whole, as only its exact text fits its signature.

An answer of one text and then calls says the same without: it has no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.chunks import Chunk, State

__all__ = ["KEPT", "Record", "restored"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any

KEPT = "blocks"
"""The name of the list in ``provider_state``."""


class Record:
    """Tells of an answer's blocks as they end, from the first on that is not plain."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: list[Json] | None = []
        """Plain blocks so far; None once there was another."""

    def add(self, entry: dict[str, Json], into: list[Chunk]) -> None:
        """Take the next block, and append what is to be told of it."""
        if self._pending is None:
            into.append(State({KEPT: [entry]}))
        elif self._is_plain(entry):
            self._pending.append(entry)
        else:
            into.append(State({KEPT: [*self._pending, entry]}))
            self._pending = None

    def _is_plain(self, entry: dict[str, Json]) -> bool:
        """Whether `entry` is what a message without state becomes at its place."""
        if len(entry) > 1:
            return False
        kind, value = next(iter(entry.items()))
        return type(value) is int and (kind == "toolUse" or not self._pending)


def restored(kept: Json, text: str, calls: list[Json]) -> list[Json] | None:
    """Return the blocks of an earlier answer; None where they no longer fit the message.

    Args:
        kept: What `Record` told.
        text: The message's text.
        calls: Its tool calls as ``toolUse`` blocks.
    """
    if not isinstance(kept, list):
        return None
    found: list[Json] = []
    place, used = 0, 0
    for entry in kept:
        if not isinstance(entry, Mapping):
            return None
        length, index = entry.get("text"), entry.get("toolUse")
        if type(length) is int:
            if not 0 < length <= len(text) - place:
                return None
            piece, place = text[place : place + length], place + length
            if entry.get("citations"):
                cited = {"content": [{"text": piece}], "citations": entry["citations"]}
                found.append({"citationsContent": cited})
            elif not piece.isspace():  # Bedrock refuses what its models said themselves
                found.append({"text": piece})
        elif type(index) is int:
            if index != used or used >= len(calls):
                return None
            found.append(calls[used])
            used += 1
        else:
            found.append(dict(entry))
    return found if place == len(text) and used == len(calls) else None
