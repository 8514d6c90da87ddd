"""JSON lines: one JSON text a line, as Ollama, agents on a pipe and batch files have them.

Lines end at LF, or CRLF, on bytes, and at nothing else: U+2028, U+2029 and U+0085 are ordinary
characters of a JSON string (fault matrix, row 34).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, exceeded, is_json, torn
from penstock.decoders.alike import FEWEST, Unread
from penstock.errors import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JSONLinesDecoder"]

# RFC 8259 section 2; a line of these alone is blank.
_SPACE = b" \t\r"


class JSONLinesDecoder:
    """Bytes to lines that are not blank, without their ends; the dialect parses them.

    Args:
        max_line: Bytes of one line, its end not counted.
    """

    __slots__ = ("_buffer", "_fuse", "_ignored", "_max_line", "_unread")

    def __init__(self, *, max_line: int = BOUNDS.max_line) -> None:
        self._max_line = max_line
        self._fuse = Fuse()
        # The torn line: it has no LF.
        self._buffer = bytearray()
        self._ignored = 0
        # The last read, where nobody has looked at it yet.
        self._unread: Unread[bytes] | None = None

    @property
    def ignored(self) -> int:
        """Bytes since the last line that was not blank."""
        self._settle()
        return self._ignored

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def decode(self, data: bytes) -> Sequence[bytes]:
        """Return the lines that `data` completes, often none.

        Raises:
            LimitExceededError: A line passes ``max_line``.
        """
        self._settle()
        self._fuse.check()
        if (unread := self._leave_unread(data)) is not None:
            return unread
        lines: list[bytes] = []
        try:
            for start in range(0, len(data), STEP):
                self._take(data[start : start + STEP], lines)
        except LimitExceededError as fault:
            self._spend(fault, lines)
            raise
        return lines

    def flush(self) -> list[bytes]:
        """Return the last line, if only its end is missing.

        A line without an end is taken for whole if it is a JSON object, array, string, or one of
        the three names. A number is not: ``12`` may be the first half of ``1234``.

        Raises:
            DecodeError: The stream ended inside a line.
        """
        self._settle()
        self._fuse.check()
        line = bytes(self._buffer).removesuffix(b"\r")
        self._buffer.clear()
        if not line.strip(_SPACE):
            return []
        if _is_whole(line):
            return [line]
        fault = torn("a line")
        self._spend(fault, [])
        raise fault

    def _leave_unread(self, data: bytes) -> Unread[bytes] | None:
        """Return many lines as they came; None for few, and where a bound may be passed."""
        size = len(self._buffer) + len(data)
        end = data.rfind(b"\n") + 1
        if size > min(self._max_line, 2 * STEP) or end < FEWEST * (data.find(b"\n") + 1) or not end:
            return None
        block = data[:end]
        if self._buffer:
            block = b"".join((self._buffer, block))
            self._buffer.clear()
        self._buffer += data[end:]
        self._unread = Unread(block, b"", b"\n", self)
        return self._unread

    between = True
    """Always: a line is a frame of its own."""

    def read(self, unread: Unread[bytes], *, last: bool) -> list[bytes]:
        """Return the lines that were left unread; see `penstock.decoders.alike.Source`."""
        if last:
            self._unread = None
        lines: list[bytes] = []
        self._read(unread.block, lines)
        return lines

    def taken(self, *, last: bool) -> None:
        """Note that they have been read; see `penstock.decoders.alike.Source`."""
        if last:
            self._unread = None
        self._ignored = 0

    def _settle(self) -> None:
        """Read what nobody has looked at, before anything else changes."""
        if self._unread is not None:
            _ = self._unread.frames

    def _spend(self, fault: Fault, lines: list[bytes]) -> None:
        self._buffer = bytearray()
        self._fuse.blow(fault, lines)

    def _take(self, data: bytes, lines: list[bytes]) -> None:
        end = data.rfind(b"\n") + 1
        if end:
            block = data[:end]
            if self._buffer:
                block = b"".join((self._buffer, block))
                self._buffer.clear()
            self._read(block, lines)
        if end < len(data):
            self._buffer += data[end:]
            # A CR at the end may be half of a CRLF, which does not count.
            self._check(len(self._buffer) - self._buffer.endswith(b"\r"))

    def _read(self, block: bytes, lines: list[bytes]) -> None:
        """Read `block`, which ends with a line end."""
        pieces = block.split(b"\n")
        pieces.pop()
        # All of them objects, none too long: as a model's lines are.
        usual = b"\r" not in block and block.count(b"}\n") == len(pieces)
        if usual and max(map(len, pieces)) <= self._max_line:
            lines += pieces
            self._ignored = 0
            return
        for piece in pieces:
            line = piece.removesuffix(b"\r")
            self._check(len(line))
            if line.strip(_SPACE):
                lines.append(line)
                self._ignored = 0
            else:
                self._ignored += len(piece) + 1

    def _check(self, size: int) -> None:
        if size > self._max_line:
            raise exceeded("max_line", self._max_line, size)


def _is_whole(line: bytes) -> bool:
    """Whether a line without its end shows no cut."""
    return not line.strip(_SPACE)[-1:].isdigit() and is_json(line)
