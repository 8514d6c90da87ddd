"""A kept message above a block, opened without its attachments: their base64 stays where it is.

The message is gone over once, in its pieces. Texts that are long and hold a file are cut out, and
become pieces of a `Joined`, read when the encoder gets to them; those of which a dialect wants the
text are read at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeAlias

import msgspec

from penstock.cuts import Cut, Cuts
from penstock.errors import ConversationError
from penstock.fields import Joined, Streamed

__all__ = ["opened_large"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any


_DATA = b"data:"
_PLACES = {
    ("content", "image_url"),
    ("content", "image_url", "url"),
    ("content", "video_url", "url"),
    ("content", "audio_url", "url"),
    ("content", "file", "file_data"),
    ("content", "input_audio", "data"),
}
"""The names on the way to a text that every dialect takes in pieces."""


async def opened_large(message: Streamed) -> Json:
    """Return a message as a dict, in which the base64 of attachments is not in memory."""
    cuts = Cuts()
    async for piece in message.open():
        cuts.feed(piece)
    try:
        whole = msgspec.json.decode(cuts.skeleton)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ConversationError(
            f"a kept message is no JSON any more, another program changed it: {fault}",
            code="changed",
        ) from None
    return await _filled(whole, (), cuts.found, message) if cuts.found else whole


async def _filled(
    value: Json, place: tuple[str, ...], found: dict[str, Cut], message: Streamed
) -> Json:
    """Return `value` with what was cut out of it, to be read when it is sent."""
    if isinstance(value, dict):
        return {
            name: await _filled(each, (*place, name), found, message)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [await _filled(each, place, found, message) for each in value]
    if not isinstance(value, str) or value not in found:
        return value
    begins, start, size = found[value]
    if place not in _PLACES:
        pieces = [piece async for piece in _part_of(message, start, size).open()]
        return msgspec.json.decode(b'"%b"' % b"".join(pieces))
    # "" for base64 alone; what else is escaped is no head of a file
    head = begins[: begins.find(b",") + 1] if begins[: len(_DATA)].lower() == _DATA else b""
    rest = _part_of(message, start + len(head), size - len(head))
    return Joined((head.replace(b"\\/", b"/").decode(), rest) if head else (rest,))


def _part_of(message: Streamed, start: int, size: int) -> Streamed:
    async def pieces() -> AsyncGenerator[bytes, None]:
        at = 0
        whole: AsyncIterator[bytes] = message.open()
        try:
            async for piece in whole:
                first, last = max(start - at, 0), min(start + size - at, len(piece))
                if first < last:
                    yield piece[first:last]
                at += len(piece)
                if at >= start + size:
                    return
        finally:
            if isinstance(whole, AsyncGenerator):
                await whole.aclose()

    return Streamed(pieces, size)
