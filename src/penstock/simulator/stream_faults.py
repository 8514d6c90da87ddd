"""Faults in the events of a stream: steps in, steps out.

The HTTP framing comes later (`penstock.simulator.framing`), so a fault here is the same over
chunks, a length or gzip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import TypeAlias

from penstock.simulator.behavior import Behavior, Fault
from penstock.simulator.steps import BLOCK, End, Event, Raw, Step, Wait, after

__all__ = ["ERROR_EVENTS", "STREAM_FAULTS", "apply"]

StreamFault: TypeAlias = Callable[[Iterator[Step], int, Behavior], Iterable[Step]]
"""From the steps, the content chunk behind which it happens, and the behavior."""

_MIB = 1024 * 1024

ERROR_EVENTS = (
    "error",
    "error-event",
    "error-openrouter",
    "error-overloaded",
    "error-quota",
    "error-rate-limit",
    "error-string",
)
"""Faults whose event is the wire's own."""


def apply(steps: Iterator[Step], fault: Fault, behavior: Behavior, error: bytes) -> Iterator[Step]:
    """Return `steps` with `fault` in them; `error` is the wire's event for an error fault."""
    if fault.name in ERROR_EVENTS:
        return iter(_error(steps, fault.at, error))
    known = STREAM_FAULTS.get(fault.name)
    return steps if known is None else iter(known(steps, fault.at or 0, behavior))


def _error(steps: Iterator[Step], at: int | None, error: bytes) -> Iterable[Step]:
    """End with an error event; without a place it is the first event of all."""
    last = Event(error)
    if at is None:
        return [last]
    return _through(after(steps, at, [last]), last)


def _through(steps: Iterable[Step], last: Step) -> Iterator[Step]:
    """End behind `last`, cleanly."""
    for step in steps:
        yield step
        if step is last:
            return


