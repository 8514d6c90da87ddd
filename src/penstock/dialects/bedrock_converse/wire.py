"""The plain events that a dense stream consists of, and what stands around every event.

A typed decode costs a third of a generic one. The types forbid unknown fields, so that an event
with anything more is decoded generically and nothing of it is lost.
"""

from __future__ import annotations

import msgspec

__all__ = ["PADDING", "PlainDelta", "plain"]

PADDING = "p"
"""A field of every event that the service model does not have: letters of some number, so that the
length of a frame tells nothing of its text."""


class PlainInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of a tool call's input."""

    input: str


class PlainThinking(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of thinking."""

    text: str


class PlainPiece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What an event adds: one of them, as the service model's ``ContentBlockDelta`` is a union."""

    text: str | None = None
    toolUse: PlainInput | None = None
    reasoningContent: PlainThinking | None = None


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ``contentBlockDelta`` with nothing but a piece."""

    contentBlockIndex: int
    delta: PlainPiece
    p: str = ""


plain = msgspec.json.Decoder(PlainDelta).decode
"""Decode a plain event; raises `msgspec.DecodeError` for any other."""
