"""What a client holds right now."""

from __future__ import annotations

import sys
from asyncio import _get_running_loop, run_coroutine_threadsafe
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import StreamClosedError
from penstock.forks import PROCESS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Awaitable, Callable

    from penstock.connections import Connections
    from penstock.stream import ChatStream

__all__ = ["ClientStats", "LoopStreams", "OpenStreams", "resident"]

_SAMPLE = 0.25
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class ClientStats:
    """A client at one moment."""

    open_streams: int
    """Calls that were begun and have not ended, on every event loop of this process, those
    that wait for a connection or a retry among them."""
    bytes_buffered: int
    """Bytes of answers that were received and not yet handed out."""
    connections: int
    """Connections in the pools, idle ones included."""
    loop_lag: float | None
    """By how many seconds the running loop's last timer came late; None outside asyncio, or
    before the first quarter of a second with an open stream."""


class OpenStreams:
    """The streams of one client, by the event loop that reads them."""

    def __init__(self) -> None:
        self._by_loop: dict[AbstractEventLoop | None, LoopStreams] = {}
        self._generation = PROCESS.generation
        self._inherited: dict[AbstractEventLoop | None, LoopStreams] = {}
        self._refusing = False

    @property
    def _loops(self) -> dict[AbstractEventLoop | None, LoopStreams]:
        """This process's loops: a forked child keeps its parent's streams, and never touches them.

        Their sockets, and the selectors and pipes of their loops, are the parent's too.
        """
        if self._generation != PROCESS.generation:
            self._generation = PROCESS.generation
            self._inherited, self._by_loop = self._by_loop, {}
        return self._by_loop

    def add(self, stream: ChatStream) -> LoopStreams:
        """Note that `stream` is being opened.

        Returns:
            What is open on its loop, from which it is to be discarded once it has ended.

        Raises:
            StreamClosedError: The client is closed.
        """
        if self._refusing:
            raise StreamClosedError("the client is closed: make a new one")
        loop = _get_running_loop()  # None: trio's, or none at all
        loops = self._by_loop if self._generation == PROCESS.generation else self._loops
        here = loops.get(loop)
        if here is None:
            for gone in [each for each in loops if each is not None and each.is_closed()]:
                loops.pop(gone, None)
            here = loops[loop] = LoopStreams(loop)
        here.streams.add(stream)
        if here.timer is None:
            here.watch()
        return here

    def refuse(self) -> None:
        """Let no new stream begin."""
        self._refusing = True

    async def drain(self, grace: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait up to `grace` seconds for the streams to end, those of other loops too."""
        waited = 0.0
        while any(here.streams for here in self._loops.values()) and waited < grace:
            await sleep(min(_POLL, grace - waited))
            waited += _POLL

    async def abort(self) -> None:
        """Close every stream that is still open; other loops are told to, and not waited for."""
        mine = _get_running_loop()
        for loop, here in list(self._loops.items()):
            if loop is mine:
                for stream in list(here.streams):
                    await stream.aclose()
            elif loop is not None and loop.is_running():
                for stream in list(here.streams):
                    run_coroutine_threadsafe(stream.aclose(), loop)
        if mine in self._loops:
            self._loops.pop(mine).stop()

    def stats(self, connections: Connections) -> ClientStats:
        """Return the present state."""
        here = self._loops.get(_get_running_loop())
        streams = [stream for each in list(self._loops.values()) for stream in list(each.streams)]
        return ClientStats(
            open_streams=len(streams),
            bytes_buffered=sum(stream.buffered for stream in streams),
            connections=connections.count(),
            loop_lag=None if here is None or not here.streams else here.lag,
        )


class LoopStreams:
    """What is open on one loop, and how late its timers come, four times a second.

    The timer outlives the last stream until it next fires: setting it costs more than a short call
    may take for all its bookkeeping.
    """

    def __init__(self, loop: AbstractEventLoop | None) -> None:
        self.streams: set[ChatStream] = set()
        self.lag: float | None = None
        """By how many seconds the last timer came late."""
        self.loop = loop
        self.timer: TimerHandle | None = None
        """What fires next; None while nobody watches."""

    def watch(self) -> None:
        """Watch the loop while there is any stream."""
        if self.loop is not None:
            self._wait(self.loop)

    def stop(self) -> None:
        """Watch the loop no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _wait(self, loop: AbstractEventLoop) -> None:
        due = loop.time() + _SAMPLE
        # In a context of nobody: that of the first call would be kept while there is any.
        self.timer = loop.call_at(due, self._tick, loop, due, context=Context())

    def _tick(self, loop: AbstractEventLoop, due: float) -> None:
        self.timer, self.lag = None, None
        if self.streams:
            self.lag = max(0.0, loop.time() - due)
            self._wait(loop)


def resident() -> int | None:
    """Return the process's resident memory in bytes, or None where the system does not say.

    Source: proc(5), ``/proc/self/statm``, field 2, in pages; elsewhere, and where no file can be
    opened, getrusage(2), whose ``ru_maxrss`` is the peak, in KiB but on macOS, which has bytes.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        if sys.platform == "win32":
            return None
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    from resource import getpagesize

    return pages * getpagesize()
