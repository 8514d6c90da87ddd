"""Other people's decoders agree with ours wherever they keep to the specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from struct import pack
from typing import Any
from zlib import crc32

import httpx2
import httpx_sse
import ijson
import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder as OpenAIDecoder

from penstock.decoders import EventStreamDecoder, JSONArrayDecoder, SSEDecoder

Event = tuple[str, str, str, int | None]

# What all three read alike. Apart from the standard go: events without data (they dispatch them),
# ids with NUL, byte order marks, bytes that are not UTF-8, retry times that int() reads.
VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1)
LINES = st.one_of(
    VALUES.map(lambda value: f"data: {value}"),
    VALUES.filter(lambda value: value[0] != " ").map(lambda value: f"data:{value}"),
    VALUES.map(lambda value: f"event: {value}"),
    VALUES.map(lambda value: f"id: {value}"),
    VALUES.map(lambda value: f": {value}"),
    VALUES.map(lambda value: f"other: {value}"),
    st.sampled_from(["data", "data:", "id", "retry: 1000", ":", "datum"]),
)
BLOCKS = st.lists(LINES).map(lambda lines: [*lines, "data: end", ""])
WIRES = st.tuples(st.lists(BLOCKS), st.sampled_from(["\n", "\r\n", "\r"])).map(
    lambda drawn: "".join(line + drawn[1] for block in drawn[0] for line in block).encode()
)


def ours(wire: bytes) -> list[Event]:
    """Our events."""
    decoder = SSEDecoder()
    frames = decoder.decode(wire) + decoder.flush()
    return [(f.event, str(f.data), f.id, f.retry) for f in frames]


def by_httpx_sse(wire: bytes) -> list[Event]:
    """The events of httpx-sse, which names none "message" and hands out text lines."""
    lines = httpx_sse._decoders.SSELineDecoder()
    decoder = httpx_sse._decoders.SSEDecoder()
    text = [*lines.decode(wire.decode()), *lines.flush()] if wire else []
    events = [event for line in text if (event := decoder.decode(line))]
    return [(e.event or "message", e.data, e.id, e.retry) for e in events]


def by_httpx2(wire: bytes) -> list[Event]:
    """The events of httpx2."""
    response = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        content=wire,
        request=httpx2.Request("GET", "http://localhost"),
    )
    return [(e.event, e.data, e.id, e.retry) for e in httpx2.EventSource(response)]


def by_openai(wire: bytes) -> list[Event]:
    """The events of the openai SDK."""
    events = OpenAIDecoder().iter_bytes(iter([wire]))
    return [(e.event or "message", e.data, e.id or "", e.retry) for e in events]


@given(wire=WIRES)
@pytest.mark.parametrize("theirs", [by_httpx_sse, by_httpx2, by_openai])
def test_sse(theirs: Any, wire: bytes) -> None:
    """httpx-sse, httpx2 and the openai SDK see the events that we see."""
    assert theirs(wire) == ours(wire)


TYPES: Mapping[int, st.SearchStrategy[bytes]] = {
    0: st.just(b""),
    1: st.just(b""),
    2: st.binary(min_size=1, max_size=1),
    3: st.binary(min_size=2, max_size=2),
    4: st.binary(min_size=4, max_size=4),
    5: st.binary(min_size=8, max_size=8),
    6: st.binary(max_size=300).map(lambda value: pack(">H", len(value)) + value),
    7: st.text(max_size=100).map(lambda value: pack(">H", len(value.encode())) + value.encode()),
    8: st.binary(min_size=8, max_size=8),
    9: st.binary(min_size=16, max_size=16),
}
NAMES = st.text(min_size=1, max_size=60)
HEADERS = st.dictionaries(
    NAMES,
    st.sampled_from(sorted(TYPES)).flatmap(lambda kind: st.tuples(st.just(kind), TYPES[kind])),
    max_size=6,
)


def message(headers: Mapping[str, tuple[int, bytes]], payload: bytes) -> bytes:
    """A message by the specification."""
    block = b"".join(
        bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value
        for name, (kind, value) in headers.items()
    )
    prelude = pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + pack(">I", crc32(prelude)) + block + payload
    return body + pack(">I", crc32(body))


MESSAGES = st.lists(st.builds(message, HEADERS, st.binary(max_size=300)), max_size=4)


def by_botocore(wire: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The messages of botocore up to its first error."""
    buffer = EventStreamBuffer()
    buffer.add_data(wire)
    found = []
    try:
        for each in buffer:
            found.append((each.headers, each.payload))  # noqa: PERF401  # kept when it raises
    except ParserError:
        pass
    return found


@given(messages=MESSAGES)
def test_event_stream(messages: list[bytes]) -> None:
    """botocore reads the same headers, of the same types, and the same payloads."""
    wire = b"".join(messages)
    frames = EventStreamDecoder().decode(wire)
    theirs = by_botocore(wire)

    assert theirs == [(frame.headers, frame.payload) for frame in frames]
    assert [[type(v) for v in headers.values()] for headers, _ in theirs] == [
        [type(v) for v in frame.headers.values()] for frame in frames
    ]


@given(messages=MESSAGES.filter(bool), data=st.data())
def test_damaged_event_stream(messages: list[bytes], data: st.DataObject, play: Any) -> None:
    """Of a stream with one byte changed botocore and we read the same messages before it."""
    wire = bytearray(b"".join(messages))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    outcome = play(EventStreamDecoder, [bytes(wire)])

    assert outcome.error is not None
    assert by_botocore(bytes(wire)) == [(f.headers, f.payload) for f in outcome.frames]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def by_ijson(backend: Any, wire: bytes) -> tuple[list[Any], bool]:
    """The elements of ijson, and whether it says that the end is torn."""
    found: Any = ijson.sendable_list()
    elements = backend.items_coro(found, "item", use_float=True)
    elements.send(wire)
    try:
        elements.close()
    except ijson.JSONError:  # the Python parser calls half a number wrong, not incomplete
        return list(found), True
    return list(found), False


@given(values=st.lists(JSON), indent=st.sampled_from([None, 1]), cut=st.floats(0, 1))
@pytest.mark.parametrize("name", ["yajl2_c", "python"])
def test_json_array(
    name: str, values: list[object], indent: int | None, cut: float, play: Any
) -> None:
    """ijson's C and Python parsers find the same elements, also in half an array, and its end."""
    wire = json.dumps(values, indent=indent).encode()
    wire = wire[: 1 + round(cut * (len(wire) - 1))]
    outcome = play(JSONArrayDecoder, [wire])
    found = [json.loads(element) for element in outcome.frames]
    theirs, torn = by_ijson(ijson.get_backend(name), wire)

    assert torn == (outcome.error is not None)
    # At a torn end yajl takes a number or name that nothing has ended for an element.
    assert found == theirs[: len(found)]
    assert len(theirs) - len(found) in ([0, 1] if torn else [0])
