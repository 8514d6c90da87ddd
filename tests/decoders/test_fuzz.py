"""Whatever a peer sends, a decoder answers with frames or with one of its two errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from struct import pack
from typing import Any
from zlib import crc32

import pytest

from penstock.decoders import (
    EventStreamDecoder,
    JSONArrayDecoder,
    JSONLinesDecoder,
    SSEDecoder,
    sse,
)

ROUNDS = 300

MAKERS: dict[str, Callable[[], Any]] = {
    "SSE": SSEDecoder,
    "SSE in bytes": partial(SSEDecoder, text=False),
    "SSE with small bounds": partial(SSEDecoder, max_line=40, max_event=60),
    "event stream": EventStreamDecoder,
    "event stream with small bounds": partial(
        EventStreamDecoder, max_frame=20, max_frame_headers=20
    ),
    "JSON lines": JSONLinesDecoder,
    "JSON lines with small bounds": partial(JSONLinesDecoder, max_line=40),
    "JSON array": JSONArrayDecoder,
    "JSON array with small bounds": partial(JSONArrayDecoder, max_event=40, max_json_depth=3),
}

# Pieces that mean something to one of them, so that random joins go deep.
WORDS = [
    *[b"data:", b"data: ", b"event:", b"id:", b"retry: 9", b"\n", b"\r", b"\r\n", b":", b" "],
    *[b"{", b"}", b"[", b"]", b",", b'"', b"\\", b'"a":', b"1", b"true", b"[DONE]", b"\0"],
    *[b"\xef\xbb\xbf", b"\xff", "é".encode(), "\u2028".encode(), b"x" * 30],
]


def message(random: Random) -> bytes:
    """An event stream message that is right in its checksums, and perhaps in nothing else."""
    headers = random.choice(
        [b"", b"\x01a\x00", b"\x01a\x07\x00\x01b", random.randbytes(random.randrange(30))]
    )
    payload = random.randbytes(random.randrange(30))
    total = 16 + len(headers) + len(payload) + random.choice([0, 0, 0, 0, 1, -1, 2**31])
    prelude = pack(">II", total, len(headers))
    body = prelude + pack(">I", crc32(prelude)) + headers + payload
    return body + pack(">I", crc32(body))


def wires(random: Random) -> Iterator[bytes]:
    """Random bytes, random words, and random messages with a few bytes changed."""
    yield random.randbytes(random.randrange(200))
    yield b"".join(random.choices(WORDS, k=random.randrange(60)))
    yield b"[" + b"".join(random.choices(WORDS, k=random.randrange(60)))
    changed = bytearray(b"".join(message(random) for _ in range(random.randrange(1, 5))))
    for _ in range(random.choice([0, 0, 1, 2])):
        changed[random.randrange(len(changed))] = random.randrange(256)
    yield bytes(changed)


def cut(wire: bytes, random: Random) -> list[bytes]:
    """Some random pieces of `wire`."""
    places = sorted(random.choices(range(len(wire) + 1), k=random.randrange(12)))
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_random_bytes(make: Callable[[], Any], play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,200 wires: no other exception, no hang, and one answer for each, whatever the cuts."""
    random = Random(20)
    few = sse._FEW  # half of the wires are read as if they were long
    for _ in range(ROUNDS):
        for wire in wires(random):
            monkeypatch.setattr(sse, "_FEW", random.choice([64, few]))
            whole = play(make, [wire])
            monkeypatch.setattr(sse, "_FEW", random.choice([64, few]))

            assert whole == play(make, cut(wire, random))
            assert whole == play(make, [bytes([byte]) for byte in wire])
