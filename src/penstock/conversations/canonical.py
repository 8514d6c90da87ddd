"""A message as it is kept: canonical JSON on one line, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.conversations.references import KEY, MARK, is_referring, message_in, referred
from penstock.conversations.stores import lines_of
from penstock.encoders import encode_json
from penstock.errors import ConversationError, EncodeError
from penstock.fields import Lines, Raw

if TYPE_CHECKING:
    from penstock.conversations.references import Notes
    from penstock.conversations.stores import Large

__all__ = ["BLOCK", "Message", "message_of", "whole_lines"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

BLOCK = 32 * 1024
"""Bytes that are encoded, written or read at once: sending holds three of them."""


class Message:
    """One message, ready to be kept.

    Args:
        value: A dict of the OpenAI shape, whose values may be typed parts.
        notes: What is to be noted of the conversation before the message is kept.

    Raises:
        EncodeError: It has no JSON form.
    """

    __slots__ = ("_small", "_value", "notes", "plain", "size")

    def __init__(self, value: Json, notes: Mapping[str, Json] = MappingProxyType({})) -> None:
        self._value = value
        self.notes = notes
        """What is to be noted of the conversation before the message is kept."""
        self.plain = _is_plain(value)
        """Whether it is only a role and a text; see `penstock.fields.Lines`."""
        self.size = 0
        """Bytes of its JSON."""
        self._small: bytes | None = None
        head: list[bytes] = []
        for piece in self._encoded():
            self.size += len(piece)
            head = [*head, piece] if self.size <= BLOCK else []
        if head:
            self._small = b"".join(head)

    def pieces(self) -> Iterator[bytes]:
        """Return its JSON in pieces of at most `BLOCK` bytes; the same each time.

        Raises:
            ConversationError: It is of another size now: a file or a list in it was changed.
        """
        if self._small is not None:
            return iter((self._small,))
        return self._measured()

    def _measured(self) -> Iterator[bytes]:
        left = self.size
        for piece in self._encoded():
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise ConversationError(
                "a message was changed while it was kept: nothing is kept of it; append it again",
                code="changed",
            )

    def _encoded(self) -> Iterator[bytes]:
        mark = [MARK] if KEY in self._value else []
        return chain(mark, encode_json(self._value, buffer_size=BLOCK))


def _is_plain(message: Json) -> bool:
    if type(message) is not dict or [*message] != ["role", "content"]:
        return False
    role, content = message.values()
    return role in ("user", "assistant") and type(content) is str and bool(content.strip())


def message_of(value: Json) -> Message:
    """Return `value`, a message in any of the forms that calls take, as it is kept.

    Raises:
        EncodeError: It is no message, or has no JSON form.
        ConversationError: A file that it is to refer to is not what it was.
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
            "a message is a mapping such as {'role': 'user', 'content': '...'} or one of penstock's"
            f" messages, not {type(value).__name__}"
        )
    if not isinstance(value.get("role"), str):
        raise EncodeError("a message needs a role, and it must be text", param="role")
    return Message(*referred(value))


def whole_lines(
    blocks: Iterable[Lines | Large], notes: Notes
) -> Iterator[tuple[Iterable[bytes], int]]:
    """Yield the bytes of each block, as its messages are without any files beside them.

    Each comes with the number of its messages.
    """
    known = cache(notes)
    for block in blocks:
        if isinstance(block, Lines) and not is_referring(block.data):
            yield [block.data, b"\n"], block.data.count(b"\n") + 1
            continue
        if not isinstance(block, Lines) and not is_referring(next(block.pieces())):
            yield chain(block.pieces(), [b"\n"]), 1
            continue
        for line in lines_of([block]):
            message = message_in(line, known)
            yield chain(Message(_inside(message)).pieces(), [b"\n"]), 1


def _inside(message: Json) -> Json:
    """Return a message with its files in it."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [part.to_openai() if hasattr(part, "to_openai") else part for part in content]
    return {**message, "content": parts}
