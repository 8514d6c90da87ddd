"""A kept message above a block, opened without its attachments: their base64 stays where it is.

The message is gone over once, in its pieces. Texts that are long and hold a file are cut out, and
become pieces of a `Joined`, read when the encoder gets to them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec

from penstock.fields import Joined, Streamed

__all__ = ["opened_large"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_LONG = 16 * 1024
"""Bytes of a text from which on it is not held."""
_HEAD = 512
"""Characters in which a ``data:`` URL has said its type."""
_QUOTE, _BACKSLASH = b'"', b"\\"


async def opened_large(message: Streamed) -> Json:
    """Return a message as a dict, in which the base64 of attachments is not in memory."""
    cuts = _Cuts()
    async for piece in message.open():
        cuts.feed(piece)
    return _filled(msgspec.json.decode(bytes(cuts.skeleton)), cuts.found, message)


class _Cuts:
    """Reads JSON, and puts a name in the place of each long text that holds a file."""

    def __init__(self) -> None:
        self.skeleton = bytearray()
        """The JSON without them."""
        self.found: dict[str, tuple[bytes, int, int]] = {}
        """How each begins, where it is, and how many bytes it has, by its name."""
        self._name = uuid4().hex
        self._inside = False
        self._candidate = False
        self._held = bytearray()
        self._start = self._at = self._size = 0
        self._slashes = 0

    def feed(self, data: bytes) -> None:
        """Read the next bytes."""
        place = 0
        while place < len(data):
            end = data.find(_QUOTE, place)
            chunk = data[place:end] if end >= 0 else data[place:]
            place += len(chunk)
            if not self._inside:
                self.skeleton += chunk
            else:
                self._grow(chunk)
            self._at += len(chunk)
            if end < 0:
                return
            self._at += 1
            place += 1
            if not self._inside:
                self._begin()
            elif self._slashes % 2:
                self._grow(_QUOTE)
            else:
                self._end()

    def _begin(self) -> None:
        self._candidate = self.skeleton.endswith(b'"data":')
        self.skeleton += _QUOTE
        self._inside, self._start, self._size, self._slashes = True, self._at, 0, 0
        self._held.clear()

    def _grow(self, chunk: bytes) -> None:
        bare = len(chunk.rstrip(_BACKSLASH))
        self._slashes = len(chunk) - bare + (self._slashes if not bare else 0)
        self._size += len(chunk)
        if self._holds():
            self._held += chunk

    def _holds(self) -> bool:
        """Whether a text is kept as it comes: unless it is long, and a file."""
        if len(self._held) < _LONG:
            return True
        if self._held.startswith(b"data:"):
            return self._held.startswith(b"data:text/")  # a vendor may want it as text
        return not self._candidate

    def _end(self) -> None:
        if len(self._held) == self._size:
            self.skeleton += self._held
        else:
            name = f"{self._name}:{len(self.found)}"
            self.found[name] = (bytes(self._held[:_HEAD]), self._start, self._size)
            self.skeleton += name.encode()
        self.skeleton += _QUOTE
        self._inside = False
        self._held.clear()


def _filled(value: Json, found: dict[str, tuple[bytes, int, int]], message: Streamed) -> Json:
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
