"""One watchdog per stream: every clock of `penstock.Timeouts` on one timer of the loop.

A timer per read costs more than the read (`asyncio.timeout` 2.9 us, one re-armed timer 0.46 us). So
the clocks are numbers, and one timer stands at the nearest of them. When it fires and that clock
has been reset meanwhile, it is set again for what is then the nearest: once per limit, not per
read. Where a loop makes rounds (`penstock.transports.rounds`), there is none before its last
second.

Clocks of two kinds:

- ``pool``, ``connect``, ``write``, ``response``, ``ttft`` and ``total`` run from `begin` to `end`.
- ``idle``, ``progress`` and ``min_rate`` run only while the consumer asks, between `asking` and
  `answered`: by a stopwatch, which is behind the time by all that the consumer spent elsewhere.
"""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from penstock.transports.deadlines import arrived, expired
from penstock.transports.rate import Rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.errors import DeadlineError
    from penstock.interfaces import Rounds, Timer
    from penstock.limits import Limits, Timeouts

__all__ = ["Clock", "Watchdog"]

_TIME_OF_ASYNCIO = asyncio.BaseEventLoop.time


class Clock(Protocol):
    """Where the time comes from: an asyncio loop is one."""

    def time(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` at `when`."""
        ...


def _trio_clock() -> Clock:
    from penstock.transports.trio_clock import TrioClock

    return TrioClock()


class Watchdog:
    """The clocks of one call; `penstock.interfaces.Watch` is its seam.

    Args:
        timeouts: The limits in seconds.
        limits: ``max_silence``: bytes without content that count as a sign of life.
        began: When the call began, on `time.monotonic`. Timings and ``total`` count from it.
        started: The same on `clock`, in place of `began`; default now.
        clock: Where the time comes from; default the running loop.
    """

    __slots__ = (
        "_answered_at",
        "_armed",
        "_asking",
        "_away",
        "_bytes",
        "_callback",
        "_clock",
        "_ignored",
        "_last_byte",
        "_last_content",
        "_max_silence",
        "_passed_over",
        "_progress_from",
        "_quiet_from",
        "_rate",
        "_rounds",
        "_time",
        "_timeouts",
        "_timer",
        "_timer_at",
        "started",
    )

    def __init__(
        self,
        timeouts: Timeouts,
        limits: Limits,
        began: float | None = None,
        *,
        started: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock = clock or asyncio._get_running_loop() or _trio_clock()
        # asyncio's own loops ask the same, one call further away, but where a test has put another
        # clock into one.
        time = clock.time
        own = getattr(time, "__func__", None) is _TIME_OF_ASYNCIO
        self._time = monotonic if own else time
        self._timeouts = timeouts
        self._max_silence = limits.max_silence
        if began is not None:
            started = began if own else self._time() - (monotonic() - began)
        elif started is None:
            started = self._time()
        self.started = self._answered_at = started
        """When the call began, on the loop's clock."""
        self._callback: Callable[[DeadlineError], None] | None = None
        self._timer: Timer | None = None
        self._rounds: Rounds | None = None
        # Of the first kind: when each runs out. As long as there is nobody to tell, none does.
        self._armed: dict[str, float] = {}
        if timeouts.total is not None:
            self._armed["total"] = started + timeouts.total
        # Of the second kind: from when each counts, by the stopwatch; infinity is "not begun".
        self._timer_at = self._quiet_from = self._progress_from = inf
        self._rate: Rate | None = None
        if timeouts.min_rate is not None:
            self._rate = Rate(timeouts.progress)
        # How far the stopwatch was behind when the consumer asked last.
        self._away = 0.0
        # Whether it asks, and whether some of its clocks, which stand still while it does not, may
        # have nobody who looks at them in time.
        self._asking = self._passed_over = False
        self._bytes = self._ignored = 0
        self._last_byte: float | None = None
        self._last_content: float | None = None

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        return self._time() - self.started

    def on_expire(
        self, callback: Callable[[DeadlineError], None], rounds: Rounds | None = None
    ) -> None:
        """Call `callback` when a clock runs out, ``total`` among them."""
        # What began before there was anybody to tell has no timer yet.
        self._see_to_armed(callback, rounds)

    def requested(
        self,
        callback: Callable[[DeadlineError], None] | None = None,
        rounds: Rounds | None = None,
    ) -> float:
        """Note that the whole request is with the peer: ``response`` and ``ttft`` run.

        The consumer waits for the answer from now on. With `callback` it is `on_expire`, too.
        """
        now = self._time()
        armed, timeouts = self._armed, self._timeouts
        if "write" in armed:
            del armed["write"]
        if timeouts.response is not None:
            armed["response"] = now + timeouts.response
        if timeouts.ttft is not None:
            armed["ttft"] = now + timeouts.ttft
        if not self._asking:
            self._asking = True
            self._away += now - self._answered_at
        self._see_to_armed(callback or self._callback, rounds)
        return now - self.started

    def opened(self, size: int = 0) -> float:
        """Note that an answer has begun: ``idle`` runs, and without ``ttft`` also ``progress``.

        Whoever asks has what it waited for, with `size` bytes of the answer.
        """
        now = self._time()
        armed = self._armed
        if "response" in armed:
            del armed["response"]
        if self._asking:
            self._asking = False
            self._answered_at = now
        since = self._quiet_from = self._answered_at - self._away
        if "ttft" not in armed:
            self._progress_from = since
        if self._rate is not None:
            self._rate.begin(since)
        if size:
            self._last_byte = now
            self._bytes += size
        # Whoever waits for it goes on, and asks for more: soon enough for these clocks.
        self._passed_over = True
        return now - self.started

    def begin(self, phase: str) -> None:
        """Start the clock of that name; on a running one, start it again."""
        now = self._time()
        since = (now if self._asking else self._answered_at) - self._away
        if phase == "idle":
            self._quiet_from = since
            if self._rate is not None:
                self._rate.begin(since)
        elif phase == "progress":
            # Until the first content ``ttft`` is the clock for it, where it is on.
            if "ttft" not in self._armed:
                self._progress_from = since
        else:
            limit: float | None = getattr(self._timeouts, phase)
            if limit is None:
                return
            self._armed[phase] = now + limit
        self._expect(self._nearest())

    def end(self, phase: str) -> None:
        """Stop the clock of that name."""
        if phase == "idle":
            self._quiet_from = inf
        elif phase == "progress":
            self._progress_from = inf
        else:
            self._armed.pop(phase, None)

    def stop(self) -> float:
        """Stop every clock, and forget whom to tell: nothing of the call is kept alive."""
        self._callback = self._rounds = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, inf
        return self._time() - self.started

    def asking(self) -> None:
        """Note that the consumer waits for bytes; ``idle`` and ``progress`` run."""
        if self._asking:
            return
        self._asking = True
        # Later than they were expected, but for those that were passed over meanwhile.
        self._away += self._time() - self._answered_at
        if self._passed_over:
            self._passed_over = False
            self._expect(self._nearest())

    def answered(self) -> None:
        """Note that the consumer has what it waited for; ``idle`` and ``progress`` stand still."""
        if self._asking:
            self._asking = False
            self._answered_at = self._time()

    def received(self, size: int) -> None:
        """Note `size` bytes from the peer: a sign of life, unless it has been silent too long."""
        now = self._last_byte = self._time()
        self._bytes += size
        if self._quiet_from == inf:
            self.begin("idle")
        elif self._ignored <= self._max_silence:
            self._quiet_from = (now if self._asking else self._answered_at) - self._away

    def delivered(self, size: int) -> float:
        """Note `size` bytes of an answer that is `opened`, which whoever asks has at once.

        It is `received` and `answered` in one, and returns the seconds since the call began.
        """
        now = self._last_byte = self._time()
        self._bytes += size
        if self._asking:
            self._asking = False
            self._answered_at = now
        if self._ignored <= self._max_silence:
            self._quiet_from = self._answered_at - self._away
        return now - self.started

    def sent(self, size: int) -> None:
        """Note `size` bytes that the peer took; the ``write`` clock, if it runs, starts again."""
        if size and "write" in self._armed:
            self.begin("write")

    def content(self) -> float:
        """Note content: the first one ends ``ttft``, each one starts ``progress`` again."""
        now = self._last_content = self._time()
        began = self._progress_from == inf
        self._progress_from = (now if self._asking else self._answered_at) - self._away
        self._ignored = 0
        if "ttft" in self._armed:
            del self._armed["ttft"]
        if not began:
            return now - self.started
        if self._asking:
            self._expect(self._nearest())
        else:
            self._passed_over = True  # ``progress`` stands still until somebody asks
        return now - self.started

    def ignored(self, size: int) -> None:
        """Note `size` received bytes that say nothing: comments, unknown fields.

        Past ``Limits.max_silence`` of them without content, bytes are no sign of life any more.
        """
        self._ignored += size

    def look(self, before: float) -> float:
        """Return when the first clock may run out; one that may before `before` has a timer."""
        if self._callback is None:
            return inf
        nearest = self._nearest()
        if nearest >= before:
            return nearest
        if nearest < self._timer_at:
            self._arm(nearest)
        return inf

    def _nearest(self) -> float:
        return min(self._running().values(), default=inf)

    def _running(self) -> dict[str, float]:
        """When each clock runs out, those apart that stand still while nobody asks."""
        running, timeouts = self._armed.copy(), self._timeouts
        if not self._asking:
            self._passed_over = True
            return running
        away = self._away
        if timeouts.idle is not None:
            running["idle"] = self._quiet_from + away + timeouts.idle
        if timeouts.progress is not None:
            running["progress"] = self._progress_from + away + timeouts.progress
        if self._rate is not None:
            running["min_rate"] = self._rate.judged_at + away
        return running

    def _see_to_armed(
        self, callback: Callable[[DeadlineError], None] | None, rounds: Rounds | None
    ) -> None:
        """Have somebody look at those of the first kind, and tell `callback`."""
        self._callback = callback
        if rounds is not None and rounds.clock is self._clock:
            self._rounds = rounds
        else:
            rounds = self._rounds
        looked_at = self._timer_at if rounds is None else rounds.next
        for when in self._armed.values():  # `min` takes three times as long
            if when < looked_at:
                self._expect(self._nearest())
                break

    def _expect(self, when: float) -> None:
        """See to it that somebody looks at `when`, or before."""
        if when >= self._timer_at or self._callback is None:
            return
        rounds = self._rounds
        if rounds is None or (when < rounds.next and not rounds.expect(when)):
            self._arm(when)

    def _arm(self, when: float) -> None:
        """Set the timer anew."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._tick)

    def _tick(self) -> None:
        """Tell of the clock that ran out first; if none has, wait for the nearest."""
        # A loop may call a timer one tick of its clock early.
        now = max(self._time(), self._timer_at)
        self._timer, self._timer_at = None, inf
        due = self._due(now)
        if due is None:
            nearest = self._nearest()
            if nearest < inf:
                self._expect(nearest)
            return
        callback = self._callback
        self.stop()
        if callback is not None:
            callback(due)

    def _due(self, now: float) -> DeadlineError | None:
        running = self._running()
        phase = min(running, key=running.__getitem__, default="")
        if not phase or running[phase] > now:
            return None
        limit: float = getattr(self._timeouts, phase)
        elapsed = now - (running[phase] - limit)
        if phase == "min_rate":
            assert self._rate is not None  # it runs
            elapsed = self._rate.judge(self._bytes, now - self._away)
            if elapsed >= limit:
                return self._due(now)
        byte, content = self._last_byte, self._last_content
        came = arrived(
            self._bytes,
            byte_ago=None if byte is None else now - byte,
            content_ago=None if content is None else now - content,
        )
        return expired(phase, limit=limit, elapsed=elapsed, came=came)
