"""Many calls at once, in memory that does not grow with their number."""

from __future__ import annotations

from asyncio import Event, Task, _get_running_loop, create_task, wait
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable

    from penstock.response import Reply

__all__ = ["MapResult", "map_calls"]


@dataclass(frozen=True, slots=True)
class MapResult:
    """What became of one request."""

    index: int
    """Its place among the requests, from 0."""
    reply: Reply | None = None
    """The answer."""
    error: Exception | None = None
    """What went wrong instead: a `PenstockError`, or what the caller's own code raised."""


async def map_calls(
    chat: Callable[..., Awaitable[Reply]],
    requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    concurrency: int,
    ordered: bool,
) -> AsyncGenerator[MapResult, None]:
    """Yield a result for each of `requests`; at most `concurrency` are begun and not yet taken.

    Closing the generator cancels what is under way. It needs asyncio: plain tasks, as no task
    group or cancel scope may be held across a ``yield``.

    Raises:
        UsageError: `concurrency` is below 1, or there is no asyncio.
        Exception: What `requests` raised, or a call that is no `PenstockError`.
    """
    if concurrency < 1:
        raise UsageError(f"concurrency must be 1 or more, not {concurrency}", param="concurrency")
    if _get_running_loop() is None:
        raise UsageError("map needs asyncio: on trio, start each call in a nursery of yours")
    window = _Window(chat, _numbered(requests), concurrency=concurrency, ordered=ordered)
    try:
        while task := await window.next():
            yield task.result()
    finally:
        await window.aclose()


class _Window:
    """The calls that are begun and not yet taken; each is looked at once, however many there are.

    The next request is waited for in a task of its own, so that a slow source of requests does not
    hold back the results of those before.
    """

    def __init__(
        self,
        chat: Callable[..., Awaitable[Reply]],
        source: AsyncGenerator[tuple[int, Mapping[str, Any]], None],
        *,
        concurrency: int,
        ordered: bool,
    ) -> None:
        self._chat = chat
        self._source = source
        self._concurrency = concurrency
        self._ordered = ordered
        self._calls: dict[Task[MapResult], None] = {}
        self._ready: deque[Task[MapResult]] = deque()
        self._pulling: Task[tuple[int, Mapping[str, Any]] | None] | None = None
        self._more = True
        self._news = Event()

    async def next(self) -> Task[MapResult] | None:
        """Take the first call, or the first that is ready; None where there are no more."""
        while True:
            self._fill()
            task = self._first()
            if task is not None:
                del self._calls[task]
                return task
            if not self._more and not self._calls:
                return None
            self._news.clear()
            await self._news.wait()

    async def aclose(self) -> None:
        """Cancel what is under way, and wait for it."""
        left = [*self._calls, *([self._pulling] if self._pulling else [])]
        for task in left:
            task.cancel()
        if left:
            await wait(left)
        await self._source.aclose()

    def _fill(self) -> None:
        """Begin the call whose request has come, and ask for the next where there is room."""
        if self._pulling is not None and self._pulling.done():
            item, self._pulling = self._pulling.result(), None
            if item is None:
                self._more = False
            else:
                call = create_task(_answer(self._chat, *item))
                self._calls[call] = None
                call.add_done_callback(self._done)
        if self._more and self._pulling is None and len(self._calls) < self._concurrency:
            self._pulling = create_task(_pull(self._source))
            self._pulling.add_done_callback(self._pulled)

    def _first(self) -> Task[MapResult] | None:
        if not self._ordered:
            return self._ready.popleft() if self._ready else None
        first = next(iter(self._calls), None)
        return first if first is not None and first.done() else None

    def _done(self, task: Task[MapResult]) -> None:
        if not self._ordered:
            self._ready.append(task)
        self._news.set()

    def _pulled(self, task: Task[tuple[int, Mapping[str, Any]] | None]) -> None:
        self._news.set()


async def _pull(
    source: AsyncGenerator[tuple[int, Mapping[str, Any]], None],
) -> tuple[int, Mapping[str, Any]] | None:
    return await anext(source, None)


async def _answer(
    chat: Callable[..., Awaitable[Reply]], index: int, arguments: Mapping[str, Any]
) -> MapResult:
    try:
        if not isinstance(arguments, Mapping) or not all(isinstance(n, str) for n in arguments):
            raise UsageError(
                f"request {index} of map must be a mapping of chat's arguments, not "
                f"{type(arguments).__name__}"
            )
        return MapResult(index, reply=await chat(**arguments))
    except Exception as error:
        # The arguments stand in this frame, and an error that is kept must not keep or show them.
        return MapResult(index, error=error.with_traceback(None))


async def _numbered(
    requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]:
    at = 0
    if hasattr(requests, "__aiter__"):
        async for request in requests:
            yield at, request
            at += 1
    else:
        for request in requests:
            yield at, request
            at += 1
