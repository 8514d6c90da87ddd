"""Timers of which hardly any rings: they ring to the moment, and nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar

import pytest
from tests.transports.clock import FakeClock

from penstock.limits import Limits, Timeouts
from penstock.transports.alarms import Alarms
from penstock.transports.watchdog import Watchdog

pytestmark = pytest.mark.asyncio


class Turned(FakeClock):
    """A loop's clock that takes what a loop takes."""

    def call_at(self, when, callback, *args, context=None):  # type: ignore[no-untyped-def]
        """Set a timer."""
        return super().call_at(when, lambda: callback(*args))


def alarms() -> tuple[Turned, Alarms]:
    """Return a clock, and the timers that go by it."""
    clock = Turned()
    return clock, Alarms(clock)  # type: ignore[arg-type]  # as much of a loop as is asked for


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0, 1.7, 60.0, 60.25])
async def test_it_rings_to_the_moment(after: float) -> None:
    """However its second begins; not before, and once."""
    clock, timers = alarms()
    rung: list[float] = []
    timers.call_at(clock.now + after, lambda: rung.append(clock.now))

    clock.turn(after + 5)

    assert [100.0 + after] == rung
    assert 0 == clock.pending


async def test_many_share_one_timer_of_the_loop() -> None:
    """A thousand that are due in one second, and are taken back."""
    clock, timers = alarms()
    set_ = [timers.call_at(160.0 + place / 1000, lambda: None) for place in range(1000)]

    assert 1 == clock.armed
    for timer in set_:
        timer.cancel()
    clock.turn(70)

    assert 1 == clock.armed
    assert 0 == clock.pending


@pytest.mark.parametrize("turned", [0.0, 60.1], ids=["before its second", "within it"])
async def test_one_that_is_taken_back_does_not_ring(turned: float) -> None:
    """Neither while it waits among others nor with a timer of its own."""
    clock, timers = alarms()
    rung: list[str] = []
    mine = timers.call_at(160.5, lambda: rung.append("mine"))
    timers.call_at(160.5, lambda: rung.append("another's"))

    clock.turn(turned)
    mine.cancel()
    mine.cancel()
    clock.turn(70)

    assert ["another's"] == rung


async def test_closing_forgets_them() -> None:
    """The loop has nothing more of them."""
    clock, timers = alarms()
    rung: list[float] = []
    for after in (20, 30, 60):
        timers.call_at(clock.now + after, lambda: rung.append(clock.now))

    timers.close()

    assert 0 == clock.pending
    clock.turn(100)
    assert [] == rung


async def test_nobodys_context_is_kept() -> None:
    """The first in a second may be long over when that second begins, and what it had with it."""

    class Kept:
        """What a caller has in its context."""

    variable: ContextVar[Kept] = ContextVar("variable")
    timers = Alarms(asyncio.get_running_loop())

    async def call() -> weakref.ref[Kept]:
        kept = Kept()
        variable.set(kept)
        timers.call_at(asyncio.get_running_loop().time() + 60, lambda: None).cancel()
        return weakref.ref(kept)

    gone = await asyncio.create_task(call())
    await asyncio.sleep(0)  # the loop is done with its task, too
    gc.collect()

    assert gone() is None
    timers.close()


async def test_a_clock_of_ones_own_keeps_its_timers() -> None:
    """A watchdog by another time than the loop's sets none of the loop's."""
    clock = FakeClock()
    dog = Watchdog(Timeouts(response=5), limits=Limits(), clock=clock)
    told: list[str | None] = []

    dog.requested()
    dog.on_expire(lambda error: told.append(error.phase), Alarms(asyncio.get_running_loop()))
    clock.turn(5)

    assert ["response"] == told
