"""Prompt caching: at which message a conversation is not what was sent the turn before.

Providers cache a prompt by its beginning: a message that changes, or one that is put in, costs the
cache of all that comes after. `PromptCacheGuard` notices it.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from hashlib import blake2b
from itertools import compress, count
from operator import ne
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from penstock.fields import Base64, Joined, Lines, Raw, Streamed, let_go, off_loop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from penstock.fields import OffLoop

__all__ = ["PromptCacheGuard", "PromptChange", "Watched"]

# A conversation as in `penstock.messages.Messages`, and its messages.
Json: TypeAlias = Any

_SIZE = 8
"""Bytes of a digest: 2 conversations of a million messages agree by chance once in 10 million."""


class PromptChange:
    """What was found of one call; it outlives the conversation that it is about."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: int | None = None
        """The number of the first message that is not what it was; None where all are, so far."""


class PromptCacheGuard:
    """Notices at which message a conversation differs from the one that was sent before.

    One guard goes with one conversation: pass it to each of its calls as ``cache_guard=``, and look
    at ``reply.prompt_changed_at``. It keeps eight bytes a message for each model. The tools are
    before the first message: with others, all of it has changed.
    """

    def __init__(self) -> None:
        self._sent: dict[str, array[int]] = {}

    def watch(self, messages: Json, model: str, tools: Sequence[Json] = ()) -> Watched:
        """Return `messages` so that their digests are taken as they are sent to `model`."""

        def keep(digests: array[int]) -> None:
            self._sent[model] = digests

        kinds = (
            (hasattr(messages, "blocks"), _Kept),
            (isinstance(messages, AsyncIterable), _Async),
            (isinstance(messages, Iterable) and not isinstance(messages, str), _Sync),
        )
        kind = next((kind for fits, kind in kinds if fits), _Called)
        if isinstance(messages, str):
            messages, kind = [{"role": "user", "content": messages}], _Sync
        begun = _json_of([*tools]) if tools else b""
        return kind(messages, _Turn(self._sent.get(model), begun, keep, PromptChange()))


class _Turn(NamedTuple):
    """What a turn is compared with."""

    before: array[int] | None
    """The digests of the turn before; None where there was none."""
    begun: bytes
    """What is sent before the first message."""
    keep: Callable[[array[int]], None]
    """Takes the digests of each whole pass."""
    change: PromptChange
    """Is told what was found."""


class Watched:
    """A conversation whose messages are compared with those of the turn before, as they are read.

    Args:
        messages: The conversation.
        turn: What they are compared with.
    """

    def __init__(self, messages: Json, turn: _Turn) -> None:
        self._messages = messages
        self._turn = turn
        self.change = turn.change
        """What was found so far."""

    def _compared(self) -> Generator[None, bytes | None, None]:
        """Take the JSON of each message of one pass; None ends it."""
        digests = array("Q")
        running = self._turn.begun
        while (data := (yield)) is not None:
            running = blake2b(running + data, digest_size=_SIZE).digest()
            digests.append(int.from_bytes(running, "big"))
        if self._turn.before is not None:
            differ = map(ne, self._turn.before, digests)
            self.change.at = next(compress(count(), differ), None)
        self._turn.keep(digests)
        yield


def _taking(watched: Watched) -> Callable[[bytes | None], object]:
    compared = watched._compared()  # its own room
    next(compared)
    return compared.send


def _json_of(message: Json) -> bytes:
    """Return what tells a message from another; two that are sent alike may still differ in it."""
    if isinstance(message, Raw):
        return message.data
    if hasattr(message, "to_openai"):
        message = _spelled(message.to_openai())
    return msgspec.json.encode(message, enc_hook=_part)


def _part(value: Json) -> Json:
    """Return a typed part as what tells it from others."""
    return _spelled(value.to_openai()) if hasattr(value, "to_openai") else repr(value)


def _spelled(value: Json) -> Json:
    """Return `value`; in the place of files stands what tells them from others."""
    if isinstance(value, dict):
        return {name: _spelled(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(each) for each in value]
    if isinstance(value, Joined):
        return _spelled(value.parts)
    if isinstance(value, Base64):
        return value.identity() if value.identity else value.size
    return value


class _Sync(Watched):
    """A conversation that can be iterated."""

    def __iter__(self) -> Iterator[Json]:
        take = _taking(self)
        for message in self._messages:
            take(_json_of(message))
            yield message
        take(None)


class _Async(Watched):
    """One that is waited for."""

    async def __aiter__(self) -> AsyncGenerator[Json, None]:
        take = _taking(self)
        messages = aiter(self._messages)
        try:
            async for message in messages:
                take(_json_of(message))
                yield message
        finally:
            await let_go(messages)
        take(None)


class _Kept(_Async):
    """One that is kept as JSON."""

    @property
    def off_loop(self) -> OffLoop | None:
        """As the conversation's."""
        return off_loop_of(self._messages)

    async def blocks(self) -> AsyncGenerator[Lines | Streamed | Json, None]:
        """Return one pass over the messages as they are kept."""
        take = _taking(self)
        blocks = self._messages.blocks()
        try:
            async for block in blocks:
                if isinstance(block, Lines):
                    for line in block.data.split(b"\n"):
                        take(line)
                elif not isinstance(block, Streamed):
                    take(_json_of(block))
                else:
                    digest = blake2b(digest_size=_SIZE)
                    async for piece in block.open():
                        digest.update(piece)
                    take(digest.digest())
                yield block
        finally:
            await let_go(blocks)
        take(None)


class _Called(Watched):
    """A function that returns a pass, or a conversation that works once."""

    def __call__(self) -> Iterator[Json] | AsyncIterator[Json]:
        messages = self._messages()
        if isinstance(messages, AsyncIterable):
            return aiter(_Async(messages, self._turn))
        return iter(_Sync(messages, self._turn))
