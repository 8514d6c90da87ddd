"""A provider whose answers are made on actors, and come back as they are read."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Unpack, cast

import ray

from penstock.calls import chat_request
from penstock.errors import (
    ConfigurationError,
    PoolError,
    StreamClosedError,
    UsageError,
)
from penstock.limits import Limits
from penstock.pipeline.composition import compose
from penstock.pipeline.stream import BatchStream
from penstock.ray.source import RemoteSource, future_of, result_of
from penstock.ray.worker import Worker
from penstock.stats import OpenStreams
from penstock.stream import ChatStream, Surroundings

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.calls import CallOptions
    from penstock.client import Client
    from penstock.interfaces import Middleware, Provider, Stream
    from penstock.messages import Messages
    from penstock.request import ItemT, Request
    from penstock.response import Reply

__all__ = ["ActorPool"]

# Handles and futures of Ray's, the items of an answer.
Value: TypeAlias = Any

_ROOM = ("resources", "num_cpus", "num_gpus", "memory")
"""The options that take room; others may hold keys, such as ``runtime_env``."""
_CALLS = 10_000
"""Calls at once on one actor, far more than it has answers."""
_END = 10.0
"""Seconds that an actor has to close what is open on it."""


class ActorPool:
    """A `penstock.interfaces.Provider` on a pool of actors; needs asyncio.

        async with ActorPool(agents.claude_code(), size=4, resources={"claude_creds": 1}) as pool:
            reply = await pool.chat("claude-code", "What is in this folder?")

    The actor with the fewest open answers takes the next. An answer travels as it is read, a read
    of the network at a time, and closing or cancelling it closes it on its actor. Where an actor
    dies its answers are errors, which are neither retried nor asked elsewhere: the prompt may have
    been paid for. Ray starts the actor anew for the next ones.

    A pool pickles, with its actors: tasks that it is sent to use the same ones, for as long as the
    pool that began them is open.

    Args:
        provider: What answers: a provider that pickles, such as a coding agent; a `Client`; or a
            function that makes one of them on the actor.
        size: How many actors there are.
        resources: What each actor takes while the pool is open, such as a slot of credentials.
        max_streams: Answers that are open at once on one actor; more wait as long as the clock
            ``pool`` says.
        start_timeout: Seconds for an actor to be there; it waits until the cluster has room.
        options: More of Ray's options for actors.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    def __init__(
        self,
        provider: Provider | Client | Callable[[], Provider | Client],
        *,
        size: int = 2,
        resources: Mapping[str, float] | None = None,
        max_streams: int = 100,
        start_timeout: float = 60.0,
        **options: Value,
    ) -> None:
        for name, number in (("size", size), ("max_streams", max_streams)):
            if number < 1:
                raise ConfigurationError(f"ActorPool.{name} must be 1 or more", param=name)
        self._provider = provider
        self._size, self._max_streams = size, max_streams
        self._start_timeout = start_timeout
        self._options = {"resources": dict(resources or {}), **options}
        self._owner = True
        self._begin([])

    def _begin(self, actors: list[Value]) -> None:
        self._actors = actors
        self._open = [0] * self._size
        self._known: set[int] = set()
        self._places: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self._around = Surroundings(self, compose(), Limits(), OpenStreams())
        self._closed = False

    def __getstate__(self) -> dict[str, Value]:
        if self._closed:
            raise StreamClosedError("the pool is closed: make a new one")
        self._start()
        kept = ("_size", "_max_streams", "_start_timeout", "_actors")
        # The actors have begun: of the options only those are needed that an error names.
        room = {name: self._options[name] for name in _ROOM if name in self._options}
        return {"_options": room, **{name: getattr(self, name) for name in kept}}

    def __setstate__(self, state: dict[str, Value]) -> None:
        self.__dict__.update(state)
        self._provider, self._owner = cast("Any", None), False  # Any: its actors are there
        self._begin(state["_actors"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def open_streams(self) -> list[int]:
        """How many answers of this process's are open, by actor."""
        return list(self._open)

    def stream(
        self,
        model: str,
        messages: Messages | None = None,
        *,
        middleware: tuple[Middleware, ...] = (),
        collect: bool = True,
        **options: Unpack[CallOptions],
    ) -> ChatStream:
        """Return the answer to `messages` as a stream; as `penstock.Client.stream`.

        `middleware` runs here, and so do the bounds on what is folded.
        """
        return ChatStream(
            self._around,
            chat_request,
            (model, messages, options),
            middleware=middleware,
            collect=collect,
        )

    async def chat(
        self, model: str, messages: Messages | None = None, **options: Unpack[CallOptions]
    ) -> Reply:
        """Return the whole answer to `messages`; as `penstock.Client.chat`."""
        stream = self.stream(model, messages, **options)
        # A traceback that shows locals must not show the conversation (fault matrix, 39).
        del messages, options
        async with stream:
            return await stream.collect()

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Open an answer on an actor; return when its first content is there.

        Raises:
            PenstockError: There is no answer, or it is an error.
            UsageError: The request does not pickle.
        """
        if asyncio._get_running_loop() is None:
            raise UsageError("an actor pool needs asyncio")
        if self._closed:
            raise StreamClosedError("the pool is closed: make a new one")
        place = await self._place(request)
        try:
            at = self._free()
        except BaseException:
            place.release()
            raise
        self._open[at] += 1
        actor = self._actors[at]

        def left() -> None:
            self._open[at] -= 1
            place.release()

        source = RemoteSource(actor, left, gone=lambda: self._known.discard(at))
        try:
            await self._there(at, actor)
            record = await source.open(request)
        except BaseException as error:
            source.abort()
            if isinstance(error, Exception):  # a cancelled caller waits for nobody
                await source.aclose()
            raise
        return BatchStream(source, record)

    async def aclose(self) -> None:
        """Close what is open on the actors, and end them where this pool began them; idempotent."""
        self._closed = True
        await self._around.opened.abort()
        actors, self._actors = self._actors, []
        if not self._owner:
            return
        ends = [future_of(actors[at].end.remote()) for at in self._known]
        if ends:
            await asyncio.wait(ends, timeout=_END)  # one that died before has ended, too
        self._known.clear()
        for actor in actors:
            ray.kill(actor)

    def _start(self) -> None:
        """Begin the actors, without waiting for them."""
        if not self._actors and not self._closed:
            options = {
                # No call that closes an answer waits behind reads. A concurrency group of their
                # own would not do: Ray gives each an event loop of its own.
                "max_concurrency": _CALLS,
                "num_cpus": 0,  # they wait; what they start is bounded by `size`
                "max_restarts": -1,
                **self._options,
                "max_task_retries": 0,  # no prompt is asked again
            }
            try:
                made = ray.remote(Worker).options(**options)
                self._actors = [made.remote(self._provider) for _ in range(self._size)]
            except (ValueError, TypeError, pickle.PicklingError) as error:
                self._actors = []
                raise ConfigurationError(f"Ray cannot begin the actors: {error}") from error

    async def _there(self, at: int, actor: Value) -> None:
        """Wait until an actor has begun."""
        if at in self._known:
            return
        ready = future_of(actor.ready.remote())
        await asyncio.wait([ready], timeout=self._start_timeout)
        if not ready.done():
            asked = {n: self._options[n] for n in _ROOM if n in self._options}
            raise PoolError(
                f"the cluster has had no room for an actor in {self._start_timeout:g} s: it asks "
                f"for {asked}",
                phase="pool",
                limit=self._start_timeout,
            )
        result_of(ready)
        self._known.add(at)

    async def _place(self, request: Request[ItemT]) -> asyncio.Semaphore:
        """Wait until there is a place for one more answer."""
        loop = asyncio.get_running_loop()
        if loop not in self._places:
            self._places = {each: s for each, s in self._places.items() if not each.is_closed()}
            self._places[loop] = asyncio.Semaphore(self._size * self._max_streams)
        places = self._places[loop]
        patience = 30.0 if request.timeouts is None else request.timeouts.pool
        try:
            async with asyncio.timeout(patience):
                await places.acquire()
        except TimeoutError:
            raise PoolError(
                f"no actor had a place for an answer in {patience:g} s: "
                f"{self._size} actors take {self._max_streams} each",
                phase="pool",
                limit=patience,
            ) from None
        return places

    def _free(self) -> int:
        """Return the number of the actor with the fewest answers."""
        self._start()
        return min(range(self._size), key=self._open.__getitem__)
