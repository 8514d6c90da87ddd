"""What every view has, wherever it stands: the system's messages, and the pinned with their calls.

They are found a block at a time, anew in each pass: most blocks are looked through and not opened,
and nothing is held of those that were passed, however many such messages there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from penstock.conversations.canonical import BLOCK
from penstock.conversations.measuring import RESULTS, One, downwards, role_of
from penstock.conversations.measuring import each as each_of
from penstock.conversations.stores import Large
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.stores import Store

__all__ = [
    "SYSTEM",
    "Found",
    "Picked",
    "Pins",
    "always",
    "grouped",
    "pinned_downwards",
    "roles_from",
]

SYSTEM = ("system", "developer")
"""Who says what is in every view."""
_BEHIND = (*RESULTS, *SYSTEM)
"""Who goes on with what a call began, or speaks amid it."""
_MARKS = (*(role.encode() for role in SYSTEM), b"\\u")
"""One of them is in every message of the system; a role may be written in escapes by another
program."""
_PAGE = 1024
"""Pinned messages' numbers that are read at once."""


class Found(NamedTuple):
    """A block in which there is something of it."""

    number: int
    """The first message's."""
    block: Lines | Large
    """The block."""
    lines: list[One]
    """Its messages."""
    sent: bytearray
    """1 for each of them that every view has, and 0 for the others."""

    def picked(self) -> Iterator[One]:
        """Return those that every view has."""
        return compress(self.lines, self.sent)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield the number of the first, and that behind the last, of those that are neighbours."""
        sent, stop = self.sent, 0
        while (start := sent.find(1, stop)) >= 0:
            stop = sent.find(0, start)
            stop = stop if stop >= 0 else len(sent)
            yield self.number + start, self.number + stop


def always(store: Store, start: int, stop: int, pins: Pins) -> Iterator[Found]:
    """Yield where the system's and the pinned messages between two numbers are.

    A pinned call has its results with it, a pinned result its call and the others of that.

    Args:
        store: The conversation.
        start: The first number, with which no result of an earlier call begins.
        stop: The number behind the last.
        pins: What is pinned, also behind `stop`: it may be a result of a call before.
    """
    going, number = _Going(store, start, pins), start
    blocks = store.blocks(start, stop)
    following: Lines | Large | None = None
    while (block := following or next(blocks, None)) is not None:
        behind = number + (block.data.count(b"\n") + 1 if isinstance(block, Lines) else 1)
        following = ahead = None
        if going.is_pinned_ahead:
            following = next(blocks, None)
            ahead = following or next(store.blocks(stop, min(stop + 1, pins.stop)), None)
        if going.may_have(block, behind, ahead):
            lines = [*each_of([block])]
            if any(sent := going.sent(lines, number)):
                yield Found(number, block, lines, sent)
            del lines, sent  # the next are read now
        del ahead
        number = behind


class Picked:
    """The blocks of what every view has between two numbers; see `always`.

    Args:
        store: The conversation.
        start: The first number.
        stop: The number behind the last.
        pins: What is pinned.
    """

    def __init__(self, store: Store, start: int, stop: int, pins: Pins) -> None:
        self._blocks = _picked(always(store, start, stop, pins))

    def __iter__(self) -> Iterator[Lines | Large]:
        return self

    def __next__(self) -> Lines | Large:
        return next(self._blocks)

    def ready(self) -> bool:
        """Say that it may take a while: there can be much in which there is nothing."""
        return False


def grouped(store: Store, start: int) -> int:
    """Return `start`, or the number of the call whose result stands there.

    What the system says amid the results of a call parts them no more than it parts a call from
    them.
    """
    behind = next((role for role in roles_from(store, start) if role not in SYSTEM), None)
    if behind in RESULTS:
        for number, role in downwards(store, start + 1, role_of):
            if role not in _BEHIND:
                return number
    return start


def roles_from(store: Store, start: int, stop: int | None = None) -> Iterator[str]:
    """Yield who says each message from number `start` on."""
    stop = store.length() if stop is None else stop
    return map(role_of, each_of(store.blocks(start, stop)))


def pinned_downwards(store: Store, stop: int) -> Iterator[int]:
    """Yield the numbers of the pinned messages before `stop`, the last first."""
    while page := store.pinned(0, stop, -_PAGE):
        yield from reversed(page)
        stop = page[0]


class Pins:
    """The numbers of the pinned messages, a page of them held at once.

    Args:
        store: The conversation.
        stop: The number behind its last message.
    """

    def __init__(self, store: Store, stop: int) -> None:
        self._store = store
        self.stop = stop
        """The number behind the last message."""
        self._page: Sequence[int] = ()
        self._start = self._stop = 0

    def after(self, number: int) -> int:
        """Return the first from `number` on, and `stop` where there is none."""
        if not self._start <= number < self._stop:
            page = self._page = self._store.pinned(number, self.stop, _PAGE)
            self._start, self._stop = number, page[-1] + 1 if len(page) == _PAGE else self.stop
        at = bisect_left(self._page, number)
        return self._page[at] if at < len(self._page) else self.stop


class _Going:
    """Goes over a conversation upwards, and knows whether a call goes on that is sent."""

    def __init__(self, store: Store, start: int, pins: Pins) -> None:
        self._store = store
        self._pins = pins
        self._stop = pins.stop
        self._pin = pins.after(start)
        """The next pinned message's number; `pins.stop` where there is none."""
        self._open = False
        """Whether the last message so far is of a call that is sent."""
        self._begun = False
        """Whether it is of one of which a result is pinned that comes behind it."""
        self._free = start
        """The number up to which no result is pinned of a call that has begun before."""
        self._held = -1
        """The number of a result that is pinned, of the call that goes on until there."""

    @property
    def is_pinned_ahead(self) -> bool:
        """Whether anything more is pinned, so that who speaks next matters."""
        return self._pin < self._stop

    def may_have(self, block: Lines | Large, end: int, following: Lines | Large | None) -> bool:
        """Return whether anything of a block may be sent: else it need not be opened.

        Args:
            block: The block.
            end: The number behind its last message.
            following: The block behind it; None where it is the last.
        """
        self._begun = following is not None and self._is_begun(end, following)
        if self._begun or self._open or self._pin < end:
            return True
        return not isinstance(block, Lines) or _may_speak(block.data)

    def sent(self, lines: list[One], number: int) -> bytearray:
        """Return 1 for each message of that block that is sent, and 0 for the others.

        Args:
            lines: The messages.
            number: The first's.
        """
        sent = bytearray(_may_speak(line) and role_of(line) in SYSTEM for line in lines)
        self._pinned(lines, sent, number)
        if self._begun and not self._open:
            call = _before(lines, len(lines), 0)
            sent[call:] = b"\1" * (len(lines) - call)
            self._open = call < len(lines)  # else a conversation begins with results
        return sent

    def _pinned(self, lines: list[One], sent: bytearray, number: int) -> None:
        """Mark what is pinned of a block, and what belongs to that."""
        done = _behind(lines, 0) if self._open else 0
        sent[:done] = b"\1" * done
        while self._pin < number + len(lines):
            at, self._pin = self._pin - number, self._pins.after(self._pin + 1)
            if at < done or (role := role_of(lines[at])) in SYSTEM:
                continue
            begin = _before(lines, at, done) if role in RESULTS else at
            done = _behind(lines, at + 1)
            sent[begin:done] = b"\1" * (done - begin)
        self._open = bool(done) and done == len(lines)

    def _is_begun(self, end: int, following: Lines | Large) -> bool:
        """Whether a result from number `end` on is pinned whose call is before that."""
        if end <= self._held:
            return True
        if self._pin >= self._stop or end < self._free or role_of(_first(following)) not in _BEHIND:
            return False
        for number, role in enumerate(roles_from(self._store, end, self._stop), end):
            self._free = number
            if role not in _BEHIND:
                return False
            if role in RESULTS and self._pins.after(number) == number:
                self._held = number
                return True
        self._free = self._stop
        return False