def _reset(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del behavior
    return after(steps, at, [End.RESET])


def _close(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del behavior
    return after(steps, at, [End.CLOSE])


def _hang(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del behavior
    return after(steps, at, [End.HANG])


def _cut(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterator[Step]:
    """Announce the HTTP chunk of an event, and close after half of it."""
    del behavior
    seen = 0
    for step in steps:
        if isinstance(step, Event) and seen >= at and (at > 0 or step.content):
            half = step.data[: len(step.data) // 2]
            yield Raw(b"%x\r\n%b" % (len(step.data), half))
            yield End.CLOSE
            return
        yield step
        seen += step.content if isinstance(step, Event) else 0
    yield End.CLOSE


def _bad_chunk_size(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del behavior
    return after(steps, at, [Raw(b"12x4\r\ndata: {}\n\n\r\n"), End.CLOSE])


def _drip(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterator[Step]:
    """From the place on send every byte by itself, `interval` (0.05) seconds apart."""
    pause = Wait(_interval(behavior, 0.05))
    seen = 0
    for step in steps:
        if not isinstance(step, Event) or seen < at:
            yield step
        else:
            for number, byte in enumerate(step.data):
                yield Event(bytes((byte,)), step.content if number == 0 else 0)
                yield pause
        seen += step.content if isinstance(step, Event) else 0


def _interval(behavior: Behavior, default: float) -> float:
    return default if behavior.interval is None else behavior.interval


def _forever(event: bytes, pause: float) -> Iterable[Step]:
    if pause > 0:
        return (step for _ in repeat(None) for step in (Event(event), Wait(pause)))
    block = Event(event * (BLOCK // len(event)))
    return repeat(block)


def _pings(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    return after(steps, at, _forever(b": ping\n\n", _interval(behavior, 0.05)))


def _comments(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    return after(steps, at, _forever(b": keep-alive\n\n", _interval(behavior, 0)))


def _role_forever(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    event = (
        b'data: {"id":"chatcmpl-sim","object":"chat.completion.chunk","created":1700000000,'
        b'"model":"sim","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        b'"finish_reason":null}]}\n\n'
    )
    return after(steps, at, _forever(event, _interval(behavior, 0.05)))


def _tail(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del at
    return chain(steps, _blocks(b": tail\n", behavior.length or _MIB))


def _endless_tail(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del at
    return chain(steps, _forever(b": tail\n", _interval(behavior, 0)))


def _chunk_after_done(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    del at, behavior
    late = (
        b'data: {"id":"chatcmpl-sim","object":"chat.completion.chunk","created":1700000000,'
        b'"model":"sim","choices":[{"index":0,"delta":{"content":"late"},'
        b'"finish_reason":null}]}\n\n'
    )
    return chain(steps, [Event(late, 1)])


def _blocks(piece: bytes, length: int) -> Iterator[Event]:
    """Produce `length` bytes of `piece` over and over, without holding them."""
    block = piece * max(BLOCK // len(piece), 1)
    whole, rest = divmod(length, len(block))
    yield from repeat(Event(block), whole)
    yield Event(block[:rest])


def _inject(event: bytes) -> StreamFault:
    """Put one event into the stream, which then goes on."""
    return lambda steps, at, _: after(steps, at, [Event(event)])


def _deep_json(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    depth = min(behavior.length or 100_000, 16 * _MIB)
    head, mid, tail = b'data: {"id":"deep","x":', b"[" * depth + b"]" * depth, b',"choices":[]}\n\n'
    return after(steps, at, [Event(head + mid + tail)])


def _huge_line(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    """A content chunk of `length` (32 MiB) bytes in one line."""
    head = b'data: {"id":"huge","choices":[{"index":0,"delta":{"content":"'
    body = _blocks(b"x", behavior.length or 32 * _MIB)
    tail = b'"},"finish_reason":null}]}\n\n'
    return after(steps, at, chain([Event(head)], body, [Event(tail, 1)]))


def _huge_event(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    """One event of data lines of about 1 KiB, `length` (32 MiB) bytes together."""
    line = b"data: " + b" " * 1017 + b"\n"
    body = _blocks(line, -(-(behavior.length or 32 * _MIB) // len(line)) * len(line))
    return after(steps, at, chain(body, [Event(b"data: null\n\n")]))


def _huge_comment(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    body = _blocks(b"x", behavior.length or 32 * _MIB)
    return after(steps, at, chain([Event(b": ")], body, [Event(b"\n\n")]))


def _gzip_bomb(steps: Iterator[Step], at: int, behavior: Behavior) -> Iterable[Step]:
    """A comment of `length` (256 MiB) spaces, which the framing compresses a thousandfold."""
    body = _blocks(b" ", behavior.length or 256 * _MIB)
    return after(steps, at, chain([Event(b":")], body, [Event(b"\n\n")]))


STREAM_FAULTS: dict[str, StreamFault] = {
    "reset": _reset,
    "close": _close,
    "hang": _hang,
    "role-then-silence": lambda steps, at, behavior: _hang(steps, 0 * at, behavior),
    "cut": _cut,
    "bad-chunk-size": _bad_chunk_size,
    "gzip-bomb": _gzip_bomb,
    "drip": _drip,
    "pings": _pings,
    "comments": _comments,
    "role-forever": _role_forever,
    "tail": _tail,
    "endless-tail": _endless_tail,
    "chunk-after-done": _chunk_after_done,
    "bad-json": _inject(b'data: {"id":"chatcmpl-sim","choices":[{"index":0,"delta":{\n\n'),
    "bad-utf8": _inject(
        b'data: {"id":"chatcmpl-sim","choices":[{"index":0,"delta":{"content":"\xff\xc3("},'
        b'"finish_reason":null}]}\n\n'
    ),
    "array-event": _inject(b'data: ["not", "an", "object"]\n\n'),
    "deep-json": _deep_json,
    "huge-line": _huge_line,
    "huge-event": _huge_event,
    "huge-comment": _huge_comment,
}
