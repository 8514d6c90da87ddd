"""Server-sent events, by the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream".

One departure, in `SSEDecoder.flush`: the standard drops an event that the end of the stream cuts
off, without a word. Some servers leave out the last blank line, or the last line end altogether,
and a cut that nobody reports is the worst that can happen to an answer. So a last event that is
recognisably whole is delivered, and anything less is an error.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, exceeded, is_json, torn
from penstock.decoders.alike import FEWEST, Alike
from penstock.errors import DecodeError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SSEDecoder", "SSEFrame"]

_BOM = b"\xef\xbb\xbf"
_NAMES = frozenset([b"data", b"event", b"id", b"retry"])
_FIELDS = tuple(name + b":" for name in sorted(_NAMES))
# So many bytes of a line tell whether it is a field: the length of "event:" and "retry:".
_TELLING = 6
# The longest field name with its colon and space: a line has no more than this around its value.
_AROUND = 7
_SPACE = ord(" ")
# A retry time of 19 digits or more is beyond any clock; int() refuses 4,300 digits outright.
_FOREVER = 2**63 - 1
# Of how most events begin, less than all.
_BEGUN = frozenset(name[:size] for name in (b"data: ", b"event: ") for size in range(1, len(name)))
# The one final event, of many vendors, that is whole without being JSON.
_DONE = b"[DONE]"


class SSEFrame(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event."""

    event: str
    """The event's type; ``"message"`` where the peer names none."""
    data: str | bytes
    """The data lines, joined by line feeds: `str`, or UTF-8 from a decoder with ``text=False``."""
    id: str = ""
    """The last event id so far; it holds until the peer sends another."""
    retry: int | None = None
    """Milliseconds before a reconnection, where the peer set them since the frame before."""


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
        "_data",
        "_event",
        "_fuse",
        "_held",
        "_id",
        "_id_text",
        "_max_event",
        "_max_line",
        "_quick",
        "_retry",
        "_skipping",
        "_starting",
        "_text",
        "ignored",
    )

    def __init__(
        self,
        *,
        max_line: int = BOUNDS.max_line,
        max_event: int = BOUNDS.max_event,
        text: bool = True,
    ) -> None:
        self._max_line = max_line
        self._max_event = max_event
        self._text = text
        self._fuse = Fuse()
        # The torn line: it has no line end, and is at most `max_line` long.
        self._buffer = bytearray()
        self._starting = True
        self._after_cr = False
        self._skipping = False
        # The event under way. A second data line turns the first into a bytearray: a list of
        # lines would cost many times `max_event` where the lines are short.
        self._data: bytes | bytearray | None = None
        self._event = b""
        self._id = b""
        self._id_text = ""
        # Bytes in which, between events, no bound can be passed; no more than two steps hold.
        self._quick = min(max_line, max_event, 2 * STEP)
        # Whether the bytes stopped between two events, with nothing left of either but what is
        # held: the begin of an event, as it came.
        self._between = True
        self._held = b""
        self._retry: int | None = None
        self.ignored = 0
        """Bytes since the last frame in lines other than data."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer) + len(self._held) + len(self._data or b"") + len(self._event)

    def decode(self, data: bytes) -> Sequence[SSEFrame]:
        """Return the events that `data` completes, often none.

        Raises:
            LimitExceededError: A line passes ``max_line``, or an event ``max_event``.
        """
        if self._between and (whole := self._read_whole(data)) is not None:
            return whole
        self._fuse.check()
        self._between = False
        if self._held:
            data, self._held = self._held + data, b""
        end = data.rfind(b"\n\n") + 2
        end = end if end > 1 else len(data)
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
            self._buffer
            or self._event
            or self._starting
            or self._after_cr
            or self._skipping
            or self._data is not None
            or self._retry is not None
        )

    def _leave(self, tail: bytes, frames: list[SSEFrame]) -> None:
        """Hold the begin of an event for the next read, or read it as far as it goes."""
        if self._between and _may_be_held(tail) and len(tail) <= self._quick and b"\r" not in tail:
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
        self._data = None
        self._event = self._held = b""
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
        end = data.rfind(b"\n\n") + 2
        tail = data[end:]
        if (
            end < 2
            or len(data) > self._quick
            or b"\r" in data
            or (tail and not _may_be_held(tail))
            or (self._starting and (data[:6] != b"data: " or len(data) > STEP))
        ):
            return None
        self._starting = False
        self._held = tail
        block = data[:end]
        if made := self._make_alike(block):
            self.ignored = 0
            return made
        frames: list[SSEFrame] = []
        self._read_lines(block, frames)
        if self._retry is not None:
            self._held, self._between = b"", False
            self._take_all(tail, frames)
        return frames

    def _keep(self, data: bytes) -> None:
        """Add `data`, which has no line end, to the torn line."""
        if self._skipping:
            self.ignored += len(data)
            return
        self._buffer += data
        if self._starting and len(self._buffer) >= len(_BOM):
            self._starting = False
            if self._buffer.startswith(_BOM):
                del self._buffer[: len(_BOM)]
        if len(self._buffer) < _TELLING:
            return
        if self._buffer.startswith(_FIELDS):
            self._check_line(len(self._buffer))
        else:
            self.ignored += len(self._buffer)
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
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._skipping:
            self._skipping = False
            end = block.find(b"\n") + 1
            self.ignored += end
            block = block[end:]
        if block.startswith(b"\n"):  # the cut was before it; what follows may be plain again
            self._dispatch(frames)
            block = block[1:]
        if (self._event or self._data is not None) and (end := block.find(b"\n\n") + 2) > 1:
            self._read_lines(block[:end], frames)  # the cut was in an event; behind it, as above
            block = block[end:]
        if block.startswith((b"data: ", b"event: ")) and self._data is None:
            block = self._read_plain(block, frames)
        if block:
            self._read_lines(block, frames)

    def _read_long(self, block: bytes) -> bytes:
        """Read the torn data line, which `block` ends, with one copy of it; return the rest.

        An image is one line of many MiB: joined with `block`, split and cut it would be there four
        times.
        """
        end = min(place for place in (block.find(b"\n"), block.find(b"\r")) if place >= 0)
        self._buffer += block[:end]
        self._check_line(len(self._buffer))
        with memoryview(self._buffer) as view:
            value = bytes(view[6 if view[5] == _SPACE else 5 :])
        self._buffer.clear()
        self._add(value)
        return block[end:].removeprefix(b"\r").removeprefix(b"\n")

    def _read_plain(self, block: bytes, frames: list[SSEFrame]) -> bytes:
        """Read the events of a `block` that are all alike, one data line each; return the rest.

        This is what most vendors send, and it costs 0.1 us an event above the split; line by line
        it is twice that. Where anything else is among them, nothing is read.
        """
        end = block.rfind(b"\n\n")
        if not 6 <= end <= self._quick or self._event or self._retry is not None:
            return block
        made = self._make_alike(block[: end + 2])
        if not made:
            return block
        frames += made
        self.ignored = 0
        return block[end + 2 :]

    def _make_alike(self, block: bytes) -> Sequence[SSEFrame]:
        """Return the events of a `block` that have one data line each, and the same name or none.

        Nothing where there is anything else among them.
        """
        head, name = b"data: ", "message"
        if block[:6] != head:
            end = block.find(b"\n")
            head = block[: end + 7]
            if head[:7] != b"event: " or head[-6:] != b"data: ":
                return []
            name = head[7:end].decode("utf-8", "replace") or name
        lines = _repaired(block[len(head) : -2]).split(b"\n\n" + head)
        # Not by a count of the line feeds: `bytes.count` of one sign takes as long as all the rest.
        if b"\n" in b"".join(lines):
            return []
        last_id = self._id_text
        if self._text:
            return [SSEFrame(name, line.decode(), last_id) for line in lines]
        if len(lines) < FEWEST:
            return [SSEFrame(name, line, last_id) for line in lines]
        return Alike(lines, partial(SSEFrame, name, id=last_id))

    def _read_lines(self, block: bytes, frames: list[SSEFrame]) -> None:
        lines = block.split(b"\n")
        lines.pop()
        # In lines that are this short together no bound can be passed.
        short = len(block) <= min(self._max_line, self._room())
        for line in lines:
            if not line:
                self._dispatch(frames)
            elif short and line[:6] == b"data: " and self._data is None:
                self._data = line[6:]
            elif short and line[:7] == b"event: ":
                self._event = line[7:]
                self.ignored += len(line) + 1
            else:
                self._read_field(line)

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name not in _NAMES:
            self.ignored += len(line) + 1
            return
        self._check_line(len(line))
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
            return
        self._check_event(len(value))
        self.ignored += len(line) + 1
        if name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value
                self._quick = min(self._max_line, self._max_event - len(value), 2 * STEP)
                self._id_text = value.decode("utf-8", "replace")
        elif value.isdigit():
            digits = value.lstrip(b"0")
            self._retry = int(digits or b"0") if len(digits) < 19 else _FOREVER

    def _add(self, value: bytes) -> None:
        """Add a data line."""
        if self._data is None:
            self._check_event(len(value))
            self._data = value
            return
        self._check_event(len(value) + 1)
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _dispatch(self, frames: list[SSEFrame]) -> None:
        """End the event; one without any data line is none."""
        data, event = self._data, self._event
        self._event = b""
        if data is None:
            self.ignored += 1
            return
        frames.append(
            SSEFrame(
                event.decode("utf-8", "replace") if event else "message",
                data.decode("utf-8", "replace") if self._text else _repaired(bytes(data)),
                self._id_text,
                self._retry,
            )
        )
        self._data = self._retry = None
        self.ignored = 0

    def _room(self) -> int:
        """Bytes that the event under way may still take."""
        data = self._data or b""
        return self._max_event - len(data) - len(self._event) - len(self._id)

    def _check_event(self, size: int) -> None:
        room = self._room()
        if size > room:
            raise exceeded("max_event", self._max_event, self._max_event - room + size)

    def _check_line(self, size: int) -> None:
        """Refuse a line, torn or whole, that passes a bound with its first `size` bytes.

        Of two bounds the one that is met first wins, so that a line which comes byte by byte and
        one which comes at once get the same answer.
        """
        room = self._room()
        if size > self._max_line <= room + _AROUND:
            raise exceeded("max_line", self._max_line, size)
        self._check_event(size - _AROUND)

    def _end(self, frames: list[SSEFrame]) -> None:
        """Read the end of the stream."""
        line = bytes(self._buffer)
        self._buffer.clear()
        if line.startswith(b"data:"):
            self._read_field(line)
        elif line.startswith(_FIELDS) or (line and any(f.startswith(line) for f in _FIELDS)):
            raise torn("a line of an event")
        if self._data is None:
            if self._event:
                raise torn("an event")
            return
        if not _is_whole(bytes(self._data), ended=not line.startswith(b"data:")):
            raise torn("an event's data")
        self._dispatch(frames)


def _may_be_held(tail: bytes) -> bool:
    """Whether `tail` begins an event as most begin."""
    return tail.startswith((b"data: ", b"event: ")) or tail in _BEGUN


def _repaired(data: bytes) -> bytes:
    """Return `data` with U+FFFD where it is not UTF-8, as the standard's "UTF-8 decode" has it."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data


def _is_whole(data: bytes, *, ended: bool) -> bool:
    """Whether the last event's `data` shows no cut; `ended` says that its last line has its end."""
    if data == _DONE:
        return True
    if not data.startswith((b"{", b"[", b'"')):
        return ended  # plain text, or a number: nothing in it says where it stops
    return is_json(data)
