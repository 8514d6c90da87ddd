"""The plain events that a dense stream consists of, by type.

A typed decode costs a third of a generic one. The types forbid unknown fields, so that an event
with anything more is decoded generically and nothing of it is lost.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = ["PlainEvent", "PlainJson", "PlainText", "PlainThinking", "plain"]


class PlainText(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="text_delta", tag_field="type"
):
    """A piece of text."""

    of: ClassVar[str] = "text"
    """The type of the block that it adds to."""

    text: str


class PlainThinking(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="thinking_delta", tag_field="type"
):
    """A piece of thinking."""

    of: ClassVar[str] = "thinking"
    """The type of the block that it adds to."""

    thinking: str


class PlainJson(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="input_json_delta", tag_field="type"
):
    """A piece of a tool call's input."""

    of: ClassVar[str] = "tool_use"
    """The type of the block that it adds to."""

    partial_json: str


class PlainEvent(
    msgspec.Struct,
    forbid_unknown_fields=True,
    gc=False,
    tag="content_block_delta",
    tag_field="type",
):
    """A ``content_block_delta`` with nothing but a piece (SDK: ``RawContentBlockDeltaEvent``)."""

    index: int
    delta: PlainText | PlainThinking | PlainJson


plain = msgspec.json.Decoder(PlainEvent).decode
"""Decode a plain event; raises `msgspec.DecodeError` for any other."""
