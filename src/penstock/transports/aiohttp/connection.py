"""Connections and requests of aiohttp that know whose answer they read.

aiohttp bounds no header block, hands no bytes out once a body broke, and would take what a peer
sends between two calls for the next answer.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from penstock.errors import PenstockError
from penstock.transports.judge import MOST_HEAD
from penstock.transports.line import CURRENT

if TYPE_CHECKING:
    from penstock.transports.line import Line

__all__ = ["COURSE", "Connection", "Course", "Request", "tracing"]


@dataclass(slots=True, eq=False)
class Course:
    """How far one request has come."""

    line: Line
    protocol: Connection | None = None
    writer: asyncio.Task[Any] | None = None  # Any: aiohttp's own
    fault: Exception | None = None
    """What the body raised."""

    async def end(self) -> None:
        """Cut the connection, and wait until nobody takes from the body any more."""
        if self.protocol is not None and self.protocol.course is self:
            self.protocol.abort()
        writer, self.writer = self.writer, None
        if writer is not None and not writer.done():
            writer.cancel()
            await asyncio.wait((writer,))


COURSE: ContextVar[Course | None] = ContextVar("penstock_aiohttp", default=None)


class Connection(ResponseHandler):
    """A connection that knows whose answer it reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, siblings: set[Connection]) -> None:
        super().__init__(loop=loop)
        self._siblings = siblings
        self.course: Course | None = None
        self.idle = False
        """Whether it waits for the next call."""
        self.gone: asyncio.Future[None]
        self.lost: BaseException | None = None
        """What broke the connection."""
        self.malformed: BaseException | None = None
        """What is wrong with what the peer sent."""

    def begin(self, course: Course) -> None:
        """Belong to `course`."""
        self.course, self.idle = course, False
        course.protocol = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the socket is there, and TLS with it."""
        super().connection_made(transport)
        self.gone = self._loop.create_future()
        self._siblings.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End; `exc` is what broke it."""
        self.lost = exc
        self._siblings.discard(self)
        self.gone.set_result(None)
        super().connection_lost(exc)

    def set_response_params(self, **options: Any) -> None:  # Any: aiohttp's own
        """Set bounds of aiohttp's own that do not come before ours."""
        for bound in ("max_line_size", "max_field_size", "max_headers"):
            if bound in options:
                options[bound] = 2 * MOST_HEAD
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Take `data` from the socket, or ``b""`` where aiohttp goes on with what it held back."""
        if data:
            if self.course is None:
                # Nobody asked: it must not become the answer of the next call.
                self.abort()
                return
            self.course.line.heard()
            try:
                end = self.course.line.look(data)
            except PenstockError as exc:
                self._refuse(exc)
                return
            if 0 < end < len(data):
                # What breaks in a body must not take the head with it.
                self._feed(data[:end])
                data = data[end:]
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        payload = self._payload
        super().data_received(data)
        if self.malformed is None and self.lost is None:
            self.malformed = self.exception()
            if self.malformed is not None and payload is not None:
                # aiohttp leaves whoever reads waiting where its parser refuses a body.
                payload.set_exception(self.malformed)

    def _refuse(self, error: Exception) -> None:
        """Refuse an answer that aiohttp would have llhttp read leniently."""
        self.malformed = error
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


class Request(aiohttp.ClientRequest):
    """A request that tells its course what happens to it."""

    async def write_bytes(self, writer: Any, conn: Any, *rest: Any) -> None:  # Any: aiohttp's own
        """Send the body."""
        course = COURSE.get()
        assert course is not None  # `send` set it
        course.writer = asyncio.current_task()
        line = course.line
        await super().write_bytes(writer, conn, *rest)
        if course.fault is None and not (line.sent or line.answered):
            line.body_sent()

    async def send(self, conn: Any) -> Any:  # Any: aiohttp's own
        """Send the head, and the body in a task of aiohttp's."""
        course = COURSE.get()
        assert course is not None  # `_Client.send` set it
        conn.protocol.begin(course)
        await course.line.trace("http11.send_request_headers.started", {})
        answer = await super().send(conn)
        course.writer = self._writer or course.writer
        if not self.body and not course.line.sent:
            course.line.body_sent()
        return answer


def tracing() -> aiohttp.TraceConfig:
    """Return what tells a call's line that a connection is opened for it."""

    async def connecting(*_: object) -> None:
        line = CURRENT.get()
        if line is not None:
            await line.trace("connection.connect_tcp.started", {})

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(connecting)
    return config
