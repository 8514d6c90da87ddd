"""A view of a kept conversation: what is sent of it can be less than what is kept.

A view is where it begins, and the rule that what is before has only what every view has. Deciding
it goes over the messages one at a time and keeps a few numbers; where more stretches than those are
sent, each pass finds them anew. It never begins between a tool call and its results: a provider
refuses a result whose call it does not see.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from penstock.conversations.always import SYSTEM, Picked, Pins, always, grouped, pinned_downwards
from penstock.conversations.canonical import message_of
from penstock.conversations.measuring import RESULTS, One, downwards, role_of, tokens_in
from penstock.conversations.measuring import each as each_of
from penstock.conversations.numbered import (
    SEEN,
    SUMMARIES,
    Seen,
    begin_of,
    rechosen,
    said_else,
    seen_in,
    summaries_in,
)
from penstock.conversations.sending import decoded, messages_of, off_loop, sent
from penstock.conversations.stores import Chained, Ready
from penstock.conversations.tokens import TokenCounter, tokens_of
from penstock.conversations.unmoved import Unmoved, check_unmoved
from penstock.errors import ConfigurationError, ConversationError
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Store
    from penstock.fields import Streamed

__all__ = ["Window", "check_count", "last", "summarised", "tokens_between", "within"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_FEW = 128
"""Parts that a view holds, 20 KiB of them: a file's index has up to 32."""


class _Part(NamedTuple):
    """A text, where there is one, and then neighbouring messages."""

    start: int
    """The number of the first."""
    stop: int
    """The number behind the last."""
    message: Mapping[str, Json] | None = None
    """What is sent before them: the summary of what they are amid."""
    whole: bool = True
    """Whether all of them are sent, or only what every view has."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a conversation, to be passed as ``messages=``; later appends do not change it.

    It is an error to read it (`ConversationError` with code ``changed``: decide another) once
    messages of it are taken out or cut off; where it has a summary, also once any is redacted, as
    the summary may repeat it; and where it has more than 128 stretches of messages, also once any
    of them is pinned, unpinned or summed up, as it holds no more stretches than those.
    """

    store: Store = field(repr=False)
    """Where the messages are."""
    start: int
    """The number from which on all of them are sent; of those before only the system's and the
    pinned."""
    stop: int
    """The number behind the last."""
    summaries: int
    """How many summaries stand in the place of messages."""
    seen: Seen
    """How the conversation was when it was decided."""
    _count: int = field(repr=False)
    _end: int = field(repr=False)
    """The number behind the last message that is sent."""
    _few: tuple[_Part, ...] | None = field(repr=False)
    """What is sent, in order; None where that is more than is held."""

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
        return self._count

    off_loop = off_loop

    def blocks(self) -> AsyncIterator[Lines | Streamed | Json]:
        """Return one pass over the messages as they are kept: what the encoder sends."""
        return sent(self.store, self.kept)

    def kept(self) -> Blocks:
        """Return the blocks of the view, for a thread that may wait."""
        self._check()
        return Unmoved(Chained(self._sources()), self._check)

    def _check(self) -> None:
        noted, seen, end = self.store.numbered(SEEN), self.seen, self._end
        check_unmoved(noted, seen.moves, end)
        if self.summaries and said_else(noted, seen.anew, end):
            raise _is_other("redacted")
        if self._few is None and rechosen(noted, seen.chosen, end):
            raise _is_other("pinned, unpinned or summed up")

    def _sources(self) -> Iterator[Blocks]:
        store, few, pins = self.store, self._few, Pins(self.store, self.stop)
        for part in _parts(store, self.start, self.stop) if few is None else few:
            if part.message is not None:
                yield Ready(iter([Lines(b"".join(message_of(part.message).pieces()))]), 1)
            if part.start < part.stop:
                source = store.blocks if part.whole else partial(Picked, store, pins=pins)
                yield source(part.start, part.stop)


def summarised(store: Store) -> Window:
    """Return the whole conversation, with its summaries in the place of what they sum up."""
    seen, length = _now(store)
    return _decided(store, 0, length, seen)


def last(store: Store, count: int) -> Window:
    """Return the system's messages, wherever they stand, the pinned ones, and the last `count`.

    Where the first of those is a tool's result, the window begins with its call.
    """
    check_count("last", count)
    seen, length = _now(store)
    return _decided(store, grouped(store, max(length - count, 0)), length, seen)


def within(store: Store, budget: int, counter: TokenCounter) -> Window:
    """Return the system's and the pinned messages, and as many of the last as fit `budget` tokens.

    A summary counts as the message that it is, and stands for its span or is left out with it.

    Raises:
        ConfigurationError: What is always sent does not fit by itself, or nothing fits beside it.
        ConversationError: Messages were pinned, summed up, taken out or cut off meanwhile.
    """
    check_count("within_tokens", budget)
    seen, length = _now(store)
    needed, end = _needed(store, length, counter)
    left = budget - needed
    if left < 0:
        raise ConfigurationError(
            f"the system's and pinned messages have {needed} tokens: the budget is {budget}"
        )
    start = length
    for number, tokens, begins in _backwards(store, length, counter):
        left -= tokens
        if left < 0:
            break
        if begins:
            start = number
    if left < 0 and start == length != end:
        raise ConfigurationError(
            "the last message, with the call that it is a result of, does not fit: with what is"
            f" always sent it has {budget - left} tokens or more, and the budget is {budget}"
        )
    view = _decided(store, start, length, seen)
    if rechosen(store.numbered(SEEN), seen.chosen, length):
        raise _is_other("pinned, unpinned or summed up")
    return view


