"""The conformance check passes what keeps the seam, and says what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from penstock.chunks import Chunk
from penstock.errors import PenstockError, StreamClosedError
from penstock.interfaces import CallRecord, Outcome, Provider, Stream
from penstock.pipeline.stream import BatchStream
from penstock.request import ItemT, Request
from penstock.testing.check_provider import Scenario, Trial, around_scripts, check_provider
from penstock.testing.scripted import ScriptedProvider

pytestmark = pytest.mark.asyncio


class Around:
    """A provider that returns the inner one's stream; mutants override one thing."""

    def __init__(self, inner: Provider) -> None:
        self.inner = inner

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Pass on."""
        return await self.inner.open(request)


class LosesTheResult(Around):
    """Opens in a task, and forgets its result when it is itself cancelled."""

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Pass on."""
        return await asyncio.ensure_future(self.inner.open(request))


class KeepsTheResult(Around):
    """Opens in a task, and closes its result when it is itself cancelled."""

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Pass on."""
        opening = asyncio.ensure_future(self.inner.open(request))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.cancel()
            opening.add_done_callback(close)
            raise


closing: set[asyncio.Task[None]] = set()


def close(opening: asyncio.Future[Stream[ItemT]]) -> None:
    """Close what was opened for nobody."""
    if not opening.cancelled() and opening.exception() is None:
        task = asyncio.ensure_future(opening.result().aclose())
        closing.add(task)
        task.add_done_callback(closing.discard)


@pytest.mark.parametrize("wrap", [Around, KeepsTheResult, lambda inner: inner])
async def test_what_keeps_the_seam_passes(wrap: Callable[[Provider], Provider]) -> None:
    """A faithful provider passes every trial."""
    await check_provider(around_scripts(wrap))


class Mutant:
    """A stream with one promise broken by a subclass."""

    def __init__(self, inner: Stream[Chunk]) -> None:
        self.inner = inner
        self.record: CallRecord = inner.record
        self.stages = inner.stages
        self.on_close = inner.on_close

    async def read(self) -> list[Chunk]:
        """Pass on."""
        return await self.inner.read()

    async def aclose(self) -> None:
        """Pass on."""
        await self.inner.aclose()


class EmptyBatch(Mutant):
    """Hands out an empty batch before the end."""

    first = True

    async def read(self) -> list[Chunk]:
        """Pass on, but for the second read."""
        if isinstance(self.inner, BatchStream) and self.first:
            self.first = False
            return []
        return await super().read()


class ForgetsTheEnd(Mutant):
    """Raises after the end."""

    ended = False

    async def read(self) -> list[Chunk]:
        """Pass on once."""
        if self.ended:
            raise StreamClosedError("over")
        batch = await super().read()
        self.ended = not batch
        return batch


class ForgetsTheError(Mutant):
    """Ends after an error, as if the answer were whole."""

    failed = False

    async def read(self) -> list[Chunk]:
        """Pass on until the error."""
        if self.failed:
            return []
        try:
            return await super().read()
        except PenstockError:
            self.failed = True
            raise


class TellsTwice(Mutant):
    """Tells the outcome again when it is closed."""

    async def aclose(self) -> None:
        """Pass on, and tell."""
        await super().aclose()
        for tell in self.on_close:
            tell(Outcome("abandon", self.record))


class TellsNobody(Mutant):
    """Has a list of its own, which nobody reads."""

    def __init__(self, inner: Stream[Chunk]) -> None:
        super().__init__(inner)
        self.on_close = []


class StagesBackwards(Mutant):
    """Applies the stages in the wrong order."""

    def __init__(self, inner: Stream[Chunk]) -> None:
        super().__init__(inner)
        self.stages = []

    async def read(self) -> list[Chunk]:
        """Pass on through the stages."""
        while batch := await super().read():
            for stage in reversed(self.stages):
                batch = stage(batch) if batch else []
            if batch:
                return batch
        return []


class NeverCloses(Mutant):
    """Does not let go."""

    async def aclose(self) -> None:
        """Do nothing."""


class SwallowsCancellation(Mutant):
    """Turns a cancellation into an end (fault matrix, row 27)."""

    async def read(self) -> list[Chunk]:
        """Pass on, but for the cancellation."""
        try:
            return await super().read()
        except asyncio.CancelledError:
            return []


class LateCancellation(Mutant):
    """Takes its time to be cancelled."""

    async def read(self) -> list[Chunk]:
        """Pass on, late."""
        try:
            return await super().read()
        except asyncio.CancelledError:
            await asyncio.sleep(2)
            raise


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (EmptyBatch, "an answer has content|first read has items"),
        (ForgetsTheEnd, "over"),
        (ForgetsTheError, "a read after that raises TruncatedError"),
        (TellsTwice, "exactly once"),
        (TellsNobody, "exactly once"),
        (StagesBackwards, "in the order of the list"),
        (NeverCloses, "exactly once|nothing is held|raises StreamClosedError"),
        (SwallowsCancellation, "cancellation passes through"),
        (LateCancellation, "gives way at once"),
    ],
)
async def test_a_broken_promise_is_named(mutant: type[Mutant], promise: str) -> None:
    """Each promise of the stream's seam fails a stream that breaks it."""

    class Breaks(Around):
        async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
            stream: Stream[ItemT] = mutant(await self.inner.open(request))  # type: ignore[arg-type, assignment]
            return stream

    with pytest.raises((AssertionError, StreamClosedError), match=promise):
        await check_provider(around_scripts(Breaks), patience=0.5)


async def test_a_lost_result_is_found() -> None:
    """An `open` that is cancelled between return and assignment leaks the inner stream."""
    with pytest.raises(AssertionError, match="A cancelled open leaves nothing"):
        await check_provider(around_scripts(LosesTheResult), patience=0.5)


async def test_a_refusal_must_be_one() -> None:
    """A provider that answers where it should refuse is told so."""

    @asynccontextmanager
    async def make(scenario: Scenario) -> AsyncIterator[Trial]:
        async with around_scripts(lambda inner: inner)(scenario) as trial:
            if scenario != "refuse":
                yield trial
            else:
                provider = ScriptedProvider(["fine"])
                yield Trial(provider, left_open=lambda: provider.left_open)

    with pytest.raises(AssertionError, match="open raises when there is no answer"):
        await check_provider(make)
