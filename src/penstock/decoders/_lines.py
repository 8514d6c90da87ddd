"""Server-sent events however they are cut: torn lines, comments, any line end, a byte order mark.

`penstock.decoders.sse` reads here what is not whole events of the usual kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.decoders._events import cut, framed, head_of
from penstock.decoders._faults import STEP, Fuse, is_json, torn
from penstock.decoders._fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.decoders._faults import Fault
    from penstock.decoders._fields import Event, Fields

__all__ = ["BEGINS", "LF", "TELLING", "Lines", "read_alike", "with_line_feeds"]

BEGINS = (b"data:", b"event:", b"id:")
"""How most events begin."""
LF = b"\n\n"
"""What ends most of them."""

TELLING = 6
"""So many bytes of a line tell whether it is a field: the length of ``event:`` and ``retry:``."""

_BOM = b"\xef\xbb\xbf"
_SPACE = ord(" ")
# The one final event, of many vendors, that is whole without being JSON.
_DONE = b"[DONE]"


class Lines:
    """The lines under way.

    Args:
        fields: The event that they add up to.
        starting: Whether nothing was read of the stream yet.
    """

    __slots__ = ("_after_cr", "_buffer", "_fields", "_fuse", "_skipping", "_starting")

    def __init__(self, fields: Fields, *, starting: bool) -> None:
        self._fields = fields
        self._fuse = Fuse()
        # The torn line: it has no line end, and is at most `max_line` long.
        self._buffer = bytearray()
        self._starting = starting
        self._after_cr = False
        self._skipping = False

    @property
    def between(self) -> bool:
        """Whether nothing of one event is left for the next."""
        return not (
            self._buffer or self._starting or self._after_cr or self._skipping or self._fields.begun
        )

    @property
    def buffered(self) -> int:
        """Bytes of the torn line."""
        return len(self._buffer)

    def check(self) -> None:
        """Raise the fault again, if there was one."""
        self._fuse.check()

    def spend(self, fault: Fault, frames: list[Event]) -> None:
        """Give `fault` the `frames` before it, keep it, and nothing else."""
        self._buffer = bytearray()
        self._fields.data = None
        self._fields.event = b""
        self._fuse.blow(fault, frames)

    def take(self, data: bytes, frames: list[Event]) -> None:
        """Read the lines that `data` completes, and keep what is left.

        Raises:
            LimitExceededError: A line passes ``max_line``, or an event ``max_event``.
        """
        for start in range(0, len(data), STEP):
            self._take_step(data[start : start + STEP], frames)

    def end(self, frames: list[Event]) -> None:
        """Read the end of the stream.

        Raises:
            DecodeError: It is inside an event.
            LimitExceededError: The last line completes an event longer than ``max_event``.
        """
        line = bytes(self._buffer)
        self._buffer.clear()
        if line.startswith(b"data:"):
            self._fields.read_field(line)
        elif line.startswith(FIELDS) or (line and any(f.startswith(line) for f in FIELDS)):
            raise torn("a line of an event")
        if self._fields.data is None:
            if self._fields.event:
                raise torn("an event")
            return
        if not _is_whole(bytes(self._fields.data), ended=not line.startswith(b"data:")):
            raise torn("an event's data")
        self._fields.dispatch(frames)

    def _take_step(self, data: bytes, frames: list[Event]) -> None:
        if self._after_cr and data:  # that CR was a whole line end; a LF behind it belongs to it
            self._after_cr = False
            data = data.removeprefix(b"\n")
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end:
            self._after_cr = data[-1:] == b"\r"
            self._read(data[:end], frames)
        if end < len(data):
            self._keep(data[end:])

    def _keep(self, data: bytes) -> None:
        """Add `data`, which has no line end, to the torn line."""
        if self._skipping:
            self._fields.ignored += len(data)
            return
        self._buffer += data
        if self._starting and len(self._buffer) >= len(_BOM):
            self._starting = False
            if self._buffer.startswith(_BOM):
                del self._buffer[: len(_BOM)]
        if len(self._buffer) < TELLING:
            return
        if self._buffer.startswith(FIELDS):
            self._fields.check_line(len(self._buffer))
        else:
            self._fields.ignored += len(self._buffer)
            self._buffer.clear()
            self._skipping = True

    def _read(self, block: bytes, frames: list[Event]) -> None:
        """Read `block`, which ends with a line end, behind the torn line."""
        if len(self._buffer) > STEP and self._buffer.startswith(b"data:"):
            block = self._read_long(block)
        elif self._buffer:
            block = b"".join((self._buffer, block))
            self._buffer.clear()
        if self._starting:
            self._starting = False
            block = block.removeprefix(_BOM)
        block = with_line_feeds(block)
        if self._skipping:
            self._skipping = False
            end = block.find(b"\n") + 1
            self._fields.ignored += end
            block = block[end:]
        if block.startswith(b"\n"):  # the cut was before it; what follows may be plain again
            self._fields.dispatch(frames)
            block = block[1:]
        if self._fields.begun and (end := block.find(LF) + 2) > 1:
            self._fields.read(block[:end], frames)  # the cut was in an event; behind it, as above
            block = block[end:]
        if block.startswith(BEGINS) and not self._fields.begun:
            block = self._read_plain(block, frames)
        if block:
            self._fields.read(block, frames)

    def _read_long(self, block: bytes) -> bytes:
        """Read the torn data line, which `block` ends, with one copy of it; return the rest.

        An image is one line of many MiB: joined with `block`, split and cut it would be there four
        times.
        """
        end = min(place for place in (block.find(b"\n"), block.find(b"\r")) if place >= 0)
        self._buffer += block[:end]
        self._fields.check_line(len(self._buffer))
        with memoryview(self._buffer) as view:
            value = bytes(view[6 if view[5] == _SPACE else 5 :])
        self._buffer.clear()
        self._fields.add(value)
        return block[end:].removeprefix(b"\r").removeprefix(b"\n")

    def _read_plain(self, block: bytes, frames: list[Event]) -> bytes:
        """Read the events of a `block` that are all alike, one data line each; return the rest.

        This is what most vendors send, and it costs 0.1 us an event above the split; line by line
        it is twice that. Where anything else is among them, nothing is read.
        """
        end = block.rfind(LF) + 2
        if end < 2 or end > self._fields.quick:
            return block
        found = read_alike(block[:end], LF, self._fields)
        if found is None:
            return block
        frames += found
        return block[end:]


def read_alike(block: bytes, end: bytes, fields: Fields) -> Sequence[Event] | None:
    """Read events that all have one line of data each behind the same; None for others.

    Args:
        block: The events.
        end: The two line ends behind each of them.
        fields: Where nothing of another event is.
    """
    if (head := head_of(block, end)) is None or (lines := cut(block, head[0], end)) is None:
        return None
    fields.ignored = 0
    return framed(lines, head[1], fields.id, text=fields.text)


def with_line_feeds(block: bytes) -> bytes:
    """Return `block` with every line end a line feed."""
    if b"\r" not in block:
        return block
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_whole(data: bytes, *, ended: bool) -> bool:
    """Whether the last event's `data` shows no cut; `ended` says that its last line has its end."""
    if data == _DONE:
        return True
    if not data.startswith((b"{", b"[", b'"')):
        return ended  # plain text, or a number: nothing in it says where it stops
    return is_json(data)
