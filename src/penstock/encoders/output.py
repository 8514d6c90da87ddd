"""Encoded parts gathered into pieces of the buffer's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MIN_BUFFER", "WORKED", "Frame", "Output", "Told", "check_buffer", "safe_end"]

Part: TypeAlias = "bytes | memoryview"
Frame: TypeAlias = "Callable[[Sequence[Part | bytearray]], bytes]"

MIN_BUFFER = 7
"""Bytes: the longest escape and a quote."""
WORKED = (b"",)
"""What is ready where nothing is made: the sign that a piece's work is done."""
_HIGH = 0xC0
_CONTINUES = 0x80
_SMALL = 512
"""Bytes of a part that is gathered with others. What an encoder returns for a few bytes may sit in
four KiB of its own: a buffer of 64 KiB of orjson 3.11's held 16 MiB."""
_REST = 8
"""Parts of a piece; what is left of it below one of them is not worth a slice of a text."""
_ESCAPED = 6
"""Bytes of the longest escape, ``\\u0000``."""


class Output:
    """Gathers parts and hands out pieces of at most `size` bytes.

    No piece begins or ends inside a UTF-8 sequence or an escape.

    Args:
        size: Most bytes of a piece.
        summed: Whether there is to be a checksum of what nobody vouches for.
        frame: Puts the parts of a piece together.
    """

    __slots__ = ("_frame", "_held", "_parts", "_summed", "checksum", "ready", "size", "vouched")

    at_once = 0
    """Bytes of a part that is ready, up to which it need not be cut into pieces first."""

    def __init__(self, size: int, *, summed: bool = False, frame: Frame = b"".join) -> None:
        self.size = size
        self._frame = frame
        self._summed = summed
        self.checksum = 0
        """CRC-32 of what nobody vouched for."""
        self.vouched = False
        """Whether the source of what is written compares it with what it was at first."""
        self.ready: list[bytes] = []
        """Pieces to be taken, oldest first."""
        self._parts: list[Part | bytearray] = []
        self._held = 0

    def write(self, part: Part) -> None:
        """Add `part`; what fills a piece becomes ready."""
        if self._summed and not self.vouched:
            self.checksum = crc32(part, self.checksum)
        if self._held + len(part) > self.size:
            part = self._filled(memoryview(part))
        self._add(part)

    def inside(self, encoded: bytes) -> None:
        """Add what is between the brackets or the quotes of `encoded`.

        orjson 3.13 sets aside 8 times the UTF-8 of a text, rounded up to a power of two, for as
        long as what it returns is there: that is copied, unless it fills the piece.
        """
        left, part = self.size - self._held, memoryview(encoded)[1:-1]
        fills = len(part) > left - left // _REST
        self.write(part if fills else bytes(part))
        if fills:
            self.room()

    def _filled(self, part: memoryview) -> bytes:
        """Fill pieces with the beginning of `part`, and return its rest."""
        while self._held + len(part) > self.size:
            if len(part) <= min(_SMALL, self.size):
                self.flush()
            elif (room := self.room()) < len(part):
                end = safe_end(part, 0, room)
                self._add(part[:end])
                self.flush()
                part = part[end:]
        return bytes(part)  # a copy of its own: what is held would hold all of it

    def _add(self, part: Part) -> None:
        self._held += len(part)
        if len(part) > _SMALL:
            self._parts.append(part)
        elif self._parts and type(self._parts[-1]) is bytearray:
            self._parts[-1] += part
        else:
            self._parts.append(bytearray(part))

    def room(self) -> int:
        """Return how many bytes still fit in a piece; a rest of less than an eighth is given up."""
        left = self.size - self._held
        if left < self.size // _REST:
            self.flush()
            return self.size
        return left

    def skips(self, length: int) -> bool:  # by who makes no pieces
        """Whether so many bytes that somebody vouches for need not be made."""
        return False

    def told(self) -> int:
        """Return how many bytes were told of since it was asked last: none, they are handed out."""
        return 0

    def flush(self) -> None:
        """Make what is held ready, if there is anything."""
        if self._held:
            self.ready.append(self._frame(self._parts))
            self._parts = []
            self._held = 0

    def take(self) -> list[bytes]:
        """Return the pieces that are ready."""
        pieces, self.ready = self.ready, []
        return pieces


class Told(Output):
    """Tells of parts, instead of making pieces of them.

    Args:
        size: Bytes that are best told of at once.
        tell: Takes all bytes, in their order; None where only their number counts.
    """

    __slots__ = ("_before", "_few", "_tell", "length")

    at_once = 64 * 1024

    def __init__(self, size: int, tell: Callable[[Part | bytearray], object] | None) -> None:
        super().__init__(size, summed=True)
        self.length = 0
        """How many bytes there were."""
        self._before = 0
        self._tell = tell
        self._few = bytearray()

    def skips(self, length: int) -> bool:
        """Count bytes that somebody vouches for, without having them; False where they matter."""
        if self._tell is None:
            self.length += length
        return self._tell is None

    def told(self) -> int:
        """Return how many bytes were told of since it was asked last."""
        before, self._before = self._before, self.length
        return self.length - before

    def write(self, part: Part) -> None:
        """Tell of `part`, or of several small ones together."""
        self.length += len(part)
        if not self.vouched:
            self.checksum = crc32(part, self.checksum)
        if self._tell is None:
            return
        if len(part) <= _SMALL:
            self._few += part
            if len(self._few) > _SMALL:
                self.flush()
            return
        self.flush()
        self._tell(part)

    def flush(self) -> None:
        """Tell of what is held."""
        if self._few and self._tell is not None:
            self._tell(self._few)
            self._few = bytearray()

    def take(self) -> list[bytes]:
        """Return the sign that work was done."""
        return [b""]


def safe_end(part: Part, start: int, end: int) -> int:
    """Return the last place in `part` up to `end` that is in no UTF-8 sequence and no escape."""
    while part[end] & _HIGH == _CONTINUES:
        end -= 1
    tail = bytes(part[max(start, end - _ESCAPED) : end])
    at = tail.rfind(b"\\")
    if at < 0:
        return end
    escape = end - len(tail) + at
    before = bytes(part[start:escape])
    if (len(before) - len(before.rstrip(b"\\"))) % 2:  # the second of a pair: the escape is over
        return end
    length = _ESCAPED if tail[at + 1 : at + 2] == b"u" else 2
    return end if escape + length <= end else escape


def check_buffer(size: int) -> None:
    """Refuse a buffer that an escape does not fit into.

    Raises:
        UsageError: `size` is below 7 bytes.
    """
    if size < MIN_BUFFER:
        raise UsageError(f"buffer_size must be at least {MIN_BUFFER} bytes, not {size}")
