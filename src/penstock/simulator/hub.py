"""What is open and what has happened: connections, tasks, records and counts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock.simulator.records import Counts, RequestRecord, SimulatorStats

if TYPE_CHECKING:
    from penstock.simulator.connection import Connection, Incoming

__all__ = ["Hub"]

_LOG = logging.getLogger("penstock.simulator")


class Hub:
    """Keeps what one simulator has open, and remembers what passed.

    Args:
        keep_requests: Records that are kept.
        keep_body: Bytes of each body that its record keeps; None keeps all.
        keep_times: Whether records keep when each content chunk was sent.
    """

    def __init__(
        self, *, keep_requests: int, keep_body: int | None, keep_times: bool = False
    ) -> None:
        self.keep_body = keep_body
        """Bytes of each body that its record keeps."""
        self.keep_times = keep_times
        """Whether records keep when each content chunk was sent."""
        self.requests: deque[RequestRecord] = deque(maxlen=keep_requests)
        """The last requests, oldest first."""
        self.counts = Counts()
        """Everything that is counted."""
        self.connections: set[Connection] = set()
        """Those that are open."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed: asyncio.Event

    def begin(self) -> None:
        """Belong to the loop that is running."""
        self._changed = asyncio.Event()

    async def end(self) -> None:
        """Cancel every answer, drop every connection, and wait until they are gone."""
        for task in list(self._tasks):
            task.cancel("the simulator is closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.transport.abort()
        await self.idle(connections=True)

    async def idle(self, *, connections: bool) -> None:
        """Wait until no request is being answered, and no connection is open if asked."""
        while self.counts.answering or (connections and self.connections):
            self._changed.clear()
            await self._changed.wait()

    def opened(self, connection: Connection) -> int:
        """Count a new connection; return its number."""
        self.connections.add(connection)
        self.counts.connections += 1
        return self.counts.connections

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self._changed.set()

    def start(self, serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the answer to one request in a task that ends with the simulator."""
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            _LOG.error("an answer failed", exc_info=exc)

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

    def stats(self) -> SimulatorStats:
        """Return the counts so far."""
        counts = self.counts
        return SimulatorStats(
            requests=counts.requests,
            answering=counts.answering,
            peak=counts.peak,
            connections_open=len(self.connections),
            connections_total=counts.connections,
            bytes_received=counts.received,
            bytes_sent=counts.sent,
            statuses=dict(counts.statuses),
            outcomes=dict(counts.outcomes),
            faults=dict(counts.faults),
        )
