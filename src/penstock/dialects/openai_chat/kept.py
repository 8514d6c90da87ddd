"""A kept conversation on its way out: its bytes are copied, but for messages that need a change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.fields import Lines, Raw, Run, Streamed, let_go

if TYPE_CHECKING:
    from penstock.fields import Kept

__all__ = ["items_of"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_OVERLAP = 256
"""Bytes of a piece that are looked at again with the next: no mark that is looked for is longer,
and an id of a call that is too long stands as near to the key of the calls."""


def items_of(
    messages: Kept, concerns: Callable[[bytes], bool], translate: Callable[[Json], Json]
) -> Callable[[], AsyncIterator[Json]]:
    """Return a factory of what stands in the array for `messages`.

    Args:
        messages: The conversation.
        concerns: Whether JSON has something in it that has to be changed.
        translate: Returns the wire form of a message.
    """

    async def items() -> AsyncGenerator[Json, None]:
        blocks = messages.blocks()
        try:
            async for block in blocks:
                if isinstance(block, Streamed):
                    whole = await _gathered(block, concerns)
                    yield block if whole is None else translate(Raw(whole))
                    continue
                if not isinstance(block, Lines):
                    yield translate(block)
                    continue
                data = block.data
                del block  # what was said is held by nobody here
                if concerns(data):
                    for line in data.split(b"\n"):
                        yield translate(Raw(line))
                    continue
                # A newline in JSON of one line is never part of a value.
                run = [Run(data.replace(b"\n", b","))]
                del data
                yield run.pop()
        finally:
            await let_go(blocks)

    return items


async def _gathered(message: Streamed, concerns: Callable[[bytes], bool]) -> bytes | None:
    """Return a large message whole where it has to be changed, None where it is copied."""
    tail = b""
    async for piece in message.open():
        if concerns(tail + piece):
            return b"".join([each async for each in message.open()])
        tail = piece[-_OVERLAP:]
    return None
