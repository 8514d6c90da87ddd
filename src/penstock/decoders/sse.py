"""Server-sent events, by the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream".

One departure, in `SSEDecoder.flush`: the standard drops an event that the end of the stream cuts
off, without a word. Some servers leave out the last blank line, or the last line end altogether,
and a cut that nobody reports is the worst that can happen to an answer. So a last event that is
recognisably whole is delivered, and anything less is an error.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

from penstock.decoders._events import cut, head_of, numbered
from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, is_json, torn
from penstock.decoders._fields import FIELDS, Fields, SSEFrame, repaired
from penstock.decoders.alike import FEWEST, Alike, Unread
from penstock.errors import DecodeError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SSEDecoder", "SSEFrame"]

_BOM = b"\xef\xbb\xbf"
# So many bytes of a line tell whether it is a field: the length of "event:" and "retry:".
_TELLING = 6
_SPACE = ord(" ")
_BEGINS = (b"data:", b"event:", b"id:")
# What ends most events.
_LF, _CRLF = b"\n\n", b"\r\n\r\n"
# Of how most events begin, less than all.
_BEGUN = frozenset(name[:size] for name in _BEGINS for size in range(1, len(name)))
# The one final event, of many vendors, that is whole without being JSON.
_DONE = b"[DONE]"


class SSEDecoder:
    """Bytes of ``text/event-stream`` to `SSEFrame`.

    Lines end at CR, LF or CRLF and at nothing else (fault matrix, row 34). Invalid UTF-8 becomes
    U+FFFD, as the standard says, in both kinds of data. Comments and unknown fields keep nothing,
    however long they are, and no bound applies to them.

    Args:
        max_line: Bytes of one line, its end not counted.
        max_event: Bytes of one event: its data, its name and the last id together.
        text: Whether `SSEFrame.data` is `str`. As bytes it is cheaper for who parses JSON next.
    """

    __slots__ = (
        "_after_cr",
        "_between",
        "_buffer",
        "_fields",
        "_fuse",
        "_held",
        "_skipping",
        "_starting",
        "_text",
        "_unread",
    )

    def __init__(
        self,
        *,
        max_line: int = BOUNDS.max_line,
        max_event: int = BOUNDS.max_event,
        text: bool = True,
    ) -> None:
        self._text = text
        self._fuse = Fuse()
        # The torn line: it has no line end, and is at most `max_line` long.
        self._buffer = bytearray()
        self._starting = True
        self._after_cr = False
        self._skipping = False
        self._fields = Fields(max_line, max_event, text, min(max_line, max_event, 2 * STEP))
        # Whether the bytes stopped between two events, with nothing left of either but what is
        # held: the begin of an event, as it came.
        self._between = True
        self._held = b""
        # The last read, where nobody has looked at it yet.
        self._unread: Unread[SSEFrame] | None = None

    @property
    def ignored(self) -> int:
        """Bytes since the last frame in lines other than data."""
        if self._unread is not None:
            self._settle()
        return self._fields.ignored + (_passed_over(self._held) if self._held else 0)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        self._settle()
        fields = self._fields
        waiting = len(fields.data or b"") + len(fields.event)
        return len(self._buffer) + len(self._held) + waiting

    def decode(self, data: bytes) -> Sequence[SSEFrame]:
        """Return the events that `data` completes, often none.

        Raises:
            LimitExceededError: A line passes ``max_line``, or an event ``max_event``.
        """
        if self._unread is not None:
            self._settle()
        if self._between and (whole := self._read_whole(data)) is not None:
            return whole
        self._fuse.check()
        self._between = False
        if self._held:
            data, self._held = self._held + data, b""
        found = [at + len(end) for end in (_LF, _CRLF) if (at := data.rfind(end)) >= 0]
        end = max(found, default=len(data))
        frames: list[SSEFrame] = []
        try:
            self._take_all(data[:end], frames)
            self._between = self._is_between()
            if end < len(data):
                self._leave(data[end:], frames)
        except LimitExceededError as fault:
            self._spend(fault, frames)
            raise
        return frames

    def _take_all(self, data: bytes, frames: list[SSEFrame]) -> None:
        for start in range(0, len(data), STEP):
            self._take(data[start : start + STEP], frames)

    def _is_between(self) -> bool:
        return not (
            self._buffer or self._starting or self._after_cr or self._skipping or self._fields.begun
        )

    def _leave(self, tail: bytes, frames: list[SSEFrame]) -> None:
        """Hold the begin of an event for the next read, or read it as far as it goes."""
        if self._between and _may_be_held(tail) and len(tail) <= self._fields.quick:
            self._held = tail
        else:
            self._between = False
            self._take_all(tail, frames)

    def flush(self) -> list[SSEFrame]:
        """Return the last event, if only the line ends behind it are missing.

        That is: its last line has its end and the data is not JSON that stops in the middle; or
        the last line lacks its end, but the data is a whole JSON object, array or string, or
        ``[DONE]``. A cut comment or unknown field loses nothing and is passed over.

        Raises:
            DecodeError: The stream ended inside an event.
            LimitExceededError: The last line completes an event longer than ``max_event``.
        """
        self._settle()
        self._fuse.check()
        frames: list[SSEFrame] = []
        held, self._held, self._between = self._held, b"", False
        try:
            self._take_all(held, frames)
            self._end(frames)
        except (DecodeError, LimitExceededError) as fault:
            self._spend(fault, frames)
            raise
        return frames

    def _spend(self, fault: Fault, frames: list[SSEFrame]) -> None:
        self._buffer = bytearray()
        self._fields.data = None
        self._fields.event = self._held = b""
        self._between = False
        self._fuse.blow(fault, frames)

    def _take(self, data: bytes, frames: list[SSEFrame]) -> None:
        """Read the lines that `data` completes, and keep what is left."""
        if self._after_cr and data:  # that CR was a whole line end; a LF behind it belongs to it
            self._after_cr = False
            data = data.removeprefix(b"\n")
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end:
            self._after_cr = data[-1:] == b"\r"
            self._read(data[:end], frames)
        if end < len(data):
            self._keep(data[end:])

    def _read_whole(self, data: bytes) -> Sequence[SSEFrame] | None:
        """Read what begins between two events and has the end of one, as most reads of an answer.

        No bound can be passed; the long way costs twice as much. None where that has to be gone.
        """
        if self._held:
            data = self._held + data
        line = data.find(b"\n")
        ends = _CRLF if data[line - 1 : line] == b"\r" else _LF
        end = data.rfind(ends) + len(ends)
        tail = data[end:]
        if (
            end < len(ends)
            or len(data) > self._fields.quick
            or (len(ends) == 2 and data.find(b"\r") >= 0)
            or (tail and not _may_be_held(tail))
            or (self._starting and (not data.startswith(_BEGINS) or len(data) > STEP))
        ):
            return None
        first, self._starting = self._starting, False
        self._held = tail
        if line + 1 + len(ends) // 2 == end and data.startswith(b"data: ") and not self._text:
            # One line alone, as nearly every read of a paced answer is.
            alone = data[6 : end - len(ends)]
            if len(ends) == 2 or alone.find(b"\r") < 0:
                self._fields.ignored = 0
                return [SSEFrame("message", repaired(alone), self._fields.id)]
        return self._read_events(data[:end] if tail else data, ends, first=first)

    def _read_events(self, block: bytes, end: bytes, *, first: bool) -> Sequence[SSEFrame]:
        """Read whole events, of which the first line at least ends as they all should."""
        fields = self._fields
        if block.startswith(b"id:"):
            found = numbered(block, end)
            if found is not None:
                fields.number(found.ids[-1], found.size)
                fields.ignored = 0
                return self._made(found.lines, found.name, found.ids)
        elif (head := head_of(block, end)) is not None:
            # Few are cheaper cut at once: most of a short answer are its first and last.
            few = self._text or len(block) < 2 * FEWEST * (block.find(end) + len(end))
            if not few:
                self._unread = Unread(block, head[0], end, self)
                return self._unread
            if (lines := cut(block, head[0], end)) is not None:
                fields.ignored = 0
                return self._made(lines, head[1], fields.id, now=first)
        return self._read_unlike(block)

    @property
    def between(self) -> bool:
        """Whether nothing of one event is left for the next."""
        return not self._fields.begun

    def read(self, unread: Unread[SSEFrame], *, last: bool) -> Sequence[SSEFrame]:
        """Return the events that were left unread; see `penstock.decoders.alike.Source`."""
        if last:
            self._unread = None
        frames = None if self._fields.begun else self._read_alike(unread.block, unread.end)
        return self._read_unlike(unread.block, last=last) if frames is None else frames

    def taken(self, *, last: bool) -> None:
        """Note that they have been read; see `penstock.decoders.alike.Source`."""
        if last:
            self._unread = None
            self._between = self.between  # a part before it may have left a retry time
        self._fields.ignored = 0

    def _settle(self) -> None:
        """Read what nobody has looked at, before anything else changes."""
        if self._unread is not None:
            _ = self._unread.frames

    def _read_alike(self, block: bytes, end: bytes) -> Sequence[SSEFrame] | None:
        """Read events that all have one line of data each behind the same; None for others."""
        if (head := head_of(block, end)) is None or (lines := cut(block, head[0], end)) is None:
            return None
        self._fields.ignored = 0
        return self._made(lines, head[1], self._fields.id)

    def _read_unlike(self, block: bytes, *, last: bool = True) -> list[SSEFrame]:
        frames: list[SSEFrame] = []
        self._fields.read(_with_line_feeds(block), frames)
        if last and self._fields.begun:  # a retry time belongs to the next event
            tail, self._held, self._between = self._held, b"", False
            self._take_all(tail, frames)
        return frames

    def _made(
        self, lines: list[bytes], name: str, ids: str | list[str], *, now: bool = False
    ) -> Sequence[SSEFrame]:
        """Return a frame for each of `lines`: `now`, or once it is wanted where they are many."""
        if self._text:
            known = ids if isinstance(ids, list) else [ids] * len(lines)
            return [SSEFrame(name, line.decode(), i) for line, i in zip(lines, known, strict=True)]
        if isinstance(ids, list):
            return Alike(lines, partial(SSEFrame, name), ids)
        if now or len(lines) < FEWEST:
            return [*map(SSEFrame, repeat(name), lines, repeat(ids))]
        # A keyword makes each frame twice as dear.
        make = partial(SSEFrame, name, id=ids) if ids else partial(SSEFrame, name)
        return Alike(lines, make)

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
        if len(self._buffer) < _TELLING:
            return
        if self._buffer.startswith(FIELDS):
            self._fields.check_line(len(self._buffer))
        else:
            self._fields.ignored += len(self._buffer)
            self._buffer.clear()
            self._skipping = True

    def _read(self, block: bytes, frames: list[SSEFrame]) -> None:
        """Read `block`, which ends with a line end, behind the torn line."""
        if len(self._buffer) > STEP and self._buffer.startswith(b"data:"):
            block = self._read_long(block)
        elif self._buffer:
            block = b"".join((self._buffer, block))
            self._buffer.clear()
        if self._starting:
            self._starting = False
            block = block.removeprefix(_BOM)
        block = _with_line_feeds(block)
        if self._skipping:
            self._skipping = False
            end = block.find(b"\n") + 1
            self._fields.ignored += end
            block = block[end:]
        if block.startswith(b"\n"):  # the cut was before it; what follows may be plain again
            self._fields.dispatch(frames)
            block = block[1:]
        if self._fields.begun and (end := block.find(b"\n\n") + 2) > 1:
            self._fields.read(block[:end], frames)  # the cut was in an event; behind it, as above
            block = block[end:]
        if block.startswith(_BEGINS) and not self._fields.begun:
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

    def _read_plain(self, block: bytes, frames: list[SSEFrame]) -> bytes:
        """Read the events of a `block` that are all alike, one data line each; return the rest.

        This is what most vendors send, and it costs 0.1 us an event above the split; line by line
        it is twice that. Where anything else is among them, nothing is read.
        """
        end = block.rfind(_LF) + 2
        if end < 2 or end > self._fields.quick:
            return block
        found = self._read_alike(block[:end], _LF)
        if found is None:
            return block
        frames += found
        return block[end:]

    def _end(self, frames: list[SSEFrame]) -> None:
        """Read the end of the stream."""
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


def _with_line_feeds(block: bytes) -> bytes:
    """Return `block` with every line end a line feed."""
    if b"\r" not in block:
        return block
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _may_be_held(tail: bytes) -> bool:
    """Whether `tail` begins an event as most begin, and does not end one."""
    if not tail.startswith(_BEGINS) and tail not in _BEGUN:
        return False
    if b"\r" in tail:
        tail = tail.replace(b"\r\n", b"\n")
        # One that stands alone ends a line. The last may have its line feed still to come, which
        # nothing waits for where it ends the event.
        alone = tail.find(b"\r")
        if 0 <= alone < len(tail) - 1 or tail.endswith(b"\n\r"):
            return False
    return b"\n\n" not in tail


def _passed_over(tail: bytes) -> int:
    """Return the bytes of a held `tail` that will be no part of a frame's data."""
    if not tail or (tail.startswith(b"data:") and b"\n" not in tail):
        return 0
    *lines, torn = _with_line_feeds(tail).split(b"\n")
    unknown = len(torn) >= _TELLING and not torn.startswith(FIELDS)
    others = [line for line in lines if line.partition(b":")[0] != b"data"]
    return sum(len(line) + 1 for line in others) + (len(torn) if unknown else 0)


def _is_whole(data: bytes, *, ended: bool) -> bool:
    """Whether the last event's `data` shows no cut; `ended` says that its last line has its end."""
    if data == _DONE:
        return True
    if not data.startswith((b"{", b"[", b'"')):
        return ended  # plain text, or a number: nothing in it says where it stops
    return is_json(data)
