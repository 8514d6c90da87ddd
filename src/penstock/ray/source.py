"""An answer on an actor, as the source of a stream here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import uuid4

from msgspec.structs import replace
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError

from penstock.errors import PenstockError, StreamClosedError, TransportError, UsageError
from penstock.ray.worker import Opened, Piece, young

if TYPE_CHECKING:
    from penstock.interfaces import CallRecord
    from penstock.request import Request

__all__ = ["RemoteSource", "actor_gone", "future_of", "result_of"]

# Handles and futures of Ray's, the items of an answer.
Value: TypeAlias = Any

_END = 10.0
"""Seconds that closing waits for the actor, which closes it in any case."""


class RemoteSource:
    """A `penstock.pipeline.stream.Source`, read from an actor: nothing is read ahead.

    Args:
        actor: The handle of a `penstock.ray.worker.Worker`.
        left: Is told once that the answer has left the actor.
        gone: Is told that the actor has died.
    """

    def __init__(
        self, actor: Value, left: Callable[[], None], *, gone: Callable[[], object]
    ) -> None:
        self.record: CallRecord | None = None
        """The call; the stream's too, so that its end is seen there."""
        self._actor, self._left, self._gone = actor, left, gone
        self._id = uuid4().hex
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: PenstockError | None = None
        self._ended, self._sent = False, False
        self._closing: asyncio.Future[Value] | None = None
        self.complete = False
        """Whether nothing more comes."""

    async def open(self, request: Request[Value]) -> CallRecord:
        """Open it, and return what is known of the call.

        Raises:
            PenstockError: There is no answer, or it is an error.
            UsageError: The request does not pickle.
        """
        sent, age = young(await _settled(request))
        try:
            # A large conversation takes its time: not on the loop. Ray would do it itself, and
            # print the prompt where that fails.
            data = await asyncio.to_thread(cloudpickle.dumps, sent)
        except Exception as error:  # whatever the caller's own values raise
            self._leave()
            raise UsageError(
                f"the request does not pickle, and cannot be sent to an actor: {error}"
            ) from error
        self._sent = True
        ref = await asyncio.to_thread(self._actor.open.remote, self._id, data, age)
        opened = cast("Opened", await self._answer(ref))
        if opened.error is not None:
            self._leave()
            raise opened.error
        assert opened.record is not None
        self.record = opened.record
        return opened.record

    async def receive(self) -> Piece:
        """Wait for what the next read there gives.

        Raises:
            PenstockError: It was aborted, or the actor is gone.
        """
        if self._error is not None:
            raise self._error
        return cast("Piece", await self._answer(self._actor.read.remote(self._id)))

    def take(self, piece: Piece) -> list[Value]:
        """Return its items.

        Raises:
            Exception: The answer failed.
        """
        if piece.record is not None:
            self._learn(piece.record)
        if not piece.items:
            self.complete = True
            self._leave()
        if piece.error is not None:
            raise piece.error
        return piece.items

    def abort(self, error: PenstockError | None = None) -> None:
        """Close it there; a pending `read` raises `error`."""
        self._error = self._error or error or StreamClosedError("the stream was closed")
        if not self._cut.done():
            self._cut.set_result(None)
        if not self._sent:
            self._leave()
        if not self._ended and self._closing is None:
            self._closing = future_of(self._actor.aclose.remote(self._id))
            self._closing.add_done_callback(lambda _: self._leave())

    async def aclose(self) -> None:
        """Wait until it is closed there."""
        if not self._ended:
            self.abort()
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=_END)

    async def _answer(self, ref: Value) -> Value:
        """Return what the actor answers, unless the answer is cut before."""
        waiting = future_of(ref)
        await asyncio.wait([waiting, self._cut], return_when=asyncio.FIRST_COMPLETED)
        if self._error is not None:
            raise self._error
        try:
            return result_of(waiting)
        except TransportError:
            self._gone()
            self._leave()
            raise

    def _learn(self, told: CallRecord) -> None:
        """Take over how the call stands there; the record is one, and shared."""
        assert self.record is not None
        for name in ("usage", "timings", "attempts", "dropped", "request_id", "status", "raw"):
            setattr(self.record, name, getattr(told, name))
        self.record.prompt_changed_at = told.prompt_changed_at

    def _leave(self) -> None:
        if not self._ended:
            self._ended = True
            self._left()


async def _settled(request: Request[Value]) -> Request[Value]:
    """Return a request whose messages are there, and not behind an iterator or in a file."""
    messages = getattr(request, "messages", ())
    if isinstance(messages, AsyncIterable):
        return replace(request, messages=[each async for each in messages])
    if isinstance(messages, Iterable) and not isinstance(messages, (str, list, tuple)):
        return replace(request, messages=list(messages))
    return request


def result_of(done: asyncio.Future[Value]) -> Value:
    """Return what an actor answered.

    Raises:
        TransportError: It is gone.
        Exception: A fault of ours there.
    """
    try:
        return done.result()
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from error
    except RayError as error:
        raise actor_gone(error) from error


def actor_gone(error: RayError) -> TransportError:
    """Return the error of answers whose actor is gone: nobody knows whether they were made."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return TransportError(
        f"the actor that answers is gone: {type(error).__name__}: {said[0]}",
        code=type(error).__name__,
        retryable=False,
        elsewhere=False,
        peer_fault=False,
    )


def future_of(ref: Value) -> asyncio.Future[Value]:
    """Return a future for `ref`, whose error is no matter where nobody asks."""
    future: asyncio.Future[Value] = asyncio.wrap_future(ref.future())
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