def _is_other(how: str) -> ConversationError:
    return ConversationError(
        f"messages of the view were {how} since it was begun: decide another view", code="changed"
    )


def _now(store: Store) -> tuple[Seen, int]:
    """Return how the conversation is, and how many messages it has."""
    return seen_in(store.numbered(SEEN)), store.length()


def _needed(store: Store, length: int, counter: TokenCounter) -> tuple[int, int]:
    """Return how many tokens every view has, and the number behind the last message of it."""
    tokens = end = 0
    known = cache(store.metadata)
    for found in always(store, 0, length, Pins(store, length)):
        tokens += sum(tokens_in(line, counter, known) for line in found.picked())
        end = found.number + found.sent.rfind(1) + 1
        del found  # the next is read now
    return tokens, end


def _backwards(store: Store, stop: int, counter: TokenCounter) -> Iterator[tuple[int, int, bool]]:
    """Yield where a view may begin, from the last on: a number, and the tokens from there on.

    Those that every view has are none. The last may be where none begins, which is told as well:
    with a tool's result alone.
    """
    summaries = summaries_in(store.numbered((SUMMARIES,)))
    pins = pinned_downwards(store, stop)
    known = cache(store.metadata)
    at, pin, tokens, is_pinned = len(summaries), next(pins, -1), 0, False

    def see(message: One) -> tuple[str, int]:
        return role_of(message), tokens_in(message, counter, known)

    while stop > 0:
        while at and summaries[at - 1]["stop"] > stop:
            at -= 1
        if at and summaries[at - 1]["stop"] == stop:
            summary = summaries[at - 1]
            stop = summary["start"]
            yield stop, tokens + tokens_of(summary["message"], counter), True
            tokens, is_pinned = 0, False
            continue
        until = summaries[at - 1]["stop"] if at else 0
        for number, (role, more) in downwards(store, stop, see):
            while pin > number:
                pin = next(pins, -1)
            if role not in SYSTEM:
                # A pinned result or call brings those behind it along, and the call of both.
                is_pinned = is_pinned or pin == number
                tokens = 0 if is_pinned else tokens + more
                if role not in RESULTS:
                    yield number, tokens, True
                    tokens, is_pinned = 0, False
            stop = number
            if stop == until:
                break
    yield 0, tokens, False


def check_count(what: str, count: object) -> None:
    """Refuse what is no number of messages or tokens.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ConfigurationError(f"{what} takes a number from 0 on, not {count!r}")


def _decided(store: Store, start: int, stop: int, seen: Seen) -> Window:
    """Return the view that has all from `start` to before `stop`, and what every view has."""
    few: list[_Part] | None = []
    count = end = summaries = 0
    for part in _settled(store, start, stop):
        count += part.stop - part.start + (part.message is not None)
        summaries += part.message is not None
        end = part.stop
        if few and few[-1].stop == part.start and part.message is None:
            few[-1] = few[-1]._replace(stop=part.stop)
        elif few is not None and len(few) < _FEW:
            few.append(part)
        else:
            few = None
    end = stop if start < stop else end
    held = None if few is None else tuple(few)
    return Window(store, start, stop, summaries, seen, count, end, held)


def _settled(store: Store, start: int, stop: int) -> Iterator[_Part]:
    """Yield what is sent, of which each part is sent whole."""
    pins = Pins(store, stop)
    for part in _parts(store, start, stop):
        if part.whole:
            yield part
            continue
        if part.message is not None:
            yield _Part(part.start, part.start, part.message)
        for found in always(store, part.start, part.stop, pins):
            for first, behind in found.stretches():
                yield _Part(first, behind)
            del found  # the next is read now


def _parts(store: Store, start: int, stop: int) -> Iterator[_Part]:
    """Yield what is sent; a summary of which a part is before `start` is left out.

    What was pinned once it was summed up comes behind the summary.
    """
    if start > 0:
        yield _Part(0, start, whole=False)
    summaries = summaries_in(store.numbered((SUMMARIES,)))
    for at in range(bisect_left(summaries, start, key=begin_of), len(summaries)):
        each = summaries[at]
        if each["stop"] > stop:
            break
        if start < each["start"]:
            yield _Part(start, each["start"])
        yield _Part(each["start"], each["stop"], each["message"], whole=False)
        start = each["stop"]
    if start < stop:
        yield _Part(start, stop)


def tokens_between(store: Store, start: int, stop: int, counter: TokenCounter) -> int:
    """Return about how many tokens the messages from `start` to before `stop` are."""
    messages, known = each_of(store.blocks(start, stop)), cache(store.metadata)
    return sum(tokens_in(message, counter, known) for message in messages)
