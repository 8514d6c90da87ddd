"""HTTP/1.1 around an answer's steps, right or wrong (RFC 9112).

`frame` turns the status, headers and body steps of an answer into what goes on the connection:
the header block, then chunks, a counted body or one that ends with the connection.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain, repeat
from typing import NamedTuple

from penstock.simulator.behavior import Behavior
from penstock.simulator.steps import BLOCK, End, Event, Raw, Step, Wait, after

__all__ = ["Head", "frame_body", "frame_head"]

_COUNTED_MAX = 64 * 1024 * 1024
"""The longest body that is held to be counted."""
_GZIP = {"gzip": 1, "gzip-cut": 1, "gzip-bomb": 1, "gzip-twice": 2}


class Head(NamedTuple):
    """The status and headers of an answer, before framing adds its own."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()

    def plus(self, *headers: tuple[str, str]) -> Head:
        """Return this head with more headers."""
        return Head(self.status, self.headers + headers)


def frame_head(head: Head, behavior: Behavior) -> Iterator[Step]:
    """Produce the header block as `behavior` wants it."""
    version = b"HTTP/1.0" if behavior.has("http10") else b"HTTP/1.1"
    block = _status_line(version, head.status) if not behavior.has("bad-status-line") else _BAD_LINE
    block += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in head.headers)
    if behavior.has("bad-header"):
        block += b"this line has no colon\r\n"
    if behavior.has("many-headers"):
        count = behavior.count or 200
        block += b"".join(b"x-sim-%d: 1\r\n" % number for number in range(count))
    if behavior.has("informational"):
        yield Raw(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield Raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")
    if behavior.has("huge-header"):
        yield Raw(block + b"x-sim-huge: ")
        yield from _letters(behavior.length or 128 * 1024)
        block = b"\r\n"
    if behavior.has("endless-headers"):
        yield Raw(block)
        yield from repeat(Raw(b"x-sim-more: again\r\n" * 1000))
    if behavior.has("drip-headers"):
        pause = Wait(0.05 if behavior.interval is None else behavior.interval)
        yield from (step for byte in block + b"\r\n" for step in (Raw(bytes((byte,))), pause))
        return
    yield Raw(block + b"\r\n")


_BAD_LINE = b"HTTQ/9 yes fine\r\n"


def _status_line(version: bytes, status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Sim"
    return b"%b %d %b\r\n" % (version, status, phrase.encode())


def _letters(length: int) -> Iterator[Raw]:
    whole, rest = divmod(length, BLOCK)
    yield from repeat(Raw(b"h" * BLOCK), whole)
    yield Raw(b"h" * rest)


def frame_body(
    steps: Iterable[Step], behavior: Behavior, *, counted: bool, old: bool = False
) -> tuple[tuple[tuple[str, str], ...], Iterator[Step]]:
    """Return the headers that the framing adds, and the framed body.

    Args:
        steps: The body.
        behavior: Which framing and which faults.
        counted: Whether the body is sent with a content-length rather than in chunks.
        old: Whether the client speaks HTTP/1.0, so that chunks are not allowed.
    """
    coding, steps = _code(steps, behavior)
    bare = old or behavior.has("no-length") or behavior.has("http10")
    if bare:
        return (*coding, ("connection", "close")), chain(steps, [End.CLOSE])
    if counted or behavior.has("length") or behavior.has("length-short"):
        length, steps = _counted(steps, behavior)
        headers = (*coding, ("content-length", str(length)))
    else:
        headers = (*coding, ("transfer-encoding", "chunked"))
        if behavior.has("trailers"):
            headers += (("trailer", "x-sim-trailer"),)
        steps = chain(_chunked(steps, behavior), _terminator(behavior))
    if behavior.has("connection-close"):
        return (*headers, ("connection", "close")), chain(steps, [End.CLOSE])
    return headers, chain(steps, [End.CLOSE] if behavior.has("close-idle") else ())


def _code(
    steps: Iterable[Step], behavior: Behavior
) -> tuple[tuple[tuple[str, str], ...], Iterable[Step]]:
    """Compress the body; return its content-encoding header."""
    if behavior.has("gzip-bad"):
        return (("content-encoding", "gzip"),), steps
    layers = max((times for name, times in _GZIP.items() if behavior.has(name)), default=0)
    for _ in range(layers):
        steps = _gzip(steps, ends=not behavior.has("gzip-cut"))
    return ((("content-encoding", ", ".join(["gzip"] * layers)),) if layers else ()), steps


def _gzip(steps: Iterable[Step], *, ends: bool) -> Iterator[Step]:
    packer = zlib.compressobj(wbits=31)
    for step in steps:
        if isinstance(step, Event):
            data = packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH)
            yield Event(data, step.content)
        else:
            yield step
    if ends:
        yield Event(packer.flush(zlib.Z_FINISH))


def _counted(steps: Iterable[Step], behavior: Behavior) -> tuple[int, Iterable[Step]]:
    """Hold the body to count it; with ``length-short`` promise more than is sent."""
    held, length = [], 0
    for step in steps:
        held.append(step)
        length += len(step.data) if isinstance(step, Event) else 0
        if length > _COUNTED_MAX:
            break
    at = next((fault.at for fault in behavior.fault if fault.name == "length-short"), -1)
    if at == -1:
        return length, held
    if at is not None:
        return length, after(held, at, [End.CLOSE])
    return length, _half(held, length // 2)


def _half(steps: Iterable[Step], room: int) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Event) and len(step.data) >= room:
            yield Event(step.data[:room])
            yield End.CLOSE
        yield step
        room -= len(step.data) if isinstance(step, Event) else 0


def _chunked(steps: Iterable[Step], behavior: Behavior) -> Iterator[Step]:
    extension = b";sim=1" if behavior.has("extensions") else b""
    if behavior.slice:
        steps = _sliced(steps, behavior.slice)
    elif behavior.chunks > 1:
        steps = _grouped(steps, behavior.chunks)
    for step in steps:
        if not isinstance(step, Event):
            yield step
        elif data := step.data:
            yield Event(b"%x%b\r\n%b\r\n" % (len(data), extension, data), step.content)


def _sliced(steps: Iterable[Step], size: int) -> Iterator[Step]:
    """Cut the bytes every `size`, in the middle of whatever is there."""
    held, content = bytearray(), 0
    for step in steps:
        if isinstance(step, Event):
            held += step.data
            content += step.content
            while len(held) >= size:
                yield Event(bytes(held[:size]), content)
                del held[:size]
                content = 0
            continue
        if held:
            yield Event(bytes(held), content)
            held.clear()
            content = 0
        yield step
    if held:
        yield Event(bytes(held), content)


def _grouped(steps: Iterable[Step], count: int) -> Iterator[Step]:
    """Join `count` events into one."""
    held: list[Event] = []
    for step in steps:
        if isinstance(step, Event):
            held.append(step)
            if len(held) < count:
                continue
        if held:
            yield _joined(held)
            held = []
        if not isinstance(step, Event):
            yield step
    if held:
        yield _joined(held)


def _joined(events: list[Event]) -> Event:
    return Event(b"".join(event.data for event in events), sum(event.content for event in events))


def _terminator(behavior: Behavior) -> Iterator[Step]:
    if behavior.has("no-terminator"):
        yield End.CLOSE
    elif behavior.has("stall-after-done"):
        yield End.HANG
    elif behavior.has("trailers"):
        yield Event(b"0\r\nx-sim-trailer: done\r\n\r\n")
    else:
        yield Event(b"0\r\n\r\n")
