"""Several answers are read at once, tagged or side by side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any

import aiostream.stream
import anyio
import pytest
from tests.pipeline.drive import items

import penstock
from penstock.chunks import Chunk, Finish, Meta, TextDelta
from penstock.errors import (
    ConfigurationError,
    LimitExceededError,
    MissingExtraError,
    OverloadedError,
    TruncatedError,
    UsageError,
)
from penstock.limits import Limits
from penstock.pipeline.merging import Side, Tagged, compare, merge
from penstock.testing.scripted import Line, ScriptedStream

pytestmark = pytest.mark.asyncio


class Unopened:
    """An answer as a client returns it: opened by ``async with``, iterated after that."""

    early = True

    def __init__(self, *lines: Line, refuse: Exception | None = None) -> None:
        self.stream = ScriptedStream(lines)
        self.refuse = refuse
        self.opened = anyio.Event()
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Chunk]:
        if not self.opened.is_set() and self.early:
            raise UsageError("open the stream first")
        return items(self.stream) if self.opened.is_set() else refuse()

    async def __aenter__(self) -> Unopened:
        for _ in range(3):  # as connecting takes a while
            await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        self.opened.set()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closed += 1
        await self.stream.aclose()


class Late(Unopened):
    """One that says only at its first read that it is not open, as `penstock.ChatStream` does."""

    early = False


async def refuse() -> AsyncGenerator[Chunk, None]:
    """Chunks that are not there yet."""
    raise UsageError("open the stream first")
    yield


def answer(*lines: Line) -> AsyncIterator[Chunk]:
    """An answer that is open."""
    return items(ScriptedStream(lines))


async def read(streams: Any, **options: Any) -> list[Tagged]:
    """Everything that `merge` hands out."""
    async with merge(streams, **options) as merged:
        return [tagged async for tagged in merged]


def texts(tagged: list[Tagged]) -> dict[str | int, str]:
    """The text of each answer."""
    seen: dict[str | int, str] = {}
    for each in tagged:
        seen[each.source] = seen.get(each.source, "") + (each.chunk.text if each.chunk else "!")
    return seen


async def test_every_chunk_says_whose_it_is() -> None:
    """Each answer's chunks are in order, whatever is between them."""
    seen = await read({"a": answer("1", ["2", "3"]), "b": answer(["x", "y"])})

    assert {"a": "123", "b": "xy"} == texts(seen)


async def test_answers_without_names_have_places() -> None:
    """A list of answers is tagged by place."""
    assert {0: "a", 1: "b"} == texts(await read([answer("a"), answer("b")]))


async def test_chunks_come_as_they_are_ready() -> None:
    """A silent answer holds back none of the other's."""
    gate = anyio.Event()

    async with merge({"slow": answer(gate, "s"), "fast": answer("1", "2")}) as merged:
        first = [await anext(merged) for _ in range(2)]
        gate.set()
        last = [tagged async for tagged in merged]

    assert [Tagged("fast", TextDelta("1")), Tagged("fast", TextDelta("2"))] == first
    assert [Tagged("slow", TextDelta("s"))] == last


@pytest.mark.parametrize("kind", [Unopened, Late])
async def test_unopened_answers_are_opened_and_closed(kind: type[Unopened]) -> None:
    """What a client returns can be passed as it is; an open one is left to its owner."""
    mine, open_one = kind("a"), kind("b")

    async with open_one:
        assert {"mine": "a", "open": "b"} == texts(await read({"mine": mine, "open": open_one}))
        assert (1, 0) == (mine.closed, open_one.closed)


async def test_a_failure_is_raised() -> None:
    """By default one failure ends all, unchanged, and closes what was opened."""
    error, other = OverloadedError("busy"), Unopened(3600.0)

    with pytest.raises(OverloadedError) as caught:
        await read({"a": Unopened("1", other.opened, error), "b": other})

    assert error is caught.value
    assert 1 == other.closed


@pytest.mark.parametrize("refused", [True, False])
async def test_a_failure_can_be_reported(refused: bool) -> None:
    """With ``failures="report"`` it comes as the last of its answer, and the others go on."""
    error = OverloadedError("busy")
    failing = Unopened(refuse=error) if refused else answer(error)

    seen = await read({"a": failing, "b": answer("1", "2")}, failures="report")

    assert {"a": "!", "b": "12"} == texts(seen)
    assert Tagged("a", None, error) in seen


