"""Text that arrives in pieces: kept compactly, joined when asked for."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Pieces", "utf8_size"]

_BLOCK = 1024
"""Pieces that are joined into one block: a `str` costs 49 bytes besides its text, a block once."""


class Pieces(Struct, eq=False):  # which is made in C: every call makes one
    """A text that grows at its end; linear in time and memory however small its pieces."""

    pieces: list[str] = []
    """What it is made of: blocks first, then what came since."""
    blocks: int = 0
    """How many of the first are blocks."""

    def add(self, piece: str) -> None:
        """Append `piece`."""
        pieces = self.pieces
        pieces.append(piece)
        if len(pieces) - self.blocks >= _BLOCK:
            pieces[self.blocks :] = ["".join(pieces[self.blocks :])]
            self.blocks += 1

    def join(self) -> str:
        """Return the whole text; joined again only where pieces were added since the last time."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
            self.blocks = 1
        return self.pieces[0] if self.pieces else ""

    def __repr__(self) -> str:  # what is said must not reach a traceback with locals (row 39)
        return f"Pieces({len(self.pieces)})"


def utf8_size(text: str) -> int:
    """Return the bytes of `text` in UTF-8; lone surrogates count as three."""
    # `encode` keeps no copy inside the `str`, unlike the C API that JSON encoders use.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
