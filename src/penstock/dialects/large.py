"""A kept message above a block, opened without its attachments: their base64 stays where it is.

The message is gone over once, in its pieces. Texts that are long and hold a file are cut out, and
become pieces of a `Joined`, read when the encoder gets to them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeAlias

import msgspec

from penstock.cuts import Cut, Cuts
from penstock.fields import Joined, Streamed

__all__ = ["opened_large"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any


async def opened_large(message: Streamed) -> Json:
    """Return a message as a dict, in which the base64 of attachments is not in memory."""
    cuts = Cuts()
    async for piece in message.open():
        cuts.feed(piece)
    return _filled(msgspec.json.decode(cuts.skeleton), cuts.found, message)


def _filled(value: Json, found: dict[str, Cut], message: Streamed) -> Json:
    """Return `value` with what was cut out of it, to be read when it is sent."""
    if isinstance(value, dict):
        return {name: _filled(each, found, message) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, found, message) for each in value]
    if not isinstance(value, str) or value not in found:
        return value
    begins, start, size = found[value]
    head = begins[: begins.find(b",") + 1]  # "" for base64 alone
    rest = _part_of(message, start + len(head), size - len(head))
    return Joined((head.decode(), rest) if head else (rest,))


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
