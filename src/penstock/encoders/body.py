"""A request's body: not bytes, but a way to make the same bytes as often as they are needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeAlias

from penstock.encoders.backends import BEST, Backend
from penstock.encoders.output import Frame, Output, Told, check_buffer
from penstock.encoders.passes import (
    Pass,
    Seal,
    Sums,
    compare,
    gone_over,
    held_back,
    sealed,
    went_over,
)
from penstock.encoders.settled import settle
from penstock.encoders.small import MustWaitError, made_at_once
from penstock.encoders.sources import in_memory, one_shot
from penstock.encoders.tape import Tape
from penstock.encoders.walk import MAX_DEPTH, Walk
from penstock.errors import UsageError
from penstock.fields import Each

__all__ = ["Body"]

# A field is any value that has a JSON form.
Json = Any
Tell: TypeAlias = "Callable[[bytes | bytearray | memoryview], object]"


class Body:
    """A replayable body: `open` makes the bytes of `fields`, again and again, in one buffer.

    Nothing is copied. Lists count with the length that they have now; their items are not to be
    edited while a call lasts. Whatever is in memory is checked before the first byte; what a
    function or an async source brings is checked as it comes. Once a length or a digest has been
    told, every later pass is compared with it, and one that differs fails before its last byte.

    A source with only one pass in it (an iterator, a generator) is fine for that pass. A second
    one, which a retry or a digest needs, is refused, or read from a temporary file with `spool`.

    Args:
        fields: The body's fields, in order; conversations stand in it as `Each`.
        buffer_size: Most bytes of a piece, and the order of what a pass holds in memory.
        max_depth: Levels of arrays and objects.
        spool: Whether a pass over a one-shot source is kept in a temporary file; `aclose` ends it.
        backend: The C encoder; by default the fastest that is installed.

    Raises:
        EncodeError: A field has no JSON form, and the body is small enough to be made at once.
    """

    def __init__(
        self,
        fields: Mapping[str, Json],
        *,
        buffer_size: int = 64 * 1024,
        max_depth: int = MAX_DEPTH,
        spool: bool = False,
        backend: Backend | None = None,
    ) -> None:
        check_buffer(buffer_size)
        backend = backend or BEST
        files = False
        self.small: bytes | None = None
        """The whole body, where it fits in one buffer; else None.

        Where a conversation comes from an iterator, a function or an async source, this is known
        after `prepare`.
        """
        try:
            self.small = made_at_once(
                fields, buffer_size=buffer_size, max_depth=max_depth, backend=backend
            )
        except MustWaitError:
            files = True
        if self.small is not None:
            return  # its bytes are all that is kept
        self._fields = fields
        self._buffer = buffer_size
        self._max_depth = max_depth
        self._backend = backend
        self._prepared = False
        self._settled = settle(fields.values())
        self._used: set[int] = set()
        self._seal: Seal | None = None
        self._digest: str | None = None
        self._begun: Pass | None = None
        self._tape: Tape | None = None
        sources = [value for value in fields.values() if isinstance(value, Each)]
        self._spool = spool and any(map(one_shot, sources))
        self._waits = files or not all(map(in_memory, sources))
        waited = [source for source in sources if not in_memory(source)]
        self._off_loop = waited[0].off_loop if len(waited) == 1 else None
        self._once = any(map(one_shot, sources))
        self._vouched = False

    async def prepare(self) -> None:
        """Check what is in memory, and read the first buffer of what is not, to know `small`.

        `open`, `length` and `sha256` do it where it was not done. What was read is kept for the
        first pass.

        Raises:
            EncodeError: A field has no JSON form.
            UsageError: A source cannot be iterated, or not again.
        """
        if self.small is not None or self._prepared:
            return
        check = Pass(self._walk(check=True), self._fields)
        try:
            await check.next()  # it makes no pieces
        finally:
            await check.aclose()
        self._prepared = True
        if self._waits:
            await self._begin()

    async def _begin(self) -> None:
        """Begin the first pass, and end it if the body turns out to be small."""
        begun = Pass(self._walk(), self._fields)
        head: list[bytes] = []
        size = 0
        try:
            while size <= self._buffer and (piece := await begun.next()):
                head.append(piece)
                size += len(piece)
        except BaseException:
            await begun.aclose()
            raise
        if size <= self._buffer:
            self.small = b"".join(head)
            await begun.aclose()
        elif self._spool:
            begun.head = head
            self._tape = Tape(begun, buffer_size=self._buffer)
        else:
            begun.head = head
            self._begun = begun

    def open(self) -> AsyncGenerator[bytes, None]:
        """Make one pass over the body, in pieces of at most the buffer's size.

        The loop is given back within 64 KiB or 2 ms of encoding, whether or not the consumer waits.
        Closing the iterator early closes the caller's generators.

        Raises:
            EncodeError: Something has no JSON form; before the first piece, if it is in memory.
            UsageError: A one-shot source was used before, a list shrank, or the body is not what
                `length` or `sha256` told of it.
        """
        return self.framed(b"".join)

    async def framed(self, frame: Frame) -> AsyncGenerator[bytes, None]:
        """Make the same pass, with each piece as `frame` puts its parts together.

        So that what goes around a piece costs no copy of it.
        """
        await self.prepare()
        if self.small is not None:
            yield frame((self.small,))
            return
        pieces = self._pieces(frame) if self._seal is None else self._held_back(self._seal, frame)
        try:
            async for piece in pieces:
                yield piece
                del piece  # not to be held while the next is made
        finally:
            await pieces.aclose()

    def _held_back(self, told: Seal, frame: Frame) -> AsyncGenerator[bytes, None]:
        """Make one pass that is compared with what was told."""
        if self._tape is not None:
            return _framed(held_back(self._tape.play(), told, Sums()), frame)
        output = Output(self._buffer, summed=True)
        whole = _awaited(Pass(self._walk(output=output), self._fields))
        return _framed(held_back(whole, told, output), frame)

    def _pieces(self, frame: Frame) -> AsyncGenerator[bytes, None]:
        """Make one pass, compared with nothing."""
        if self._tape is not None:
            return _framed(self._tape.play(), frame)
        begun, self._begun = self._begun, None
        if begun is not None:
            return _framed(_awaited(begun), frame)
        output = Output(self._buffer, frame=frame)
        return _awaited(Pass(self._walk(output=output), self._fields))

    async def length(self) -> int:
        """Return the body's size in bytes, at the price of a pass the first time.

        Raises:
            EncodeError: Something has no JSON form.
            UsageError: A one-shot source was used before.
        """
        await self.prepare()
        if self.small is not None:
            return len(self.small)
        if self._seal is None:
            self._seal = await self._told(None)
        return self._seal.length

    async def sha256(self) -> str:
        """Return the SHA-256 of the body in hexadecimal, at the price of a pass the first time.

        Raises:
            EncodeError: Something has no JSON form.
            UsageError: A one-shot source was used before, or `length` told something else.
        """
        from hashlib import sha256  # OpenSSL's digests: 0.7 MiB resident, which few calls need

        await self.prepare()
        if self.small is not None:
            return sha256(self.small).hexdigest()
        if self._digest is None:
            digest = sha256()
            self._seal = await self._told(digest.update)
            self._digest = digest.hexdigest()
        return self._digest

    async def _told(self, update: Tell | None) -> Seal:
        """Make a pass for what it tells, and give what it makes to `update`."""
        if self._tape is not None or self._once:
            return await sealed(self.open(), update)
        await self.aclose()  # the beginning is read again
        off_loop, output = self._off_loop, Told(self._buffer, update)
        if off_loop is None:
            await went_over(Pass(self._walk(output=output), self._fields))
        else:
            self._vouched = await off_loop(off_loop.vouches)
            await gone_over(Pass(self._walk(output=output), self._fields, off_loop=True), off_loop)
        seal = Seal(output.length, output.checksum)
        compare(seal, self._seal or seal)
        return seal

    async def aclose(self) -> None:
        """Let go of a pass that was begun, and of the temporary file; idempotent."""
        if self.small is not None:
            return
        begun, self._begun = self._begun, None
        if begun is not None:
            await begun.aclose()
        if self._tape is not None:
            await self._tape.aclose()

    def _walk(self, *, check: bool = False, output: Output | None = None) -> Walk:
        return Walk(
            buffer_size=self._buffer,
            max_depth=self._max_depth,
            backend=self._backend,
            check=check,
            settled=self._settled,
            use=self._use,
            output=output,
            vouched=self._vouched,
        )

    def _use(self, each: Each) -> None:
        """Note that a source is iterated.

        Raises:
            UsageError: It was before, and has only one pass in it.
        """
        if not one_shot(each):
            return
        if id(each) in self._used:
            raise UsageError(
                "the conversation is an iterator with one pass in it, and that is over: for a"
                " second one (a retry, a fallback, a length, a signature) give a list or a function"
                " that returns a new iterator, or spool=True"
            )
        self._used.add(id(each))


async def _awaited(whole: Pass) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a pass, and close it."""
    try:
        while piece := await whole.next():
            yield piece
            del piece
    finally:
        await whole.aclose()


async def _framed(pieces: AsyncGenerator[bytes, None], frame: Frame) -> AsyncGenerator[bytes, None]:
    """Yield pieces that are put together already, in their frames."""
    try:
        async for piece in pieces:
            yield frame((piece,))
    finally:
        await pieces.aclose()
