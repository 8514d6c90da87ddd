"""The promises of `penstock.interfaces.Provider` and `Stream`, held against an implementation.

    async def test_my_policy_keeps_the_seam() -> None:
        await check_provider(around_scripts(lambda inner: MyPolicy(inner)))

Runs on asyncio, whose ``task.cancel()`` is the harder of the two ways to be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from penstock.chunks import Chunk, Finish, TextDelta
from penstock.errors import PenstockError, StreamClosedError, TruncatedError, UnavailableError
from penstock.interfaces import Outcome, Provider, Stream
from penstock.request import ChatRequest, Request
from penstock.testing.scripted import Line, ScriptedProvider

__all__ = ["Make", "Scenario", "Trial", "around_scripts", "check_provider"]

ResultT = TypeVar("ResultT")

Scenario: TypeAlias = Literal["answer", "slow", "error", "stall", "refuse"]
"""What the provider under trial is to do with its request:

- ``answer``: at least two batches of content, and a clean end;
- ``slow``: the same, with the loop turned a few times before the first content;
- ``error``: content, then a failure;
- ``stall``: content, then silence for ever;
- ``refuse``: ``open`` raises a `PenstockError`.
"""

TURNS = 24
"""How many turns of the loop a cancellation is tried after."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A provider, ready to be tried once."""

    provider: Provider
    """The implementation."""
    request: Request[Chunk] = field(
        default_factory=lambda: ChatRequest(model="scripted/any", messages="hello")
    )
    """What it is asked."""
    left_open: Callable[[], int] = lambda: 0
    """How many connections, or inner streams, are still held; told to be 0 after each trial."""


Make: TypeAlias = Callable[[Scenario], AbstractAsyncContextManager[Trial]]
"""Sets a trial up for a scenario, and takes it down."""


def around_scripts(wrap: Callable[[Provider], Provider]) -> Make:
    """Return a `Make` for a provider that stands around another one: a policy, a router.

    Args:
        wrap: Puts the implementation around the inner provider that it is given.
    """
    scripts: dict[Scenario, list[Line]] = {
        "answer": [["Hel", "lo"], ", ", ["world", Finish("stop")]],
        "slow": [0, 0, 0, ["Hel", "lo"], 0, ", ", 0, ["world", Finish("stop")]],
        "error": ["Hello", TruncatedError("cut short")],
        "stall": ["Hello", 3600.0],
        "refuse": [UnavailableError("not now", status=503)],
    }

    @asynccontextmanager
    async def make(scenario: Scenario) -> AsyncIterator[Trial]:
        inner = ScriptedProvider(scripts[scenario])
        yield Trial(wrap(inner), left_open=lambda: inner.left_open)

    return make


