"""Clocks that are looked at now and then: they run out to the moment, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar

import pytest
from tests.transports.clock import FakeClock

from penstock.errors import DeadlineError
from penstock.limits import Limits, Timeouts
from penstock.transports.rounds import Rounds
from penstock.transports.watchdog import Watchdog

pytestmark = pytest.mark.asyncio

OFF = dict.fromkeys(
    ["pool", "connect", "write", "response", "ttft", "idle", "progress", "total", "min_rate"]
)


class Turned(FakeClock):
    """A loop's clock that takes what a loop takes."""

    def call_at(self, when, callback, *args, context=None):  # type: ignore[no-untyped-def]
        """Set a timer."""
        return super().call_at(when, lambda: callback(*args))


class Calls:
    """Calls on one clock, and when which clock of which of them ran out."""

    def __init__(self) -> None:
        self.clock = Turned()
        self.dogs: list[Watchdog] = []
        self.told: list[tuple[float, int, str | None]] = []
        self.rounds = Rounds(self.clock, self._watches)  # type: ignore[arg-type]  # loop enough
        self.made: list[float] = []

    def _watches(self) -> list[Watchdog]:
        self.made.append(self.clock.now)
        return self.dogs

    def begin(self, **clocks: float) -> Watchdog:
        """Begin a call, which is with its peer at once."""
        dog = Watchdog(Timeouts(**(OFF | clocks)), limits=Limits(), clock=self.clock)
        place = len(self.dogs)
        self.dogs.append(dog)

        def tell(error: DeadlineError) -> None:
            self.told.append((round(self.clock.now, 6), place, error.phase))

        dog.requested()
        dog.on_expire(tell, self.rounds)
        return dog


@pytest.mark.parametrize("after", [0.01, 0.3, 1.0, 1.7, 60.0, 60.25])
async def test_a_clock_runs_out_to_the_moment(after: float) -> None:
    """However near it is; not before, and once; also beside others that run out before."""
    calls = Calls()
    calls.begin(response=after)
    calls.clock.turn(0.5)
    calls.begin(response=after)

    calls.clock.turn(after + 5)

    told = [(100 + after, 0, "response"), (round(100.5 + after, 6), 1, "response")]
    assert told == calls.told
    assert 0 == calls.clock.pending


async def test_many_share_one_timer_of_the_loop() -> None:
    """A thousand calls, and a thousand after them, which are all over in time."""
    calls = Calls()
    for _ in range(2):
        for dog in [calls.begin(response=60, total=600) for _ in range(1000)]:
            calls.clock.turn(0.001)
            dog.opened()
            dog.stop()

    assert 1 == calls.clock.armed
    calls.clock.turn(70)

    assert (1, 0) == (calls.clock.armed, calls.clock.pending)
    assert [160.0] == calls.made


async def test_two_rounds_are_a_second_apart() -> None:
    """A peer that is gone takes a thousand calls with it, each at a time of its own."""
    calls = Calls()
    for _ in range(1000):
        calls.begin(response=20)
        calls.clock.turn(0.01)
    calls.clock.turn(60)

    expected = [(round(120 + place / 100, 6), place, "response") for place in range(1000)]
    assert expected == calls.told
    gaps = [after - before for before, after in zip(calls.made, calls.made[1:], strict=False)]
    assert min(gaps) >= 1.0


async def test_a_nearer_clock_brings_the_round_forward() -> None:
    """As does one of the same call, and one that begins with the answer."""
    calls = Calls()
    calls.begin(response=60)
    later = calls.begin(response=5, idle=3)
    later.asking()
    calls.clock.turn(1)
    later.opened()
    later.answered()
    later.asking()

    calls.clock.turn(60)

    assert [(104.0, 1, "idle"), (160.0, 0, "response")] == calls.told


async def test_who_did_not_ask_during_a_round_is_told_in_time() -> None:
    """Its clocks stood still and nobody looked at them: they go on with the next question."""
    calls = Calls()
    calls.begin(response=10)
    slow = calls.begin(idle=50)
    slow.asking()
    slow.opened()
    slow.answered()
    slow.asking()
    calls.clock.turn(2)
    slow.received(1)
    slow.answered()
    calls.clock.turn(100)
    slow.asking()

    calls.clock.turn(60)

    assert [(110.0, 0, "response"), (252.0, 1, "idle")] == calls.told


@pytest.mark.parametrize("turned", [0.0, 59.9], ids=["before its second", "within it"])
async def test_one_that_is_stopped_is_silent(turned: float) -> None:
    """Neither while it waits among others nor with a timer of its own."""
    calls = Calls()
    mine = calls.begin(response=60.5)
    calls.begin(response=60)
    calls.begin(response=60.5)

    calls.clock.turn(turned)
    calls.clock.turn(0.2)
    mine.stop()
    calls.clock.turn(70)

    assert [1, 2] == [place for _, place, _ in calls.told]
    assert 0 == calls.clock.pending


async def test_closing_forgets_the_round() -> None:
    """The loop has nothing more of it."""
    calls = Calls()
    for after in (20, 30, 60):
        calls.begin(response=after)

    calls.rounds.close()

    assert 0 == calls.clock.pending
    calls.clock.turn(100)
    assert [] == calls.told


async def test_nobodys_context_is_kept() -> None:
    """Who has the round made may be long over when it is, and what it had with it."""

    class Kept:
        """What a caller has in its context."""

    variable: ContextVar[Kept] = ContextVar("variable")
    rounds = Rounds(asyncio.get_running_loop(), list)

    async def call() -> weakref.ref[Kept]:
        kept = Kept()
        variable.set(kept)
        assert rounds.expect(asyncio.get_running_loop().time() + 60)
        return weakref.ref(kept)

    gone = await asyncio.create_task(call())
    await asyncio.sleep(0)  # the loop is done with its task, too
    gc.collect()

    assert gone() is None
    rounds.close()


async def test_a_clock_of_ones_own_keeps_its_timers() -> None:
    """A watchdog by another time than the loop's has no part in its rounds."""
    clock = FakeClock()
    dog = Watchdog(Timeouts(response=5), limits=Limits(), clock=clock)
    told: list[str | None] = []

    dog.requested()
    dog.on_expire(
        lambda error: told.append(error.phase), Rounds(asyncio.get_running_loop(), lambda: [dog])
    )
    clock.turn(5)

    assert ["response"] == told
