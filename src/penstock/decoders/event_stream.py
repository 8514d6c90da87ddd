"""AWS event streams, ``application/vnd.amazon.eventstream``.

The format is in the Smithy 2.0 specification, "Amazon Event Stream Specification", and the reading
of it that AWS ships in Python is `botocore.eventstream`. A message is a prelude of 12 bytes (total
length, header length, CRC-32 of those two), headers, payload, and the CRC-32 of all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import TypeAlias
from zlib import crc32

import msgspec

from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, exceeded, torn
from penstock.decoders.alike import FEWEST, Alike
from penstock.errors import DecodeError, LimitExceededError

__all__ = ["EventStreamDecoder", "EventStreamFrame", "HeaderValue"]

HeaderValue: TypeAlias = bool | int | bytes | str
"""A header's value: `bool`; `int` for the four widths, and for a timestamp, in milliseconds since
1970 (UTC); `bytes` for a byte array, and for a UUID, its 16 bytes; `str`. As botocore."""

# Smithy: byte data<1..2^15-1>. botocore reads the length's 16 bits as they are; we take the
# narrower of the two, which no AWS service passes.
_MAX_VALUE = 32_767
_PRELUDE = Struct(">III")
_UINT16 = Struct(">H")
_UINT32 = Struct(">I")
_CRC_SIZE = 4
_SMALLEST = _PRELUDE.size + _CRC_SIZE
# Header blocks repeat: an answer has about three of them. Kept are so many, of at most so many
# bytes; an answer whose blocks all differ stops being remembered.
_CACHED_BLOCKS = 32
_CACHED_SIZE = 1024
# Preludes repeat, too, where the payloads are of a few lengths. They are kept of dense answers
# alone, as each takes some 300 bytes.
_CACHED_PRELUDES = 128


class EventStreamFrame(msgspec.Struct, frozen=True, gc=False):
    """One message."""

    headers: dict[str, HeaderValue]
    """The headers by name; the dict is this frame's own."""
    payload: bytes
    """The payload as it came."""


