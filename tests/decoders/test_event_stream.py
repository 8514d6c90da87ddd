"""The AWS event stream decoder, by the vectors that AWS publishes with its own parsers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from struct import pack
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoders import EventStreamDecoder, EventStreamFrame
from penstock.errors import DecodeError, LimitExceededError

MIB = 1024 * 1024


def message(
    headers: bytes, payload: bytes = b"", *, total: int = 0, prelude_crc: int = -1
) -> bytes:
    """A message by the specification's layout, `headers` as they are."""
    lengths = pack(">II", total or 16 + len(headers) + len(payload), len(headers))
    crc = crc32(lengths) if prelude_crc < 0 else prelude_crc
    body = lengths + pack(">I", crc) + headers + payload
    return body + pack(">I", crc32(body))


def header(name: bytes, kind: int, value: bytes) -> bytes:
    """One header."""
    return bytes([len(name)]) + name + bytes([kind]) + value


def text(name: bytes, value: bytes) -> bytes:
    """One header of type string."""
    return header(name, 7, pack(">H", len(value)) + value)


BODY = b"{'foo':'bar'}"
ALL_TYPES = bytes.fromhex(
    "01300001310101320202013303000301340400000004013505000000000000000501360600056279746573"
    "01370700047574663801380800000000000000080139093031323334353637383961626364 6566"
)

# aws-sdk-js-v3's TestVectors (those of aws-c-event-stream) and botocore's unit tests: whole
# messages with their checksums.
VECTORS: dict[str, tuple[bytes, Mapping[str, object], bytes]] = {
    "empty message": (bytes.fromhex("000000100000000005c248eb7d98c8ff"), {}, b""),
    "int32 header": (
        bytes.fromhex("0000002b0000000e348bec7b")
        + b"\x08event-id\x04\x00\x00\xa0\x0c"
        + BODY
        + bytes.fromhex("d3890285"),
        {"event-id": 0xA00C},
        BODY,
    ),
    "payload without headers": (
        bytes.fromhex("0000001d00000000fd528c5a") + BODY + bytes.fromhex("c3653936"),
        {},
        BODY,
    ),
    "payload with a text header": (
        bytes.fromhex("0000003d0000002007fd8396")
        + b"\x0ccontent-type\x07\x00\x10application/json"
        + BODY
        + bytes.fromhex("8d9c08b1"),
        {"content-type": "application/json"},
        BODY,
    ),
    "int8 header": (
        bytes.fromhex("000000170000000729860158") + b"\x04byte\x02\xff" + bytes.fromhex("c2f869dc"),
        {"byte": -1},
        b"",
    ),
    "int16 header": (
        bytes.fromhex("0000001900000009710e923e")
        + b"\x05short\x03\xff\xff"
        + bytes.fromhex("b27cb6cc"),
        {"short": -1},
        b"",
    ),
    "int32 header of -1": (
        bytes.fromhex("0000001d0000000d83e3f0e7")
        + b"\x07integer\x04\xff\xff\xff\xff"
        + bytes.fromhex("8b8e12eb"),
        {"integer": -1},
        b"",
    ),
    "int64 header": (
        bytes.fromhex("0000001e0000000e5d4adb8d")
        + b"\x04long\x05"
        + b"\xff" * 8
        + bytes.fromhex("4bc232da"),
        {"long": -1},
        b"",
    ),
    "every header type": (
        bytes.fromhex("000000620000005203b5cb9c") + ALL_TYPES + bytes.fromhex("63353671"),
        {
            "0": True,
            "1": False,
            "2": 2,
            "3": 3,
            "4": 4,
            "5": 5,
            "6": b"bytes",
            "7": "utf8",
            "8": 8,
            "9": b"0123456789abcdef",
        },
        b"",
    ),
    "error event": (
        bytes.fromhex("0000005200000042bf23637e") + b"\x0d:message-type\x07\x00\x05error"
        b"\x0b:error-code\x07\x00\x04code\x0e:error-message\x07\x00\x07message"
        + bytes.fromhex("6b6cea3d"),
        {":message-type": "error", ":error-code": "code", ":error-message": "message"},
        b"",
    ),
    "initial response": (
        bytes.fromhex("0000007e0000004fc5a3ddc6") + b"\x0d:message-type\x07\x00\x05event"
        b"\x0b:event-type\x07\x00\x10initial-response\x0d:content-type\x07\x00\x09text/json"
        b'{"InitialResponse": "sometext"}' + bytes.fromhex("f6982483"),
        {
            ":message-type": "event",
            ":event-type": "initial-response",
            ":content-type": "text/json",
        },
        b'{"InitialResponse": "sometext"}',
    ),
}
WIRES = {name: wire for name, (wire, *_) in VECTORS.items()}
ALL = b"".join(WIRES.values())

