"""Messages of a JSONL file that are replaced, taken out or cut off, and what is noted with it.

Notes are in another file, so that a change of both has two steps. It is announced beforehand: how
large the file is once it is done, and what is noted then. Whatever comes in between, a kill or an
exception, who looks next sees by the file's size which notes are true. Where the size stays the
same, a summary may be let go of; a fork may be unreadable, and never reads other messages than it
was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace as replaced
from typing import TYPE_CHECKING

from penstock.conversations.numbered import cut_at
from penstock.conversations.plain import without
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.stores import merged
from penstock.conversations.vouching import copy, is_as_known, summed
from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.canonical import Message
    from penstock.conversations.jsonl_files import Opened
    from penstock.conversations.plain import Spans
    from penstock.conversations.stores import Change

__all__ = ["cut", "lines_of", "replace", "taken_back"]


def replace(opened: Opened, own: int, message: Message | None, change: Change) -> None:
    """Put `message` in the place of line number `own`, or take it out: the file is written anew.

    What is taken out of its end is cut off.

    Raises:
        ConversationError: It cannot be written.
    """
    opened.begin_writing()
    lines = opened.lines
    start, stop, end = lines.offset(own), lines.offset(own + 1), lines.end
    if message is None and stop == end:
        cut(opened, own, change)
        return
    known = is_as_known(opened)
    size = end - stop + start + (0 if message is None else message.size + 1)

    def write(put: Callable[[bytes], object]) -> None:
        copy(lines, (0, start), put)
        for piece in () if message is None else lines_of([message]):
            put(piece)
        copy(lines, (stop, end), put)

    plain = without(opened.side.plain, start, stop, moved=size - end) if known else None
    with _announced(opened, start, (size, change)) as side:
        opened.file.rewrite(write)
        _renew(opened, side, plain)


def cut(opened: Opened, own: int, change: Change) -> None:
    """Let go of the lines from number `own` on.

    Raises:
        ConversationError: The system does not let us.
    """
    opened.begin_writing()
    end, stop, known = opened.lines.offset(own), opened.lines.end, is_as_known(opened)
    plain = without(opened.side.plain, end, stop) if known else None
    with _announced(opened, end, (end, change)) as side:
        opened.file.truncate(end)
        _renew(opened, side, plain)


def taken_back(opened: Opened, end: int) -> None:
    """Note that lines behind `end` are gone: some were there until an append failed.

    A reader may go on over them, and is to be told. Where there is no room for the note, nor for
    others in their place, it reads that they are gone.
    """
    with suppress(ConversationError):
        side, number = opened.side, opened.chain.shared + opened.lines.count()
        side.generation = side.generation or Sidecar.of(opened.path).generation
        side = replaced(side.turned(end), metadata=merged(side.metadata, cut_at(number)))
        side.write(opened.path, sync=opened.sync)
        opened.side = side


def lines_of(messages: Iterable[Message]) -> Iterator[bytes]:
    """Yield the pieces of messages, a newline behind each."""
    for message in messages:
        yield from message.pieces()
        yield b"\n"


@contextmanager
def _announced(opened: Opened, unchanged: int, done: tuple[int, Change]) -> Iterator[Sidecar]:
    """Say beforehand what becomes of the file; yield what is known of it afterwards.

    What was known before is put back only where nothing has become of the file.

    Args:
        opened: The conversation; its next call looks at everything anew unless this comes to its
            end.
        unchanged: How many bytes stay what they are.
        done: How many bytes there are then, and what is noted.
    """
    before, there = opened.side, opened.file.there()
    # Until something is written here a reader may have named the file, for a fork of its own.
    before.generation = before.generation or Sidecar.of(opened.path).generation
    size, change = done
    side = before.turned(unchanged)
    side.after = (size, merged(before.metadata, change))
    opened.know_nothing()
    try:
        side.write(opened.path, sync=opened.sync)
        # Anew: who has looked in between may have seen the one or the other.
        yield replaced(side.turned(unchanged), metadata=side.after[1], after=None)
    except BaseException:
        if opened.file.there() == there:
            with suppress(ConversationError):
                before.write(opened.path, sync=opened.sync)
        raise
    opened.know_all()


def _renew(opened: Opened, side: Sidecar, plain: Spans | None) -> None:
    """Begin anew with what is known of the file, and write it; None: nothing is known as plain."""
    end = opened.file.end
    side.know(0, 0, 0)
    opened.side = side
    opened.read_anew(end)
    if plain is not None:
        side.know(end, opened.lines.count(), summed(opened.lines) if plain else None)
        side.plain = plain
    opened.keep_beside()
