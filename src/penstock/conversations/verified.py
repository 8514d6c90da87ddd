"""Messages on their way out, compared with what was appended before the last of them goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from zlib import crc32

from penstock.conversations.stores import Large
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Mark
    from penstock.errors import ConversationError

__all__ = ["Verified"]

_NEWLINE = b"\n"


class Verified:
    """The blocks before a mark; where they are not what it says, the last is not handed out.

    It takes 16 ms for 64 MiB, a third of what sending them takes. A message above a block may be
    read several times, and is compared each time that it is read to its end.

    Args:
        blocks: The blocks, from the first on; their bytes are the mark's measure.
        mark: What they are to be.
        doubted: Told once they are not; returns the error.
    """

    def __init__(
        self, blocks: Blocks, mark: Mark, doubted: Callable[[], ConversationError]
    ) -> None:
        self._blocks = blocks
        self._left = mark.at
        self._expected = mark.checksum
        self._doubted = doubted
        self._seen = 0
        self._large: _Pieces | None = None

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        """Return the next block.

        Raises:
            ConversationError: It is the last, and they are not what was appended.
        """
        self._end_large()
        block = next(self._blocks)
        if not isinstance(block, Lines):
            self._past(block.size)
            self._large = _Pieces(block, self._seen, self)
            return Large(block.size, self._large)
        self._past(len(block.data))
        self._seen = self.checked(crc32(block.data, self._seen))
        return block

    def ready(self) -> bool:
        """Whether the next block can be had without waiting for a disk."""
        if self._large is not None and self._large.checksum is None:
            return False
        return self._blocks.ready()

    def _end_large(self) -> None:
        """Go on behind a large message, whether or not anybody has read it to its end."""
        large, self._large = self._large, None
        if large is None:
            return
        if large.checksum is None:
            for _ in large():
                pass
        self._seen = large.checksum or 0

    def _past(self, size: int) -> None:
        """Go past a block.

        Raises:
            ConversationError: The mark is inside of it: what was before the mark has moved.
        """
        self._left -= size + len(_NEWLINE)
        if self._left < 0:
            raise self._doubted()

    def checked(self, checksum: int, before: int | None = None) -> int:
        """Return the checksum once a newline is behind it.

        Args:
            checksum: That of all up to a block's last byte.
            before: What was returned when that block was read before; where it was not, the
                checksum is compared with the mark's if nothing is left.

        Raises:
            ConversationError: It is not what it was.
        """
        checksum = crc32(_NEWLINE, checksum)
        expected = self._expected if before is None and not self._left else before
        if expected is not None and checksum != expected:
            raise self._doubted()
        return checksum


class _Pieces:
    """The pieces of a large message, as often as they are asked for.

    Args:
        block: The message.
        before: The checksum of what is before it.
        whole: Compares the checksum of all up to its end.
    """

    def __init__(self, block: Large, before: int, whole: Verified) -> None:
        self._block = block
        self._before = before
        self._whole = whole
        self.checksum: int | None = None
        """That of all so far, once the last piece was read."""

    def __call__(self) -> Iterator[bytes]:
        seen, left = self._before, self._block.size
        for piece in self._block.pieces():
            seen = crc32(piece, seen)
            left -= len(piece)
            if not left:
                self.checksum = self._whole.checked(seen, self.checksum)
            yield piece
