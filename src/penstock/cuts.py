"""JSON without the long texts in it, which are not held to be looked at: where each is, is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cut", "Cuts"]

_LONG = 16 * 1024
"""Bytes of a text from which on it is not held."""
_HEAD = 512
"""Characters in which a ``data:`` URL has said its type."""
_MEMBER = re.compile(rb'"(image_url|url|file_data|data)"\s*:\s*"\Z')
"""What stands before a text that may be a file."""
_LONGEST_MEMBER = 64
_FILE = re.compile(rb'data:(?!text)[a-z]+\\?/[a-z0-9.+-]+(;[^,"\\]*)?;base64,', re.IGNORECASE)
"""How an address begins that holds a file; a vendor may want one that is text as text."""
_QUOTE, _BACKSLASH = b'"', b"\\"


class Cut(NamedTuple):
    """A text that was cut out."""

    begins: bytes
    """How it begins."""
    start: int
    """Where it is in the JSON, behind its quote."""
    size: int
    """How many bytes it has there."""


class Cuts:
    """Reads JSON, and puts a name in the place of each long text that holds a file.

    That is a ``data:`` URL where one is expected, or what stands in its place as ``data``.

    Args:
        every: Whether each other long text is cut out as well.
        see: Is told what is cut out as it comes, and ``b""`` at the end of each text.
    """

    def __init__(
        self, *, every: bool = False, see: Callable[[bytes], object] | None = None
    ) -> None:
        self.skeleton = bytearray()
        """The JSON without them."""
        self.found: dict[str, Cut] = {}
        """What was cut out, by its name."""
        self._every = every
        self._see = see
        self._name = uuid4().hex
        self._inside = False
        self._cut: bool | None = None  # unknown until the text is long
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
        self.skeleton += _QUOTE
        self._inside, self._start, self._size, self._slashes = True, self._at, 0, 0
        self._cut = None
        self._held.clear()

    def _grow(self, chunk: bytes) -> None:
        if not chunk:
            return
        bare = len(chunk.rstrip(_BACKSLASH))
        self._slashes = len(chunk) - bare + (self._slashes if not bare else 0)
        self._size += len(chunk)
        if self._holds():
            self._held += chunk
        elif self._see is not None:
            self._see(chunk)

    def _holds(self) -> bool:
        """Whether a text is kept as it comes: unless it is long, and a file."""
        if len(self._held) < _LONG:
            return True
        if self._cut is None:
            self._cut = self._every or self._is_file()
            if self._cut and self._see is not None:
                self._see(bytes(self._held))
        return not self._cut

    def _is_file(self) -> bool:
        member = _MEMBER.search(self.skeleton[-_LONGEST_MEMBER:])
        if member is None:
            return False
        if self._held[:5].lower() == b"data:":
            return _FILE.match(self._held, 0, _HEAD) is not None
        return member[1] == b"data"

    def _end(self) -> None:
        if len(self._held) == self._size:
            self.skeleton += self._held
        else:
            if self._see is not None:
                self._see(b"")
            name = f"{self._name}:{len(self.found)}"
            self.found[name] = Cut(bytes(self._held[:_HEAD]), self._start, self._size)
            self.skeleton += name.encode()
        self.skeleton += _QUOTE
        self._inside = False
        self._held.clear()