# The first five are theirs too; the others are our reading of the specification.
REFUSED = {
    "corrupted header": WIRES["payload with a text header"].replace(b"content-", b"content+"),
    "corrupted header length": WIRES["payload with a text header"].replace(
        b"\x00\x00\x00\x20", b"\x00\x00\x01\x20", 1
    ),
    "corrupted length": b"\x01" + WIRES["payload without headers"][1:],
    "corrupted payload": WIRES["payload without headers"].replace(b"}", b"\x8d"),
    "duplicate header": bytes.fromhex("00000024000000144bb982d0")
    + b"\x04test\x04asdf" * 2
    + bytes.fromhex("f3f47563"),
    "duplicate text header": message(text(b"a", b"1") + text(b"a", b"2")),
    "unknown header type": message(header(b"a", 10, b"")),
    "header type 255": message(header(b"a", 255, b"")),
    "header without a name": message(text(b"", b"x")),
    "name beyond the block": message(b"\x05ab"),
    "no type": message(b"\x01a"),
    "number beyond the block": message(header(b"a", 5, b"\0\0\0")),
    "length beyond the block": message(header(b"a", 7, b"\0")),
    "text beyond the block": message(header(b"a", 7, b"\0\x05abcd")),
    "bytes beyond the block": message(header(b"a", 6, b"\0\x05abcd"), b"payload"),
    "uuid beyond the block": message(header(b"a", 9, b"0123456789abcde")),
    "name that is not UTF-8": message(text(b"\xff", b"x")),
    "text that is not UTF-8": message(text(b"a", b"\xff")),
    "length below the smallest": message(b"", total=15),
    "headers longer than the message": message(b"\x01a\x00" + b"\x01b\x00", total=20),
}


def frame(headers: Mapping[str, object], payload: bytes) -> EventStreamFrame:
    """The frame of a vector."""
    return EventStreamFrame(dict(headers), payload)  # type: ignore[arg-type]  # of the table


EXPECTED = [frame(headers, payload) for _, headers, payload in VECTORS.values()]


@pytest.mark.parametrize(("wire", "headers", "payload"), VECTORS.values(), ids=VECTORS)
def test_vectors(wire: bytes, headers: Mapping[str, object], payload: bytes) -> None:
    """AWS's own messages give AWS's own values."""
    decoder = EventStreamDecoder()

    assert [frame(headers, payload)] == decoder.decode(wire)
    assert [] == decoder.flush()


def test_header_types_are_exact() -> None:
    """Booleans are booleans, numbers numbers, and nothing stands for the other."""
    (got,) = EventStreamDecoder().decode(WIRES["every header type"])

    assert [bool, bool, int, int, int, int, bytes, str, int, bytes] == [
        type(value) for value in got.headers.values()
    ]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (2, b"\x80", -128),
        (3, b"\x80\x00", -(2**15)),
        (4, b"\x7f\xff\xff\xff", 2**31 - 1),
        (5, b"\x80" + b"\0" * 7, -(2**63)),
        (6, b"\0\0", b""),
        (6, b"\x7f\xff" + b"x" * 32_767, b"x" * 32_767),
        (7, b"\0\0", ""),
        (7, b"\0\x09\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "日本語"),
        (8, b"\0\0\x01\x93\x4e\xef\x57\x68", 1_732_196_128_616),
    ],
)
def test_header_values(kind: int, value: bytes, expected: object) -> None:
    """Each type reads its extremes; a timestamp stays a number of milliseconds."""
    (got,) = EventStreamDecoder().decode(message(header(b"n", kind, value)))

    assert {"n": expected} == got.headers


@pytest.mark.parametrize("wire", [*WIRES.values(), ALL], ids=[*WIRES, "all"])
def test_no_cut_changes_the_frames(wire: bytes, outcomes: Any) -> None:
    """Every cut, and every pair of cuts of the short ones, gives one answer."""
    assert 1 == len(outcomes(EventStreamDecoder, wire))


