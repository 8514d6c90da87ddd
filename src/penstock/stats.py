"""What a client holds right now."""

from __future__ import annotations

from asyncio import get_running_loop
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import StreamClosedError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Awaitable, Callable

    from penstock.connections import Connections
    from penstock.stream import ChatStream

__all__ = ["ClientStats", "OpenStreams"]

_SAMPLE = 0.25
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class ClientStats:
    """A client at one moment."""

    open_streams: int
    """Calls that were begun and have not ended."""
    bytes_buffered: int
    """Bytes of answers that were received and not yet handed out."""
    connections: int
    """Connections in the pools, idle ones included."""
    loop_lag: float | None
    """By how many seconds the running loop's last timer came late; None outside asyncio, or
    before the first quarter of a second with an open stream."""


class OpenStreams:
    """The streams of one client, for `penstock.Client.stats` and a graceful end."""

    def __init__(self) -> None:
        self._streams: set[ChatStream] = set()
        self._refusing = False
        self._lag: dict[AbstractEventLoop, _Lag] = {}

    def add(self, stream: ChatStream) -> None:
        """Note that `stream` is being opened.

        Raises:
            StreamClosedError: The client is closed.
        """
        if self._refusing:
            raise StreamClosedError("the client is closed: make a new one")
        self._streams.add(stream)
        self._watch_loop()

    def discard(self, stream: ChatStream) -> None:
        """Note that `stream` has ended."""
        self._streams.discard(stream)
        if not self._streams:
            for lag in self._lag.values():
                lag.stop()
            self._lag.clear()

    def refuse(self) -> None:
        """Let no new stream begin."""
        self._refusing = True

    async def drain(self, grace: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait up to `grace` seconds for the streams to end."""
        waited = 0.0
        while self._streams and waited < grace:
            await sleep(min(_POLL, grace - waited))
            waited += _POLL

    async def abort(self) -> None:
        """Close every stream that is still open."""
        for stream in list(self._streams):
            await stream.aclose()
        self._streams.clear()

    def stats(self, connections: Connections) -> ClientStats:
        """Return the present state."""
        lag = self._lag.get(_running_loop())  # type: ignore[arg-type]  # None is no key
        return ClientStats(
            open_streams=len(self._streams),
            bytes_buffered=sum(stream.buffered for stream in self._streams),
            connections=connections.count(),
            loop_lag=None if lag is None else lag.seconds,
        )

    def _watch_loop(self) -> None:
        loop = _running_loop()
        if loop is not None and loop not in self._lag:
            self._lag[loop] = _Lag(loop)


class _Lag:
    """Four times a second, by how much a timer comes late; only while streams are open."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.seconds: float | None = None
        self._loop = loop
        self._timer: TimerHandle = loop.call_later(_SAMPLE, self._tick, loop.time() + _SAMPLE)

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self, due: float) -> None:
        now = self._loop.time()
        self.seconds = max(0.0, now - due)
        self._timer = self._loop.call_at(now + _SAMPLE, self._tick, now + _SAMPLE)


def _running_loop() -> AbstractEventLoop | None:
    try:
        return get_running_loop()
    except RuntimeError:  # trio, or no loop at all
        return None
