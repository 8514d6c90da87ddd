"""Lines that another program may have written, checked to be messages.

One above a block is gone over in its pieces: its long texts are checked as they come, and not held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from penstock.conversations.canonical import BLOCK
from penstock.conversations.plain import is_plain_line
from penstock.cuts import Cuts

__all__ = ["checked"]


class _Kept(msgspec.Struct):
    role: str


_check = msgspec.json.Decoder(_Kept).decode

_TAIL = 4096
_UNESCAPED = re.compile(rb".*[^\\]{12}(?=[^\x80-\xbf])", re.DOTALL)
"""What ends inside of no character, and of no escape: a pair of surrogates takes 12 bytes."""


def checked(line: bytes | Iterator[bytes]) -> tuple[int, bool]:
    """Return a message's size in bytes, and whether it is plain (`penstock.fields.Lines`).

    Args:
        line: The message, or the pieces of one above a block.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    if isinstance(line, bytes):
        plain = is_plain_line(line)
        if not plain:
            _check(line)
        return len(line), plain
    size, cuts = 0, Cuts(every=True, see=_Texts().see)
    for piece in line:
        size += len(piece)
        cuts.feed(piece)
    _check(bytes(cuts.skeleton))
    return size, False


class _Texts:
    """Checks texts as they come; of one that is full of escapes it holds more than a piece."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._due = BLOCK

    def see(self, piece: bytes) -> None:
        """Check what is between quotes; ``b""`` ends a text."""
        pending = self._pending
        pending += piece
        if not piece:
            self._check(len(pending))
        elif len(pending) >= self._due:
            unescaped = _UNESCAPED.match(pending, len(pending) - _TAIL)
            end = unescaped.end() if unescaped else 0
            del unescaped  # it holds on to what is to shrink
            self._check(end)

    def _check(self, end: int) -> None:
        text = bytes(self._pending[:end])
        _check(b'{"role":"","":"%b"}' % text)  # as strictly as in a small message
        del self._pending[:end]
        self._due = len(self._pending) + BLOCK
