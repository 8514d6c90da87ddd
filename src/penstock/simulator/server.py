"""The simulator as a server: its address, its life, and what it tells."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from penstock.simulator.connection import Connection, Incoming
from penstock.simulator.exchange import Exchange
from penstock.simulator.hub import Hub
from penstock.simulator.recordings import Recording, load_recording
from penstock.simulator.records import Connections, RequestRecord, SimulatorStats
from penstock.simulator.respond import StepCache
from penstock.simulator.rules import Rules

if TYPE_CHECKING:
    import ssl

    from penstock.simulator.thread import SimulatorThread

__all__ = ["Simulator", "serve"]


class Simulator:
    """A server that speaks the vendors' wire formats, with faults on demand.

    Use it as an async context manager; `url` is then its origin, and any path that ends as a
    vendor's does is answered, so that `url` and ``url + "/v1"`` both work as a base address.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        models: Behaviors by the model names that clients send: ``{"gpt-5.4": "text?tokens=5"}``.
        default: The behavior of every model name that is not known otherwise; None refuses them.
        recordings: Recordings, or paths of their files, by the name after ``replay/``.
        concurrency: How many requests may be answered at once; more get a 429.
        keep_requests: Records kept in `requests`; the oldest are forgotten.
        keep_body: Bytes of each request body kept in its record; None keeps all of it.
        keep_times: Whether a record keeps when each content chunk of a paced answer was sent.
        unix: A path for a unix socket, instead of host and port.
        ssl_context: Serves TLS with this context.

    Raises:
        ConfigurationError: A behavior or a recording is not valid.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        models: Mapping[str, str] | None = None,
        default: str | None = None,
        recordings: Mapping[str, Recording | str | Path] | None = None,
        concurrency: int | None = None,
        keep_requests: int = 1000,
        keep_body: int | None = 64 * 1024,
        keep_times: bool = False,
        unix: str | Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._unix, self._ssl = host, port, unix, ssl_context
        self._bound = port
        loaded = {
            name: given if isinstance(given, Recording) else load_recording(given)
            for name, given in (recordings or {}).items()
        }
        self._rules = Rules(
            models=models or {}, default=default, recordings=loaded, concurrency=concurrency
        )
        self._hub = Hub(keep_requests=keep_requests, keep_body=keep_body, keep_times=keep_times)
        self._cache = StepCache()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The origin: ``http://127.0.0.1:PORT``; of a unix socket ``http+unix://PATH``, quoted.

        Raises:
            RuntimeError: The simulator is not running.
        """
        if self._server is None:
            raise RuntimeError("the simulator has no address: it is not running")
        if self._unix is not None:
            return f"http+unix://{quote(str(self._unix), safe='')}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl else 'http'}://{host}:{self._bound}"

    @property
    def requests(self) -> deque[RequestRecord]:
        """The last requests, oldest first."""
        return self._hub.requests

    @property
    def connections(self) -> Connections:
        """How many connections are open, and how many there were."""
        return Connections(len(self._hub.connections), self._hub.counts.connections)

    def stats(self) -> SimulatorStats:
        """Return the counts so far."""
        return self._hub.stats()

    def thread(self) -> SimulatorThread:
        """Return a context manager that runs this simulator in a thread of its own."""
        from penstock.simulator.thread import SimulatorThread  # it imports this module

        return SimulatorThread(self)

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Listen; entering the context does it.

        Raises:
            OSError: The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._hub.begin()

        def make() -> Connection:
            return Connection(self._hub, self._serve)

        if self._unix is not None:
            self._server = await loop.create_unix_server(make, str(self._unix), ssl=self._ssl)
            return
        self._server = await loop.create_server(
            make, self._host, self._port, ssl=self._ssl, backlog=4096
        )
        self._bound = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening, drop every connection, and wait until nothing of it is left."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        await self._hub.end()
        await server.wait_closed()

    async def idle(self, *, connections: bool = False) -> None:
        """Wait until no request is being answered.

        Args:
            connections: Wait until no connection is open, too.
        """
        await self._hub.idle(connections=connections)

    async def _serve(self, connection: Connection, incoming: Incoming) -> None:
        exchange = Exchange(self._hub, self._rules, self._cache, connection, incoming)
        await exchange.run()


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ready: Callable[[str], None] | None = None,
    models: Mapping[str, str] | None = None,
    default: str | None = None,
    recordings: Mapping[str, Recording | str | Path] | None = None,
    concurrency: int | None = None,
) -> None:
    """Run a simulator until the task is cancelled; for the command line.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        ready: Called with the URL once it listens.
        models: As for `Simulator`.
        default: As for `Simulator`.
        recordings: As for `Simulator`.
        concurrency: As for `Simulator`.

    Raises:
        ConfigurationError: A behavior or a recording is not valid.
        OSError: The address cannot be listened on.
    """
    async with Simulator(
        host, port, models=models, default=default, recordings=recordings, concurrency=concurrency
    ) as simulator:
        if ready is not None:
            ready(simulator.url)
        await asyncio.get_running_loop().create_future()
