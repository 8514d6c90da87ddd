"""The messages of a conversation, so that each pass over them is told apart from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.fields import Slices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["told"]

# A conversation as in `penstock.messages.Messages`, or one that is kept as JSON.
Json: TypeAlias = Any


def told(messages: Json, begin: Callable[[], None]) -> Json:
    """Return `messages` so that `begin` is called whenever a pass over them begins.

    A list or tuple is given back as it is: the encoder knows how to take several of its items at
    once. So are iterators, which have one pass in them, and what is no source of messages.
    """
    if isinstance(messages, (list, tuple, Slices)):
        return messages
    if hasattr(messages, "__next__") or hasattr(messages, "__anext__"):
        return messages
    if hasattr(messages, "__aiter__"):
        return _AsyncPasses(messages, begin)
    if hasattr(messages, "__iter__"):
        return _Passes(messages, begin)
    return _called(messages, begin) if callable(messages) else messages


class _Passes:
    """An iterable that tells when a pass begins."""

    def __init__(self, items: Iterable[Json], begin: Callable[[], None]) -> None:
        self._items = items
        self._begin = begin

    def __iter__(self) -> Iterator[Json]:
        self._begin()
        return iter(self._items)


class _AsyncPasses:
    """The same for an async iterable."""

    def __init__(self, items: Json, begin: Callable[[], None]) -> None:
        self._items = items
        self._begin = begin

    def __aiter__(self) -> AsyncIterator[Json]:
        self._begin()
        return self._items.__aiter__()  # type: ignore[no-any-return]  # the caller's own iterable


def _called(supply: Callable[[], Json], begin: Callable[[], None]) -> Callable[[], Json]:
    def supplied() -> Json:
        begin()
        return supply()

    return supplied
