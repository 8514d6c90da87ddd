"""The loopback server: sockets, tasks and what it remembers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from email.utils import formatdate
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from penstock.errors import ConfigurationError
from penstock.simulator.behavior import Behavior, BehaviorError, parse
from penstock.simulator.catalogue import MODELS
from penstock.simulator.connection import Connection, Incoming
from penstock.simulator.exchange import Exchange
from penstock.simulator.framing import Head
from penstock.simulator.pages import Page
from penstock.simulator.recordings import Recording, load_recording
from penstock.simulator.records import Connections, Counts, RequestRecord, SimulatorStats
from penstock.simulator.respond import Response, StepCache, page_response
from penstock.simulator.steps import Event

if TYPE_CHECKING:
    import ssl

    from penstock.simulator.thread import SimulatorThread

__all__ = ["Simulator", "serve"]

_LOG = logging.getLogger("penstock.simulator")
_MAX_KEYS = 10_000
"""Keys of `fail` that are remembered; the oldest are forgotten."""


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
        unix: A path for a unix socket, instead of host and port.
        ssl_context: Serves TLS with this context.

    Raises:
        ConfigurationError: A behavior or a recording is not valid.
        OSError: The address cannot be listened on (when it is entered).
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
        unix: str | Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._unix, self._ssl = host, port, unix, ssl_context
        self._bound = port
        self._models, self._default = dict(models or {}), default
        self._concurrency = concurrency
        self.keep_body = keep_body
        """Bytes of each request body that its record keeps."""
        self.requests: deque[RequestRecord] = deque(maxlen=keep_requests)
        """The last requests, oldest first."""
        self.recordings = {
            name: given if isinstance(given, Recording) else load_recording(given)
            for name, given in (recordings or {}).items()
        }
        """Recordings by name."""
        self.counts = Counts()
        self.cache = StepCache()
        self._tries: OrderedDict[str, int] = OrderedDict()
        self._server: asyncio.Server | None = None
        self._changed: asyncio.Event
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        for behavior in (*self._models.values(), *([default] if default else [])):
            _check(behavior)

    @property
    def url(self) -> str:
        """The origin: ``http://127.0.0.1:PORT``; of a unix socket ``http+unix://PATH``, quoted.

        Raises:
            RuntimeError: The simulator has not been entered.
        """
        if self._server is None:
            raise RuntimeError("the simulator has no address before it is entered")
        if self._unix is not None:
            return f"http+unix://{quote(str(self._unix), safe='')}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl else 'http'}://{host}:{self._bound}"

    @property
    def connections(self) -> Connections:
        """How many connections are open, and how many there were."""
        return Connections(len(self._open), self.counts.connections)

    def stats(self) -> SimulatorStats:
        """Return the counts so far."""
        counts = self.counts
        return SimulatorStats(
            requests=counts.requests,
            answering=counts.answering,
            peak=counts.peak,
            connections_open=len(self._open),
            connections_total=counts.connections,
            bytes_received=counts.received,
            bytes_sent=counts.sent,
            statuses=dict(counts.statuses),
            outcomes=dict(counts.outcomes),
            faults=dict(counts.faults),
        )

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
        """Listen. `__aenter__` does it.

        Raises:
            OSError: The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

        def make() -> Connection:
            return Connection(self, self._serve)

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
        for task in list(self._tasks):
            task.cancel("the simulator is closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._open):
            connection.transport.abort()
        while self._open:
            self._changed.clear()
            await self._changed.wait()
        await server.wait_closed()

    async def idle(self, *, connections: bool = False) -> None:
        """Wait until no request is being answered, or until no connection is open.

        Args:
            connections: Wait for the connections too, not only for the requests.
        """
        while self.counts.answering or (connections and self._open):
            self._changed.clear()
            await self._changed.wait()

    # What connections and exchanges ask of their server.

    def opened(self, connection: Connection) -> int:
        """Count a new connection; return its number."""
        self._open.add(connection)
        self.counts.connections += 1
        return self.counts.connections

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._changed.set()

    def start_task(self, serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the answer to one request."""
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            _LOG.error("an answer failed", exc_info=exc)

    def broken(self, connection: Connection, reason: str) -> None:
        """Refuse what is no HTTP request."""
        if connection.transport.is_closing():
            return
        body = json.dumps({"error": {"message": reason, "type": "invalid_request_error"}}).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        connection.transport.write(head.encode() + body)
        connection.transport.close()

    async def _serve(self, connection: Connection, incoming: Incoming) -> None:
        await Exchange(self, connection, incoming).run()

    def recorded(self, connection: Connection, incoming: Incoming) -> RequestRecord:
        """Begin the record of a request."""
        counts = self.counts
        counts.requests += 1
        counts.answering += 1
        counts.peak = max(counts.peak, counts.answering)
        record = RequestRecord(
            number=counts.requests,
            connection=connection.number,
            method=incoming.method,
            path=incoming.target,
            http_version=incoming.version,
            headers=incoming.headers,
            framing=incoming.framing,
            started=monotonic(),
        )
        self.requests.append(record)
        return record

    def settled(self, record: RequestRecord) -> None:
        """End the record of a request."""
        counts = self.counts
        counts.answering -= 1
        counts.outcomes[record.outcome] += 1
        counts.received += record.length
        counts.sent += record.sent
        self._changed.set()

    def resolve(self, model: str, control: str) -> Behavior:
        """Return the behavior of a model name and the control header.

        Raises:
            BehaviorError: There is none.
        """
        if model in self._models:
            return parse(self._models[model], control)
        name = model.removeprefix("sim/").partition("?")[0]
        if self._default is not None and name not in MODELS and not name.startswith("replay/"):
            return parse(self._default, control)
        return parse(model, control)

    def judge(self, behavior: Behavior) -> Behavior:
        """Return `behavior`, or its healthy form once `fail` requests have had the faults."""
        if behavior.fail is None or behavior.key is None:
            return behavior
        tried = self._tries.pop(behavior.key, 0)
        self._tries[behavior.key] = tried + 1
        if len(self._tries) > _MAX_KEYS:
            self._tries.popitem(last=False)
        return behavior if tried < behavior.fail else behavior.without_faults()

    def crowded(self, behavior: Behavior) -> bool:
        """Tell whether more requests are being answered than may be."""
        limits = (self._concurrency, behavior.concurrency)
        return any(limit is not None and self.counts.answering > limit for limit in limits)

    def addressed(self, head: Head, behavior: Behavior, record: RequestRecord) -> Head:
        """Return `head` with the headers that every answer has."""
        head = head.plus(
            ("date", formatdate(usegmt=True)),
            ("server", "penstock-simulator"),
            ("x-request-id", f"req_sim_{record.number}"),
        )
        return head.plus(*_RATE_LIMITS) if behavior.rate_limits else head

    def page(self, incoming: Incoming) -> Response:
        """Return the answer to what is no call of a model."""
        path = incoming.path.rstrip("/")
        if incoming.method == "GET" and path.endswith("/models"):
            names = sorted((*MODELS.keys() - {"replay"}, *self._models))
            names += [f"replay/{name}" for name in sorted(self.recordings)]
            return _json({"object": "list", "data": [_model(name) for name in names]})
        if incoming.method == "GET" and path.endswith("/health"):
            return _json({"status": "ok"})
        said = f"There is nothing at {incoming.method} {path or '/'} here."
        error = {"message": said, "type": "invalid_request_error", "param": None, "code": None}
        return _json({"error": error}, 404)


# The names of OpenAI's rate-limit headers: platform.openai.com/docs/guides/rate-limits.
_RATE_LIMITS = (
    ("x-ratelimit-limit-requests", "500"),
    ("x-ratelimit-remaining-requests", "499"),
    ("x-ratelimit-reset-requests", "120ms"),
    ("x-ratelimit-limit-tokens", "30000"),
    ("x-ratelimit-remaining-tokens", "29000"),
    ("x-ratelimit-reset-tokens", "6m0s"),
)


def _check(behavior: str) -> None:
    try:
        parse(behavior)
    except BehaviorError as exc:
        raise ConfigurationError(str(exc)) from exc


def _model(name: str) -> dict[str, object]:
    """The openai SDK's ``types.Model``."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "penstock"}


def _json(value: object, status: int = 200) -> Response:
    body = json.dumps(value).encode()
    head = Head(status, (("content-type", "application/json"),))
    return page_response(Page(head, [Event(body)]), Behavior())


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
