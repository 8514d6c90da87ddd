"""Encoded parts gathered into pieces of the buffer's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Output", "Told", "safe_end"]

Part: TypeAlias = "bytes | memoryview"

_HIGH = 0xC0
_CONTINUES = 0x80
_SMALL = 512
"""Bytes of a part that is gathered with others. What an encoder returns for a few bytes may sit in
four KiB of its own: a buffer of 64 KiB of orjson 3.11's held 16 MiB."""
_ESCAPED = 6
"""Bytes of the longest escape, ``\\u0000``."""


class Output:
    """Gathers parts and hands out pieces of at most `size` bytes.

    No piece begins or ends inside a UTF-8 sequence or an escape.
    """

    __slots__ = ("_held", "_parts", "ready", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.ready: list[bytes] = []
        """Pieces to be taken, oldest first."""
        self._parts: list[Part | bytearray] = []
        self._held = 0

    def write(self, part: Part) -> None:
        """Add `part`; what fills a piece becomes ready."""
        length = len(part)
        if self._held + length > self.size:
            self.flush()
            if length > self.size:
                part = self._cut(bytes(part))
                length = len(part)
        self._held += length
        if length > _SMALL:
            self._parts.append(part)
        elif self._parts and type(self._parts[-1]) is bytearray:
            self._parts[-1] += part
        else:
            self._parts.append(bytearray(part))

    def flush(self) -> None:
        """Make what is held ready, if there is anything."""
        if self._held:
            self.ready.append(b"".join(self._parts))
            self._parts = []
            self._held = 0

    def take(self) -> list[bytes]:
        """Return the pieces that are ready."""
        pieces, self.ready = self.ready, []
        return pieces

    def _cut(self, part: bytes) -> bytes:
        """Cut whole pieces off `part` and return its rest."""
        start = 0
        while len(part) - start > self.size:
            end = safe_end(part, start, start + self.size)
            self.ready.append(part[start:end])
            start = end
        return part[start:]  # a copy of its own: what is held would hold all of it


class Told(Output):
    """Tells of parts, instead of making pieces of them.

    Args:
        tell: Takes all bytes, in their order.
    """

    __slots__ = ("_few", "_tell")

    def __init__(self, tell: Callable[[Part | bytearray], object]) -> None:
        super().__init__(0)
        self._tell = tell
        self._few = bytearray()

    def write(self, part: Part) -> None:
        """Tell of `part`, or of several small ones together."""
        if len(part) <= _SMALL:
            self._few += part
            if len(self._few) > _SMALL:
                self.flush()
            return
        self.flush()
        self._tell(part)

    def flush(self) -> None:
        """Tell of what is held."""
        if self._few:
            self._tell(self._few)
            self._few = bytearray()

    def take(self) -> list[bytes]:
        """Return the sign that work was done."""
        return [b""]


def safe_end(part: bytes, start: int, end: int) -> int:
    """Return the last place in `part` up to `end` that is in no UTF-8 sequence and no escape."""
    while part[end] & _HIGH == _CONTINUES:
        end -= 1
    escape = part.rfind(b"\\", max(start, end - _ESCAPED), end)
    if escape < 0:
        return end
    before = part[start:escape]
    if (len(before) - len(before.rstrip(b"\\"))) % 2:  # the second of a pair: the escape is over
        return end
    length = _ESCAPED if part[escape + 1 : escape + 2] == b"u" else 2
    return end if escape + length <= end else escape
