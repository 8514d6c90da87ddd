"""Which lines of a file are known to be messages, and what they were: the word of who wrote them.

Lines that nobody vouches for were written by another program, or behind what was noted when a
writer was killed: they are checked once. A checksum of all tells later whether they are still so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from penstock.conversations.canonical import BLOCK
from penstock.conversations.checking import checked
from penstock.conversations.plain import extend
from penstock.errors import ConversationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.jsonl_files import Opened
    from penstock.conversations.lines import LineFile

__all__ = ["Summed", "copy", "doubted", "is_as_known", "summed", "vouch"]


class Summed:
    """A checksum of what passes by; None where it is not known from the beginning."""

    __slots__ = ("checksum",)

    def __init__(self, checksum: int | None) -> None:
        self.checksum = checksum
        """CRC-32 of what was seen."""

    def seen(self, piece: bytes) -> bytes:
        """Return `piece`."""
        if self.checksum is not None:
            self.checksum = crc32(piece, self.checksum)
        return piece


def vouch(opened: Opened) -> None:
    """Check lines that nobody vouches for: another program may have written them.

    Raises:
        ConversationError: One is no message.
    """
    opened.look()
    if opened.side.checked > opened.lines.end:
        _forget(opened)
    while opened.side.checked != opened.lines.end:
        try:
            _check_on(opened)
        except ConversationError:
            # It may be cut meanwhile, or an editor have moved what was vouched for.
            if not opened.look() and not opened.side.checked:
                raise
            _forget(opened)


def is_as_known(opened: Opened) -> bool:
    """Whether all lines are vouched for, and are still so where some are known to be plain."""
    side = opened.side
    whole = side.checked >= opened.lines.end
    return whole and not (side.plain and side.checksum != summed(opened.lines))


def doubted(opened: Opened) -> ConversationError:
    """Have the next call check all lines anew; return the error of this one."""
    opened.look()  # else the next call does, and takes the word of what is beside the file
    _forget(opened)
    opened.dirty = opened.file.writes
    return ConversationError(
        f"{opened.path.name} is not what was appended to it: it was rewritten while it was sent, or"
        " by another program; the next call checks what is there now",
        code="changed",
    )


def summed(lines: LineFile) -> int:
    """Return the checksum of lines, which takes reading them."""
    seen = Summed(0)
    copy(lines, (0, lines.end), seen.seen)
    return seen.checksum or 0


def copy(lines: LineFile, between: tuple[int, int], put: Callable[[bytes], object]) -> None:
    """Hand on what is between two offsets, a block at a time."""
    start, stop = between
    while start < stop:
        data = lines.read(start, min(BLOCK, stop - start))
        put(data)
        start += len(data)


def _forget(opened: Opened) -> None:
    """Vouch for nothing, and count anew."""
    opened.side.know(0, 0, 0)
    opened.read_anew(opened.lines.end)


def _check_on(opened: Opened) -> None:
    """Check the lines behind those that are vouched for.

    Raises:
        ConversationError: One is no message.
    """
    side = opened.side
    at, count, spans = side.checked, side.count, [*side.plain]
    seen = Summed(side.checksum)
    for block in opened.lines.blocks(at, opened.lines.end):
        lines: Sequence[bytes | Iterator[bytes]]
        if isinstance(block, Lines):
            lines = seen.seen(block.data).split(b"\n")
        else:
            lines = [map(seen.seen, block.pieces())]
        for line in lines:
            try:
                size, plain = checked(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
                raise ConversationError(
                    f"{opened.path.name}: what begins at byte {at} is no message: {fault}",
                    code="damaged",
                ) from None
            at += size + 1
            count += 1
            if plain:
                extend(spans, at - size - 1, at)
        seen.seen(b"\n")
    side.know(at, count, seen.checksum)
    side.plain = spans
    opened.dirty = opened.file.writes
