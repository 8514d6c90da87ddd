"""Pulling the items of an `Each`, whatever its source is, a group at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, TypeAlias, cast

from penstock.errors import UsageError
from penstock.fields import Each, Raw

__all__ = ["AsyncPull", "Pull", "few", "in_memory", "one_shot", "opened"]

# An item is whatever the source holds, and what its translation makes of it.
Item: TypeAlias = Any
Iterators: TypeAlias = "Iterator[Item] | AsyncIterator[Item]"

_MOST_ITEMS = 1024
_LEAST = 32
"""Bytes of the shortest message that is worth a thought: ``{"role":"user","content":""}``."""
_DEPTH = 4
"""Levels that `_weight` looks into; what is deeper is taken for long."""


def one_shot(each: Each) -> bool:
    """Whether the source has only one pass in it: it is its own iterator."""
    return hasattr(each.source, "__next__") or hasattr(each.source, "__anext__")


def in_memory(each: Each) -> bool:
    """Whether the source can be looked through before anything is sent.

    That is what can be iterated again without waiting. A function may read a file or a database
    each time that it is called, so its items are checked as they come.
    """
    return hasattr(each.source, "__iter__") and not one_shot(each)


def opened(each: Each) -> Iterators:
    """Return an iterator over the items.

    Raises:
        UsageError: The source is nothing that can be iterated.
    """
    source: Any = each.source  # Any: what cannot be iterated is found out below
    if callable(source) and not hasattr(source, "__iter__") and not hasattr(source, "__aiter__"):
        source = source()
    if isinstance(source, (str, bytes, dict)):
        raise UsageError(
            f"a conversation is an iterable of messages, not a {type(source).__name__}"
        )
    if hasattr(source, "__aiter__"):
        return cast("AsyncIterator[Item]", aiter(source))
    try:
        return cast("Iterator[Item]", iter(source))
    except TypeError:
        raise UsageError(
            "a conversation is a list, an iterable, an async iterable or a function that returns"
            f" one, not {type(source).__name__}"
        ) from None


class Pull:
    """Takes groups from an iterator: as many items as are not above `size` bytes, roughly."""

    __slots__ = ("_items", "_size", "_translate")

    def __init__(self, items: Iterator[Item], each: Each, size: int) -> None:
        self._items = items
        self._translate = each.translate
        self._size = size

    def group(self) -> list[Item]:
        """Return the next items, translated; none at the end."""
        translate, room = self._translate, self._size
        group: list[Item] = []
        for item in self._items:
            value = item if translate is None else translate(item)
            group.append(value)
            room -= _weight(value, room, _DEPTH)
            if room <= 0 or len(group) == _MOST_ITEMS:
                break
        return group

    def close(self) -> None:
        """Close the iterator, where it is a generator."""
        if isinstance(self._items, Generator):
            self._items.close()


class AsyncPull:
    """The same for an async iterator; the encoder, which cannot wait, leaves `fill` to others."""

    __slots__ = ("_group", "_items", "_size", "_translate")

    def __init__(self, items: AsyncIterator[Item], each: Each, size: int) -> None:
        self._items = items
        self._translate = each.translate
        self._size = size
        self._group: list[Item] = []

    async def fill(self) -> None:
        """Wait for the next items and translate them."""
        translate, room = self._translate, self._size
        group: list[Item] = []
        async for item in self._items:
            value = item if translate is None else translate(item)
            group.append(value)
            room -= _weight(value, room, _DEPTH)
            if room <= 0 or len(group) == _MOST_ITEMS:
                break
        self._group = group

    def take(self) -> list[Item]:
        """Return what the last `fill` brought; none at the end."""
        group, self._group = self._group, []
        return group

    async def aclose(self) -> None:
        """Close the iterator, where it is a generator."""
        if isinstance(self._items, AsyncGenerator):
            await self._items.aclose()


def few(each: Each, size: int) -> list[Item] | None:
    """Return all items of a list, translated; None if there are more than `size` bytes of them."""
    source = each.source
    if not isinstance(source, (list, tuple)) or len(source) * _LEAST > size:
        return None
    if each.translate is None:
        return list(source)
    items = Pull(iter(source), each, size).group()
    return items if len(items) == len(source) else None


def _weight(value: Item, room: int, depth: int) -> int:
    """Return about how many bytes `value` takes; at least `room` where that cannot be told fast."""
    kind = type(value)
    if kind is str:
        return len(value) + 4
    if kind is dict or kind is list:
        weight = 4
        if depth == 0:
            return room
        for each in value.values() if kind is dict else value:
            weight += 8 + (len(each) if type(each) is str else _weight(each, room, depth - 1))
            if weight >= room:
                break
        return weight
    if kind is Raw:
        return len(value.data)
    return 8 if kind in (int, float, bool, type(None)) else room
