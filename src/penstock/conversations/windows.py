"""A view of a kept conversation: what is sent of it can be less than what is kept.

A view is ranges of messages, and texts in the place of some. Deciding it goes over the messages one
at a time and keeps numbers. It never begins between a tool call and its results: a provider refuses
a result whose call it does not see.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.conversations.canonical import message_of
from penstock.conversations.measuring import RESULTS, One, downwards, role_of, tokens_in
from penstock.conversations.measuring import each as each_of
from penstock.conversations.numbered import moves_in, pinned_in, summaries_in
from penstock.conversations.sending import decoded, messages_of, off_loop, sent
from penstock.conversations.stores import Chained, Ready
from penstock.conversations.tokens import TokenCounter, tokens_of
from penstock.conversations.unmoved import Unmoved, check_unmoved
from penstock.errors import ConfigurationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Store
    from penstock.fields import Streamed

__all__ = [
    "Range",
    "Window",
    "check_count",
    "last",
    "stretches",
    "summarised",
    "tokens_between",
    "within",
]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_SYSTEM = ("system", "developer")
_MARKS = (*(role.encode() for role in _SYSTEM), b"\\u")
"""One of them is in every message of the system."""


@dataclass(frozen=True, slots=True)
class Range:
    """Neighbouring messages, or a text in their place."""

    start: int
    """The number of the first."""
    stop: int
    """The number behind the last."""
    message: Mapping[str, Json] | None = None
    """What is sent for them; None sends them."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a conversation, to be passed as ``messages=``; later appends do not change it.

    Once messages of it are taken out or cut off it is an error to read it (`ConversationError` with
    code ``changed``): decide another.
    """

    store: Store = field(repr=False)
    """Where the messages are."""
    ranges: tuple[Range, ...]
    """What is sent, in order."""
    moves: int = 0
    """How often messages had been taken out or cut off when it was decided."""

    def __reduce__(self) -> str:
        raise ConfigurationError(
            "a view does not pickle: decide it where the conversation is open, or pass its messages"
        )

    def __iter__(self) -> Iterator[Json]:
        """Every message of the view."""
        return messages_of(self.kept(), self.store.metadata)

    def __aiter__(self) -> AsyncGenerator[Json, None]:
        """Every message of the view, read in a worker thread."""
        return decoded(self.kept, self.store.metadata)

    def __len__(self) -> int:
        """How many messages are sent."""
        return sum(1 if each.message else each.stop - each.start for each in self.ranges)

    off_loop = off_loop

    def blocks(self) -> AsyncIterator[Lines | Streamed | Json]:
        """Return one pass over the messages as they are kept: what the encoder sends."""
        return sent(self.store, self.kept)

    def kept(self) -> Blocks:
        """Return the blocks of the view, for a thread that may wait."""
        self._check()
        return Unmoved(Chained([self._blocks(each) for each in self.ranges]), self._check)

    def _check(self) -> None:
        stop = max((each.stop for each in self.ranges), default=0)
        check_unmoved(self.store.numbered(), self.moves, stop)

    def _blocks(self, each: Range) -> Blocks:
        if each.message is None:
            return self.store.blocks(each.start, each.stop)
        return Ready(iter([Lines(b"".join(message_of(each.message).pieces()))]), 1)


def summarised(store: Store) -> Window:
    """Return the whole conversation, with its summaries in the place of what they sum up."""
    moves, length = moves_in(store.numbered()), store.length()
    always = _always(store, length) if summaries_in(store.numbered()) else []
    return Window(store, tuple(_summed(store, 0, length, always)), moves)


def last(store: Store, count: int) -> Window:
    """Return the system's messages, wherever they stand, the pinned ones, and the last `count`.

    Where the first of those is a tool's result, the window begins with its call.
    """
    check_count("last", count)
    moves, length = moves_in(store.numbered()), store.length()
    start = _grouped(store, max(length - count, 0))
    return Window(store, _parts(store, start, length, _always(store, length)), moves)


def within(store: Store, budget: int, counter: TokenCounter) -> Window:
    """Return the system's and the pinned messages, and as many of the last as fit `budget` tokens.

    A summary counts as the message that it is, and stands for its span or is left out with it.

    Raises:
        ConfigurationError: What is always sent does not fit by itself, or nothing fits beside it.
    """
    check_count("within_tokens", budget)
    moves, length = moves_in(store.numbered()), store.length()
    always = _always(store, length)
    left = budget - sum(_tokens(store, each, counter) for each in always)
    if left < 0:
        raise ConfigurationError(
            f"the system's and pinned messages have {budget - left} tokens: the budget is {budget}"
        )
    kept = {number for each in always for number in range(each.start, each.stop)}
    start = length
    for number, tokens, begins in _backwards(store, length, counter, kept):
        left -= tokens
        if left < 0:
            break
        if begins:
            start = number
    if left < 0 and start == length and length - 1 not in kept:
        raise ConfigurationError(
            "the last message, with the call that it is a result of, does not fit: with what is"
            f" always sent it has {budget - left} tokens or more, and the budget is {budget}"
        )
    return Window(store, _parts(store, start, length, always), moves)


def _backwards(
    store: Store, stop: int, counter: TokenCounter, kept: Container[int]
) -> Iterator[tuple[int, int, bool]]:
    """Yield where a view may begin, from the last on: a number, and the tokens from there on.

    Those of the messages `kept` are none. Whether it may begin there is told as well: with a
    tool's result alone it may not.
    """
    summaries = {each["stop"]: each for each in summaries_in(store.numbered())}

    known = cache(store.metadata)

    def see(message: One) -> tuple[str, int]:
        return role_of(message), tokens_in(message, counter, known)

    while stop > 0:
        if summary := summaries.get(stop):
            stop = summary["start"]
            yield stop, tokens_of(summary["message"], counter), True
            continue
        for number, (role, tokens) in downwards(store, stop, see):
            stop = number
            yield stop, 0 if stop in kept else tokens, role not in (*RESULTS, *_SYSTEM)
            if stop in summaries:
                break


def check_count(what: str, count: object) -> None:
    """Refuse what is no number of messages or tokens.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ConfigurationError(f"{what} takes a number from 0 on, not {count!r}")


