"""Chunks as server-sent events in the OpenAI shape: an answer re-streamed to one's own clients.

async def events() -> AsyncIterator[bytes]:
    async with client.stream(model, messages) as stream:
        async for data in penstock.sse.encode(stream):
            yield data

return StreamingResponse(events(), media_type=penstock.sse.MEDIA_TYPE)
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec

from penstock.chunks import Chunk, Meta, ProviderEvent
from penstock.errors import (
    AuthenticationError,
    BillingError,
    InvalidRequestError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
)
from penstock.pipeline.ahead import Ahead, News

__all__ = ["MEDIA_TYPE", "encode", "error_event", "event"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

MEDIA_TYPE = "text/event-stream"
"""The ``Content-Type`` of what `encode` yields."""

_PING = b": keep-alive\n\n"
"""A comment, which every client ignores (WHATWG HTML, section 9.2.6)."""

_AHEAD = 64 * 1024
"""Bytes that are encoded ahead of a client that does not take them."""

_TYPES: tuple[tuple[type[PenstockError], str], ...] = (
    (RateLimitError, "rate_limit_error"),
    (BillingError, "insufficient_quota"),
    (PermissionDeniedError, "permission_error"),
    (AuthenticationError, "authentication_error"),
    (NotFoundError, "not_found_error"),
    (InvalidRequestError, "invalid_request_error"),
)
"""OpenAI's ``error.type`` for what is not a ``server_error`` (platform.openai.com/docs/guides/
error-codes)."""


async def encode(
    stream: AsyncIterable[Chunk],
    *,
    keep_alive: float | None = 15.0,
    id: str = "",
    created: int = 0,
    model: str = "",
) -> AsyncGenerator[bytes, None]:
    """Yield `stream` as server-sent events, several at once where several are ready.

    Each chunk is one ``chat.completion.chunk`` with one choice; all have the same id, time and
    model: those given here, else the answer's own, else ones made up. After `keep_alive` seconds
    without an event there is a comment, so that no proxy on the way takes the silence of a thinking
    model for a dead connection (rows 4 and 7 of the fault matrix). The last event is ``[DONE]``.

    An answer that fails ends with an error event, as OpenAI's do, and without ``[DONE]``: a client
    must not take it for a whole one. A `PenstockError` goes no further, its message has no secrets;
    of any other exception the client is told nothing, and it is raised after the event.

    `stream` is read by a task of this generator's own, at most 64 KiB ahead, but not closed: that
    is for whoever opened it. Close the generator, as Starlette does when its client goes away.

    Args:
        stream: Chunks, from `penstock.Client.stream` or anything else that has them.
        keep_alive: Seconds of silence before a comment; None for no comments and no task, which is
            also the form that runs without asyncio.
        id: The answer's id.
        created: When the answer was made, Unix time in seconds.
        model: The model's name.

    Raises:
        UsageError: There is no asyncio, and `keep_alive` is not None.
        Exception: What ended `stream`, unless it is a `PenstockError`.
    """
    events = _Events(id, created, model)
    ahead = None if keep_alive is None else _Buffer(aiter(stream), events, keep_alive)
    failure: Exception | None = None
    try:
        if ahead is None:
            async for chunk in stream:
                if data := events.of(chunk):
                    yield data
        else:
            while data := await ahead.next():
                yield data
    except Exception as error:  # the last event says so, and raises what is not ours
        failure = error
    finally:
        if ahead is not None:
            await ahead.aclose()
    if failure is None:
        yield b"data: [DONE]\n\n"
        return
    yield event(error_event(failure))
    if not isinstance(failure, PenstockError):
        raise failure


def event(value: Json) -> bytes:
    """Return `value` as one event: its JSON on one line."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can say
        data = json.dumps(value, separators=(",", ":")).encode()
    return b"data: " + data + b"\n\n"


def error_event(error: BaseException) -> dict[str, Json]:
    """Return `error` in the OpenAI shape; of what is no `PenstockError`, only that it happened."""
    if not isinstance(error, PenstockError):
        return _error("the server failed", "server_error", "internal", None)
    kind = next((kind for each, kind in _TYPES if isinstance(error, each)), "server_error")
    return _error(error.message or error.kind, kind, error.code or error.kind, error.param)


def _error(message: str, kind: str, code: str, param: str | None) -> dict[str, Json]:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


class _Events:
    """Chunks to events of one answer."""

    def __init__(self, id: str, created: int, model: str) -> None:
        self._id = id
        self._created = created
        self._model = model

    def of(self, chunk: Chunk) -> bytes:
        """The event of `chunk`; nothing for what has no place in the OpenAI shape."""
        if isinstance(chunk, Meta):
            self._learn(chunk)
        elif isinstance(chunk, ProviderEvent) and chunk.name not in ("delta", "choice", "chunk"):
            return b""
        self._id = self._id or f"chatcmpl-{uuid4().hex}"
        self._created = self._created or int(time.time())
        value = chunk.to_openai(id=self._id, created=self._created, model=self._model)
        value.update(id=self._id, created=self._created, model=self._model)
        return event(value)

    def _learn(self, chunk: Meta) -> None:
        """Take the answer's own names, once: clients key what they keep by the id."""
        self._id = self._id or chunk.id
        self._created = self._created or chunk.created
        self._model = self._model or chunk.model


class _Buffer:
    """Events that are ready, while more are read."""

    def __init__(self, stream: AsyncIterator[Chunk], events: _Events, keep_alive: float) -> None:
        self._events = events
        self._keep_alive = keep_alive
        self._ready = bytearray()
        self._ahead = Ahead(stream, self._put)

    async def next(self) -> bytes:
        """What is ready; a comment after `keep_alive` seconds; nothing at the end."""
        until = self._ahead.now() + self._keep_alive
        while not self._ready:
            if self._ahead.ended:
                self._ahead.check()
                return b""
            if not await self._ahead.wait(until) and not self._ready:
                return _PING
        data = bytes(self._ready)
        self._ready.clear()
        self._ahead.more()
        return data

    async def aclose(self) -> None:
        """Stop reading."""
        await self._ahead.aclose()

    def _put(self, chunk: Chunk) -> News:
        self._ready += self._events.of(chunk)
        return "enough" if len(self._ready) >= _AHEAD else "something"
