"""What of an answer goes back with the next turn, and how it is told.

Anthropic wants an assistant's blocks back as they came: thinking unchanged and with its signature,
redacted thinking, server tools and their results, each at its place. `provider_state` has them as
``blocks``, in order:

- ``{"type": "text", "length": N}`` stands for the next N characters of the message's content, with
  the block's ``citations`` where it has any;
- ``{"type": "tool_use", "index": I}`` stands for call number I, with what else the block has;
- any other is the block itself. Thinking is kept whole, as only its exact text fits its signature.

An answer of one text and then calls says the same without: it has no state. ``explained`` is true
where the message's refusal is the API's explanation and no word of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.chunks import Chunk, State

__all__ = ["BLOCKS", "EXPLAINED", "Record", "restored"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any

BLOCKS = "blocks"
"""The name of the list in ``provider_state``."""
EXPLAINED = "explained"
"""The name of the mark at a refusal that the model did not say."""


class Record:
    """Tells of an answer's blocks as they end, from the first on that is not plain."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
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
        if len(entry) > 2:
            return False
        return entry["type"] == "tool_use" or (entry["type"] == "text" and not self._pending)


def restored(blocks: Json, text: str, calls: list[Json]) -> list[Json] | None:
    """Return the blocks of an earlier answer; None where they no longer fit the message.

    Args:
        blocks: What `Record` told.
        text: The message's text.
        calls: Its tool calls as ``tool_use`` blocks.
    """
    if not isinstance(blocks, list):
        return None
    found: list[Json] = []
    place, used = 0, 0
    for entry in blocks:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            return None
        if entry["type"] == "text" and "length" in entry:
            length = entry["length"]
            if type(length) is not int or not 0 < length <= len(text) - place:
                return None
            piece, place = text[place : place + length], place + length
            more = {name: value for name, value in entry.items() if name not in ("type", "length")}
            if more or not piece.isspace():  # the API refuses what it said itself
                found.append({"type": "text", "text": piece, **more})
        elif entry["type"] == "tool_use" and "index" in entry:
            if entry["index"] != used or used >= len(calls):
                return None
            more = {name: value for name, value in entry.items() if name not in ("type", "index")}
            found.append({**calls[used], **more})
            used += 1
        else:
            found.append(dict(entry))
    return found if place == len(text) and used == len(calls) else None
