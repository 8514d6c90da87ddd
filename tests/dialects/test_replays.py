"""A source reads as often as the conversation that it is made of, and is as ready."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from penstock.dialects.replays import END, NEXT, Steps, driven, driven_async, replayed
from penstock.errors import UsageError

GIVEN = ["a", "b", "c"]


class Counting:
    """A pass that numbers its messages, and says how many there were."""

    def steps(self) -> Steps:
        """Ask for one after the other."""
        number = 0
        while (message := (yield NEXT)) is not END:
            yield number, message
            number += 1
        yield number, "end"

    def over(self, messages: Iterator[Any]) -> Iterator[Any]:
        """Over messages that are there."""
        return driven(self.steps(), messages)

    def over_async(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Over messages that are awaited."""
        return driven_async(self.steps(), messages)


class Awaited:
    """An async iterable of as many passes as are wanted."""

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        for each in GIVEN:
            yield each


async def read(source: Any) -> list[Any]:
    """One pass over `source`."""
    source = source() if callable(source) else source
    return [each async for each in source] if hasattr(source, "__aiter__") else [*source]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("messages", "passes"),
    [
        (lambda: GIVEN, 2),
        (lambda: tuple(GIVEN), 2),
        (lambda: dict.fromkeys(GIVEN), 2),
        (lambda: lambda: iter(GIVEN), 2),
        (lambda: Awaited(), 2),
        (lambda: Awaited, 2),
        (lambda: iter(GIVEN), 1),
        (lambda: aiter(Awaited()), 1),
    ],
    ids=["list", "tuple", "iterable", "function", "async iterable", "async function", "it", "ait"],
)
async def test_each_pass_begins_anew(messages: Callable[[], Any], passes: int) -> None:
    """What can be read again gives the same again; an iterator has one pass in it."""
    source = replayed(messages(), Counting)

    for _ in range(passes):
        assert [(0, "a"), (1, "b"), (2, "c"), (3, "end")] == await read(source)


def test_a_list_has_the_length_that_it_had() -> None:
    """What is added meanwhile is the next call's; what is taken out is missed."""
    messages = [*GIVEN]
    source = replayed(messages, Counting)
    messages.append("d")
    grown = [*source]
    del messages[2:]

    assert [(0, "a"), (1, "b"), (2, "c"), (3, "end")] == grown
    with pytest.raises(UsageError, match="the list had 3 items when the call began and has 2 now"):
        list(source)


@pytest.mark.asyncio
@pytest.mark.parametrize("owned", [True, False])
async def test_a_pass_that_is_left_closes_what_it_owns(owned: bool) -> None:
    """The steps always, the messages where they are its own."""
    closed = []

    async def messages() -> AsyncGenerator[str, None]:
        try:
            yield "a"
        finally:
            closed.append("messages")

    def steps() -> Steps:
        try:
            yield (yield NEXT)
        finally:
            closed.append("steps")

    source = messages()
    made = driven_async(steps(), source, owned=owned)
    assert "a" == await anext(made)
    await made.aclose()

    assert ["steps", "messages"][: 1 + owned] == closed
    await source.aclose()
