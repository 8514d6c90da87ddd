"""A kept conversation on its way out: its bytes are copied, but for messages that need a change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from penstock.dialects.openai_chat.odd import SeenCalls
from penstock.fields import Lines, Raw, Run, Streamed, let_go

if TYPE_CHECKING:
    from penstock.fields import Kept

__all__ = ["items_of"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_OVERLAP = 256
"""Bytes of a piece that are looked at again with the next: no mark that is looked for is longer,
and an id of a call that is too long stands as near to the key of the calls."""


class Translator(Protocol):
    """What is done to the messages that need a change."""

    def restart(self) -> None:
        """Begin another pass."""

    def concerns(self, data: bytes, *, plain: bool = False) -> bool:
        """Whether messages that are JSON already, one a line, have to be changed.

        Those that are `plain` are only a role and a text.
        """

    def concerns_piece(self, data: bytes) -> bool:
        """Whether a piece of one says that it has to be changed; its calls are looked at here."""

    def kept(self, message: Json) -> Json:
        """Return the wire form of a message."""


def items_of(messages: Kept, translator: Translator) -> Callable[[], AsyncIterator[Json]]:
    """Return a factory of what stands in the array for `messages`."""

    async def items() -> AsyncGenerator[Json, None]:
        translator.restart()
        blocks = messages.blocks()
        try:
            async for block in blocks:
                if isinstance(block, Streamed):
                    whole = await _gathered(block, translator)
                    yield block if whole is None else translator.kept(Raw(whole))
                    continue
                if not isinstance(block, Lines):
                    yield translator.kept(block)
                    continue
                data, plain = block.data, block.plain
                del block  # what was said is held by nobody here
                if translator.concerns(data, plain=plain):
                    for line in data.split(b"\n"):
                        yield translator.kept(Raw(line))
                    continue
                # A newline in JSON of one line is never part of a value.
                run = [Run(data.replace(b"\n", b","))]
                del data
                yield run.pop()
        finally:
            await let_go(blocks)

    return items


async def _gathered(message: Streamed, translator: Translator) -> bytes | None:
    """Return a large message whole where it has to be changed, None where it is copied."""
    tail, calls = b"", SeenCalls()
    async for piece in message.open():
        if translator.concerns_piece(tail + piece):
            break
        calls.see(tail, piece)
        tail = piece[-_OVERLAP:]
    else:
        if not calls.are_odd():
            return None
    return b"".join([each async for each in message.open()])
