"""Turns: what neighbours become, whatever the conversation is kept in, in one buffer."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

from penstock.dialects.places import Losses, Place
from penstock.dialects.plain_lines import Plain
from penstock.dialects.turns import conversation
from penstock.encoders import Body, Raw
from penstock.errors import EncodeError, UnsupportedFeatureError, UsageError
from penstock.messages import UserMessage

Json = Any


class Toy:
    """A vendor with two sides, whose tools speak for the user."""

    plain = Plain({"user": "user", "assistant": "model"}, "parts", b'{"text":')

    def role(self, message: dict[str, Json], place: Place, *, leading: bool) -> str | None:
        """Put leading system messages apart."""
        if leading and message["role"] == "system":
            return None
        return "model" if message["role"] == "assistant" else "user"

    def parts(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say the text, and lose a name."""
        if "name" in message:
            place.drop("name")
        content = message.get("content")
        return [{"text": content}] if content else []

    def turn(self, role: str, parts: Json) -> Json:
        """Return a turn."""
        return {"role": role, "parts": parts}

    def entries(self, system: list[Json], turns: Json) -> Iterable[tuple[str, Json]]:
        """Leave out a system that says nothing."""
        if system:
            yield "system", system
        yield "turns", turns


class Again:
    """A conversation that can be iterated again."""

    def __init__(self, messages: list[Json]) -> None:
        self.messages = messages

    def __iter__(self) -> Iterator[Json]:
        return iter(self.messages)


class AsyncAgain:
    """The same, to be waited for."""

    def __init__(self, messages: list[Json]) -> None:
        self.messages = messages

    async def __aiter__(self) -> AsyncIterator[Json]:
        for message in self.messages:
            yield message


def factory(messages: list[Json]) -> Callable[[], Iterator[Json]]:
    """A conversation read from somewhere."""
    return lambda: iter(messages)


def async_factory(messages: list[Json]) -> Callable[[], AsyncIterator[Json]]:
    """The same, to be waited for."""
    return lambda: aiter(AsyncAgain(messages))


KEPT: list[Callable[[list[Json]], Json]] = [
    list,
    tuple,
    Again,
    AsyncAgain,
    factory,
    async_factory,
    iter,
    lambda messages: aiter(AsyncAgain(messages)),
]
REPLAYED = KEPT[:6]


def say(role: str, content: str) -> dict[str, str]:
    """A message."""
    return {"role": role, "content": content}


def fields(messages: Json, dropped: list[str] | None = None, *, strict: bool = False) -> Json:
    """The body's fields."""
    losses = Losses("toy", [] if dropped is None else dropped, strict=strict)
    return {"model": "m", **conversation(messages, Toy(), losses)}


async def sent(body: Body) -> Json:
    """What a pass over `body` says."""
    return json.loads(b"".join([piece async for piece in body.open()]))


SHORT = [
    say("system", "Be brief."),
    say("system", "Be kind."),
    say("user", "a"),
    say("assistant", "b"),
    say("tool", "c"),
    say("tool", "d"),
    say("user", "e"),
    say("system", "f"),
]
LONG_RUN = [
    say("system", "s"),
    say("user", "a"),
    say("assistant", "b"),
    *(say("tool", f"{number}") for number in range(100)),
    say("assistant", "c"),
    *(say("user", f"{number}") for number in range(33)),
]
CASES = {
    "short": (
        SHORT,
        {
            "model": "m",
            "system": [{"text": "Be brief."}, {"text": "Be kind."}],
            "turns": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
                {"role": "user", "parts": [{"text": each} for each in "cdef"]},
            ],
        },
    ),
    "no system": (
        [say("user", "a")],
        {"model": "m", "turns": [Toy().turn("user", [{"text": "a"}])]},
    ),
    "system only": ([say("system", "a")], {"model": "m", "system": [{"text": "a"}], "turns": []}),
    "nothing": ([], {"model": "m", "turns": []}),
    "silent": ([say("user", "")], {"model": "m", "turns": []}),
    "silent between": (
        [
            say("user", ""),
            say("user", "a"),
            say("assistant", ""),
            say("user", "b"),
            say("assistant", "c"),
            say("user", ""),
            say("assistant", ""),
            say("assistant", "d"),
            *(say("user", f"{n}") for n in range(40)),
            say("assistant", ""),
            say("user", "e"),
            say("assistant", ""),
            say("assistant", "f"),
            say("user", ""),
        ],
        {
            "model": "m",
            "turns": [
                {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
                {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]},
                {"role": "user", "parts": [{"text": f"{n}"} for n in [*range(40), "e"]]},
                {"role": "model", "parts": [{"text": "f"}]},
            ],
        },
    ),
    "long runs": (
        LONG_RUN,
        {
            "model": "m",
            "system": [{"text": "s"}],
            "turns": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
                {"role": "user", "parts": [{"text": f"{n}"} for n in range(100)]},
                {"role": "model", "parts": [{"text": "c"}]},
                {"role": "user", "parts": [{"text": f"{n}"} for n in range(33)]},
            ],
        },
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("buffer_size", [64, 300, 65536])
@pytest.mark.parametrize("keep", KEPT)
@pytest.mark.parametrize(("messages", "expected"), CASES.values(), ids=CASES)
async def test_neighbours_of_a_side_are_one_turn(
    messages: list[Json],
    expected: Json,
    keep: Callable[[list[Json]], Json],
    buffer_size: int,
) -> None:
    """Leading system messages stand apart, and however they are kept the turns are the same."""
    body = Body(fields(keep(messages)), buffer_size=buffer_size)

    assert expected == await sent(body)
    await body.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("keep", REPLAYED)
