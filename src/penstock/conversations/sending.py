"""A kept conversation on its way out: its blocks are read in worker threads, as they are kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from penstock.conversations.references import Notes, is_referring, message_in
from penstock.conversations.stores import lines_of
from penstock.fields import Lines, Streamed

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Large, Store

__all__ = ["OffLoop", "decoded", "in_thread", "is_off_loop", "messages_of", "off_loop", "sent"]

# A message of the OpenAI shape.
Json: TypeAlias = Any
T = TypeVar("T")

_off_loop: ContextVar[bool] = ContextVar("_off_loop", default=False)
"""Whether this is a worker thread already."""


async def in_thread(call: Callable[..., T], *arguments: Any) -> T:  # Any: what `call` takes
    """Call what may wait for a disk in a worker thread."""
    if _off_loop.get():
        return call(*arguments)
    from anyio.to_thread import run_sync  # loads a loop, which the sync face does without

    return await run_sync(call, *arguments)


class OffLoop:
    """Calls what goes over a conversation in a worker thread, in which nothing of it is awaited.

    Args:
        vouches: Says whether what is sent is compared with what was appended.
    """

    def __init__(self, vouches: Callable[[], bool] = bool) -> None:
        self.vouches = vouches

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Return what `call` returns."""
        return await in_thread(_called_off_loop, call)


off_loop = OffLoop()
"""Of conversations for which nobody vouches."""


def is_off_loop() -> bool:
    """Whether this is a pass in a worker thread, by which nothing is sent."""
    return _off_loop.get()


def _called_off_loop(call: Callable[[], T]) -> T:
    _off_loop.set(True)  # of this call alone: a worker thread has a copy of the context
    return call()


def messages_of(blocks: Iterator[Lines | Large], notes: Notes) -> Iterator[Json]:
    """Yield the messages of `blocks`; a file that one refers to is a typed part again."""
    known = cache(notes)  # once: what a message refers to is noted before the message is kept
    for line in lines_of(blocks):
        yield message_in(line, known)


async def decoded(blocks: Callable[[], Blocks], notes: Notes) -> AsyncGenerator[Json, None]:
    """Yield the messages of `blocks`, each block read in a worker thread."""
    source = await in_thread(blocks)
    while found := await in_thread(_messages, source, notes):
        found.reverse()
        while found:
            yield found.pop()


async def sent(
    store: Store, blocks: Callable[[], Blocks]
) -> AsyncGenerator[Lines | Streamed | dict[str, Json], None]:
    """Yield `blocks` of a store as the encoder takes them, read in a worker thread.

    A message that refers to files comes as a dict, with typed parts in it.
    """
    source = await in_thread(blocks)
    waits = is_off_loop()  # it is in a thread already, and need not look what is in memory
    while True:
        # A visit to a thread costs more than copying a block that is in memory.
        taken = _taken(source) if waits or source.ready() else await in_thread(_taken, source)
        block = taken.pop()
        if block is None:
            return
        if isinstance(block, Lines) and not is_referring(block.data):
            held = [block]
            del block  # what was taken is held by nobody here
            yield held.pop()
        elif isinstance(block, Lines):
            for each in await in_thread(_opened, block.data, store.metadata):
                yield each
        elif is_referring(await in_thread(next, block.pieces())):
            line = await in_thread(b"".join, block.pieces())
            yield await in_thread(message_in, line, store.metadata)
        else:
            yield Streamed(_opens(block), block.size)


def _taken(blocks: Iterator[Lines | Large]) -> list[Lines | Large | None]:
    """Return the next block in a list, to be taken out: a thread remembers what it returned."""
    return [next(blocks, None)]


def _messages(blocks: Iterator[Lines | Large], notes: Notes) -> list[Json]:
    return list(messages_of(islice(blocks, 1), notes))


def _opened(data: bytes, notes: Notes) -> list[Lines | dict[str, Json]]:
    """Return the messages of a block, of which some refer to files."""
    known = cache(notes)
    return [
        message_in(line, known) if is_referring(line) else Lines(line) for line in data.split(b"\n")
    ]


def _opens(block: Large) -> Callable[[], AsyncIterator[bytes]]:
    async def pieces() -> AsyncGenerator[bytes, None]:
        source = block.pieces()
        while (piece := await in_thread(next, source, None)) is not None:
            yield piece

    return pieces
