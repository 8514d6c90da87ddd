"""Every clock of `penstock.Timeouts`, on a clock that the test turns."""

from __future__ import annotations

import asyncio

import pytest
from tests.transports.clock import FakeClock

from penstock.errors import DeadlineError
from penstock.limits import Limits, Timeouts
from penstock.transports import Watchdog

OFF = dict.fromkeys(
    ["pool", "connect", "write", "response", "ttft", "idle", "progress", "total", "min_rate"]
)


class Rig:
    """A watchdog on a fake clock, and what it told."""

    def __init__(self, **clocks: float | None) -> None:
        self.clock = FakeClock()
        self.told: list[DeadlineError] = []
        timeouts = Timeouts(**(OFF | clocks))
        self.dog = Watchdog(timeouts, limits=Limits(max_silence=1000), clock=self.clock)
        self.dog.on_expire(self.told.append)

    def turn(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.clock.turn(seconds)

    @property
    def phase(self) -> str | None:
        """The clock that ran out."""
        return self.told[0].phase if self.told else None


@pytest.mark.parametrize("phase", ["pool", "connect", "write", "response", "ttft"])
def test_a_clock_runs_out_at_its_limit(phase: str) -> None:
    """A clock that is begun and not ended tells at its limit, not before, and once."""
    rig = Rig(**{phase: 5.0})
    rig.dog.begin(phase)

    rig.turn(4.9)
    assert [] == rig.told
    rig.turn(100)

    assert [phase] == [error.phase for error in rig.told]
    assert (5.0, 5.0) == (rig.told[0].limit, rig.told[0].elapsed)


def test_a_clock_that_a_test_puts_into_a_loop_is_the_loops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its timers go by that one, too: by another, a limit would be met at once or never."""
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "time", lambda: 5.0)
    try:
        dog = Watchdog(Timeouts(), limits=Limits(), clock=loop)
        assert (5.0, 0.0) == (dog.started, dog.elapsed())
    finally:
        loop.close()


def test_what_runs_before_anybody_is_told_has_its_limit_too() -> None:
    """A caller that has nothing to wait for yet gives its callback late: one timer, the nearest."""
    clock, told = FakeClock(), list[DeadlineError]()
    timeouts = Timeouts(**(OFF | {"response": 5.0, "total": 50.0}))
    dog = Watchdog(timeouts, limits=Limits(), clock=clock)
    dog.begin("response")
    clock.turn(2)
    dog.on_expire(told.append)

    clock.turn(2.9)
    assert [] == told
    clock.turn(0.2)

    assert ["response"] == [error.phase for error in told]


@pytest.mark.parametrize("phase", ["pool", "connect", "write", "response", "ttft"])
def test_an_ended_clock_is_silent(phase: str) -> None:
    """A clock that is ended in time never tells."""
    rig = Rig(**{phase: 5.0})
    rig.dog.begin(phase)
    rig.turn(4.9)
    rig.dog.end(phase)
    rig.turn(100)

    assert [] == rig.told


def test_a_clock_that_is_off_is_silent() -> None:
    """None switches a clock off."""
    rig = Rig()
    for phase in OFF:
        if phase not in ("total", "min_rate"):
            rig.dog.begin(phase)
    rig.dog.asking()
    rig.turn(1e9)

    assert [] == rig.told


def test_taken_bytes_reset_the_write_clock() -> None:
    """Row 2: a slow upload that moves is healthy, however long it takes."""
    rig = Rig(write=5.0)
    rig.dog.begin("write")
    for _ in range(50):
        rig.turn(4.0)
        rig.dog.sent(1)
    assert [] == rig.told
    rig.turn(5.0)

    assert "write" == rig.phase


def test_bytes_sent_outside_a_write_start_no_clock() -> None:
    """`sent` only moves a running write clock."""
    rig = Rig(write=5.0)
    rig.dog.sent(10)
    rig.turn(100)

    assert [] == rig.told


def test_no_byte_resets_ttft() -> None:
    """Rows 1 and 3: pings, comments and role-only deltas are no content."""
    rig = Rig(ttft=5.0, idle=3.0)
    rig.dog.begin("ttft")
    rig.dog.begin("idle")
    rig.dog.asking()
    for _ in range(5):
        rig.turn(0.9)
        rig.dog.received(10)
    rig.turn(1.0)

    assert "ttft" == rig.phase
    assert "no content yet" in str(rig.told[0])


def test_content_ends_ttft() -> None:
    """The first content is what ``ttft`` waits for."""
    rig = Rig(ttft=5.0)
    rig.dog.begin("ttft")
    rig.turn(4.9)
    rig.dog.content()
    rig.turn(100)

    assert [] == rig.told


def test_any_byte_resets_idle() -> None:
    """Row 4: a ping is a sign of life."""
    rig = Rig(idle=3.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    for _ in range(50):
        rig.turn(2.9)
        rig.dog.received(1)
    assert [] == rig.told
    rig.turn(3.0)

    assert "idle" == rig.phase


def test_only_content_resets_progress() -> None:
    """Rows 4 and 6: a drip of bytes does not stand for content; both are in the message."""
    rig = Rig(idle=3.0, progress=10.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    rig.dog.received(5)
    rig.dog.content()
    while not rig.told:
        rig.turn(2.0)
        rig.dog.received(1)

    assert "progress" == rig.phase
    assert "the last 2.0 s ago, the last content 10.0 s ago" in str(rig.told[0])


def test_ttft_stands_for_progress_until_content() -> None:
    """``progress`` does not cut a long first thought that ``ttft`` allows."""
    rig = Rig(ttft=100.0, progress=10.0)
    rig.dog.begin("ttft")
    rig.dog.begin("progress")
    rig.dog.asking()
    rig.turn(99.0)
    assert [] == rig.told
    rig.dog.content()
    rig.turn(10.0)

    assert "progress" == rig.phase


def test_progress_runs_from_the_start_without_ttft() -> None:
    """Where ``ttft`` is off, an answer without any content still meets ``progress``."""
    rig = Rig(progress=10.0)
    rig.dog.begin("ttft")
    rig.dog.begin("progress")
    rig.dog.asking()
    for _ in range(10):
        rig.turn(1.0)
        rig.dog.received(1)

    assert "progress" == rig.phase


@pytest.mark.parametrize("phase", ["idle", "progress"])
def test_a_slow_consumer_stops_the_clock(phase: str) -> None:
    """Between two reads ``idle`` and ``progress`` stand still."""
    rig = Rig(**{phase: 5.0})
    rig.dog.begin(phase)
    for _ in range(20):
        rig.dog.asking()
        rig.turn(0.2)
        rig.dog.answered()
        rig.turn(1000)

    assert [] == rig.told


@pytest.mark.parametrize("phase", ["idle", "progress"])
def test_asking_in_pieces_adds_up(phase: str) -> None:
    """What was waited before goes on counting at the next read."""
    rig = Rig(**{phase: 5.0})
    rig.dog.begin(phase)
    for _ in range(4):
        rig.dog.asking()
        rig.turn(1.0)
        rig.dog.answered()
        rig.turn(1000)
    rig.dog.asking()
    rig.turn(0.9)
    assert [] == rig.told
    rig.turn(0.2)

    assert phase == rig.phase
    assert 5.0 == pytest.approx(rig.told[0].elapsed)


def test_bytes_that_come_while_nobody_asks_reset_idle() -> None:
    """What the kernel brought meanwhile counts as life from the next read on."""
    rig = Rig(idle=5.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    rig.turn(4.0)
    rig.dog.answered()
    rig.turn(50)
    rig.dog.received(1)
    rig.turn(50)
    rig.dog.asking()
    rig.turn(4.9)
    assert [] == rig.told
    rig.turn(0.2)

    assert "idle" == rig.phase


def test_asking_twice_is_asking_once() -> None:
    """A stream and its wire may both say that the consumer waits."""
    rig = Rig(idle=5.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    rig.turn(3.0)
    rig.dog.asking()
    rig.turn(2.0)

    assert "idle" == rig.phase


def test_total_runs_while_nobody_asks() -> None:
    """``total`` counts from the call's beginning, whatever the consumer does."""
    rig = Rig(total=30.0, idle=5.0)
    rig.dog.begin("idle")
    rig.turn(29.9)
    assert [] == rig.told
    rig.turn(0.1)

    assert "total" == rig.phase


def test_total_counts_from_the_call_not_from_the_attempt() -> None:
    """A later attempt of a call has what is left of ``total``."""
    clock, told = FakeClock(), list[DeadlineError]()
    timeouts = Timeouts(**(OFF | {"total": 30.0}))
    dog = Watchdog(timeouts, limits=Limits(), started=clock.now - 20.0, clock=clock)
    dog.on_expire(told.append)

    assert 20.0 == dog.elapsed()
    clock.turn(10.0)
    assert [30.0] == [error.elapsed for error in told]


def test_noise_past_its_bound_is_no_life() -> None:
    """Comments without end do not keep a stream alive: past ``max_silence`` ``idle`` runs on."""
    rig = Rig(idle=5.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    while not rig.told:
        rig.turn(1.0)
        rig.dog.received(100)
        rig.dog.ignored(100)

    # The 11th read is the last that meets no more than 1000 ignored bytes; `idle` is 5 s later.
    assert ("idle", 100.0 + 11 + 5) == (rig.phase, rig.clock.now)


def test_content_forgives_noise() -> None:
    """Content makes comments count as life again."""
    rig = Rig(idle=5.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    for _ in range(100):
        rig.turn(1.0)
        rig.dog.received(100)
        rig.dog.ignored(100)
        if not rig.clock.now % 5:
            rig.dog.content()

    assert [] == rig.told


def test_a_drip_below_the_rate_ends() -> None:
    """Row 6: with ``min_rate`` each ``progress`` window must bring so many bytes per second."""
    rig = Rig(min_rate=10.0, progress=20.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    for _ in range(60):
        rig.turn(1.0)
        rig.dog.received(9)
        rig.dog.content()

    assert "min_rate" == rig.phase
    assert 10.0 == rig.told[0].limit
    assert 9.0 == pytest.approx(rig.told[0].elapsed, abs=0.5)


def test_a_rate_that_holds_goes_on() -> None:
    """An answer that keeps the rate is left alone, window after window."""
    rig = Rig(min_rate=10.0, progress=20.0)
    rig.dog.begin("idle")
    rig.dog.asking()
    for _ in range(200):
        rig.turn(1.0)
        rig.dog.received(11)
        rig.dog.content()

    assert [] == rig.told


def test_the_rate_is_not_judged_while_nobody_asks() -> None:
    """The consumer's own pace is not the peer's."""
    rig = Rig(min_rate=10.0, progress=20.0)
    rig.dog.begin("idle")
    for _ in range(50):
        rig.dog.asking()
        rig.turn(1.0)
        rig.dog.received(15)
        rig.dog.content()
        rig.dog.answered()
        rig.turn(100)

    assert [] == rig.told


def test_the_first_to_run_out_is_told() -> None:
    """Of several clocks the nearest one ends the call, and only it."""
    rig = Rig(response=7.0, ttft=5.0, total=6.0)
    rig.dog.begin("response")
    rig.dog.begin("ttft")
    rig.turn(100)

    assert ["ttft"] == [error.phase for error in rig.told]


def test_a_nearer_clock_moves_the_timer() -> None:
    """A clock that is begun while a longer one runs is not late."""
    rig = Rig(total=1000.0, connect=2.0)
    rig.turn(10)
    rig.dog.begin("connect")
    rig.turn(2.0)

    assert "connect" == rig.phase


def test_reads_set_no_timer() -> None:
    """Ten thousand reads set a timer once per limit, not once per read."""
    rig = Rig(idle=60.0, progress=300.0, total=1800.0)
    rig.dog.begin("idle")
    for _ in range(10_000):
        rig.dog.asking()
        rig.turn(0.01)
        rig.dog.received(100)
        rig.dog.answered()
        rig.dog.content()

    assert rig.clock.armed <= 2 + 100 / 60 + 1


def test_stop_leaves_no_timer() -> None:
    """A stopped watchdog keeps nothing alive in the loop, and tells nothing."""
    rig = Rig(idle=60.0, total=1800.0, ttft=5.0)
    rig.dog.begin("ttft")
    rig.dog.asking()
    rig.dog.stop()

    assert 0 == rig.clock.pending
    rig.dog.begin("ttft")
    rig.dog.asking()
    rig.turn(1e6)
    assert [] == rig.told


def test_the_latest_callback_holds() -> None:
    """Whoever has the call now is told: its place in the pool, then its exchange."""
    rig = Rig(response=5.0)
    later: list[DeadlineError] = []
    rig.dog.on_expire(later.append)
    rig.dog.begin("response")
    rig.turn(5.0)

    assert ([], ["response"]) == (rig.told, [error.phase for error in later])


def test_silence_is_named() -> None:
    """Where nothing came, the error says so."""
    rig = Rig(response=5.0)
    rig.dog.begin("response")
    rig.turn(5.0)

    assert "response: no answer within 5 s of the request; nothing had arrived" == str(rig.told[0])


def test_our_own_limit_is_not_the_peers_fault() -> None:
    """Row 20: waiting for a place of our own blames nobody else."""
    rig = Rig(pool=5.0)
    rig.dog.begin("pool")
    rig.turn(5.0)

    assert (False, False) == (rig.told[0].peer_fault, rig.told[0].retryable)
