"""What a view's decision needs of a message: who says it, and how many tokens it is.

One above a block is gone over in its pieces: its long texts are not held, nor what a file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from penstock.conversations.references import broken, message_in, parsed
from penstock.conversations.stores import Large
from penstock.conversations.tokens import TokenCounter, tokens_of
from penstock.conversations.unmoved import has_moved
from penstock.cuts import Cuts
from penstock.fields import Lines

if TYPE_CHECKING:
    from penstock.conversations.references import Notes
    from penstock.conversations.stores import Store
    from penstock.cuts import Cut

__all__ = ["RESULTS", "One", "downwards", "each", "outline", "role_of", "tokens_in"]

T = TypeVar("T")
One: TypeAlias = "bytes | Large"
"""A message: its JSON, or what returns that a block at a time."""

_BEGINS = re.compile(rb'\{"role":"([a-z]+)"')
"""How nearly every message begins."""
RESULTS = ("tool", "function")
"""Who says what a call returned; "function" is of OpenAI's calls before there were tools."""
_MOST = 256
"""Messages that are read at once towards a conversation's beginning; only what was seen is held."""


class _Said(msgspec.Struct):
    role: str


_decode = msgspec.json.Decoder(_Said).decode


def each(blocks: Iterable[Lines | Large]) -> Iterator[One]:
    """Yield the messages of `blocks` one by one."""
    for block in blocks:
        if isinstance(block, Lines):
            yield from block.data.split(b"\n")
        else:
            yield block


def downwards(store: Store, stop: int, see: Callable[[One], T]) -> Iterator[tuple[int, T]]:
    """Yield the number of each message before `stop`, the last first, and what `see` returns.

    Raises:
        ConversationError: Some of them were taken out or cut off meanwhile.
    """
    count = 1
    while stop > 0:
        start = max(stop - count, 0)
        seen = [see(message) for message in each(store.blocks(start, stop))]
        if len(seen) < stop - start:
            raise has_moved()
        for number in range(stop - 1, start - 1, -1):
            yield number, seen.pop()
        stop, count = start, min(2 * count, _MOST)


def role_of(message: One) -> str:
    """Return who says a message.

    Raises:
        ConversationError: It is none any more.
    """
    if isinstance(message, bytes):
        return _said(message)
    begun = _BEGINS.match(next(message.pieces()))
    return begun[1].decode() if begun else _said(_cut(message)[0])


def tokens_in(message: One, counter: TokenCounter, notes: Notes) -> int:
    """Return about how many tokens a message is.

    Raises:
        ConversationError: It is none any more.
    """
    if isinstance(message, bytes):
        return tokens_of(message_in(message, notes), counter)
    skeleton, found = _cut(message)
    return tokens_of(message_in(skeleton, notes), _Counter(counter, message, found))


def outline(message: One) -> dict[str, Any]:  # Any: JSON
    """Return a message, in which a name stands for each long text of one above a block.

    Raises:
        ConversationError: It is none any more.
    """
    return parsed(message if isinstance(message, bytes) else _cut(message)[0])


def _said(line: bytes) -> str:
    try:
        return _decode(line).role
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise broken(str(fault)) from None


def _cut(message: Large) -> tuple[bytes, dict[str, Cut]]:
    """Return the JSON of a message without its long texts, and where those are."""
    cuts = Cuts(every=True)
    for piece in message.pieces():
        cuts.feed(piece)
    return bytes(cuts.skeleton), cuts.found


class _Counter:
    """Counts texts in which names stand for what was cut out, a piece at a time.

    A tokenizer may take a word or two more for a text in pieces.
    """

    def __init__(self, counter: TokenCounter, message: Large, found: dict[str, Cut]) -> None:
        self._counter = counter
        self._message = message
        self._found = found

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        total = 0
        for name, cut in self._found.items():
            if name in text:
                text = text.replace(name, "")
                total += sum(map(self._counter.count, self._texts(cut)))
        return total + (self._counter.count(text) if text else 0)

    def _texts(self, cut: Cut) -> Iterator[str]:
        pending, at = b"", 0
        for piece in self._message.pieces():
            first, last = max(cut.start - at, 0), min(cut.start + cut.size - at, len(piece))
            at += len(piece)
            if first >= last:
                continue
            pending += piece[first:last]
            end = pending.rfind(b" ") + 1  # inside of no character and no escape
            if end:
                yield _text(pending[:end])
                pending = pending[end:]
        if pending:
            yield _text(pending)


def _text(said: bytes) -> str:
    """Return the text that stands between quotes in JSON."""
    try:
        return msgspec.json.decode(b'"%b"' % said, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise broken(str(fault)) from None
