"""The public edge: the one place with ``async with`` and ``async for``.

Inside, an answer travels in the batches that the network made; here it is handed out chunk by
chunk and folded once, so that a reply, or a truncation's partial one, is there at any time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct
from msgspec.structs import replace

from penstock import logs
from penstock.chunks import TextDelta
from penstock.cutting import interruptible
from penstock.errors import PenstockError, StreamClosedError, UsageError
from penstock.facts import AnswerFacts
from penstock.interfaces import CallRecord
from penstock.limits import media_limits
from penstock.pipeline.fold import Fold
from penstock.pipeline.partial import PartialJSON
from penstock.sources import Spool
from penstock.structured import parse
from penstock.tracebacks import presented

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
    from types import TracebackType

    from penstock.chunks import Chunk
    from penstock.cutting import Interruptible
    from penstock.interfaces import Middleware, Provider, Stage, Stream
    from penstock.limits import Limits
    from penstock.pipeline.composition import Pipeline
    from penstock.pipeline.edge import Edge
    from penstock.request import ChatRequest
    from penstock.response import Reply
    from penstock.stats import LoopStreams, OpenStreams

__all__ = ["ChatStream", "Surroundings"]

_UNOPENED = CallRecord()
"""What is known of a call before it has begun."""


class Surroundings(Struct, frozen=True, eq=False):
    """What the streams of one client have in common."""

    provider: Provider
    """Who answers."""
    pipeline: Pipeline
    """The client's middleware."""
    limits: Limits
    """Bounds what folding keeps."""
    opened: OpenStreams
    """The client's open streams."""