class EventStreamDecoder:
    """Bytes of ``application/vnd.amazon.eventstream`` to `EventStreamFrame`.

    Both bounds are judged from the prelude, as soon as its 12 bytes are there and their CRC is
    right; the payload is not waited for. No byte that a CRC covers is used before it is checked.

    Args:
        max_frame: Bytes of one payload.
        max_frame_headers: Bytes of one header block.
    """

    __slots__ = (
        "_blocks",
        "_buffer",
        "_fuse",
        "_max_frame",
        "_max_frame_headers",
        "_needed",
        "_preludes",
    )

    ignored = 0
    """Always 0: every byte of the format is part of a frame."""

    def __init__(
        self,
        *,
        max_frame: int = BOUNDS.max_frame,
        max_frame_headers: int = BOUNDS.max_frame_headers,
    ) -> None:
        self._max_frame = max_frame
        self._max_frame_headers = max_frame_headers
        self._fuse = Fuse()
        # A torn message; never more than that one.
        self._buffer = bytearray()
        self._needed = _PRELUDE.size
        self._blocks: dict[bytes, dict[str, HeaderValue]] = {}
        self._preludes: dict[bytes, _Known] = {}

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def decode(self, data: bytes) -> Sequence[EventStreamFrame]:
        """Return the messages that `data` completes, often none.

        Raises:
            DecodeError: A CRC, a length or a header is wrong.
            LimitExceededError: A message passes ``max_frame`` or ``max_frame_headers``, or a header
                value the 32,767 bytes of the format.
        """
        self._fuse.check()
        if self._buffer and len(self._buffer) <= len(data) <= STEP:
            # The begin of a message goes before the rest of it: one copy, and no way of its own.
            data = b"".join((self._buffer, data))
            self._buffer.clear()
            self._needed = _PRELUDE.size
        before: list[EventStreamFrame] = []
        many: Sequence[EventStreamFrame] = ()
        after: list[EventStreamFrame] = []
        try:
            start = self._complete_torn(data, before)
            start, many = self._take_usual(data, start, before)
            self._take(data, start, after)
        except (DecodeError, LimitExceededError) as fault:
            self._spend(fault, [*before, *many, *after])
            raise
        return [*before, *many, *after] if before or after else many

    def flush(self) -> list[EventStreamFrame]:
        """Return no frame: a message that is complete was returned when it was.

        Raises:
            DecodeError: The stream ended inside a message.
        """
        self._fuse.check()
        if self._buffer:
            fault = torn("a message")
            self._spend(fault, [])
            raise fault
        return []

    def _spend(self, fault: Fault, frames: list[EventStreamFrame]) -> None:
        self._buffer = bytearray()
        self._fuse.blow(fault, frames)

    def _take(self, data: bytes, start: int, frames: list[EventStreamFrame]) -> None:
        while (left := len(data) - start) >= _PRELUDE.size:
            size = self._read_prelude(data[start : start + _PRELUDE.size])
            if left < size:
                self._needed = size
                break
            frames.append(self._read_message(data[start : start + size]))
            start += size
        self._buffer += data[start:]

    def _take_usual(
        self, data: bytes, start: int, frames: list[EventStreamFrame]
    ) -> tuple[int, Sequence[EventStreamFrame]]:
        """Take whole messages whose headers came before; return where the first other one begins.

        Those at the end whose headers are the same are returned, too, if they are many. This is
        what most messages are, and it costs a third of the way that says what is wrong.
        """
        size, recall, checksum = len(data), self._preludes.get, _UINT32.unpack_from
        headers: dict[str, HeaderValue] | None = None
        payloads: list[bytes] = []
        begin = _PRELUDE.size
        while True:
            # One look-up for both the prelude and the headers, if they are as long as the last.
            known = recall(data[start : start + begin])
            if known is None:
                known = self._learn(data, start, keep=len(payloads) >= FEWEST)
                if known is None:
                    break
            total, begin, crc, found = known
            end = start + total - _CRC_SIZE
            if end + _CRC_SIZE > size:
                break
            payload = data[start + begin : end]
            # The checksum of the whole goes on from that of the prelude and the headers.
            if crc32(payload, crc) != checksum(data, end)[0]:
                break
            if found is not headers:
                if headers is not None:
                    frames += map(partial(_frame, headers), payloads)
                headers, payloads = found, []
            payloads.append(payload)
            start = end + _CRC_SIZE
        make = partial(_frame, headers or {})
        if len(payloads) >= FEWEST:
            return start, Alike(payloads, make)
        return start, [*map(make, payloads)]

    def _learn(self, data: bytes, start: int, *, keep: bool) -> _Known | None:
        """Return what a good prelude and headers that came before say; None for any other."""
        if start + _SMALLEST > len(data):
            return None
        total, length, crc = _PRELUDE.unpack_from(data, start)
        begin = _PRELUDE.size + length
        if length > self._max_frame_headers or not (
            0 <= total - begin - _CRC_SIZE <= self._max_frame
        ):
            return None
        block = data[start + _PRELUDE.size : start + begin]
        headers = self._blocks.get(block)
        if headers is None or crc32(data[start : start + 8]) != crc:
            return None
        known = total, begin, crc32(data[start + 8 : start + begin], crc), headers
        if keep and len(self._preludes) < _CACHED_PRELUDES:
            self._preludes[data[start : start + begin]] = known
        return known

    def _complete_torn(self, data: bytes, frames: list[EventStreamFrame]) -> int:
        """Add to the torn message what it still needs of `data`; return how much that was.

        So the buffer never holds more than one message, and nothing is ever moved within it.
        """
        start = 0
        while self._buffer and start < len(data):
            piece = data[start : start + self._needed - len(self._buffer)]
            self._buffer += piece
            start += len(piece)
            if len(self._buffer) < self._needed:
                break
            if self._needed == _PRELUDE.size:
                self._needed = self._read_prelude(bytes(self._buffer))
            else:
                message = bytes(self._buffer)
                self._buffer.clear()
                self._needed = _PRELUDE.size
                frames.append(self._read_message(message))
        return start

    def _read_prelude(self, prelude: bytes) -> int:
        """Return the size of the message that `prelude` begins."""
        total, headers, crc = _PRELUDE.unpack(prelude)
        if crc32(prelude[:8]) != crc:
            raise DecodeError("The checksum of a message's prelude is wrong")
        if total < _SMALLEST + headers:
            raise DecodeError("A message is shorter than its headers")
        if headers > self._max_frame_headers:
            raise exceeded("max_frame_headers", self._max_frame_headers, headers)
        payload = total - headers - _SMALLEST
        if payload > self._max_frame:
            raise exceeded("max_frame", self._max_frame, payload)
        return int(total)

    def _read_message(self, message: bytes) -> EventStreamFrame:
        end = len(message) - _CRC_SIZE
        with memoryview(message) as view:
            crc = crc32(view[:end])
        if crc != _UINT32.unpack_from(message, end)[0]:
            raise DecodeError("The checksum of a message is wrong")
        payload = _PRELUDE.size + _UINT32.unpack_from(message, 4)[0]
        headers = self._read_headers(message[_PRELUDE.size : payload])
        return EventStreamFrame(headers, message[payload:end])

    def _read_headers(self, block: bytes) -> dict[str, HeaderValue]:
        known = self._blocks.get(block)
        if known is None:
            known = _parse_headers(block)
            if len(self._blocks) < _CACHED_BLOCKS and len(block) <= _CACHED_SIZE:
                self._blocks[block] = known
        return known.copy()


