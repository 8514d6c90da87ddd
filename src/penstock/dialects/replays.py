"""A conversation as a source of what a pass over it makes, read as often as it can be itself.

A pass takes its messages one at a time, as the encoder gets to them, whether they are ready or
awaited: both drive the same steps.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from penstock.dialects.texts import grouped
from penstock.errors import UsageError
from penstock.fields import let_go

if TYPE_CHECKING:
    from penstock.fields import Kept

__all__ = [
    "END",
    "NEXT",
    "Pass",
    "Steps",
    "driven",
    "driven_async",
    "replayed",
    "replayed_kept",
]

# JSON of the OpenAI shape as the caller gives it, or of the vendor's.
Json: TypeAlias = Any
Steps: TypeAlias = "Generator[Any, Any, None]"
"""What a pass makes, with `NEXT` wherever it needs the next message; `END` is the end of them."""

NEXT: Final = object()
END: Final = object()


class Pass(Protocol):
    """One pass over a conversation, for which its messages may be ready or awaited."""

    def over(self, messages: Iterator[Json], /) -> Iterator[Json]:
        """Return what `messages` become."""
        ...

    def over_async(self, messages: AsyncIterator[Json], /) -> AsyncIterator[Json]:
        """Return what async `messages` become."""
        ...


def replayed(messages: Json, begun: Callable[[], Pass]) -> Json:
    """Return a source that can be read as often as `messages`, and is as ready.

    Args:
        messages: A conversation as in `penstock.messages.Messages`, but no str.
        begun: Begins a pass over it; what that yields are the source's items.
    """
    if isinstance(messages, Iterator):
        return begun().over(messages)
    if isinstance(messages, AsyncIterator):
        return begun().over_async(messages)
    if isinstance(messages, AsyncIterable):
        return _AsyncEntries(messages, begun)
    if isinstance(messages, (list, tuple)):
        return _Entries(_Listed(messages), begun)
    if isinstance(messages, Iterable):
        return _Entries(messages, begun)

    def called() -> Json:
        supplied = messages()
        if isinstance(supplied, AsyncIterable):
            return begun().over_async(aiter(supplied))
        return begun().over(iter(supplied))

    return called


def replayed_kept(messages: Kept, begun: Callable[[], Pass]) -> AsyncIterable[Json]:
    """Return the same for a kept conversation; its passes get `Texts` among the messages."""
    return _KeptEntries(messages, begun)


class _Entries:
    """The entries of a conversation that can be iterated again."""

    def __init__(self, messages: Iterable[Json], begun: Callable[[], Pass]) -> None:
        self._messages = messages
        self._begun = begun

    def __iter__(self) -> Iterator[Json]:
        return self._begun().over(iter(self._messages))


class _Listed:
    """The messages of a list, up to the length that it has when the call begins."""

    def __init__(self, messages: list[Json] | tuple[Json, ...]) -> None:
        self._messages = messages
        self._length = len(messages)

    def __iter__(self) -> Iterator[Json]:
        for index in range(self._length):
            if index >= len(self._messages):
                raise UsageError(
                    f"messages: the list had {self._length} items when the call began and has"
                    f" {len(self._messages)} now; do not take messages out of a list while it is"
                    " sent"
                )
            yield self._messages[index]


class _AsyncEntries:
    """The same for an async iterable."""

    def __init__(self, messages: AsyncIterable[Json], begun: Callable[[], Pass]) -> None:
        self._messages = messages
        self._begun = begun

    def __aiter__(self) -> AsyncIterator[Json]:
        return self._begun().over_async(aiter(self._messages))


class _KeptEntries:
    """The same for one that is kept as JSON."""

    def __init__(self, messages: Kept, begun: Callable[[], Pass]) -> None:
        self._messages = messages
        self._begun = begun

    def __aiter__(self) -> AsyncIterator[Json]:
        return self._begun().over_async(grouped(self._messages))


def driven(steps: Steps, messages: Iterator[Json]) -> Iterator[Json]:
    """Yield what `steps` make of `messages`."""
    given: Json = None
    try:
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                return
            if step is NEXT:
                given = next(messages, END)
            else:
                given = None
                yield step
    finally:
        steps.close()


async def driven_async(
    steps: Steps, messages: AsyncIterator[Json], *, owned: bool = True
) -> AsyncGenerator[Json, None]:
    """Yield what `steps` make of async `messages`, and close those, if they are `owned`."""
    given: Json = None
    try:
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                return
            if step is NEXT:
                try:
                    given = await anext(messages)
                except StopAsyncIteration:
                    given = END
            else:
                given = None
                yield step
    finally:
        steps.close()
        if owned:
            await let_go(messages)
