"""How what goes back with the next turn is spelled, see `penstock.dialects.kept_blocks`.

- ``{"type": "text", "length": N}`` stands for the next N characters of the message's content, with
  the block's ``citations`` where it has any;
- ``{"type": "tool_use", "index": I}`` stands for call number I, with what else the block has;
- any other is the block itself: redacted thinking, server tools and their results. Thinking is kept
  whole, as only its exact text fits its signature.

``explained`` is true where the message's refusal is the API's explanation and no word of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects import kept_blocks
from penstock.dialects.kept_blocks import StandIn

__all__ = ["EXPLAINED", "read", "restored"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any

EXPLAINED = "explained"
"""The name of the mark at a refusal that the model did not say."""


def read(entry: Mapping[str, Json]) -> StandIn | None:
    """Return what `entry` stands for; None where it is the block itself.

    Raises:
        ValueError: It has no type.
    """
    kind = entry.get("type")
    if not isinstance(kind, str):
        raise ValueError("a block has a type")
    if kind == "text" and "length" in entry:
        return StandIn("text", entry["length"], _without(entry, "length"))
    if kind == "tool_use" and "index" in entry:
        return StandIn("call", entry["index"], _without(entry, "index"))
    return None


def restored(blocks: Json, text: str, calls: list[Json]) -> list[Json] | None:
    """Return the blocks of an earlier answer; None where they no longer fit the message.

    Args:
        blocks: What was told of them.
        text: The message's text.
        calls: Its tool calls as ``tool_use`` blocks.
    """
    return kept_blocks.restored(blocks, text, calls, read=read, said=_said)


def _said(piece: str, more: Mapping[str, Json]) -> Json | None:
    if piece.isspace() and not more:
        return None  # the API refuses what it said itself
    return {"type": "text", "text": piece, **more}


def _without(entry: Mapping[str, Json], number: str) -> dict[str, Json]:
    return {name: value for name, value in entry.items() if name not in ("type", number)}
