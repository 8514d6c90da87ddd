"""The plain events of a dense stream, by type.

The types forbid unknown fields, so that an event with anything more is decoded generically and
nothing of it is lost.
"""

from __future__ import annotations

import msgspec

__all__ = ["PlainEvent", "plain"]


class PlainContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of text or of thinking."""

    text: str | None = None
    thinking: str | None = None


class PlainFunction(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of a call's arguments."""

    arguments: str


class PlainCall(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A call that has begun."""

    function: PlainFunction


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One of the three things that are streamed."""

    content: PlainContent | None = None
    tool_calls: PlainCall | None = None
    tool_plan: str | None = None


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What an event adds."""

    message: PlainMessage


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ``content-delta``, ``tool-call-delta`` or ``tool-plan-delta``."""

    type: str
    delta: PlainDelta
    index: int = -1
    logprobs: None = None


plain = msgspec.json.Decoder(PlainEvent).decode
"""Decode a plain event; raises `msgspec.DecodeError` for any other."""
