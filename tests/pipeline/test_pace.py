"""A burst becomes a steady pace, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.pipeline.drive import outcome, run

from penstock.chunks import (
    Chunk,
    Citation,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.errors import ConfigurationError
from penstock.pipeline.pace import estimate_tokens, throttle

pytestmark = pytest.mark.asyncio


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


async def test_chunks_have_a_pace() -> None:
    """The first comes at once, each other one after its predecessor's share; an end at once."""
    clock = Clock()

    seen = await run(
        [["a", "b", "c", Finish("stop")]], throttle(chunks=4, clock=clock, sleep=clock.sleep)
    )

    assert [TextDelta("a"), TextDelta("b"), TextDelta("c"), Finish("stop")] == seen
    assert [0.25, 0.25] == clock.slept


async def test_tokens_have_a_pace() -> None:
    """A long delta is followed by a long pause."""
    clock = Clock()

    await run([["x" * 40, "x" * 4, "x"]], throttle(tokens=10, clock=clock, sleep=clock.sleep))

    assert [1.0, pytest.approx(0.1)] == clock.slept


async def test_tokens_can_be_counted_otherwise() -> None:
    """A tokenizer may say how many there are."""
    clock = Clock()

    def count(chunk: Chunk) -> float:
        return float(chunk.text)

    await run([["3", "1"]], throttle(tokens=2, count=count, clock=clock, sleep=clock.sleep))

    assert [1.5] == clock.slept


async def test_silence_is_not_saved_up() -> None:
    """After a pause of the provider's the pace is as before."""
    clock = Clock()

    async def late(chunk: Chunk) -> Chunk:
        clock.now += 10.0 if chunk.text == "b" else 0.0
        return chunk

    await run([["a", "b", "c"]], late, throttle(chunks=2, clock=clock, sleep=clock.sleep))

    assert [0.5] == clock.slept


async def test_the_loops_clock_is_the_default() -> None:
    """Without a clock of the caller's, the event loop's is used."""
    assert 3 == len((await outcome([["a", "b", "c"]], throttle(chunks=1000)))[0])


@pytest.mark.parametrize(
    ("chunk", "tokens"),
    [
        (TextDelta("x" * 8), 2),
        (ReasoningDelta("x" * 8), 2),
        (ToolCallDelta(0, name="xxxx", arguments="xxxx"), 2),
        (RefusalDelta("x" * 8), 2),
        (Citation({}), 0),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_tokens_are_estimated_by_characters(chunk: Chunk, tokens: float) -> None:
    """Four characters are about a token, in whatever kind of chunk."""
    assert tokens == estimate_tokens(chunk)


@pytest.mark.parametrize(
    "make",
    [
        lambda: throttle(),
        lambda: throttle(chunks=1, tokens=1),
        lambda: throttle(chunks=0),
        lambda: throttle(tokens=-1),
        lambda: throttle(tokens=float("nan")),
    ],
)
async def test_there_is_one_rate_above_0(make: Callable[[], object]) -> None:
    """Neither, both, or none at all is a mistake."""
    with pytest.raises(ConfigurationError, match="throttle needs a rate"):
        make()
