"""The fields of server-sent events to frames: lines in, whole lines without their ends.

`penstock.decoders.sse` cuts the lines; here is what they add up to, and the bounds of an event.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from penstock.decoders._faults import STEP, exceeded

__all__ = ["FIELDS", "Event", "Fields", "SSEFrame", "repaired"]

_NAMES = frozenset([b"data", b"event", b"id", b"retry"])
FIELDS = tuple(name + b":" for name in sorted(_NAMES))
"""How a line begins that may matter."""
# The longest field name with its colon and space: a line has no more than this around its value.
_AROUND = 7
# A retry time of 19 digits or more is beyond any clock; int() refuses 4,300 digits outright.
_FOREVER = 2**63 - 1


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


Event: TypeAlias = SSEFrame | bytes
"""A frame, or its data alone; see `penstock.decoders.SSEDecoder`."""


class Fields(msgspec.Struct, eq=False, gc=False):
    """The event under way."""

    max_line: int
    """Bytes of one line, its end not counted."""
    max_event: int
    """Bytes of one event: its data, its name and the last id together."""
    text: bool
    """Whether data is `str`, and each event a frame."""
    quick: int
    """Bytes in which, between events, no bound can be passed; no more than two steps hold."""
    # A second data line turns the first into a bytearray: a list of lines would cost many times
    # `max_event` where the lines are short.
    data: bytes | bytearray | None = None
    """Its data so far."""
    event: bytes = b""
    """Its name."""
    id: str = ""
    """The last id, of this event or an earlier one."""
    ignored: int = 0
    """Bytes since the last frame in lines other than data."""
    _id_size: int = 0
    _retry: int | None = None

    @property
    def begun(self) -> bool:
        """Whether anything waits for the blank line that ends the event."""
        return bool(self.event) or self.data is not None or self._retry is not None

    def number(self, id: str, size: int) -> None:
        """Note the id of this event, which later ones have, too, and how many bytes it is."""
        self.id, self._id_size = id, size
        self.quick = min(self.max_line, self.max_event - size, 2 * STEP)

    def read(self, block: bytes, frames: list[Event]) -> None:
        """Read the lines of `block`, which end with line feeds alone."""
        lines = block.split(b"\n")
        lines.pop()
        # In lines that are this short together no bound can be passed.
        short = len(block) <= min(self.max_line, self._room())
        for line in lines:
            if not line:
                self.dispatch(frames)
            elif short and line[:6] == b"data: " and self.data is None:
                self.data = line[6:]
            elif short and line[:7] == b"event: ":
                self.event = line[7:]
                self.ignored += len(line) + 1
            else:
                self.read_field(line)

    def read_field(self, line: bytes) -> None:
        """Read a line that is not blank."""
        name, _, value = line.partition(b":")
        if name not in _NAMES:
            self.ignored += len(line) + 1
            return
        self.check_line(len(line))
        value = value.removeprefix(b" ")
        if name == b"data":
            self.add(value)
            return
        self._check_event(len(value))
        self.ignored += len(line) + 1
        if name == b"event":
            self.event = value
        elif name == b"id":
            if b"\0" not in value:
                self.number(value.decode("utf-8", "replace"), len(value))
        elif value.isdigit():
            digits = value.lstrip(b"0")
            self._retry = int(digits or b"0") if len(digits) < 19 else _FOREVER

    def add(self, value: bytes) -> None:
        """Add a data line."""
        if self.data is None:
            self._check_event(len(value))
            self.data = value
            return
        self._check_event(len(value) + 1)
        if isinstance(self.data, bytes):
            self.data = bytearray(self.data)
        self.data += b"\n"
        self.data += value

    def dispatch(self, frames: list[Event]) -> None:
        """End the event; one without any data line is none."""
        data, event = self.data, self.event
        self.event = b""
        if data is None:
            self.ignored += 1
            return
        name = event.decode("utf-8", "replace") if event else "message"
        if self.text:
            frames.append(SSEFrame(name, data.decode("utf-8", "replace"), self.id, self._retry))
        elif name == "message" and not self.id and self._retry is None:
            frames.append(repaired(bytes(data)))
        else:
            frames.append(SSEFrame(name, repaired(bytes(data)), self.id, self._retry))
        self.data = self._retry = None
        self.ignored = 0

    def _room(self) -> int:
        """Bytes that the event under way may still take."""
        data = self.data or b""
        return self.max_event - len(data) - len(self.event) - self._id_size

    def _check_event(self, size: int) -> None:
        room = self._room()
        if size > room:
            raise exceeded("max_event", self.max_event, self.max_event - room + size)

    def check_line(self, size: int) -> None:
        """Refuse a line, torn or whole, that passes a bound with its first `size` bytes.

        Of two bounds the one that is met first wins, so that a line which comes byte by byte and
        one which comes at once get the same answer.
        """
        room = self._room()
        if size > self.max_line <= room + _AROUND:
            raise exceeded("max_line", self.max_line, size)
        self._check_event(size - _AROUND)


def repaired(data: bytes) -> bytes:
    """Return `data` with U+FFFD where it is not UTF-8, as the standard's "UTF-8 decode" has it."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data
