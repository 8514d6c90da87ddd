"""The order of an answer's text and thinking, kept by their lengths.

Some vendors want an answer back as the blocks that it came in. A message of the OpenAI shape has
its text in one piece, and its thinking in another: `Blocks` notes how long each block of both was,
so that nothing is kept twice, and `pieces` cuts them again. A text that was edited no longer fits;
then there are no pieces, and the message is said as what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["Blocks", "pieces"]

# JSON of a block: what a vendor wants to have back with it.
Json: TypeAlias = Any


class Blocks:
    """The blocks of one choice, in their order."""

    __slots__ = ("_closed", "kind", "more", "size")

    def __init__(self) -> None:
        self._closed: list[dict[str, Json]] = []
        self.kind = ""
        """What the last block is: ``text``, ``thinking``, or a vendor's own word."""
        self.size = 0
        """Its characters so far."""
        self.more: dict[str, Json] = {}
        """What else goes back with it, such as a signature."""

    def add(self, kind: str, size: int) -> None:
        """Count `size` characters of `kind`; they begin a block where the last is another."""
        if kind != self.kind:
            self.open(kind)
        self.size += size

    def open(self, kind: str, **more: Json) -> None:
        """Begin a block; the last one is complete."""
        self._close()
        self.kind, self.size, self.more = kind, 0, more

    def told(self, *, plain: bool = False) -> list[dict[str, Json]]:
        """Return the blocks, or nothing where there is but text without anything to it.

        Args:
            plain: Whether that is told, too: for what goes back only with the text as it was.
        """
        self._close()
        self.kind = ""
        bare = {"kind", "size"}
        texts = (block["kind"] == "text" and block.keys() == bare for block in self._closed)
        return [] if not plain and all(texts) else self._closed

    def _close(self) -> None:
        if self.kind and (self.size or self.more):
            self._closed.append({"kind": self.kind, "size": self.size, **self.more})


def pieces(
    blocks: Json, sources: Mapping[str, Iterable[str]], texts: Mapping[str, str]
) -> list[tuple[dict[str, Json], str]] | None:
    """Return each of `blocks` with the text that it had, None where they no longer fit.

    Args:
        blocks: What `Blocks.told` returned.
        sources: For each of `texts`, the kinds of block that it holds.
        texts: The texts, each of them whole.
    """
    if not isinstance(blocks, list):
        return None
    source_of = {kind: name for name, kinds in sources.items() for kind in kinds}
    taken = dict.fromkeys(texts, 0)
    found: list[tuple[dict[str, Json], str]] = []
    for block in blocks:
        size = block.get("size") if isinstance(block, dict) else None
        if type(size) is not int or size < 0:
            return None
        name = source_of.get(block.get("kind"), "")
        start = taken.get(name, 0)
        piece = texts[name][start : start + size] if name else ""
        if len(piece) != size:
            return None
        if name:
            taken[name] += size
        found.append((block, piece))
    return found if all(taken[name] == len(text) for name, text in texts.items()) else None