def stretches(store: Store, keep: int) -> list[Range]:
    """Return what may be summed up: not the system's, the pinned or the last `keep` messages."""
    check_count("keep", keep)
    length = store.length()
    stop = _grouped(store, max(length - keep, 0))
    at = 0
    found = []
    for each in _always(store, stop):
        # Where the system speaks amid the results of a call, no summary has a part of them.
        found.append(Range(at, _grouped(store, each.start)))
        at = max(at, _after_results(store, each.stop - 1))
    found.append(Range(at, stop))
    return [each for each in found if each.start < each.stop]


def _parts(store: Store, start: int, length: int, always: Sequence[Range]) -> tuple[Range, ...]:
    """Return what is sent: of what is before `start` only what always is."""
    found = [each for each in always if each.start < start]
    found += _summed(store, max(start, found[-1].stop if found else 0), length, always)
    ranges: list[Range] = []
    for each in found:
        if each.start >= each.stop:
            continue
        if ranges and ranges[-1].stop >= each.start and not (each.message or ranges[-1].message):
            ranges[-1] = Range(ranges[-1].start, max(each.stop, ranges[-1].stop))
        else:
            ranges.append(each)
    return tuple(ranges)


def _summed(store: Store, start: int, stop: int, always: Sequence[Range]) -> Iterator[Range]:
    """Yield what is sent between two numbers; a summary of which a part is outside is left out.

    What was pinned once it was summed up comes behind the summary.
    """
    for each in summaries_in(store.numbered()):
        if start <= each["start"] and each["stop"] <= stop:
            if start < each["start"]:
                yield Range(start, each["start"])
            yield Range(each["start"], each["stop"], each["message"])
            for one in always:
                if each["start"] <= one.start < each["stop"]:
                    yield one
            start = each["stop"]
    if start < stop:
        yield Range(start, stop)


def _always(store: Store, stop: int) -> list[Range]:
    """Return the system's and the pinned messages before `stop`, a call with its results."""
    found: list[Range] = []
    done = 0
    pinned = {number for number in pinned_in(store.numbered()) if number < stop}
    systems = {*_systems(store, stop)}
    for number in sorted(pinned | systems):
        if number < done:
            continue
        start, done = number, number + 1
        if number not in systems:
            start, done = _grouped(store, number), _after_results(store, number)
        while found and found[-1].stop > start:  # of the system's, amid the results of a call
            found.pop()
        found.append(Range(start, done))
    return found


def _systems(store: Store, stop: int) -> Iterator[int]:
    """Yield the numbers of the system's messages; most blocks are not opened, only looked through.

    A role may be written in escapes by another program, whose ``\\u`` is looked for as well.
    """
    number = 0
    for block in store.blocks(0, stop):
        lines = [block] if not isinstance(block, Lines) else _split(block.data)
        for line in lines:
            if isinstance(line, int):
                number += line
                continue
            if role_of(line) in _SYSTEM:
                yield number
            number += 1


def _split(data: bytes) -> list[bytes | int]:
    """Return the lines of a block in which a system's message may be; else how many there are."""
    if not any(mark in data for mark in _MARKS):
        return [data.count(b"\n") + 1]
    return [line if any(mark in line for mark in _MARKS) else 1 for line in data.split(b"\n")]


def _grouped(store: Store, start: int) -> int:
    """Return `start`, or the number of the call whose result stands there.

    What the system says amid the results of a call parts them no more than it parts a call from
    them.
    """
    behind = next((role for role in _roles(store, start) if role not in _SYSTEM), None)
    if behind not in RESULTS:
        return start
    for number, role in downwards(store, start + 1, role_of):
        if role not in RESULTS and role not in _SYSTEM:
            return number
    return start


def _after_results(store: Store, number: int) -> int:
    """Return the number behind a message and, where it is a call or result, its results."""
    end = number + 1
    for at, role in enumerate(_roles(store, end), end):
        if role in RESULTS:
            end = at + 1
        elif role not in _SYSTEM:
            break
    return end


def _tokens(store: Store, each: Range, counter: TokenCounter) -> int:
    return tokens_between(store, each.start, each.stop, counter)


def tokens_between(store: Store, start: int, stop: int, counter: TokenCounter) -> int:
    """Return about how many tokens the messages from `start` to before `stop` are."""
    messages, known = each_of(store.blocks(start, stop)), cache(store.metadata)
    return sum(tokens_in(message, counter, known) for message in messages)


def _roles(store: Store, start: int) -> Iterator[str]:
    return map(role_of, each_of(store.blocks(start, store.length())))