async def test_every_pass_is_the_same(keep: Callable[[list[Json]], Json]) -> None:
    """A length, a digest and two passes agree."""
    body = Body(fields(keep(LONG_RUN)), buffer_size=64)

    length, digest = await body.length(), await body.sha256()

    assert CASES["long runs"][1] == await sent(body) == await sent(body)
    assert (length, digest) == (await body.length(), await body.sha256())


@pytest.mark.asyncio
async def test_messages_may_be_typed_or_ready() -> None:
    """A typed message and one that is JSON already are opened."""
    messages = [UserMessage("a"), Raw(b'{"role": "user", "content": "b"}')]

    assert [Toy().turn("user", [{"text": "a"}, {"text": "b"}])] == (
        await sent(Body(fields(messages)))
    )["turns"]


@pytest.mark.parametrize("message", [5, {"content": "a"}, {"role": 5}])
def test_what_is_no_message_is_named(message: Json) -> None:
    """The error has its place."""
    with pytest.raises(EncodeError) as caught:
        fields([say("user", "a"), message])

    assert "messages[1]" == caught.value.param


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [3, 80])
async def test_a_fault_is_found_before_the_first_byte(at: int) -> None:
    """What is in memory is looked through, long turns too."""
    messages = [say("user", "x" * 100) for _ in range(100)]
    messages[at] = say("user", "\ud800")
    body = Body(fields(messages), buffer_size=64)

    with pytest.raises(EncodeError, match="surrogate"):
        await body.prepare()


@pytest.mark.asyncio
async def test_a_list_that_shrinks_is_an_error_and_one_that_grows_is_not() -> None:
    """A pass ends at the length that the list had."""
    messages = [say("user", f"{number}") for number in range(100)]
    body = Body(fields(messages), buffer_size=64)
    messages.append(say("user", "more"))

    assert 100 == len((await sent(body))["turns"][0]["parts"])
    del messages[50:]
    with pytest.raises(UsageError, match="had 100 items"):
        await sent(body)


@pytest.mark.asyncio
async def test_losses_are_reported_by_number_for_the_first_few() -> None:
    """However many messages lose a field, and in how many passes."""
    dropped: list[str] = []
    messages = [say("user", "a") | {"name": "n"} for _ in range(100)]
    body = Body(fields(messages, dropped), buffer_size=64)

    await sent(body)
    await sent(body)

    assert [*(f"messages[{n}].name" for n in range(3)), "messages[...].name"] == dropped


def test_a_strict_request_loses_nothing() -> None:
    """The first loss is an error that names it."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        fields([say("user", "a") | {"name": "n"}], strict=True)

    assert "messages[0].name" == caught.value.param


@pytest.mark.asyncio
@pytest.mark.parametrize("roles", [("user", "assistant"), ("user", "user")])
@pytest.mark.parametrize("keep", [list, AsyncAgain])
async def test_memory_is_the_buffers_however_the_turns_fall(
    roles: tuple[str, str], keep: Callable[[list[Json]], Json]
) -> None:
    """Twenty thousand messages cost no more than two thousand, as turns of one or as one turn."""
    peaks = []
    for count in (2_000, 20_000):
        messages = [say(roles[number % 2], "x" * 100) for number in range(count)]
        body = Body(fields(keep(messages)), buffer_size=4096)
        tracemalloc.start()
        size = 0
        async for piece in body.open():
            size += len(piece)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > 100 * count

    assert peaks[1] < peaks[0] + 16 * 1024
