"""Server-sent events of one read that all begin alike, cut by a few calls for all of them."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from penstock.decoders._fields import SSEFrame, repaired
from penstock.decoders.alike import FEWEST, Alike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.decoders._fields import Event

__all__ = ["Numbered", "cut", "framed", "head_of", "numbered"]

_SPACE = ord(" ")


class Numbered(NamedTuple):
    """Events that have an id each."""

    lines: list[bytes]
    """The data of each."""
    ids: list[str]
    """The id of each."""
    size: int
    """Bytes of the last id."""
    name: str
    """The name of all."""


def head_of(block: bytes, end: bytes, start: int = 0) -> tuple[bytes, str] | None:
    """Return what stands before the data of the event at `start`, and the name that this gives it.

    Args:
        block: Whole events.
        end: The two line ends behind each of them.
        start: Where the event begins, or goes on.
    """
    if block[start : start + 6] == b"data: ":  # as most do
        return b"data: ", "message"
    at, name = start, b""
    if block.startswith(b"event:", start):
        line = block.find(b"\n", start)
        at = line + 1
        name = block[start + 6 : at - len(end) // 2].removeprefix(b" ")
    if not block.startswith(b"data:", at):
        return None
    at += 6 if block.startswith(b" ", at + 5) else 5
    return block[start:at], name.decode("utf-8", "replace") if name else "message"


def cut(block: bytes, begin: bytes, end: bytes) -> list[bytes] | None:
    """Return the data of the events in `block`; None where not all are one line behind `begin`.

    Args:
        block: Whole events; there is no CR in it where `end` has none.
        begin: What the first begins with.
        end: The two line ends behind each of them.
    """
    data = block[len(begin) : -len(end)]
    lines = (data if data.isascii() else repaired(data)).split(end + begin)
    return lines if _are_data(lines, begin, end) else None


def numbered(block: bytes, end: bytes) -> Numbered | None:
    """Return the events in `block` that have an id, a name or none, and a line of data each.

    None where there is anything else among them, or the names differ.
    """
    mark = b"id: " if block.startswith(b"id: ") else b"id:"
    line_end = end[: len(end) // 2]
    head = head_of(block, end, block.find(line_end) + len(line_end))
    if head is None:
        return None
    begin, name = head
    events = repaired(block[len(mark) : -len(end)]).split(end + mark)
    parts = [event.partition(line_end + begin) for event in events]
    found, seams, lines = map(list, zip(*parts, strict=True))
    if b"" in seams or not _are_data(lines, begin, end) or not _are_data(found, mark, end):
        return None
    ids = b"\n".join(found)
    if b"\0" in ids or b"" in found:  # it would be none
        return None
    return Numbered(lines, ids.decode().split("\n"), len(found[-1]), name)


def framed(
    lines: list[bytes], name: str, ids: str | list[str], *, text: bool, now: bool = False
) -> Sequence[Event]:
    """Return the events of `lines`; frames are made `now`, or once wanted where they are many.

    Args:
        lines: The data of each.
        name: The name of all.
        ids: The id of each, or of all.
        text: Whether their data is `str`, and they are frames, which are made now.
        now: Whether they will be looked at one by one.
    """
    if text:
        known = ids if isinstance(ids, list) else [ids] * len(lines)
        return [SSEFrame(name, line.decode(), i) for line, i in zip(lines, known, strict=True)]
    if not ids and name == "message":
        return lines
    if isinstance(ids, list):
        return Alike(lines, partial(SSEFrame, name), ids)
    if now or len(lines) < FEWEST:
        return [*map(SSEFrame, repeat(name), lines, repeat(ids))]
    # A keyword makes each frame twice as dear.
    make = partial(SSEFrame, name, id=ids) if ids else partial(SSEFrame, name)
    return Alike(lines, make)


def _are_data(lines: list[bytes], begin: bytes, end: bytes) -> bool:
    """Whether each of `lines` is the value of a field, behind what each event begins with."""
    # Not by a count of the line feeds: `bytes.count` of one sign takes as long as all the rest.
    joined = b"".join(lines)
    if joined.find(b"\n") >= 0:  # ``in`` takes twice as long
        return False
    if end != b"\n\n" and joined.find(b"\r") >= 0:
        return False
    # A space behind the colon is not the value's.
    return begin[-1] == _SPACE or not any(line.startswith(b" ") for line in lines)