async def test_leaving_closes_what_was_opened() -> None:
    """A reader that stops early leaves no task and no stream behind."""
    silent = Unopened(3600.0)
    talking = Unopened(silent.opened, "a", 3600.0)

    async with merge([talking, silent]) as merged:
        await anext(merged)

    assert (1, 1) == (talking.closed, silent.closed)


async def test_a_failing_body_raises_its_own_error() -> None:
    """No group of exceptions leaves the library."""
    stream = Unopened("a", 3600.0)

    async def body() -> None:
        async with merge([stream]) as merged:
            await anext(merged)
            raise KeyError

    with pytest.raises(KeyError):
        await body()
    assert 1 == stream.closed


async def test_cancellation_passes_through() -> None:
    """A cancelled reader closes what was opened (row 27)."""
    stream = Unopened(3600.0)
    reading = asyncio.ensure_future(read([stream]))
    for _ in range(20):
        await asyncio.sleep(0)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert 1 == stream.closed


async def test_an_empty_answer_is_one() -> None:
    """An answer without a chunk has an end and nothing else."""
    assert {"b": "x"} == texts(await read({"a": answer(), "b": answer("x")}))


async def test_what_a_client_returns_can_be_compared() -> None:
    """Streams of a client, not opened yet, against the embedded simulator."""
    async with penstock.Client() as client:
        sides = await compare(
            {
                "whole": client.stream("sim/text?tokens=3", "hello"),
                "torn": client.stream("sim/text?tokens=9&fault=reset@3", "hello"),
            }
        )
        assert 0 == client.stats().open_streams

    assert [None, "TruncatedError"] == [
        side.error and type(side.error).__name__ for side in sides.values()
    ]
    assert all(side.text for side in sides.values())


async def test_what_is_no_answer_is_refused() -> None:
    """Something that can be neither iterated nor opened raises as usual."""
    with pytest.raises(TypeError, match="int"):
        await read([7])


@pytest.mark.parametrize("streams", [[], {}])
async def test_there_is_at_least_one(streams: Any) -> None:
    """Nothing to merge is a mistake."""
    with pytest.raises(ConfigurationError, match="at least one stream"):
        await read(streams)


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiostream the error says how to install it."""
    monkeypatch.setitem(sys.modules, aiostream.stream.__name__, None)

    with pytest.raises(MissingExtraError, match=r"penstock\[streams\]"):
        await read([answer("a")])


class Clock:
    """Time that passes by a second each time it is asked."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += 1.0
        return self.now


async def test_answers_stand_side_by_side() -> None:
    """Each has its text, its reply, and when its first content and its end came."""
    sides = await compare(
        {"a": Unopened(Meta(role="assistant"), "Hi", Finish("stop"))}, clock=Clock()
    )

    side = sides["a"]
    assert ("a", "Hi", 2.0, 4.0, None, True) == (
        side.name,
        side.text,
        side.ttft,
        side.total,
        side.error,
        side.done,
    )
    assert ("a", "stop") == (side.reply().model, side.reply().finish_reason)


async def test_a_failure_has_its_side() -> None:
    """One failure leaves the others as they are, and keeps what came."""
    error = TruncatedError("cut short")

    sides = await compare([answer("a", error), answer("b", "c")])

    assert [("a", error), ("bc", None)] == [(side.text, side.error) for side in sides.values()]
    assert all(side.done for side in sides.values())


async def test_a_change_is_told() -> None:
    """Of every chunk and every end, with the side as it is then."""
    seen: list[tuple[str, bool]] = []

    def tell(side: Side) -> None:
        seen.append((side.text, side.done))

    await compare([answer("a", "b")], tell)

    assert [("a", False), ("ab", False), ("ab", True)] == seen


async def test_a_side_is_bounded() -> None:
    """An answer over the bound fails for itself."""
    sides = await compare([answer("a" * 9, "b"), answer("c")], limits=Limits(max_answer=1024 + 9))

    assert isinstance(sides[0].error, LimitExceededError)
    assert ["a" * 9, "c"] == [side.text for side in sides.values()]
