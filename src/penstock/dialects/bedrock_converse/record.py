"""How what goes back with the next turn is spelled, see `penstock.dialects.kept_blocks`.

- ``{"text": N}`` stands for the next N characters of the message's content; ``citations`` beside it
  are those of the text;
- ``{"toolUse": I}`` stands for call number I;
- any other is the block itself. Thinking is kept whole, as only its exact text fits its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects import kept_blocks
from penstock.dialects.kept_blocks import StandIn

__all__ = ["read", "restored"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any


def read(entry: Mapping[str, Json]) -> StandIn | None:
    """Return what `entry` stands for; None where it is the block itself."""
    length, index = entry.get("text"), entry.get("toolUse")
    if type(length) is int:
        cited = entry.get("citations")
        return StandIn("text", length, {"citations": cited} if cited else {})
    if type(index) is int:
        return StandIn("call", index, {})
    return None


def restored(kept: Json, text: str, calls: list[Json]) -> list[Json] | None:
    """Return the blocks of an earlier answer; None where they no longer fit the message.

    Args:
        kept: What was told of them.
        text: The message's text.
        calls: Its tool calls as ``toolUse`` blocks.
    """
    return kept_blocks.restored(kept, text, calls, read=read, said=_said)


def _said(piece: str, more: Mapping[str, Json]) -> Json | None:
    if more:
        return {"citationsContent": {"content": [{"text": piece}], **more}}
    return None if piece.isspace() else {"text": piece}  # which Bedrock refuses of its own models
