"""One load, run: users of a closed loop, or requests of an open one when they are due."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from penstock.bench.calls import Place
from penstock.bench.collect import Collector
from penstock.bench.metrics import Measurement
from penstock.bench.schedule import arrivals
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from penstock.bench.calls import Caller
    from penstock.bench.records import RequestRecord
    from penstock.bench.settings import Load, Settings
    from penstock.bench.workload import Ask, Conversation, Message

__all__ = ["Run"]

_RECENT = 200
# What an assistant "said" that gave no text, as the next turn needs something there.
_NO_TEXT = "(no text)"
# How many warm up at once what has a timetable of its own.
_WARMING = 4


class Run:
    """Runs one load to its end: so many requests, so much time, or the workload's own end.

    Warm-up requests are the first ones, so that the first measured one finds the server at work;
    ramps and traces, which have a timetable, begin it when the warm-up is over. No request begins
    after the end, and those under way are waited for.

    Args:
        caller: Sends the requests.
        settings: How many, how long, and what seed.
        load: How they are begun.
        conversations: What is asked.
        on_record: Told each request as it ends.
    """

    def __init__(
        self,
        caller: Caller,
        settings: Settings,
        *,
        load: Load,
        conversations: Iterator[Conversation],
        on_record: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.load = load
        """How requests are begun."""
        self.collector = Collector(settings.goodput, seed=settings.seed)
        """The figures so far."""
        self.active = 0
        """Requests under way, warm-up among them."""
        self.peak = 0
        """The most of them when a measured one began."""
        self.sent = 0
        """Requests that were begun, warm-up among them."""
        self.done = 0
        """Measured requests that have ended."""
        self.recent: deque[RequestRecord] = deque(maxlen=_RECENT)
        """The last requests that ended."""
        self._settings = settings
        self._conversations = enumerate(conversations)
        self._on_record = on_record
        self._untimed = caller
        self._begin()
        self._deadline: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        bound = load.concurrency if load.open_loop else None
        self._places = asyncio.Semaphore(bound) if bound else None
        self._failure: BaseException | None = None
        self._stopped = False

    @property
    def elapsed(self) -> float:
        """Seconds since the load began."""
        return perf_counter() - self._origin

    @property
    def limit(self) -> int | None:
        """Measured requests that were asked for; None where only time bounds them."""
        return self._settings.requests

    @property
    def progress(self) -> float | None:
        """How much of the load is done, from 0 to 1; None where nobody can know."""
        limit, duration = self._settings.requests, self._settings.duration
        shares = [self.done / limit] if limit else []
        if duration and self._deadline is not None:
            shares.append(1 - (self._deadline - perf_counter()) / duration)
        if not shares:
            return 0.0 if limit or duration else None
        return min(max(*shares, 0.0), 1.0)

    def stop(self) -> None:
        """Begin no more requests, and drop those under way, which count as cancelled."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def run(self) -> None:
        """Run it.

        Raises:
            UsageError: The first requests cannot be sent. A later one that cannot, as its line of a
                dataset is none that the dialect can say, has failed like any other.
        """
        try:
            if self.load.kind in ("ramp", "trace") and self._settings.warmup:
                self._users(min(self._settings.warmup, _WARMING), until=self._warm)
                await self._idle()
                self._begin()
            if self.load.open_loop:
                self._spawn(self._open())
            else:
                self._users(self.load.concurrency or 1, until=self._over)
            await self._idle()
        finally:
            self.stop()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        """Let the time count from now on."""
        self._origin = perf_counter()
        self._first: float | None = None
        self._caller = replace(self._untimed, origin=self._origin)

    def _users(self, count: int, *, until: Callable[[], bool]) -> None:
        """Begin a closed loop; `Load.ramp_up` spreads its beginning."""
        step = (self.load.ramp_up or 0.0) / count
        for number in range(count):
            self._spawn(self._user(number * step, until))

    async def _user(self, after: float, until: Callable[[], bool]) -> None:
        """Hold conversations one after the other."""
        if after:
            await asyncio.sleep(after)
        while not until():
            number, conversation = next(self._conversations, (0, None))
            if conversation is None:
                return
            await self._hold(conversation, self._take(number, 0, None), until=until)

    async def _open(self) -> None:
        """Begin each conversation when it is due."""
        times = None
        if self.load.kind != "trace":
            duration = self._settings.duration
            times = arrivals(self.load, seed=self._settings.seed, duration=duration)
        for number, conversation in self._conversations:
            due = (
                self._due(conversation.due or 0.0) if times is None else self._origin + next(times)
            )
            if self._over(due):
                return
            await _sleep_until(due)
            if self._over(due):
                return
            # Counted before its task begins: a burst of what is due would else pass the end.
            place = self._take(number, 0, due)
            self._spawn(self._hold(conversation, place, until=self._over))

    async def _hold(
        self, conversation: Conversation, place: Place, *, until: Callable[[], bool]
    ) -> None:
        """Hold one conversation, as long as it is answered; `place` is its first turn's."""
        history: list[Message] = []
        asks = iter(conversation.asks)
        ask = next(asks, None)
        while ask is not None:
            following = next(asks, None)
            history += ask.messages
            text = await self._ask(ask, history, place, keep_text=following is not None)
            if text is None or following is None:
                return
            history.append({"role": "assistant", "content": text or _NO_TEXT})
            moment = self._next(following)
            await _sleep_until(moment)
            if until():
                return
            due = None if place.due is None else moment
            place = self._take(place.conversation, place.turn + 1, due)
            ask = following

    def _next(self, ask: Ask) -> float:
        """Return when a later turn is due, its answer before having come just now."""
        if self.load.kind == "trace" and self._first is None:
            return perf_counter()  # warming up keeps no timetable
        moment = perf_counter() + ask.delay / (self.load.speed or 1.0)
        return moment if ask.due is None else max(moment, self._due(ask.due))

    def _due(self, recorded: float) -> float:
        """Return when a trace's moment is; what warming up has taken of it is not waited for."""
        if self._first is None:
            self._first = recorded
        return self._origin + (recorded - self._first) / (self.load.speed or 1.0)

    async def _ask(
        self, ask: Ask, history: list[Message], place: Place, *, keep_text: bool
    ) -> str | None:
        """Send one request and note what came of it; return its text, None where it failed."""
        measured = Measurement(keep_text=keep_text)
        try:
            record = await self._send(ask, history, place, measured)
        except asyncio.CancelledError:
            self._note(self._caller.dropped(ask, place, measured), measured)
            raise
        except UsageError as error:
            if not self.recent and not self._caller.point:
                raise  # the very first: it would befall every request
            record = self._caller.refused(ask, place, measured, error)
        self._note(record, measured)
        return measured.text if record.error is None else None

    async def _send(
        self, ask: Ask, history: list[Message], place: Place, measured: Measurement
    ) -> RequestRecord:
        """Send one request, when there is a place for it."""
        async with AsyncExitStack() as held:
            if self._places is not None:
                await held.enter_async_context(self._places)
            self.active += 1
            if not place.warmup:
                self.peak = max(self.peak, self.active)
                self.collector.timeline.began(self.elapsed, self.active)
            try:
                return await self._caller.send(ask, history, place, measured)
            finally:
                self.active -= 1
                self.collector.timeline.left(self.elapsed, self.active)

    def _note(self, record: RequestRecord, measured: Measurement) -> None:
        if not record.warmup:
            self.done += 1
            self.collector.take(record, measured.gaps, measured.streamed_tokens)
        self.recent.append(record)
        if self._on_record is not None:
            self._on_record(record)

    def _take(self, conversation: int, turn: int, due: float | None) -> Place:
        """Count one request, which begins now."""
        warmup = self._warm_left > 0
        if not warmup and self._deadline is None and self._settings.duration is not None:
            begins = perf_counter() if due is None else due
            self._deadline = begins + self._settings.duration
        place = Place(
            number=self.sent, conversation=conversation, turn=turn, warmup=warmup, due=due
        )
        self.sent += 1
        return place

    @property
    def _warm_left(self) -> int:
        return self._settings.warmup - self.sent

    def _warm(self) -> bool:
        return self._stopped or self._warm_left <= 0

    def _over(self, due: float | None = None) -> bool:
        """Tell whether no request begins any more, or none at `due`."""
        limit, now = self._settings.requests, perf_counter() if due is None else due
        return (
            self._stopped
            or (limit is not None and self.sent >= limit + self._settings.warmup)
            or (self._deadline is not None and now >= self._deadline)
        )

    async def _idle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._failure is None:
            self._failure = error
        self.stop()


async def _sleep_until(moment: float) -> None:
    """Wait; what is late still lets others run."""
    await asyncio.sleep(max(moment - perf_counter(), 0.0))
