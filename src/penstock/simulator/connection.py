"""One connection: requests are parsed by h11, answers are written as raw bytes.

h11 never sees what is written, so nothing stops an answer from breaking HTTP; each request has a
parser of its own, which begins with the bytes that the last one did not use.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from penstock.simulator.intake import Intake
from penstock.simulator.site import not_http

if TYPE_CHECKING:
    import h11

    from penstock.simulator.hub import Hub

__all__ = ["Connection", "Incoming"]

_MAX_HEAD = 256 * 1024
"""Bytes of a request's header block; clients under test send long ones."""
_MAX_PIPELINED = 64 * 1024
"""Bytes that may wait behind the request that is being answered."""
_LINGER = "hh" if sys.platform == "win32" else "ii"
"""How ``struct linger`` is laid out."""
_WATCH = 0.02
"""Seconds between looks at a client whose bytes are not read, because its end would be."""


class Incoming:
    """One request while it arrives."""

    __slots__ = (
        "body",
        "complete",
        "continue_wanted",
        "headers",
        "method",
        "moved",
        "target",
        "version",
    )

    def __init__(self, request: h11.Request, keep: int | None) -> None:
        self.method = request.method.decode("ascii")
        self.target = request.target.decode("latin-1")
        self.version = request.http_version.decode("ascii")
        self.headers = {
            name.decode("ascii"): value.decode("latin-1") for name, value in request.headers
        }
        self.body = Intake(keep)
        self.complete = False
        self.continue_wanted = self.headers.get("expect", "").lower() == "100-continue"
        self.moved = asyncio.Event()
        """Set whenever more of the body, or its end, has arrived."""

    @property
    def framing(self) -> str:
        """How the body is sent: chunked, length or none."""
        if "transfer-encoding" in self.headers:
            return "chunked"
        return "length" if self.headers.get("content-length", "0") != "0" else "none"

    @property
    def path(self) -> str:
        """The target without scheme, host and query."""
        path = self.target.partition("?")[0]
        return "/" + path.split("/", 3)[-1] if "://" in path else path


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        hub: Where it is counted, and its tasks are kept.
        serve: Answers one request.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        hub: Hub,
        serve: Callable[[Connection, Incoming], Coroutine[Any, Any, None]],
    ) -> None:
        self._hub = hub
        self._serve = serve
        self._parser: h11.Connection | None = None
        self._incoming: Incoming | None = None
        self._pending = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None
        self._not_reading = False
        self.number = 0
        """Its place among all connections, from 1."""
        self.served = 0
        """Requests that it has answered."""
        self.gone = False
        """Whether the connection is lost."""
        self.upload_rate = 0.0
        """Bytes per second that are read; 0 reads without a pause."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty parser."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.transport.set_write_buffer_limits(high=128 * 1024)
        self.number = self._hub.opened(self)
        self._parse_next(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is being answered: there is nobody to read it."""
        del exc
        self.gone = True
        self.resume_writing()
        if self._task is not None:
            self._task.cancel("the client left")
        self._hub.lost(self)

    def pause_writing(self) -> None:
        """Make `write` wait: the client does not read as fast."""
        self._resumed = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let `write` go on."""
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._resumed = None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; of a request behind the current one only keep it."""
        if self._incoming is not None and self._incoming.complete:
            self._pending += data
            if len(self._pending) > _MAX_PIPELINED:
                self.transport.pause_reading()
            return
        assert self._parser is not None
        self._parser.receive_data(data)
        self._parse()
        if self.upload_rate and self._incoming is not None and not self._incoming.complete:
            self.transport.pause_reading()
            delay = len(data) / self.upload_rate
            asyncio.get_running_loop().call_later(delay, self._read_on)

    def _read_on(self) -> None:
        if not self.gone and not self._not_reading and not self.transport.is_reading():
            self.transport.resume_reading()

    def _parse_next(self, data: bytes) -> None:
        """Begin with a fresh parser: h11's own would want to see the answer."""
        import h11  # costs 20 ms that only a running server has to pay

        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._incoming = None
        if data:
            self._parser.receive_data(data)
            self._parse()

    def _parse(self) -> None:
        import h11

        assert self._parser is not None
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as exc:
                self._refuse(str(exc))
                return
            if isinstance(event, h11.Request):
                self._begin(event)
            elif self._incoming is None or not isinstance(event, (h11.Data, h11.EndOfMessage)):
                return
            elif isinstance(event, h11.Data):
                starts = event.chunk_start or self._incoming.framing == "length"
                self._incoming.body.feed(event.data, starts)
                self._incoming.moved.set()
            else:
                self._incoming.complete = True
                self._incoming.moved.set()
                return

    def _refuse(self, reason: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(not_http(reason))
            self.transport.close()

    def _begin(self, request: h11.Request) -> None:
        self._incoming = Incoming(request, self._hub.keep_body)
        self._task = self._hub.start(self._answer(self._incoming))

    async def _answer(self, incoming: Incoming) -> None:
        """Answer one request, then begin the next or close."""
        try:
            await self._serve(self, incoming)
        except Exception:  # a mistake of ours: its client must not wait; the server logs it
            self.transport.abort()
            raise
        self.served += 1
        self._task = None
        if self.transport.is_closing():
            return
        asked = incoming.headers.get("connection", "").lower()
        if not incoming.complete or asked == "close" or incoming.version == "1.0":
            self.transport.close()
            return
        assert self._parser is not None
        rest = self._parser.trailing_data[0] + bytes(self._pending)
        self._pending.clear()
        self._read_on()
        self._parse_next(rest)

    async def write(self, data: bytes) -> None:
        """Write and wait as long as the client does not read."""
        self.transport.write(data)
        if self._resumed is not None:
            await self._resumed

    def stop_reading(self) -> None:
        """Leave what the client sends in the kernel, whose buffer is made small."""
        self._not_reading = True
        self.transport.pause_reading()
        self._small_buffer()

    def read_slowly(self, rate: float) -> None:
        """Read `rate` bytes per second from here on."""
        self.upload_rate = max(rate, 1.0)
        self._small_buffer()

    def _small_buffer(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

    async def hang(self) -> None:
        """Wait until the client leaves; then this task is cancelled."""
        if not self._not_reading:
            await asyncio.get_running_loop().create_future()
        sock = self.transport.get_extra_info("socket")
        while not _left(sock.fileno()):  # noqa: ASYNC110  nothing tells of an end behind unread bytes
            await asyncio.sleep(_WATCH)
        self.transport.abort()
        await asyncio.get_running_loop().create_future()

    async def flush(self) -> None:
        """Wait until everything written is with the kernel."""
        self.transport.set_write_buffer_limits(high=0)
        while self.transport.get_write_buffer_size() and self._resumed is not None:
            await self._resumed

    def reset(self) -> None:
        """Close with a RST: a lingering time of zero makes the kernel send one."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))
        self.transport.abort()


def _left(descriptor: int) -> bool:
    """Tell whether the client has closed, though bytes of it are still unread.

    A FIN that waits in the client's kernel behind bytes that nobody takes is not seen; a reset is.
    """
    if not hasattr(select, "poll"):
        return False
    watched = getattr(select, "POLLRDHUP", 0)  # Linux only; elsewhere a full close still shows
    poller = select.poll()
    poller.register(descriptor, watched)
    return bool(poller.poll(0))
