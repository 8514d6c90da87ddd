"""Server-sent events, by the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream".

One departure, in `SSEDecoder.flush`: the standard drops an event that the end of the stream cuts
off, without a word. Some servers leave out the last blank line, or the last line end altogether,
and a cut that nobody reports is the worst that can happen to an answer. So a last event that is
recognisably whole is delivered, and anything less is an error.

Nearly every read of an answer begins between two events and has whole ones of the usual kinds: here
they are cut by a few calls for all of them. What is left, `penstock.decoders._lines` reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.decoders._events import cut, framed, head_of, numbered
from penstock.decoders._faults import BOUNDS, STEP
from penstock.decoders._fields import FIELDS, Fields, SSEFrame, repaired
from penstock.decoders._lines import BEGINS, LF, TELLING, Lines, read_alike, with_line_feeds
from penstock.decoders.alike import Unread
from penstock.errors import DecodeError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.decoders._faults import Fault
    from penstock.decoders._fields import Event

__all__ = ["SSEDecoder", "SSEFrame"]

_CRLF = b"\r\n\r\n"
# Bytes of a read in which there are few events, as most have two or three hundred.
_FEW = 2048
# What is in two steps passes no bound that is larger.
_QUICK = 2 * STEP
# Of how most events begin, less than all.
_BEGUN = frozenset(name[:size] for name in BEGINS for size in range(1, len(name)))


class SSEDecoder:
    """Bytes of ``text/event-stream`` to `SSEFrame`.

    Lines end at CR, LF or CRLF and at nothing else (fault matrix, row 34). Invalid UTF-8 becomes
    U+FFFD, as the standard says, in both kinds of data. Comments and unknown fields keep nothing,
    however long they are, and no bound applies to them.

    Args:
        max_line: Bytes of one line, its end not counted.
        max_event: Bytes of one event: its data, its name and the last id together.
        text: Whether data is `str`. As bytes it is cheaper for who parses JSON next, and an event
            that has no name, no id and no retry time is its data alone.
    """

    __slots__ = ("_between", "_fields", "_held", "_lines", "_starting", "_unread")

    def __init__(
        self,
        *,
        max_line: int = BOUNDS.max_line,
        max_event: int = BOUNDS.max_event,
        text: bool = True,
    ) -> None:
        # `min` of three takes longer than all the rest here.
        quick = _QUICK if max_line >= _QUICK <= max_event else min(max_line, max_event)
        self._fields = Fields(max_line, max_event, text, quick)
        # Reads what is not whole events, once there is any.
        self._lines: Lines | None = None
        self._starting = True
        # Whether the bytes stopped between two events, with nothing left of either but what is
        # held: the begin of an event, as it came.
        self._between = True
        self._held = b""
        # The last read, where nobody has looked at it yet.
        self._unread: Unread[Event] | None = None

    @property
    def ignored(self) -> int:
        """Bytes since the last frame in lines other than data."""
        self._settle()
        return self._fields.ignored + (_passed_over(self._held) if self._held else 0)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        self._settle()
        fields = self._fields
        torn = 0 if self._lines is None else self._lines.buffered
        return torn + len(self._held) + len(fields.data or b"") + len(fields.event)

    def decode(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes, often none.

        Raises:
            LimitExceededError: A line passes ``max_line``, or an event ``max_event``.
        """
        if self._unread is not None:
            self._settle()
        if self._between and (whole := self._read_whole(data)) is not None:
            return whole
        lines = self._torn()
        if self._held:
            data, self._held = self._held + data, b""
        found = [at + len(end) for end in (LF, _CRLF) if (at := data.rfind(end)) >= 0]
        end = max(found, default=len(data))
        frames: list[Event] = []
        try:
            lines.take(data[:end], frames)
            self._between = lines.between
            if end < len(data):
                self._leave(data[end:], frames)
        except LimitExceededError as fault:
            self._spend(fault, frames)
            raise
        return frames

    def flush(self) -> list[Event]:
        """Return the last event, if only the line ends behind it are missing.

        That is: its last line has its end and the data is not JSON that stops in the middle; or
        the last line lacks its end, but the data is a whole JSON object, array or string, or
        ``[DONE]``. A cut comment or unknown field loses nothing and is passed over.

        Raises:
            DecodeError: The stream ended inside an event.
            LimitExceededError: The last line completes an event longer than ``max_event``.
        """
        self._settle()
        lines = self._torn()
        frames: list[Event] = []
        held, self._held = self._held, b""
        try:
            lines.take(held, frames)
            lines.end(frames)
        except (DecodeError, LimitExceededError) as fault:
            self._spend(fault, frames)
            raise
        return frames

    def _read_whole(self, data: bytes) -> Sequence[Event] | None:
        """Read what begins between two events and has the end of one, as most reads of an answer.

        No bound can be passed; the long way costs twice as much. None where that has to be gone.
        """
        if self._held:
            data = self._held + data
        fields, size = self._fields, len(data)
        # A comparison of a slice takes two thirds of what `startswith` does, `find` half of ``in``.
        line, end, rest = data.partition(b"\n")
        cr = data.find(b"\r")
        if (
            not end
            or size > fields.quick
            or (cr >= 0 and cr != len(line) - 1)
            or (self._starting and (not data.startswith(BEGINS) or size > STEP))
        ):
            return None
        blank = b"\n" if cr < 0 else b"\r\n"
        if rest == blank and line[:6] == b"data: " and not fields.text:
            # One line alone, as nearly every read of a paced answer is.
            self._starting, self._held = False, b""
            fields.ignored = 0
            alone = line[6:] if cr < 0 else line[6:cr]
            alone = alone if alone.isascii() else repaired(alone)
            return [SSEFrame("message", alone, fields.id) if fields.id else alone]
        ends = blank + blank
        stop = data.rfind(ends) + len(ends)
        tail = data[stop:]
        if stop < len(ends) or (tail and not _may_be_held(tail)):
            return None
        first, self._starting = self._starting, False
        self._held = tail
        return self._read_events(data[:stop] if tail else data, ends, first)

    def _read_events(self, block: bytes, end: bytes, first: bool) -> Sequence[Event]:
        """Read whole events, of which the first line at least ends as they all should."""
        fields = self._fields
        if (head := head_of(block, end)) is not None:
            begin, name = head
            # Few are cheaper cut at once: most of a short answer are its first and last.
            if len(block) >= _FEW and not fields.text:
                self._unread = Unread(block, begin, end, self)
                return self._unread
            if (lines := cut(block, begin, end)) is not None:
                fields.ignored = 0
                return framed(lines, name, fields.id, text=fields.text, now=first)
        elif block[:3] == b"id:" and (found := numbered(block, end)) is not None:
            fields.number(found.ids[-1], found.size)
            fields.ignored = 0
            return framed(found.lines, found.name, found.ids, text=fields.text)
        return self._read_unlike(block)

    @property
    def between(self) -> bool:
        """Whether nothing of one event is left for the next."""
        return not self._fields.begun

    def read(self, unread: Unread[Event], *, last: bool) -> Sequence[Event]:
        """Return the events that were left unread; see `penstock.decoders.alike.Source`."""
        if last:
            self._unread = None
        fields = self._fields
        frames = None if fields.begun else read_alike(unread.block, unread.end, fields)
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

    def _read_unlike(self, block: bytes, *, last: bool = True) -> list[Event]:
        frames: list[Event] = []
        self._fields.read(with_line_feeds(block), frames)
        if last and self._fields.begun:  # a retry time belongs to the next event
            tail, self._held = self._held, b""
            self._torn().take(tail, frames)
        return frames

    def _torn(self) -> Lines:
        """Return what reads the rest, which goes on from here."""
        if self._lines is None:
            self._lines = Lines(self._fields, starting=self._starting)
            self._starting = False
        self._lines.check()
        self._between = False
        return self._lines

    def _leave(self, tail: bytes, frames: list[Event]) -> None:
        """Hold the begin of an event for the next read, or read it as far as it goes."""
        if self._between and _may_be_held(tail) and len(tail) <= self._fields.quick:
            self._held = tail
        else:
            self._torn().take(tail, frames)

    def _spend(self, fault: Fault, frames: list[Event]) -> None:
        self._held = b""
        self._torn().spend(fault, frames)


def _may_be_held(tail: bytes) -> bool:
    """Whether `tail` begins an event as most begin, and does not end one."""
    if not tail.startswith(BEGINS) and tail not in _BEGUN:
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
    *lines, torn = with_line_feeds(tail).split(b"\n")
    unknown = len(torn) >= TELLING and not torn.startswith(FIELDS)
    others = [line for line in lines if line.partition(b":")[0] != b"data"]
    return sum(len(line) + 1 for line in others) + (len(torn) if unknown else 0)