def _first(block: Lines | Large) -> One:
    return block.data.partition(b"\n")[0] if isinstance(block, Lines) else block


def _before(lines: list[One], at: int, least: int) -> int:
    """Return where the call of what is at `at` is among lines, or `at` where it is not."""
    return next((i for i in range(at - 1, least - 1, -1) if role_of(lines[i]) not in _BEHIND), at)


def _behind(lines: list[One], at: int) -> int:
    """Return where what goes on with a call ends, from `at` on."""
    return next((i for i in range(at, len(lines)) if role_of(lines[i]) not in _BEHIND), len(lines))


def _may_speak(lines: One) -> bool:
    return not isinstance(lines, bytes) or any(mark in lines for mark in _MARKS)


def _picked(source: Iterator[Found]) -> Iterator[Lines | Large]:
    """Yield what was found as blocks, those of little put together."""
    pending: list[bytes] = []
    size = 0
    for found in source:
        is_whole = all(found.sent)
        few = [] if is_whole else [b"\n".join(_lines(found))]
        more = sum(map(len, few))
        if pending and (is_whole or size + more > BLOCK):
            yield Lines(b"\n".join(pending))
            pending, size = [], 0
        if is_whole:
            yield found.block
        pending += few
        size += more
        del found, few  # the next are read now
    if pending:
        yield Lines(b"\n".join(pending))


def _lines(found: Found) -> Iterator[bytes]:
    """Return the messages that were found in a block of several."""
    return (line for line in found.picked() if isinstance(line, bytes))
