"""What a client keeps open: its transport, and the embedded simulator once it is asked for."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError, MissingExtraError, StreamClosedError
from penstock.forks import Lock, once

if TYPE_CHECKING:
    from anyio import Event

    from penstock.interfaces import Transport
    from penstock.limits import Limits
    from penstock.simulator import SimulatorThread
    from penstock.transports.direct import DirectTransport
    from penstock.transports.http import HttpxTransport

__all__ = ["Connections"]

_EXTRAS = {"aiohttp": "fast", "httpx2": "httpx2"}
"""Which extra brings the package of that name."""


class Connections:
    """The sockets of one client, made on first use.

    Args:
        transport: ``"direct"``, ``"httpx"``, ``"httpx2"``, ``"aiohttp"``, or a transport that the
            caller made; None is httpx where there is a ``client`` of the caller's, else direct.
        limits: Bounds in bytes.
        options: What the transport over httpx takes beside them; ``client`` is for it alone.
    """

    def __init__(
        self, transport: str | Transport | None, *, limits: Limits, **options: Any
    ) -> None:
        if transport is None:
            transport = "direct" if options.get("client") is None else "httpx"
        if isinstance(transport, str) and transport in _EXTRAS and find_spec(transport) is None:
            raise MissingExtraError(
                f"{transport} is not installed: pip install 'penstock[{_EXTRAS[transport]}]'"
            )
        if transport in ("direct", "aiohttp") and options.get("client") is not None:
            raise ConfigurationError('http_client= needs transport="httpx": it is what sends')
        self._given = transport
        self._limits = limits
        self._options = options
        self._made: HttpxTransport | DirectTransport | None = None
        self._lock = Lock()
        self._simulator: tuple[int, SimulatorThread] | None = None
        self._closed = False
        self._sleeping: dict[Event, asyncio.AbstractEventLoop | None] = {}

    @once
    def transport(self) -> Transport:
        """The transport."""
        if not isinstance(self._given, str):
            return self._given
        with self._lock:
            if self._made is None:
                self._made = self._make(self._given)
            return self._made

    def _make(self, name: str) -> HttpxTransport | DirectTransport:
        # Each is loaded with its first call: httpx is slow to load.
        options = {each: value for each, value in self._options.items() if each != "client"}
        if name == "direct":
            from penstock.transports.direct import DirectTransport

            return DirectTransport(limits=self._limits, **options)
        if name == "aiohttp":
            from penstock.transports.aiohttp import AiohttpTransport

            return AiohttpTransport(limits=self._limits, **options)
        from penstock.transports.http import HttpxTransport

        # Of two packages the one that is named, as mocks of the other do not see its calls.
        return HttpxTransport(
            limits=self._limits, use="httpx2" if name == "httpx2" else "httpx", **self._options
        )

    def count(self) -> int:
        """Return how many connections the pools hold, idle ones included."""
        return 0 if self._made is None else self._made.stats().connections

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`, on whichever loop runs."""
        from anyio import sleep  # not needed before a first wait

        await sleep(seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, or until the client is closed.

        Raises:
            StreamClosedError: It was closed.
        """
        from anyio import Event, move_on_after

        wake = Event()
        self._sleeping[wake] = asyncio._get_running_loop()
        try:
            with move_on_after(seconds):
                await wake.wait()
        finally:
            del self._sleeping[wake]
        self._check_open()

    async def simulator(self) -> str:
        """Return the address of the embedded simulator, started if need be.

        It runs in a thread with a loop of its own, so that every loop and thread that uses the
        client finds it; a fork starts its own.
        """
        if self._simulator is None or self._simulator[0] != os.getpid():
            from anyio.to_thread import run_sync

            # Loading and starting it takes a hundred times what a loop may stand still.
            await run_sync(self._start_simulator, abandon_on_cancel=True)
        self._check_open()
        assert self._simulator is not None  # it was started above
        return f"{self._simulator[1].url}/v1"

    def _start_simulator(self) -> None:
        with self._lock:
            if not self._closed and (self._simulator is None or self._simulator[0] != os.getpid()):
                from penstock.simulator import SimulatorThread

                thread = SimulatorThread()
                thread.start()
                self._simulator = os.getpid(), thread

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError("the client is closed: make a new one")

    async def aclose(self) -> None:
        """Close every connection, wake every call that waits for a retry, end the simulator."""
        self._closed = True
        for wake, loop in list(self._sleeping.items()):
            if loop is asyncio._get_running_loop():
                wake.set()
            elif loop is not None and loop.is_running():
                loop.call_soon_threadsafe(wake.set)
        if self._made is not None:
            await self._made.aclose()
        with self._lock:
            simulator, self._simulator = self._simulator, None
        if simulator is not None and simulator[0] == os.getpid():
            from anyio.to_thread import run_sync

            await run_sync(simulator[1].close)
