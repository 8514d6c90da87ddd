"""Where in a file of lines each is only a role and a text: found when it is kept, never again.

Other dialects say such lines without opening them (`penstock.fields.Lines`), and a look at each
while it is sent would cost as much as sending it. What is known are spans of the file, few and
long: short ones are not worth their room.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from heapq import nlargest
from typing import Literal, TypeAlias

import msgspec

from penstock.conversations.canonical import BLOCK

__all__ = ["Spans", "covers", "extend", "is_plain_line", "without"]

Spans: TypeAlias = "list[tuple[int, int]]"
"""Offsets of the first byte and behind the last newline, in their order."""

_LEAST = 2 * BLOCK
"""Bytes of a span, below which hardly a block lies in it."""
_MOST = 256
"""Spans; of more the longer half stays."""


class _PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: str


_decode = msgspec.json.Decoder(_PlainMessage).decode
_encode = msgspec.json.Encoder().encode


def is_plain_line(line: bytes) -> bool:
    """Whether a line is canonical JSON of a user's or an assistant's text that says something."""
    try:
        message = _decode(line)
    except msgspec.MsgspecError:
        return False
    return bool(message.content.strip()) and _encode(message) == line


def extend(spans: Spans, start: int, stop: int) -> None:
    """Note that the lines between two offsets, behind all that are noted, are plain."""
    if spans and spans[-1][1] == start:
        spans[-1] = spans[-1][0], stop
        return
    if spans and spans[-1][1] - spans[-1][0] < _LEAST:
        spans.pop()
    if len(spans) >= _MOST:
        spans[:] = sorted(nlargest(_MOST // 2, spans, key=lambda span: span[1] - span[0]))
    spans.append((start, stop))


def covers(spans: Sequence[tuple[int, int]], start: int, stop: int) -> bool:
    """Whether all lines between two offsets are noted."""
    at = bisect_right(spans, start, key=lambda span: span[0]) - 1
    return at >= 0 and stop <= spans[at][1]


def without(spans: Spans, start: int, stop: int, *, moved: int = 0) -> Spans:
    """Return what is left once what is between two offsets is not what it was.

    Args:
        spans: What is noted.
        start: The first.
        stop: The second.
        moved: By how much all behind it is elsewhere now.
    """
    before = [(first, min(last, start)) for first, last in spans if first < start]
    after = [(max(first, stop) + moved, last + moved) for first, last in spans if last > stop]
    return before + after
