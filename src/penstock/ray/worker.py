"""What runs on an actor of a pool: a provider, and the answers that are open on it."""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import ray
from ray import cloudpickle

from penstock.client import Client
from penstock.errors import InternalError, StreamClosedError
from penstock.interfaces import CallRecord

if TYPE_CHECKING:
    from penstock.interfaces import Provider, Stream
    from penstock.request import Request

__all__ = ["Opened", "Piece", "Worker", "aged", "young"]

# The items of an answer.
Item: TypeAlias = Any

_UNKNOWN = 1000
"""Answers that are remembered as closed before they were begun."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one read gave."""

    items: list[Item]
    """Items, none at the end."""
    error: Exception | None = None
    """What ended the answer instead."""
    record: CallRecord | None = None
    """The call at its end; None before it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening gave."""

    record: CallRecord | None = None
    """The call; None where there is no answer."""
    error: Exception | None = None
    """Why there is none."""


class Worker:
    """Answers for a `penstock.ray.ActorPool`; its methods are called by id of the answer.

    An answer is read as its reader asks: what nobody asked for stays in the kernel, or with the
    peer.

    Args:
        provider: A provider that pickles, a client, or a function that returns one of them.
    """

    def __init__(self, provider: Provider | Client | Callable[[], Provider | Client]) -> None:
        made: Any = provider if hasattr(provider, "open") else None  # Any: either
        if made is None and not isinstance(provider, Client):
            provider = provider()  # type: ignore[operator]  # it is no provider
        self._owner: Any = provider  # Any: what is closed, if it can be
        self._provider: Provider = (
            provider.provider if isinstance(provider, Client) else provider  # type: ignore[assignment]  # now it is one
        )
        self._opening: dict[str, asyncio.Task[Stream[Item]]] = {}
        self._streams: dict[str, Stream[Item]] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()

    @ray.method(max_task_retries=-1)
    async def ready(self) -> int:
        """Return how many answers are open; asked again where the actor is being started anew."""
        return len(self._opening) + len(self._streams)

    async def open(self, id: str, data: bytes, age: float | None) -> Opened:
        """Open the answer to a request, which is a pickle."""
        if id in self._closed:  # its reader is gone already
            return Opened(error=StreamClosedError("the stream was closed"))
        request = aged(cloudpickle.loads(data), age)
        task = asyncio.ensure_future(self._provider.open(request))
        self._opening[id] = task
        try:
            stream = await task
        except asyncio.CancelledError:
            return Opened(error=StreamClosedError("the stream was closed"))
        except Exception as error:
            return Opened(error=_sendable(error))
        finally:
            del self._opening[id]
        if id in self._closed:
            await stream.aclose()
            return Opened(error=StreamClosedError("the stream was closed"))
        self._streams[id] = stream
        return Opened(_sent(stream.record))

    async def read(self, id: str) -> Piece:
        """Return what the next read of an answer gives; after its end the answer is closed."""
        stream = self._streams.get(id)
        if stream is None:
            return Piece([], StreamClosedError("the stream was closed, or its actor restarted"))
        try:
            items, error = await stream.read(), None
        except Exception as failure:
            items, error = [], _sendable(failure)
        if items:
            return Piece(items)
        await self._let_go(id)
        return Piece([], error, _sent(stream.record))

    async def aclose(self, id: str) -> None:
        """Close an answer, opened or not, wherever it is."""
        self._closed[id] = None
        while len(self._closed) > _UNKNOWN:
            self._closed.popitem(last=False)
        task = self._opening.get(id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._let_go(id)

    async def end(self) -> None:
        """Close everything."""
        for id in [*self._opening, *self._streams]:
            await self.aclose(id)
        close = getattr(self._owner, "aclose", None)
        if close is not None:
            await close()

    async def _let_go(self, id: str) -> None:
        stream = self._streams.pop(id, None)
        if stream is not None:
            await stream.aclose()


def young(request: Request[Item]) -> tuple[Request[Item], float | None]:
    """Return a request without the time of its beginning, and its age in seconds.

    Clocks of two machines have nothing in common.
    """
    if request.started is None:
        return request, None
    return msgspec.structs.replace(request, started=None), monotonic() - request.started


def aged(request: Request[Item], age: float | None) -> Request[Item]:
    """Return a request that began `age` seconds ago."""
    if age is None:
        return request
    return msgspec.structs.replace(request, started=monotonic() - age)


def _sent(record: CallRecord) -> CallRecord:
    """Return a record as it travels: what it can tell only here is told now."""
    sent = copy(record)
    sent.prompt_changed_at, sent.buffered = _Told(record.prompt_changed_at()), int
    return sent


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer that is known."""

    value: int | None

    def __call__(self) -> int | None:
        return self.value


def _sendable(error: Exception) -> Exception:
    """Return `error`, or what can be said of one that does not pickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does in a pickle
        return InternalError(f"{type(error).__name__} on an actor, which does not pickle: {error}")
    return error
