"""Text that arrives in pieces: kept compactly, joined when asked for."""

from __future__ import annotations

__all__ = ["Pieces", "utf8_size"]

_BLOCK = 1024
"""Pieces that are joined into one block: a `str` costs 49 bytes besides its text, a block once."""


class Pieces:
    """A text that grows at its end; linear in time and memory however small its pieces."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._blocks = 0
        """How many of the first are blocks."""

    def add(self, piece: str) -> None:
        """Append `piece`."""
        self._pieces.append(piece)
        if len(self._pieces) - self._blocks >= _BLOCK:
            self._pieces[self._blocks :] = ["".join(self._pieces[self._blocks :])]
            self._blocks += 1

    def join(self) -> str:
        """Return the whole text; joined again only where pieces were added since the last time."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
            self._blocks = 1
        return self._pieces[0] if self._pieces else ""


def utf8_size(text: str) -> int:
    """Return the bytes of `text` in UTF-8; lone surrogates count as three."""
    # `encode` keeps no copy inside the `str`, unlike the C API that JSON encoders use.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