class ChatStream(AnswerFacts):
    """An answer as it arrives: made by `penstock.Client.stream`, opened by ``async with``.

    Iterating hands out chunks. When it ends the answer is whole: one that stops before its terminal
    event raises `penstock.errors.TruncatedError`, with what came in ``partial``. Leaving the
    ``async with`` closes the connection, wherever the answer is. A stream that failed, was closed
    or whose reader was cancelled says so at every later read: it never looks as if it had ended.

    Args:
        around: What it shares with the client's other streams.
        request: Makes the request, and the pydantic model that parses the answer, or None.
        given: What it makes them of.
        middleware: What comes behind the client's, for this answer.
        collect: Whether the answer is folded; without it the stream holds one network read.
    """

    __slots__ = (
        "__weakref__",
        "_among",
        "_around",
        "_chunks",
        "_closed",
        "_edge",
        "_ended",
        "_fold",
        "_given",
        "_middleware",
        "_model_class",
        "_next",
        "_opening",
        "_parsed",
        "_partial",
        "_pipeline",
        "_prepare",
        "_read",
        "_record",
        "_said",
        "_spool",
        "_stream",
    )
    _next: Callable[[], Awaitable[Chunk]]
    _read: Callable[[], Awaitable[list[Chunk]]]

    def __init__(
        self,
        around: Surroundings,
        request: Callable[..., tuple[ChatRequest, Any]],  # Any: the caller's pydantic model
        given: tuple[Any, ...] = (),  # Any: whatever that takes
        *,
        middleware: Iterable[Middleware] = (),
        collect: bool = True,
    ) -> None:
        self._around = around
        self._prepare, self._given = request, given
        self._pipeline = around.pipeline
        self._middleware = middleware
        self._among: LoopStreams | None = None
        self._fold = Fold(around.limits) if collect else None
        self._partial: PartialJSON | None = None
        self._model_class: Any = None
        self._spool: Spool | None = None
        self._record = _UNOPENED
        self._said: Mapping[str, Any] = {}
        self._stream: Stream[Chunk] | None = None
        self._edge: Edge | None = None
        self._chunks: AsyncGenerator[Chunk, None] | None = None
        # What reads the next chunk. It never raises itself: `anext(stream, None)` of CPython 3.11
        # crashes the interpreter then. Once the stream has ended it is nothing of the stream's,
        # whose memory would wait for the collector.
        self._next = _unopened
        self._ended = self._closed = False
        self._opening: Interruptible | None = None
        self._parsed: Any = None

    async def __aenter__(self) -> Self:
        if self._among is not None or self._closed:
            raise UsageError("this stream was opened before: make a new one for another call")
        self._among = self._around.opened.add(self)
        self._opening = interruptible(self._among.loop)  # by an `aclose` from another task
        failure: PenstockError | None = None
        try:
            with self._opening:
                request, stages = self._ready()
                self._stream = await self._around.provider.open(request)
                self._adopt(self._stream, request, stages)
                self._opening = None  # its task's context may hold the stream
                return self
        except PenstockError as error:
            failure = error
        except BaseException:
            await self._give_up()
            raise
        await self._give_up()
        failure = failure or StreamClosedError("the stream was closed")
        failure.metadata = failure.metadata or self.metadata or None
        try:
            raise presented(failure) from failure.__cause__
        finally:
            del failure  # whose traceback has this frame in it: both would wait for the collector

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:  # Any: as `async def` has them
        return self.aclose()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Chunk]:
        return self._next()

    async def text(self) -> AsyncGenerator[str, None]:
        """Yield the pieces of the first choice's text, and nothing else."""
        async for chunk in self:
            if type(chunk) is TextDelta and chunk.choice == 0:
                yield chunk.text

    async def collect(self) -> Reply:
        """Read what is left and return the whole answer.

        Raises:
            PenstockError: The answer failed, or does not fit the pydantic model that was given.
            UsageError: The stream was opened with ``collect=False``.
        """
        if self._fold is None:
            raise UsageError("this stream keeps nothing: it was opened with collect=False")
        if self._next == self._begin:  # nobody has begun to read: it needs no generator
            await self._drain()
        else:
            async for _ in self:
                pass
        if self._model_class is not None and self._parsed is None:
            try:
                self._parsed = parse(self.response, self._model_class)
            except PenstockError as error:
                failure = error
            else:
                return self.response
            failure.attempts, failure.metadata = self.attempts, self.metadata or None
            raise presented(failure)
        return self.response

    async def aclose(self) -> None:
        """Cut the connection if the answer has not ended, and let go of everything.

        Idempotent, from any task: a read that is pending elsewhere raises `StreamClosedError`, and
        so does every later one.
        """
        self._closed = True
        if self._stream is None and self._opening is not None:
            self._opening.cancel()
        if not self._ended:
            self._end(StreamClosedError("the stream was closed"))
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            # A caller who is cancelled while the wire closes still leaves no generator behind.
            if self._edge is not None:
                await self._edge.aclose()
            # One that is being read is left to its reader, whose read raises.
            if self._chunks is not None and not getattr(self._chunks, "ag_running", False):
                await self._chunks.aclose()

    @property
    def response(self) -> Reply:
        """The answer as far as it has come.

        Raises:
            UsageError: The stream was opened with ``collect=False``.
        """
        if self._fold is None:
            raise UsageError("this stream keeps nothing: it was opened with collect=False")
        reply = self._fold.reply(self._record)
        if self._parsed is not None:
            reply.parsed = self._parsed
        return reply

    @property
    def metadata(self) -> dict[str, Any]:
        """The caller's own mapping."""
        return dict(self._record.metadata or self._said)

    @property
    def partial(self) -> Any:  # Any: JSON of any shape
        """The value that the first choice's text amounts to so far, where it is JSON; else None.

        For structured output: unfinished strings count as far as they have come, unfinished names
        and numbers are left out. Texts above 1024 characters are looked at again when they have
        grown by a sixteenth, and at their end, so that all the work is linear in the text.

        Raises:
            UsageError: The stream was opened with ``collect=False``.
        """
        if self._fold is None:
            raise UsageError("this stream keeps nothing: it was opened with collect=False")
        if self._partial is None:
            self._partial = PartialJSON(max_size=self._around.limits.max_answer, name="max_answer")
            self._partial.feed(self._fold.text)
            if self._ended:
                self._partial.finish()
        return self._partial.value

    def _ready(self) -> tuple[ChatRequest, list[Stage[Chunk]]]:
        """Return the request, and what runs over the batches of its answer."""
        request, self._model_class = self._prepare(*self._given)
        self._said = request.metadata
        if isinstance(request.messages, Spool):
            self._spool = request.messages
        if self._fold is not None and request.params and request.media:
            self._fold = Fold(media_limits(self._around.limits, media=True))
        if self._middleware:
            self._pipeline = self._pipeline.extended(self._middleware)
        return request, self._pipeline.stages()

    def _adopt(
        self, stream: Stream[Chunk], request: ChatRequest, stages: list[Stage[Chunk]]
    ) -> None:
        """Take `stream` as this answer, with the caller's middleware around it."""
        if self._closed:  # by another task, meanwhile
            raise StreamClosedError("the stream was closed")
        self._record = stream.record
        stream.stages += stages
        self._read = stream.read
        if self._pipeline.steps:
            self._edge = self._pipeline.edge(_items(stream))
            self._read = partial(_one, self._edge.chunks)
        self._next = self._begin
        logs.opened(stream, request)

    async def _give_up(self) -> None:
        """Keep nothing of a call that could not begin."""
        self._opening = None
        self._let_go()
        if self._stream is not None:  # but the caller's middleware, or another task, was against it
            await self._stream.aclose()

    def _begin(self) -> Awaitable[Chunk]:
        """Begin to hand out what is read."""
        self._chunks = self._each()
        self._next = self._chunks.__anext__
        return self._next()

    async def _each(self) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of every batch, each folded with its batch."""
        more, fold = self._next, self._fold
        failure: BaseException | None = None
        while failure is None:
            batch: list[Chunk] = []
            self._next = _second_reader
            try:
                batch = await self._read()
                if fold is not None:
                    fold.add(batch)
                if self._partial is not None:
                    _feed(self._partial, batch)
            except BaseException as error:  # a cancelled read too is the end of the stream
                failure = error
            else:
                if not batch:
                    self._end(None)
                    return
            if not self._ended:  # by an `aclose` in the meantime
                self._next = more
            # Also where it was too much to fold: what is complete is not lost with the error.
            for chunk in batch:
                yield chunk
        try:
            raise self._failed(failure) from failure.__cause__
        finally:
            del failure  # as above

    async def _drain(self) -> None:
        """Fold all of a stream that nobody has begun to read."""
        fold = self._fold
        assert fold is not None  # `collect` has asked
        self._next = _second_reader
        failure: BaseException
        try:
            while batch := await self._read():
                fold.add(batch)
                if self._partial is not None:
                    _feed(self._partial, batch)
        except BaseException as error:  # as above
            failure = error
        else:
            self._end(None)
            return
        try:
            raise self._failed(failure) from failure.__cause__
        finally:
            del failure  # as above

    def _failed(self, error: BaseException) -> BaseException:
        """Return what the reader gets for `error`, and every later read."""
        if not isinstance(error, Exception):
            self._end(StreamClosedError("the stream ended when its reader was cancelled"))
            return error
        self._end(error)
        if not isinstance(error, PenstockError):  # a middleware's own, unchanged
            return error
        error.committed = True
        error.attempts = error.attempts or tuple(self._record.attempts)
        if self._fold is not None and not isinstance(error, StreamClosedError):
            error.partial = replace(self._fold.reply(self._record), command=None)
        return presented(error)

    def _end(self, why: Exception | None) -> None:
        """Note that no more chunks come: at the answer's end, or as every later read will say."""
        self._ended = True
        self._next = _over if why is None else partial(_raise, why)
        if self._partial is not None:
            self._partial.finish()
        self._let_go()

    def _let_go(self) -> None:
        if self._among is not None:
            self._among.streams.discard(self)
        if self._spool is not None:
            self._spool.close()
            self._spool = None


