"""What a client keeps open: its transport, and the embedded simulator once it is asked for."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.interfaces import Transport
    from penstock.limits import Limits
    from penstock.simulator import SimulatorThread
    from penstock.transports.http import HttpxTransport

__all__ = ["Connections"]


class Connections:
    """The sockets of one client, made on first use.

    Args:
        transport: ``"httpx"``, or a transport that the caller made.
        limits: Bounds in bytes.
        options: What the transport over httpx takes beside them.
    """

    def __init__(self, transport: str | Transport, *, limits: Limits, **options: Any) -> None:
        if isinstance(transport, str) and transport != "httpx":
            raise ConfigurationError(f'transport is "httpx" or a Transport, not {transport!r}')
        self._given = transport
        self._limits = limits
        self._options = options
        self._made: HttpxTransport | None = None
        self._lock = Lock()
        self._simulator: tuple[int, SimulatorThread] | None = None

    @property
    def transport(self) -> Transport:
        """The transport."""
        if not isinstance(self._given, str):
            return self._given
        with self._lock:
            if self._made is None:
                from penstock.transports.http import HttpxTransport  # httpx is slow to load

                self._made = HttpxTransport(limits=self._limits, **self._options)
            return self._made

    def count(self) -> int:
        """Return how many connections the pools hold, idle ones included."""
        return 0 if self._made is None else self._made.stats().connections

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, on whichever loop runs."""
        from anyio import sleep  # not needed before a first retry

        await sleep(seconds)

    async def simulator(self) -> str:
        """Return the address of the embedded simulator, started if need be.

        It runs in a thread with a loop of its own, so that every loop and thread that uses the
        client finds it; a fork starts its own.
        """
        with self._lock:
            if self._simulator is None or self._simulator[0] != os.getpid():
                from penstock.simulator import SimulatorThread

                thread = SimulatorThread()
                thread.start()
                self._simulator = os.getpid(), thread
            return f"{self._simulator[1].url}/v1"

    async def aclose(self) -> None:
        """Close every connection, and the simulator."""
        if self._made is not None:
            await self._made.aclose()
        with self._lock:
            simulator, self._simulator = self._simulator, None
        if simulator is not None and simulator[0] == os.getpid():
            simulator[1].close()
