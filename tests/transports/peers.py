"""Raw loopback servers that do exactly what a test says, and calls to send them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from penstock.interfaces import HttpCall, Wire
from penstock.limits import Limits, Timeouts
from penstock.transports import Clock, HttpxTransport, Watchdog

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Frame `data` as one chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(body: bytes, *more: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with a length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Request:
    """A request as it came."""

    head: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0]

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Its fields, names in lower case."""
        pairs = (line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:] if line)
        return {name.lower(): value for name, value in pairs}


class Connection:
    """One connection that a peer has accepted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> Request:
        """Read a request up to its body."""
        return Request(await self.reader.readuntil(b"\r\n\r\n"))

    async def request(self) -> Request:
        """Read a whole request."""
        found = await self.head()
        headers = found.headers
        if b"content-length" in headers:
            found.body = await self.reader.readexactly(int(headers[b"content-length"]))
        elif headers.get(b"transfer-encoding") == b"chunked":
            found.body = b"".join([piece async for piece in self.pieces()])
        return found

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read the pieces of a chunked body."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            piece = await self.reader.readexactly(size + 2)
            yield piece[:-2]
        await self.reader.readexactly(2)

    async def send(self, data: bytes) -> None:
        """Send `data`."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the other side hangs up."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Handle = Callable[[Connection], Awaitable[None]]


@dataclass
class Peer:
    """A loopback server; `handle` has each connection from its start to its end."""

    handle: Handle
    tls: ssl.SSLContext | None = None
    unix: str | None = None
    opened: int = 0
    """Connections accepted so far."""
    open: int = 0
    """Connections that are there now."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Peer:
        if self.unix is not None:
            self._server = await asyncio.start_unix_server(self._accept, self.unix)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its address."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/v1/chat/completions"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.opened += 1
        self.open += 1
        try:
            await self.handle(Connection(reader, writer))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()


def always(data: bytes) -> Handle:
    """Answer every request of a connection with `data`."""

    async def handle(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(data)

    return handle


def once(data: bytes) -> Handle:
    """Answer one request with `data`, and hang up."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)

    return handle


def silent_after(data: bytes) -> Handle:
    """Answer one request with `data`, and then nothing, until the other side hangs up."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)
        await connection.closed()

    return handle


class Small:
    """A body in one piece."""

    def __init__(self, small: bytes = b"{}") -> None:
        self.small: bytes | None = small

    def open(self) -> AsyncIterator[bytes]:
        """Not asked of a body in one piece."""
        raise AssertionError("a small body is sent whole")

    async def length(self) -> int:
        """Its size."""
        return len(self.small or b"")


class Pieces:
    """A body in pieces, made anew for each pass."""

    def __init__(self, *pieces: bytes, pace: Callable[[], Awaitable[None]] | None = None) -> None:
        self.small: bytes | None = None
        self.pieces = pieces
        self.passes = 0
        self.closed = 0
        self._pace = pace

    async def open(self) -> AsyncIterator[bytes]:
        """One pass."""
        self.passes += 1
        try:
            for piece in self.pieces:
                if self._pace is not None:
                    await self._pace()
                yield piece
        finally:
            self.closed += 1

    async def length(self) -> int:
        """Its size."""
        return sum(map(len, self.pieces))


def call_to(
    url: str,
    body: Any = None,
    *,
    headers: list[tuple[str, str]] | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    clock: Clock | None = None,
    **more: Any,
) -> HttpCall:
    """A call with a watchdog on the running loop, or on a clock of the test's."""
    limits = limits or Limits()
    return HttpCall(
        method=more.pop("method", "POST"),
        url=url,
        headers=headers or [],
        body=Small() if body is None else body,
        watch=Watchdog(timeouts or Timeouts(), limits=limits, clock=clock),
        limits=limits,
        **more,
    )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, for at most 10 s."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


async def read_all(wire: Wire) -> bytes:
    """Everything that is left of an answer."""
    data = b""
    while more := await wire.read():
        data += more
    return data


class Stage(AsyncExitStack):
    """A peer and a transport to it, for one test."""

    async def peer(self, handle: Handle, **options: Any) -> Peer:
        """Start a peer."""
        return await self.enter_async_context(Peer(handle, **options))

    def transport(self, *, use: Any = None, **options: Any) -> Any:  # Any: see `made`
        """Make a transport that is closed with the test."""
        transport = made(use, **options)
        self.push_async_callback(transport.aclose)
        return transport


def made(use: Any = None, **options: Any) -> Any:  # Any: transports of several types
    """A transport over a library, or with connections of its own."""
    if use == "direct":
        # By its name: a bare installation has no parser for it, and leaves those tests out.
        return import_module("penstock.transports.direct").DirectTransport(**options)
    if use == "aiohttp":
        return import_module("penstock.transports.aiohttp").AiohttpTransport(**options)
    return HttpxTransport(use=use, **options)
