"""Ways of cutting a wire into the pieces in which a network may deliver it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from random import Random

__all__ = ["cuts"]

_STEPS = (2, 3, 7)


def cuts(
    wire: bytes, *, singles: int = 4096, pairs: int = 96, samples: int = 32, seed: int = 0
) -> Iterator[list[bytes]]:
    """Yield lists of pieces that join to `wire`: all ways where they are few, else a sample.

    In this order: whole; byte by byte; in pieces of 2, 3 and 7 bytes, with an empty piece before,
    between and after them; every single cut, if `wire` has at most `singles` bytes; every pair of
    cuts, if it has at most `pairs`; and `samples` random ways, of a few cuts to many, which are the
    same in every run. A decoder's answer must be the same for each:

        for pieces in cuts(wire):
            assert frames == decode_all(pieces)

    Args:
        wire: What is cut.
        singles: Up to which length in bytes every single cut is tried.
        pairs: Up to which length in bytes every pair of cuts is tried; their number grows with
            its square.
        samples: How many random ways are added.
        seed: What the random ways grow from.
    """
    inner = range(1, len(wire))
    yield [wire]
    yield _cut(wire, inner)
    for step in _STEPS:
        yield [b"", *_with_empty(_cut(wire, range(step, len(wire), step)))]
    if len(wire) <= singles:
        yield from ([wire[:place], wire[place:]] for place in inner)
    if len(wire) <= pairs:
        yield from (_cut(wire, places) for places in combinations(inner, 2))
    random = Random(seed)
    for _ in range(samples if len(wire) > 1 else 0):
        # Few cuts are as likely as many: each doubling of their number is.
        most = min(len(inner), 2 ** random.randint(0, len(inner).bit_length()))
        yield _cut(wire, sorted(random.sample(inner, random.randint(1, most))))


def _cut(wire: bytes, places: range | tuple[int, ...] | list[int]) -> list[bytes]:
    starts = (0, *places)
    ends = (*places, len(wire))
    return [wire[start:end] for start, end in zip(starts, ends, strict=True)]


def _with_empty(pieces: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        yield b""
