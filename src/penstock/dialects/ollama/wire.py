"""The plain lines of a dense stream, by type.

The types forbid unknown fields, so that a line with anything more is decoded generically and
nothing of it is lost.
"""

from __future__ import annotations

import msgspec

__all__ = ["PlainMessage", "plain"]


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of text or of thinking."""

    role: str = ""
    content: str = ""
    thinking: str | None = None
    tool_calls: None = None
    images: None = None


class PlainLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ``ChatResponse`` in the middle of an answer.

    ``remote_model`` and ``remote_host`` are on every line of a model that ollama.com runs.
    """

    message: PlainMessage
    model: str
    created_at: str
    done: bool
    remote_model: str | None = None
    remote_host: str | None = None
    done_reason: None = None


plain = msgspec.json.Decoder(PlainLine).decode
"""Decode a plain line; raises `msgspec.DecodeError` for any other."""