def test_messages_follow_each_other() -> None:
    """All vectors in one stream are all their frames, whole or byte by byte."""
    whole, single = EventStreamDecoder(), EventStreamDecoder()

    assert EXPECTED == whole.decode(ALL)
    assert EXPECTED == [got for byte in ALL for got in single.decode(bytes([byte]))]


@pytest.mark.parametrize("wire", REFUSED.values(), ids=REFUSED)
def test_faults(wire: bytes, play: Any) -> None:
    """Row 12: what is wrong is an error, after the frames before it."""
    outcome = play(EventStreamDecoder, [WIRES["empty message"] + wire + ALL])

    assert (frame({}, b""),) == outcome.frames
    assert ("DecodeError", None) == (outcome.error[0], outcome.error[2])


@pytest.mark.parametrize("wire", REFUSED.values(), ids=REFUSED)
def test_no_cut_changes_a_fault(wire: bytes, outcomes: Any) -> None:
    """The same fault comes after the same frames, however the bytes come."""
    assert 1 == len(outcomes(EventStreamDecoder, WIRES["int8 header"] + wire + ALL))


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_no_bit_flip_passes(wire: bytes, play: Any) -> None:
    """Row 12: with any one bit changed a message never becomes a frame, and nothing follows it."""
    before, after = WIRES["int16 header"], WIRES["int64 header"]
    for place in range(len(wire) * 8):
        changed = bytearray(wire)
        changed[place // 8] ^= 1 << place % 8
        outcome = play(EventStreamDecoder, [before + bytes(changed) + after])

        assert (frame({"short": -1}, b""),) == outcome.frames
        assert outcome.error is not None


@given(data=st.data())
def test_no_two_bit_flips_pass(data: st.DataObject, play: Any) -> None:
    """Nor with any two bits changed: a CRC-32 sees them at these lengths."""
    wire = data.draw(st.sampled_from(list(WIRES.values())))
    bits = st.integers(0, len(wire) * 8 - 1)
    changed = bytearray(wire)
    for place in data.draw(st.sets(bits, min_size=2, max_size=2)):
        changed[place // 8] ^= 1 << place % 8

    assert () == play(EventStreamDecoder, [bytes(changed)]).frames


def test_exception_frames_are_frames() -> None:
    """Row 12: an exception keeps its headers and its payload for the dialect to classify."""
    headers = text(b":message-type", b"exception") + text(
        b":exception-type", b"throttlingException"
    )
    (got,) = EventStreamDecoder().decode(message(headers, b'{"message":"slow down"}'))

    assert "exception" == got.headers[":message-type"]
    assert "throttlingException" == got.headers[":exception-type"]
    assert b'{"message":"slow down"}' == got.payload


@pytest.mark.parametrize(("wire", "_headers", "_payload"), VECTORS.values(), ids=VECTORS)
def test_torn_end(wire: bytes, _headers: Mapping[str, object], _payload: bytes, play: Any) -> None:
    """Row 10 in small: a stream that stops inside a message is torn, wherever it stops."""
    for size in range(1, len(wire)):
        outcome = play(EventStreamDecoder, [WIRES["empty message"], wire[:size]])

        assert (frame({}, b""),) == outcome.frames
        assert ("DecodeError", "torn_end") == (outcome.error[0], outcome.error[2])


BIG = message(b"", b"x" * 101)
MANY = message(text(b"a", b"x" * 100))


@pytest.mark.parametrize(
    ("wire", "bound", "limit", "size"),
    [
        (BIG, "max_frame", 100, 101),
        (BIG[:12], "max_frame", 100, 101),
        (MANY, "max_frame_headers", 104, 105),
        (MANY[:12], "max_frame_headers", 104, 105),
        (message(header(b"a", 7, b"\x80\x00" + b"x" * 32_768)), "header_value", 32_767, 32_768),
    ],
    ids=["payload", "payload by the prelude", "headers", "headers by the prelude", "value"],
)
def test_bounds(wire: bytes, bound: str, limit: int, size: int) -> None:
    """Row 35: a bound is named, typed and judged from the prelude, before any payload."""
    options = {bound: limit} if bound != "header_value" else {}
    decoder = EventStreamDecoder(**options)
    with pytest.raises(LimitExceededError) as caught:
        decoder.decode(ALL + wire)

    assert (bound, limit, size) == (caught.value.phase, caught.value.limit, caught.value.elapsed)
    assert EXPECTED == caught.value.frames


@pytest.mark.parametrize(
    ("wire", "options"), [(BIG, {"max_frame": 101}), (MANY, {"max_frame_headers": 105})]
)
def test_bounds_are_exact(wire: bytes, options: dict[str, int]) -> None:
    """What is exactly as long as a bound passes it."""
    assert 1 == len(EventStreamDecoder(**options).decode(wire))


@pytest.mark.parametrize("wire", [BIG, MANY, BIG[:12]], ids=["payload", "headers", "prelude"])
def test_no_cut_changes_a_bound(wire: bytes, outcomes: Any) -> None:
    """The same bound is met after the same frames, however the bytes come."""
    make = partial(EventStreamDecoder, max_frame=100, max_frame_headers=104)

    assert 1 == len(outcomes(make, WIRES["int8 header"] + wire))


def test_a_length_that_cannot_be_is_refused_at_once() -> None:
    """Headers that do not fit into their message are an error as soon as the prelude is there."""
    prelude = message(b"", total=21)[:4] + pack(">I", 6)
    decoder = EventStreamDecoder()
    with pytest.raises(DecodeError, match="shorter than its headers"):
        decoder.decode(prelude + pack(">I", crc32(prelude)))


@pytest.mark.parametrize(("count", "size"), [(1000, 900), (30, 30_000)])
def test_remembered_headers_are_bounded(count: int, size: int) -> None:
    """A stream whose headers all differ is not remembered: 900 KB of them leave 128 KiB at most."""
    wires = [message(text(b"%d" % number, b"v" * size)) for number in range(count)]
    decoder = EventStreamDecoder()
    tracemalloc.start()
    try:
        for wire in wires:
            decoder.decode(wire)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 128 * 1024


def test_a_claimed_length_reserves_nothing() -> None:
    """A prelude that promises 16 MiB costs what has come of them."""
    decoder = EventStreamDecoder()
    wire = message(b"", b"", total=16 * MIB)
    tracemalloc.start()
    try:
        decoder.decode(wire)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16_384


@pytest.mark.parametrize("call", [lambda d: d.decode(ALL), lambda d: d.flush()])
def test_an_error_is_final(call: Callable[[EventStreamDecoder], object]) -> None:
    """After an error nothing is a frame, not even a whole message: the stream must be ended."""
    decoder = EventStreamDecoder()
    with pytest.raises(DecodeError) as first:
        decoder.decode(WIRES["empty message"] + REFUSED["corrupted payload"])
    with pytest.raises(DecodeError) as second:
        call(decoder)

    assert [frame({}, b"")] == first.value.frames
    assert [] == second.value.frames
    assert str(first.value) == str(second.value)
    assert 0 == decoder.buffered


def test_a_torn_end_is_final() -> None:
    """After a torn end there is only that error."""
    decoder = EventStreamDecoder()
    decoder.decode(ALL[:-1])
    for _ in range(2):
        with pytest.raises(DecodeError, match="ended inside"):
            decoder.flush()


def test_headers_belong_to_their_frame() -> None:
    """Header blocks are read once, but changing a frame's headers changes no other frame."""
    wire = WIRES["error event"]
    first, second = EventStreamDecoder().decode(wire * 2)
    first.headers.clear()

    assert EXPECTED[list(WIRES).index("error event")] == second


def test_all_different_headers_are_read() -> None:
    """A stream whose header blocks all differ, some of them long, gives each frame its own."""
    names = [str(number).encode() * (1 + number % 40) for number in range(100)]
    blocks = [text(name[:255], b"v" * number * 20) for number, name in enumerate(names)]

    assert [{name[:255].decode(): "v" * number * 20} for number, name in enumerate(names)] == [
        got.headers for got in EventStreamDecoder().decode(b"".join(map(message, blocks)))
    ]


@pytest.mark.parametrize(("wire", "expected"), [(ALL, 0), (ALL + ALL[:15], 15)])
def test_buffered_bytes_are_counted(wire: bytes, expected: int) -> None:
    """`buffered` is what waits for the rest of its message."""
    decoder = EventStreamDecoder()
    decoder.decode(wire)

    assert expected == decoder.buffered


def test_nothing_is_ignored() -> None:
    """Every byte is part of a frame."""
    decoder = EventStreamDecoder()
    decoder.decode(ALL + ALL[:20])

    assert 0 == decoder.ignored
