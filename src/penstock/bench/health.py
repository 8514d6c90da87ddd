"""What measuring costs the client: CPU, memory, and how late its event loop is."""

from __future__ import annotations

import asyncio
import errno
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING, Self

from penstock.bench.distribution import Sample
from penstock.bench.summary import Health
from penstock.stats import resident

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from penstock.bench.summary import Metric, Summary

__all__ = ["HealthWatch"]

_INTERVAL = 0.02
# A core that is this busy queues what comes: at 0.8 an event waits four times its own work (M/M/1).
_BUSY = 0.8
# What the figures promise: 2 %, or a millisecond where that is more.
_SHARE, _PRECISION = 0.02, 0.001
# A timer of an idle loop comes up to a millisecond late, as epoll counts in them.
_ROUNDED = 0.001
# Times that a late loop makes longer by as much; TPOT is over a whole answer, which evens it out.
_LENGTHENED = ("itl", "ttft", "ttfot", "e2e")
_LATE = 0.01  # of a request that is sent after it was due


class HealthWatch:
    """Watches the client from entering to leaving; both on the loop that does the work.

    The loop's lag is the lateness of a timer every 20 ms. A stall counts for as many timers as
    would have come in it, each later one less late, so that a percentile is what an event at any
    moment meets (HdrHistogram's correction for coordinated omission). Its precision is the event
    loop's: epoll counts in milliseconds.
    """

    def __init__(self) -> None:
        self._lag = Sample()
        self._timer: asyncio.TimerHandle | None = None
        self._began = self._thread = self._process = 0.0
        self._wall = self._cpu = self._process_cpu = 0.0
        self._before = self._after = None  # type: int | None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._before = resident()
        self._began, self._thread, self._process = perf_counter(), thread_time(), process_time()
        self._timer = loop.call_later(_INTERVAL, self._tick, loop.time() + _INTERVAL)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wall = max(perf_counter() - self._began, 1e-9)
        self._cpu = (thread_time() - self._thread) / self._wall
        self._process_cpu = (process_time() - self._process) / self._wall
        self._after = resident()

    def judge(self, summary: Summary, *, capped: bool, seed: int = 0) -> Health:
        """Return what was seen, and whether the client was the limit of what `summary` says.

        Args:
            summary: The load's figures.
            capped: Whether a bound on concurrency holds requests of an open loop back: then their
                late start is what the user asked for.
            seed: What the resampling is drawn from.
        """
        lag = self._lag.metric("s", seed)
        warnings = tuple(self._warnings(lag, summary, capped=capped))
        return Health(
            cpu=self._cpu,
            process_cpu=self._process_cpu,
            loop_lag=lag,
            memory=self._after,
            memory_growth=_difference(self._before, self._after),
            limited=bool(warnings),
            warnings=warnings,
        )

    def _warnings(self, lag: Metric | None, summary: Summary, *, capped: bool) -> Iterator[str]:
        if self._cpu > _BUSY:
            yield (
                f"the client was the limit: its core was busy {self._cpu:.0%} of the time. Use "
                "fewer users for each process, or several processes"
            )
        elif lag is not None and (found := _lengthened(lag, summary.metrics)) is not None:
            name, mark, share = found
            yield (
                f"the client was the limit: its event loop came {lag.percentiles[mark] * 1000:.1f} "
                f"ms late ({mark}), and at least {share:.0%} of the {name.upper()}'s {mark} may be "
                "that. Use fewer users for each process; other work on this machine may be the "
                "cause, too"
            )
        delay = summary.metrics.get("start_delay")
        if delay is not None and not capped and delay.percentiles["p99"] > _LATE:
            late = delay.percentiles["p99"] * 1000
            yield f"requests were sent up to {late:.0f} ms after they were due (p99)"
        if f"[Errno {errno.EMFILE}]" in summary.messages.get("connect", ""):
            yield (
                "the client was the limit: it may open no more sockets. Raise its limit of open "
                "files (ulimit -n), or use several processes"
            )
        if summary.errors.get("pool"):
            yield f"{summary.errors['pool']} requests got no connection from the client's own pool"

    def _tick(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = max(now - due, 0.0)
        self._lag.add(late)
        while (late := late - _INTERVAL) > 0:
            self._lag.add(late)
        self._timer = loop.call_at(now + _INTERVAL, self._tick, now + _INTERVAL)


def _lengthened(lag: Metric, metrics: Mapping[str, Metric]) -> tuple[str, str, float] | None:
    """Return the time that the loop's lag has a part in beyond what the figures promise.

    Its name, its percentile and the part; the one with the largest part, None where there is none.
    A percentile is compared with the lag's own: the worst hundredth of the times met the worst
    hundredth of the lags.
    """
    found = []
    for name in _LENGTHENED:
        for mark, time in metrics[name].percentiles.items() if name in metrics else ():
            late = lag.percentiles[mark] - _ROUNDED
            if late > max(_PRECISION, _SHARE * time):
                found.append((late / time if time else 1.0, name, mark))
    if not found:
        return None
    share, name, mark = max(found)
    return name, mark, min(share, 1.0)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
