"""The children of an agent that stay between turns, by the session that each is in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from penstock.dialects.agents.talk import Asked
from penstock.errors import PenstockError
from penstock.transports.process.channel import TurnWire

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.options import AgentOptions
    from penstock.errors import DeadlineError
    from penstock.interfaces import Watch
    from penstock.response import Timings

__all__ = ["Kept"]

T = TypeVar("T")
Starter: TypeAlias = "Callable[[], Awaitable[Live]]"
"""Starts a session's child."""


@dataclass(eq=False, slots=True)
class _Place:
    """A session, whether it has a child or not; its turns wait for each other here."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    """Turns that run here, or wait to."""
    live: Live | None = None
    profile: tuple[str | None, ...] = ()


class Kept:
    """Finds the child that is in a session, or starts one that resumes it.

    Args:
        options: The agent's: where it works, how many children may wait for a turn.
        grace: Seconds in which a turn that is to end does so by itself, before its child is ended.
    """

    def __init__(self, options: AgentOptions, *, grace: float) -> None:
        self._options = options
        self._grace = grace
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Places] = WeakKeyDictionary()

    async def open(self, turn: Turn, start: Starter, *, watch: Watch, timings: Timings) -> TurnWire:
        """Ask `turn` of its session's child; the answer is read from the wire.

        Raises:
            PenstockError: There is no child to be had, or a clock ran out before there was one.
        """
        places = self._places()
        place = places.at(turn.session_id)
        place.users += 1
        try:
            watch.begin("pool")
            await _before(watch, place.lock.acquire(), undo=lambda _: place.lock.release())
            watch.end("pool")
        except BaseException:
            place.users -= 1
            raise
        try:
            live = await self._live(place, turn, start, watch)
        except BaseException:
            places.release(place)
            raise
        wire = TurnWire(
            watch,
            timings,
            memory=self._options.limits.max_queue_bytes,
            interrupt=live.interrupt,
            kill=live.kill,
            grace=self._grace,
        )
        wire.on_end = partial(places.release, place)
        try:
            await _before(watch, live.begin(_asked(turn, self._options), wire))
        except PenstockError:
            wire.finish()
            raise
        except BaseException:
            wire.abort()
            raise
        return wire

    async def capture(self, id: str) -> dict[str, bytes] | None:
        """Return the session's files from its child; None where it has none to tell of them."""
        live = self._places().live(id)
        if live is None:
            return None
        try:
            return await live.capture()
        except PenstockError:
            return None

    async def aclose(self) -> None:
        """End the children of this loop, and wait for them."""
        await self._places().aclose()

    async def _live(self, place: _Place, turn: Turn, start: Starter, watch: Watch) -> Live:
        """The place's child; a new one where it died, or was started for something else."""
        profile = (turn.model, turn.system, turn.effort)
        live = place.live
        if live is not None and (not live.alive or profile != place.profile):
            place.live = None
            await live.aclose()
            live = None
        if live is None:
            live = place.live = await _before(watch, start(), undo=_kill)
            place.profile = profile
        return live

    def _places(self) -> _Places:
        return self._by_loop.setdefault(asyncio.get_running_loop(), _Places(self._options.max_idle))


class _Places:
    """The sessions of one loop, the last one used last."""

    def __init__(self, max_idle: int) -> None:
        self._max_idle = max_idle
        self._by_id: dict[str, _Place] = {}
        self._every: set[_Place] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    def at(self, id: str | None) -> _Place:
        """Return the session's place; a new one where it has none."""
        place = self._in(id) if id else None
        if place is None:
            place = _Place()
            self._every.add(place)
            if id:
                self._by_id[id] = place
        return place

    def _in(self, id: str) -> _Place | None:
        """The place of a session, also of one whose first turn has not ended yet."""
        known = self._by_id.get(id)
        if known is not None:
            return known
        every = (each for each in self._every if each.live is not None)
        return next((each for each in every if each.live and each.live.session_id == id), None)

    def live(self, id: str) -> Live | None:
        """Return the session's child, if it is alive."""
        place = self._by_id.get(id)
        found = None if place is None else place.live
        return found if found is not None and found.alive else None

    def release(self, place: _Place) -> None:
        """Let the session's next turn come, and children go of which there are too many."""
        place.users -= 1
        place.lock.release()
        id = None if place.live is None else place.live.session_id
        if id is not None:
            for known in [known for known, each in self._by_id.items() if each is place]:
                del self._by_id[known]
            self._by_id[id] = place
        idle = [each for each in self._by_id.values() if not each.users]
        kept = [each for each in idle if each.live is not None and each.live.alive]
        self._let_go({*self._every} - {*kept} - {each for each in self._every if each.users})
        self._let_go(kept[: max(0, len(kept) - self._max_idle)])

    async def aclose(self) -> None:
        """End every child."""
        every = list(self._every)
        self._by_id.clear()
        self._every.clear()
        await asyncio.gather(*(each.live.aclose() for each in every if each.live is not None))
        while self._leaving:
            await asyncio.wait(self._leaving)

    def _let_go(self, places: Iterable[_Place]) -> None:
        gone = set(places)
        self._by_id = {id: each for id, each in self._by_id.items() if each not in gone}
        self._every -= gone
        for each in gone:
            if each.live is not None:
                task = asyncio.ensure_future(each.live.aclose())
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)


async def _before(
    watch: Watch, waiting: Awaitable[T], *, undo: Callable[[T], object] | None = None
) -> T:
    """Wait for `waiting` until a clock runs out; what comes when nobody waits is undone."""
    task = asyncio.ensure_future(waiting)
    late: list[DeadlineError] = []

    def expired(error: DeadlineError) -> None:
        late.append(error)
        task.cancel()

    watch.on_expire(expired)
    try:
        return await task
    except asyncio.CancelledError:
        if undo is not None and task.done() and not task.cancelled() and not task.exception():
            undo(task.result())
        if late:
            raise late[0] from None
        raise


def _kill(live: Live) -> None:
    live.kill()


def _asked(turn: Turn, options: AgentOptions) -> Asked:
    return Asked(
        prompt=turn.prompt,
        model=turn.model,
        system=turn.system,
        effort=turn.effort,
        session_id=turn.session_id,
        directory=options.directory,
    )
