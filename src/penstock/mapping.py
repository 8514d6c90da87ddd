"""Many calls at once, in memory that does not grow with their number."""

from __future__ import annotations

from asyncio import FIRST_COMPLETED, Task, create_task, wait
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError, UsageError

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
    error: PenstockError | None = None
    """What went wrong instead."""


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
    """
    if concurrency < 1:
        raise UsageError(f"concurrency must be 1 or more, not {concurrency}", param="concurrency")
    source = _numbered(requests)
    window: deque[Task[MapResult]] = deque()
    try:
        more = True
        while more or window:
            while more and len(window) < concurrency:
                item = await anext(source, None)
                if item is None:
                    more = False
                else:
                    window.append(create_task(_answer(chat, *item)))
            if window:
                task = await _next(window, ordered=ordered)
                yield task.result()
    finally:
        for task in window:
            task.cancel()
        if window:
            await wait(window)


async def _next(window: deque[Task[MapResult]], *, ordered: bool) -> Task[MapResult]:
    """Take the first task, or the first that is ready, out of `window`."""
    await wait([window[0]] if ordered else window, return_when=FIRST_COMPLETED)
    task = window[0] if ordered else next(task for task in window if task.done())
    window.remove(task)
    return task


async def _answer(
    chat: Callable[..., Awaitable[Reply]], index: int, arguments: Mapping[str, Any]
) -> MapResult:
    try:
        return MapResult(index, reply=await chat(**arguments))
    except PenstockError as error:
        return MapResult(index, error=error)


async def _numbered(
    requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
) -> AsyncIterator[tuple[int, Mapping[str, Any]]]:
    at = 0
    if hasattr(requests, "__aiter__"):
        async for request in requests:
            yield at, request
            at += 1
    else:
        for request in requests:
            yield at, request
            at += 1
