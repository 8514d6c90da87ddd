"""What an answer is made of: steps that a connection plays one after the other.

A fault is a function from steps to steps, so that several combine and none of them waits or
writes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

__all__ = ["BLOCK", "End", "Event", "Raw", "Step", "Wait", "after", "coalesce"]

BLOCK = 64 * 1024
"""Bytes joined into one write of an unpaced answer."""


class Event(NamedTuple):
    """Bytes of the answer's body, which the framing still wraps."""

    data: bytes
    content: int = 0
    """How many content chunks it carries: text, reasoning, arguments, refusal, audio."""


class Raw(NamedTuple):
    """Bytes that go on the connection as they are."""

    data: bytes


class Wait(NamedTuple):
    """A pause in seconds."""

    seconds: float


class End(Enum):
    """How an answer ends other than by being complete."""

    RESET = "reset"
    """A TCP RST."""
    CLOSE = "close"
    """A FIN after what was written."""
    HANG = "hang"
    """Silence until the client leaves."""


Step: TypeAlias = Event | Raw | Wait | End


def after(steps: Iterable[Step], count: int, extra: Iterable[Step]) -> Iterator[Step]:
    """Put `extra` into `steps` behind content chunk number `count`.

    With a count of 0 it comes before the first content chunk, so behind the role; with a count
    above the answer's own it comes last.
    """
    seen, put = 0, False
    for step in steps:
        content = step.content if isinstance(step, Event) else 0
        if not put and seen >= count and (count > 0 or content):
            put = True
            yield from extra
        yield step
        seen += content
    if not put:
        yield from extra


def coalesce(steps: Iterable[Step]) -> Iterator[Step]:
    """Join neighbouring bytes into writes of about `BLOCK`; the bytes stay the same."""
    pending: list[bytes] = []
    size = 0
    for step in steps:
        joinable = isinstance(step, (Event, Raw))
        if isinstance(step, (Event, Raw)):
            pending.append(step.data)
            size += len(step.data)
        if pending and (size >= BLOCK or not joinable):
            yield Raw(b"".join(pending))
            pending, size = [], 0
        if not joinable:
            yield step
    if pending:
        yield Raw(b"".join(pending))
