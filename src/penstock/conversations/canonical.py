"""A message as it is kept: canonical JSON on one line, checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from penstock.encoders import encode_json
from penstock.errors import EncodeError
from penstock.fields import Raw

__all__ = ["BLOCK", "Message", "message_of"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

BLOCK = 32 * 1024
"""Bytes that are encoded, written or read at once: sending holds three of them."""


class Message:
    """One message, ready to be kept.

    Args:
        value: A dict of the OpenAI shape, whose values may be typed parts.

    Raises:
        EncodeError: It has no JSON form.
    """

    __slots__ = ("_small", "_value", "size")

    def __init__(self, value: Json) -> None:
        self._value = value
        self.size = 0
        """Bytes of its JSON."""
        self._small: bytes | None = None
        head: list[bytes] = []
        for piece in encode_json(value, buffer_size=BLOCK):
            self.size += len(piece)
            head = [*head, piece] if self.size <= BLOCK else []
        if head:
            self._small = b"".join(head)

    def pieces(self) -> Iterator[bytes]:
        """Return its JSON in pieces of at most `BLOCK` bytes; the same each time."""
        if self._small is not None:
            return iter((self._small,))
        return encode_json(self._value, buffer_size=BLOCK)


def message_of(value: Json) -> Message:
    """Return `value`, a message in any of the forms that calls take, as it is kept.

    Raises:
        EncodeError: It is no message, or has no JSON form.
    """
    if isinstance(value, Raw):
        try:
            value = msgspec.json.decode(value.data)
        except msgspec.DecodeError as fault:
            raise EncodeError(f"a Raw message is not JSON: {fault}") from None
    elif hasattr(value, "to_openai"):
        value = value.to_openai()
    if not isinstance(value, Mapping):
        raise EncodeError(
            "a message is a mapping or one of penstock's messages, not " + type(value).__name__
        )
    if not isinstance(value.get("role"), str):
        raise EncodeError("a message needs a role, and it must be text", param="role")
    content = value.get("content")
    if isinstance(content, (list, tuple)) and any(hasattr(part, "to_openai") for part in content):
        parts = [part.to_openai() if hasattr(part, "to_openai") else part for part in content]
        value = {**value, "content": parts}
    return Message(value)
