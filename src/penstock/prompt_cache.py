"""Prompt caching: at which message a conversation is not what was sent the turn before.

Providers cache a prompt by its beginning: a message that changes, or one that is put in, costs the
cache of all that comes after. `PromptCacheGuard` notices it.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Mapping
from hashlib import blake2b
from itertools import chain, compress, count
from operator import ne
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from penstock.encoders import encode_json
from penstock.encoders.values import simpler
from penstock.encoders.walk import MAX_DEPTH
from penstock.errors import EncodeError
from penstock.fields import Base64, Joined, Lines, Raw, Streamed, let_go, off_loop_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from penstock.fields import OffLoop

__all__ = ["PromptCacheGuard", "PromptChange", "Watched"]

# A conversation as in `penstock.messages.Messages`, and its messages.
Json: TypeAlias = Any

_SIZE = 8
"""Bytes of a digest: 2 conversations of a million messages agree by chance once in 10 million."""

_LONG = 16 * 1024
"""Characters of a text from which on it is summed up, so many at once."""


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
        begun = _told([*tools]) if tools else b""
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
        """Take what tells each message of one pass; None ends it."""
        digests = array("Q")
        running = self._turn.begun
        while (told := (yield)) is not None:
            running = blake2b(running + told, digest_size=_SIZE).digest()
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


def _told(message: Json) -> bytes:
    """Return what tells a message from another; two that are sent alike may still differ in it.

    What has no JSON form says nothing: the encoder refuses it, and knows where it is.
    """
    try:
        if _is_short(message):
            return msgspec.json.encode(message)
        return _joined(encode_json(_spelled(message)))
    except (EncodeError, RecursionError, TypeError, UnicodeEncodeError):
        return b""


def _is_short(message: Json) -> bool:
    """Whether a message is as most are: a few short texts."""
    return type(message) is dict and all(
        type(value) is str and len(value) < _LONG for value in message.values()
    )


def _joined(pieces: Iterable[bytes]) -> bytes:
    """Return JSON; more than one piece is summed up."""
    pieces = iter(pieces)
    first, second = next(pieces, b""), next(pieces, b"")
    return _summed(chain((first, second), pieces)) if second else first


def _summed(pieces: Iterable[bytes]) -> bytes:
    """Return the CRC-32 and the size of what is too long to be held.

    It misses one edit in four billion, and takes a tenth of a digest: who sends it waits for it.
    """
    checksum = size = 0
    for piece in pieces:
        checksum = crc32(piece, checksum)
        size += len(piece)
    return b"%d of %d" % (checksum, size)


def _slices(text: str) -> Iterator[bytes]:
    """Yield the bytes of a long text in what takes the least time; JSON takes up to four times."""
    code = "ascii" if text.isascii() else "utf-16-le"
    for start in range(0, len(text), _LONG):
        yield text[start : start + _LONG].encode(code, "surrogatepass")


def _spelled(value: Json, levels: int = MAX_DEPTH) -> Json:
    """Return `value`; in the place of files and long texts stands what tells them from others.

    Raises:
        EncodeError: There are too many levels in it, as in one that contains itself.
    """
    if not levels:
        raise EncodeError(f"more than {MAX_DEPTH} levels of arrays and objects")
    if isinstance(value, str) and len(value) >= _LONG:
        return _summed(_slices(value)).decode()
    if value is None or isinstance(value, (str, int, float, Raw)):
        return value
    if isinstance(value, Mapping):
        return {name: _spelled(each, levels - 1) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(each, levels - 1) for each in value]
    if isinstance(value, Joined):
        return _spelled(value.parts, levels - 1)
    if isinstance(value, Base64):
        return value.identity() if value.identity else value.size
    return _spelled(_simpler(value), levels - 1)


def _simpler(value: Json) -> Json:
    """Return what a typed message or part stands for; of what nobody knows, how it looks."""
    if hasattr(value, "to_openai"):
        return value.to_openai()
    try:
        return simpler(value)
    except (TypeError, ValueError):
        return repr(value)


class _Sync(Watched):
    """A conversation that can be iterated."""

    def __iter__(self) -> Iterator[Json]:
        take = _taking(self)
        for message in self._messages:
            take(_told(message))
            yield message
        take(None)


class _Async(Watched):
    """One that is waited for."""

    async def __aiter__(self) -> AsyncGenerator[Json, None]:
        take = _taking(self)
        messages = aiter(self._messages)
        try:
            async for message in messages:
                take(_told(message))
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
                    take(_told(block))
                else:
                    checksum = 0
                    async for piece in block.open():
                        checksum = crc32(piece, checksum)
                    take(b"%d of %d" % (checksum, block.size))
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
