"""Work grows with the input and no faster, however it is cut.

What is counted is the same in every run: instructions of the interpreter, and the bytes that the
methods of bytes objects are asked to go over. A decoder that searches its buffer from the start at
each call, re-joins it or re-parses it, grows with the square and fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Any
from zlib import crc32

import pytest

from penstock.decoders import (
    EventStreamDecoder,
    JSONArrayDecoder,
    JSONLinesDecoder,
    SSEDecoder,
)

SLACK = 2000
"""Instructions or bytes of set-up that a doubling need not double."""


def message(payload: bytes) -> bytes:
    """An event stream message with one header."""
    header = b"\x01a\x07\x00\x01b"
    prelude = pack(">II", 16 + len(header) + len(payload), len(header))
    body = prelude + pack(">I", crc32(prelude)) + header + payload
    return body + pack(">I", crc32(body))


# For a size in bytes, a wire of about that size.
WIRES: dict[str, tuple[Callable[[], Any], Callable[[int], bytes]]] = {
    "SSE, plain events": (SSEDecoder, lambda n: b'data: {"a":1}\n\n' * (n // 15)),
    "SSE, named events": (SSEDecoder, lambda n: b"event: e\r\ndata: x\r\n\r\n" * (n // 21)),
    "SSE, not UTF-8": (SSEDecoder, lambda n: b"data: \xff\n\n" * (n // 9)),
    "SSE, one line": (SSEDecoder, lambda n: b"data: " + b"x" * n + b"\n\n"),
    "SSE, one line without end": (SSEDecoder, lambda n: b"data: " + b"x" * n),
    "SSE, one event": (SSEDecoder, lambda n: b"data: x\n" * (n // 8) + b"\n"),
    "SSE, comments": (SSEDecoder, lambda n: b": ping\n\n" * (n // 8)),
    "SSE, one comment": (SSEDecoder, lambda n: b": " + b"x" * n + b"\n"),
    "SSE, blank lines": (SSEDecoder, lambda n: b"\n" * n),
    "SSE, CRs": (SSEDecoder, lambda n: b"data: x\r\r" * (n // 9)),
    "event stream, messages": (EventStreamDecoder, lambda n: message(b"{}") * (n // 24)),
    "event stream, one message": (EventStreamDecoder, lambda n: message(b"x" * n)),
    "JSON lines": (JSONLinesDecoder, lambda n: b'{"a":1}\n' * (n // 8)),
    "JSON lines, one": (JSONLinesDecoder, lambda n: b'"' + b"x" * n + b'"\n'),
    "JSON lines, blank": (JSONLinesDecoder, lambda n: b"\n" * n),
    "JSON array, elements": (JSONArrayDecoder, lambda n: b"[" + b'{"a":[1]},' * (n // 10) + b"0]"),
    "JSON array, one string": (JSONArrayDecoder, lambda n: b'["' + b"x" * n + b'"]'),
    "JSON array, escapes": (JSONArrayDecoder, lambda n: b'["' + b'\\"' * (n // 2) + b'"]'),
    "JSON array, one object": (
        JSONArrayDecoder,
        lambda n: b'[{"a":[' + b'"]",' * (n // 4) + b"0]}]",
    ),
    "JSON array, space": (JSONArrayDecoder, lambda n: b"[" + b" " * n + b"]"),
}


# All at once a decoder takes steps of 64 KiB, whose edges cost as they fall; a square would cost 4.
@pytest.mark.parametrize(
    ("piece", "size", "most"), [(1, 2_000, 2.0), (7, 8_000, 2.0), (2**30, 70_000, 2.25)]
)
@pytest.mark.parametrize(("make", "wire"), WIRES.values(), ids=WIRES)
def test_doubling_the_input_doubles_the_work(
    make: Callable[[], Any],
    wire: Callable[[int], bytes],
    piece: int,
    size: int,
    most: float,
    work: Any,
) -> None:
    """Byte by byte, in small pieces and at once: twice the bytes are at most twice the work."""

    def feed(data: bytes) -> None:
        decoder = make()
        for start in range(0, len(data), piece):
            list(decoder.decode(data[start : start + piece]))  # some are made when looked at

    once, twice = (work(lambda n=n: feed(wire(n))) for n in (size, 2 * size))

    assert twice.steps <= most * once.steps + SLACK
    assert twice.scanned <= most * once.scanned + SLACK


def test_the_counters_see_a_square(work: Any) -> None:
    """The proof can fail: a decoder that searches from the start is caught."""

    class Forgetful:
        def __init__(self) -> None:
            self._buffer = bytearray()

        def decode(self, data: bytes) -> None:
            self._buffer += data
            self._buffer.find(b"\n")

    def feed(size: int) -> None:
        decoder = Forgetful()
        for _ in range(size):
            decoder.decode(b"x")

    assert work(lambda: feed(2000)).scanned > 3 * work(lambda: feed(1000)).scanned
