"""Calls in a kept conversation whose ids pair with no result: found in its bytes, which are copied.

What is odd, and what becomes of it, is in `penstock.dialects.pairing`; here it is only found.
"""

from __future__ import annotations

from re import compile as pattern
from typing import Any, TypeAlias

import msgspec

from penstock.dialects.openai_chat.manners import MOST

__all__ = ["SeenCalls", "has_odd_calls"]

# What may be of any kind in a conversation from elsewhere.
Json: TypeAlias = Any

_CALLS = b'"tool_call'
_SIGN = b"_call"
"""A part of it, which is found twice as fast."""
_NAMELESS = pattern(rb'"name"\s*:\s*""')
_ID_OR_CALL = pattern(rb'"id"\s*:\s*"((?:[^"\\]|\\.){1,128})|"(?:function|custom)"\s*:\s*\{')
"""A key is never found within a text: a quotation mark of a text has a backslash before it."""


class _Call(msgspec.Struct):
    id: Json = None


class _Message(msgspec.Struct):
    tool_calls: list[_Call] | None = None
    tool_call_id: Json = None


_DECODER = msgspec.json.Decoder(list[_Message])


def has_odd_calls(lines: bytes) -> bool:
    """Whether a message of `lines` calls without an id, with one twice, or nothing by name.

    Also where an id is too long, and where it cannot be told. It takes a third more time than to
    search for long ids, 2 us a KiB of messages with calls, and none where there are no calls.
    """
    if _SIGN not in lines or _CALLS not in lines:
        return False
    if _NAMELESS.search(lines):
        return True
    try:
        messages = _DECODER.decode(b"[" + lines.replace(b"\n", b",") + b"]")
    except msgspec.DecodeError:
        return True
    return any(map(_is_odd, messages))


def _is_odd(message: _Message) -> bool:
    ids = [call.id for call in message.tool_calls or ()]
    if message.tool_call_id is not None:
        ids.append(message.tool_call_id)
    return not all(isinstance(id, str) and 0 < len(id) <= MOST for id in ids) or (
        len({*ids}) < len(ids)
    )


class SeenCalls:
    """The calls of one large message, of which the pieces are seen one after the other."""

    __slots__ = ("_calls", "_ids", "_nameless", "_offset")

    def __init__(self) -> None:
        self._offset = 0
        self._nameless = False
        self._calls: set[int] = set()
        self._ids: dict[int, bytes] = {}

    def see(self, tail: bytes, piece: bytes) -> None:
        """Take note of `piece`, behind the `tail` of what was seen before."""
        data, start = tail + piece, self._offset - len(tail)
        self._offset += len(piece)
        self._nameless = self._nameless or _NAMELESS.search(data) is not None
        for found in _ID_OR_CALL.finditer(data):
            if found[1] is None:
                self._calls.add(start + found.start())
            else:  # one that is cut is seen whole with the next piece
                self._ids[start + found.start()] = found[1]

    def are_odd(self) -> bool:
        """Whether one has no id or name, or another's id; also where other things have ids."""
        if not self._calls:
            return False
        distinct = {*self._ids.values()}
        return self._nameless or not len(self._calls) == len(self._ids) == len(distinct)