async def check_provider(make: Make, *, patience: float = 1.0) -> None:
    """Try everything that the seam promises.

    Args:
        make: Sets up a fresh provider for each trial; `around_scripts` makes one for policies.
        patience: Seconds after which something that should happen at once counts as hanging. The
            library promises 100 ms; a busy test machine gets more.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    for scenario, trials in _TRIALS.items():
        for check in trials:
            async with make(scenario) as trial:
                await check(trial, patience)
                await _nothing_left(trial, check.__doc__ or "", patience)
    for turns in range(TURNS):
        for each in (_cancel_open, _cancel_aclose):
            async with make("slow") as trial:
                await each(trial, turns, patience)
                await _nothing_left(trial, f"{each.__doc__} ({turns} turns)", patience)


class _Ear:
    """Hears how a stream ended."""

    def __init__(self, stream: Stream[Chunk]) -> None:
        self._stream = stream
        self.heard: list[Outcome] = []
        stream.on_close.append(self.heard.append)

    def kind_if_closed_now(self) -> str:
        """How it ends where it is closed now: one that came whole in a read ended with it."""
        return "end" if self.heard else "abandon"

    def expect(self, kind: str) -> Outcome:
        kinds = [outcome.kind for outcome in self.heard]
        _hold(kinds == [kind], f"on_close is told {kind!r} exactly once, not {kinds}")
        _hold(self.heard[0].record is self._stream.record, "the outcome has the stream's record")
        return self.heard[0]


async def _ends(trial: Trial, patience: float) -> None:
    """An answer is read in full batches, then empty ones for ever."""
    stream, ear = await _open(trial, patience)
    batches = []
    while batch := await _soon(stream.read(), patience):
        batches.append(batch)
    _hold(any(chunk.content for batch in batches for chunk in batch), "an answer has content")
    for _ in range(2):
        _hold(await _soon(stream.read(), patience) == [], "after the end every read is empty")
    ear.expect("end")
    await _close_twice(stream, patience)
    ear.expect("end")


async def _abandons(trial: Trial, patience: float) -> None:
    """Closing before the end is an abandonment, and later reads say so."""
    stream, ear = await _open(trial, patience)
    _hold(bool(await _soon(stream.read(), patience)), "the first read has items")
    kind = ear.kind_if_closed_now()
    await _close_twice(stream, patience)
    ear.expect(kind)
    if kind == "abandon":
        await _raises(StreamClosedError, stream, patience)
    else:
        _hold(await _soon(stream.read(), patience) == [], "after the end every read is empty")
    ear.expect(kind)


async def _unread(trial: Trial, patience: float) -> None:
    """A stream that nobody reads can be closed."""
    stream, ear = await _open(trial, patience)
    await _close_twice(stream, patience)
    ear.expect("abandon")
    await _raises(StreamClosedError, stream, patience)


async def _stages(trial: Trial, patience: float) -> None:
    """Stages see every batch in order; one that they empty is not handed out."""
    stream, _ = await _open(trial, patience)
    seen: list[int] = []

    def keep_last(batch: list[Chunk]) -> list[Chunk]:
        _hold(bool(batch), "a stage is given at least one item")
        seen.append(len(batch))
        return [] if len(seen) == 1 else batch[-1:]

    def mark(batch: list[Chunk]) -> list[Chunk]:
        _hold(len(batch) == 1, "stages are applied in the order of the list")
        return [TextDelta("marked")]

    stream.stages += [keep_last, mark]
    results = []
    while batch := await _soon(stream.read(), patience):
        results.append(batch)
    marked = [[TextDelta("marked")]] * (len(seen) - 1)
    _hold(results == marked and len(seen) > 1, "each batch goes through all stages")
    await _close_twice(stream, patience)


async def _fails(trial: Trial, patience: float) -> None:
    """An error comes after the content before it, and is the same at every later read."""
    stream, ear = await _open(trial, patience)
    error: PenstockError | None = None
    batches = 0
    while error is None:
        try:
            _hold(bool(await _soon(stream.read(), patience)), "a failed answer does not just end")
            batches += 1
        except PenstockError as failure:
            error = failure
    _hold(batches > 0, "content that came before an error is delivered")
    _hold(await _raises(type(error), stream, patience) is error, "every read raises one error")
    _hold(ear.expect("error").error is error, "the outcome has the error")
    await _close_twice(stream, patience)
    _hold(await _raises(type(error), stream, patience) is error, "closing keeps the error")
    ear.expect("error")


async def _refuses(trial: Trial, patience: float) -> None:
    """A refusal is an error from open."""
    try:
        await _soon(trial.provider.open(trial.request), patience)
    except PenstockError as error:
        _hold(not error.committed, "an error from open is not committed")
    else:
        _hold(False, "open raises when there is no answer")


async def _closes_under_a_read(trial: Trial, patience: float) -> None:
    """Closing from another task makes a pending read raise StreamClosedError."""
    stream, ear, reading = await _pending(trial, patience)
    await _close_twice(stream, patience)
    try:
        await _soon(_result(reading), patience)
    except StreamClosedError:
        pass
    else:
        _hold(False, "a read that is closed under raises StreamClosedError")
    ear.expect("abandon")


async def _cancels_a_read(trial: Trial, patience: float) -> None:
    """Cancelling a pending read passes at once, and closes the stream for later ones."""
    stream, ear, reading = await _pending(trial, patience)
    reading.cancel()
    done, _ = await asyncio.wait([reading], timeout=patience)
    _hold(bool(done), "a cancelled read gives way at once")
    _hold(reading.cancelled(), "a cancellation passes through untouched")
    ear.expect("cancel")
    await _raises(StreamClosedError, stream, patience)
    await _close_twice(stream, patience)
    ear.expect("cancel")


async def _cancel_open(trial: Trial, turns: int, patience: float) -> None:
    """A cancelled open leaves nothing, at whatever moment."""
    opening = asyncio.ensure_future(trial.provider.open(trial.request))
    await _turn(turns)
    opening.cancel()
    done, _ = await asyncio.wait([opening], timeout=patience)
    _hold(bool(done), "a cancelled open gives way at once")
    if not opening.cancelled():  # it was there first: its caller has it
        await _soon((await opening).aclose(), patience)


async def _cancel_aclose(trial: Trial, turns: int, patience: float) -> None:
    """A close that is cancelled can be finished by another."""
    stream, ear = await _open(trial, patience)
    await _soon(stream.read(), patience)
    kind = ear.kind_if_closed_now()
    closing = asyncio.ensure_future(stream.aclose())
    await _turn(turns)
    closing.cancel()
    done, _ = await asyncio.wait([closing], timeout=patience)
    _hold(bool(done), "a cancelled close gives way at once")
    await _close_twice(stream, patience)
    ear.expect(kind)


_TRIALS: dict[Scenario, tuple[Callable[[Trial, float], Awaitable[None]], ...]] = {
    "answer": (_ends, _abandons, _unread, _stages),
    "slow": (_ends, _abandons),
    "error": (_fails, _abandons),
    "stall": (_closes_under_a_read, _cancels_a_read, _unread),
    "refuse": (_refuses,),
}


async def _open(trial: Trial, patience: float) -> tuple[Stream[Chunk], _Ear]:
    stream = await _soon(trial.provider.open(trial.request), patience)
    return stream, _Ear(stream)


async def _pending(
    trial: Trial, patience: float
) -> tuple[Stream[Chunk], _Ear, asyncio.Future[list[Chunk]]]:
    """A stream whose next read waits."""
    stream, ear = await _open(trial, patience)
    while True:
        reading = asyncio.ensure_future(stream.read())
        done, _ = await asyncio.wait([reading], timeout=0.05)
        if not done:
            return stream, ear, reading
        _hold(bool(await reading), "a stalled answer does not end")


async def _raises(
    kind: type[PenstockError], stream: Stream[Chunk], patience: float
) -> PenstockError:
    try:
        batch = await _soon(stream.read(), patience)
    except kind as error:
        return error
    raise AssertionError(f"a read after that raises {kind.__name__}, not {batch!r}")


async def _close_twice(stream: Stream[Chunk], patience: float) -> None:
    for _ in range(2):
        await _soon(stream.aclose(), patience)


async def _nothing_left(trial: Trial, what: str, patience: float) -> None:
    """Wait for owners that are still closing."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while (left := trial.left_open()) and loop.time() < until:  # noqa: ASYNC110  # a count, no event
        await asyncio.sleep(0.005)
    _hold(not left, f"nothing is held after: {what} But {left} are")


async def _soon(work: Awaitable[ResultT], patience: float) -> ResultT:
    try:
        async with asyncio.timeout(patience) as clock:
            return await work
    except TimeoutError:
        if clock.expired():
            raise AssertionError(f"still waiting after {patience} s") from None
        raise


async def _result(future: asyncio.Future[Any]) -> Any:  # Any: whatever the future holds
    return await future


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def _hold(promise: bool, words: str) -> None:
    if not promise:
        raise AssertionError(f"the seam promises: {words}")
