"""Chunks as server-sent events, in every spelling that the standard allows and some it does not.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from penstock.simulator.steps import Event

__all__ = ["encode", "finish_stream"]

_encode = msgspec.json.Encoder().encode
"""A fifth of the time of `json.dumps`, and the same bytes."""


def encode(value: Any, shapes: Collection[str] = ()) -> bytes:  # any JSON value
    """Return one event whose data is `value` as JSON."""
    if "multi-line" in shapes:
        text = json.dumps(value, ensure_ascii="escaped" in shapes, indent=1)
        return b"data: " + text.replace("\n", "\ndata: ").encode() + b"\n\n"
    if "escaped" in shapes:
        return b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode()
    return b"data: %b\n\n" % _encode(value)


def finish_stream(events: Iterable[Event], shapes: Collection[str]) -> Iterator[Event]:
    """Give a stream of events the spelling that `shapes` asks for."""
    stream = iter(events)
    if "ids" in shapes:
        stream = _ids(stream)
    if "event-names" in shapes:
        stream = (Event(b"event: message\n" + event.data, event.content) for event in stream)
    if "comments" in shapes:
        stream = _comments(stream)
    if "no-space" in shapes:
        stream = (Event(event.data.replace(b"data: ", b"data:"), event.content) for event in stream)
    if "cr" in shapes or "crlf" in shapes:
        end = b"\r\n" if "crlf" in shapes else b"\r"
        stream = (Event(event.data.replace(b"\n", end), event.content) for event in stream)
    return _bom(stream) if "bom" in shapes else stream


def _ids(events: Iterator[Event]) -> Iterator[Event]:
    yield Event(b"retry: 3000\n\n")
    for number, event in enumerate(events):
        yield Event(b"id: %d\n%b" % (number, event.data), event.content)


def _comments(events: Iterator[Event]) -> Iterator[Event]:
    """OpenRouter's keep-alive comment before each event (openrouter.ai/docs, streaming)."""
    for event in events:
        yield Event(b": OPENROUTER PROCESSING\n\n")
        yield event


def _bom(events: Iterator[Event]) -> Iterator[Event]:
    yield Event(b"\xef\xbb\xbf")
    yield from events
