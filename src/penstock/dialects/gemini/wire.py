"""The plain events of a dense stream, by type.

They forbid unknown fields, so that an event with anything more is decoded generically and nothing
of it is lost.
"""

from __future__ import annotations

import msgspec

__all__ = ["PlainEvent", "plain"]


class PlainPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of text, or of a thought."""

    text: str
    thought: bool = False


class PlainContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One piece."""

    parts: tuple[PlainPart]
    role: str = "model"


class PlainCandidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The only candidate of its event, not finished by it."""

    content: PlainContent
    index: int = 0


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ``GenerateContentResponse`` in the middle of an answer."""

    candidates: tuple[PlainCandidate]
    usageMetadata: msgspec.Raw = msgspec.Raw()
    modelVersion: str | None = None
    responseId: str | None = None
    createTime: str | None = None


plain = msgspec.json.Decoder(PlainEvent).decode
"""Decode a plain event; raises `msgspec.DecodeError` for any other."""