_Known: TypeAlias = tuple[int, int, int, dict[str, HeaderValue]]
"""Of messages that begin alike: their length, that of prelude and headers, the checksum of these,
and the headers by name."""


def _frame(headers: dict[str, HeaderValue], payload: bytes) -> EventStreamFrame:
    return EventStreamFrame(headers.copy(), payload)


def _parse_headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        size = block[at]
        name = _text(_piece(block, at + 1, size))
        at += 1 + size
        if not name:
            raise DecodeError("A header has no name")
        if name in headers:
            raise DecodeError("A message has the same header twice")
        kind = _piece(block, at, 1)[0]
        if kind >= len(_READERS):
            raise DecodeError(f"A header is of type {kind}, which the format does not have")
        headers[name], at = _READERS[kind](block, at + 1)
    return headers


_Reader: TypeAlias = Callable[[bytes, int], tuple[HeaderValue, int]]


def _piece(block: bytes, start: int, size: int) -> bytes:
    """Return `size` bytes of `block`, or refuse a header that claims more than there is."""
    piece = block[start : start + size]
    if len(piece) < size:
        raise DecodeError("A header is longer than the headers' block")
    return piece


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DecodeError("A header is not UTF-8") from None


def _constant(value: bool) -> _Reader:
    return lambda _, at: (value, at)


def _number(layout: str) -> _Reader:
    form = Struct(layout)
    return lambda block, at: (
        form.unpack(_piece(block, at, form.size))[0],
        at + form.size,
    )


def _read_bytes(block: bytes, at: int) -> tuple[bytes, int]:
    (size,) = _UINT16.unpack(_piece(block, at, _UINT16.size))
    if size > _MAX_VALUE:
        raise exceeded("header_value", _MAX_VALUE, size)
    at += _UINT16.size
    return _piece(block, at, size), at + size


def _read_text(block: bytes, at: int) -> tuple[str, int]:
    value, at = _read_bytes(block, at)
    return _text(value), at


def _read_uuid(block: bytes, at: int) -> tuple[bytes, int]:
    return _piece(block, at, 16), at + 16


# By the format's type number.
_READERS: tuple[_Reader, ...] = (
    _constant(True),
    _constant(False),
    _number(">b"),
    _number(">h"),
    _number(">i"),
    _number(">q"),
    _read_bytes,
    _read_text,
    _number(">q"),
    _read_uuid,
)
