"""JSON lines: one JSON text a line, as Ollama, agents on a pipe and batch files have them.

Lines end at LF, or CRLF, on bytes, and at nothing else: U+2028, U+2029 and U+0085 are ordinary
characters of a JSON string (fault matrix, row 34).
"""

from __future__ import annotations

from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, exceeded, is_json, torn
from penstock.errors import LimitExceededError

__all__ = ["JSONLinesDecoder"]

# RFC 8259 section 2; a line of these alone is blank.
_SPACE = b" \t\r"


class JSONLinesDecoder:
    """Bytes to lines that are not blank, without their ends; the dialect parses them.

    Args:
        max_line: Bytes of one line, its end not counted.
    """

    __slots__ = ("_buffer", "_fuse", "_max_line", "ignored")

    def __init__(self, *, max_line: int = BOUNDS.max_line) -> None:
        self._max_line = max_line
        self._fuse = Fuse()
        # The torn line: it has no LF.
        self._buffer = bytearray()
        self.ignored = 0
        """Bytes since the last line that was not blank."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def decode(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, often none.

        Raises:
            LimitExceededError: A line passes ``max_line``.
        """
        self._fuse.check()
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
            self.ignored = 0
            return
        for piece in pieces:
            line = piece.removesuffix(b"\r")
            self._check(len(line))
            if line.strip(_SPACE):
                lines.append(line)
                self.ignored = 0
            else:
                self.ignored += len(piece) + 1

    def _check(self, size: int) -> None:
        if size > self._max_line:
            raise exceeded("max_line", self._max_line, size)


def _is_whole(line: bytes) -> bool:
    """Whether a line without its end shows no cut."""
    return not line.strip(_SPACE)[-1:].isdigit() and is_json(line)