# A call of ours for each chunk would cost a fifth of the chunk. So the interpreter, which looks on
# the type for ``__anext__``, finds the slot there, and calls what is in it.
ChatStream.__anext__ = ChatStream.__dict__["_next"]  # type: ignore[method-assign]


async def _raise(error: BaseException) -> Chunk:
    raise error


async def _over() -> Chunk:
    raise StopAsyncIteration


def _unopened() -> Awaitable[Chunk]:
    return _raise(UsageError("open the stream first: async with client.stream(...) as stream"))


def _second_reader() -> Awaitable[Chunk]:
    return _raise(UsageError("two tasks read one stream; use penstock.pipeline.tee"))


async def _one(chunks: AsyncGenerator[Chunk, None]) -> list[Chunk]:
    """Return the next of `chunks` as a batch; empty at their end."""
    chunk = await anext(chunks, None)
    return [] if chunk is None else [chunk]


def _feed(partial: PartialJSON, batch: list[Chunk]) -> None:
    texts = [each.text for each in batch if type(each) is TextDelta and each.choice == 0]
    if texts:
        partial.feed("".join(texts))


async def _items(stream: Stream[Chunk]) -> AsyncGenerator[Chunk, None]:
    while batch := await stream.read():
        for chunk in batch:
            yield chunk
