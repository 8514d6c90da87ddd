"""Connections for the HTTP library's pools, over anyio: the road below httpx.

Our own, because of what the stock ones lack:

- **Early answers.** A peer that answers 413 while the body is still being sent, and reads no more
  of it, leaves the stock client blocked until it is reset (1.5 s, and the reason is gone). Here a
  send of a long body races a read; when the peer speaks first the send fails, and the library
  reads the answer, as it does for any failed send.
- **Moving uploads.** Once a send was slow, the next ones go out in small slices, so that the
  ``write`` clock sees each of them.
- **TCP keep-alive**, which httpx only sets where environment proxies are switched off.
- No timeout scope around each read (7 us): the watchdog has the clocks.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from penstock.transports.line import CURRENT
from penstock.transports.sockets import hang_up, is_readable, keepalive_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.abc import ByteStream

    from penstock.transports.library import Library

__all__ = ["Backend", "Connection"]

# A send that took longer, in seconds, makes the next ones go out in slices of so many bytes: at the
# default ``write`` of 30 s a peer that takes 137 bytes a second counts as moving.
_SLOW_SEND = 0.25
_SLICE = 4096
# Sends of one request until it counts as a long body: headers, then a body in one piece.
_SHORT = 2
_MOST_INFORMATIONAL = 64 * 1024


class Backend:
    """An httpcore ``AsyncNetworkBackend`` for either of its two packages.

    Source: httpcore docs, "Network Backends".
    """

    def __init__(self, library: Library) -> None:
        self._core = library.core
        self._options = keepalive_options()
        self._open: WeakSet[Connection] = WeakSet()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the seam's; the watchdog has the clocks
        local_address: str | None = None,
        socket_options: Iterable[tuple[Any, ...]] | None = None,  # Any: as setsockopt takes them
    ) -> Connection:
        """Connect to `host`, to whichever of its addresses answers first (RFC 8305)."""
        try:
            stream = await anyio.connect_tcp(host, port, local_host=local_address)
        except (OSError, anyio.BrokenResourceError) as exc:
            raise self._core.ConnectError(str(exc)) from exc
        raw = stream.extra(SocketAttribute.raw_socket)
        for option in (*self._options, *(socket_options or ())):
            raw.setsockopt(*option)
        return Connection(stream, self._core, self._open)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # the seam's; the watchdog has the clocks
        socket_options: Iterable[tuple[Any, ...]] | None = None,  # Any: as setsockopt takes them
    ) -> Connection:
        """Connect to the unix socket at `path`."""
        try:
            stream = await anyio.connect_unix(path)
        except (OSError, anyio.BrokenResourceError) as exc:
            raise self._core.ConnectError(str(exc)) from exc
        return Connection(stream, self._core, self._open)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    def hang_up(self) -> None:
        """Shut every open socket down; for a loop that is gone and can close nothing."""
        for connection in self._open:
            hang_up(connection.get_extra_info("socket"))


class Connection:
    """An httpcore ``AsyncNetworkStream``."""

    def __init__(
        self,
        stream: ByteStream,
        core: Any,  # Any: see `Library`
        siblings: WeakSet[Connection],
    ) -> None:
        siblings.add(self)
        self._siblings = siblings
        self._stream = stream
        # Over HTTP/2 other streams read and write as they please.
        self._alone = stream.extra(TLSAttribute.alpn_protocol, None) != "h2"
        # Asked for at every event of a pool; anyio makes a dict for each question.
        self._socket = stream.extra(SocketAttribute.raw_socket, None)
        self._core = core
        self._sends = 0
        # Whether more came than the last answer.
        self._spoiled = False
        self._slice: int | None = None
        # On asyncio, for a long body: the read that races its sends, and the send it interrupted.
        self._ahead: asyncio.Task[bytes] | None = None
        self._sending: asyncio.Task[None] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return at most `max_bytes`, ``b""`` at the end."""
        self._sends = 0
        line = CURRENT.get()
        if line is not None and line.hung_up and self._alone:
            raise self._core.ReadError("the call is over")
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return await ahead
        return await self._receive(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send `buffer`; a long body's pieces only while the peer has not answered."""
        if not buffer:
            return
        self._sends += 1
        if self._sends > _SHORT and self._alone and _on_asyncio():
            await self._race(buffer)
        else:
            await self._send(buffer)

    async def aclose(self) -> None:
        """Close the connection at once, with whatever is under way on it."""
        tasks = [task for task in (self._ahead, self._sending) if task is not None]
        self._ahead = self._sending = None
        for task in tasks:
            task.cancel()
        await self._stream.aclose()
        if tasks:
            await asyncio.wait(tasks)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the seam's; the watchdog has the clocks
    ) -> Connection:
        """Return this connection with TLS on it."""
        try:
            stream = await TLSStream.wrap(
                self._stream,
                ssl_context=ssl_context,
                hostname=server_hostname,
                standard_compatible=False,
                server_side=False,
            )
        except (anyio.BrokenResourceError, anyio.EndOfStream, OSError) as exc:
            await self.aclose()
            raise self._core.ConnectError(str(exc) or "the peer hung up during TLS") from exc
        except BaseException:
            # Whatever ends it, a cancellation too, must not leave the socket.
            await self.aclose()
            raise
        return Connection(stream, self._core, self._siblings)

    def get_extra_info(self, info: str) -> Any:  # Any: as the seam has it
        """Return what httpcore and its users ask of a connection."""
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)
        if info == "client_addr":
            return self._stream.extra(SocketAttribute.local_address, None)
        if info == "server_addr":
            return self._stream.extra(SocketAttribute.remote_address, None)
        if info == "socket":
            return self._socket
        if info == "is_readable":
            # A pool closes what is readable while it waits.
            return self._spoiled or is_readable(self._socket)
        return None

    async def _receive(self, max_bytes: int) -> bytes:
        try:
            data = await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as exc:
            raise self._core.ReadError(_reason(exc)) from exc
        line = CURRENT.get()
        if line is not None:
            line.heard()
            if self._alone and data:
                head = line.look(data)
                self._spoiled = head < len(data) and line.follow(data[head:])
        return data

    async def _send(self, buffer: bytes) -> None:
        try:
            if self._slice is None:
                began = time.monotonic()
                await self._stream.send(buffer)
                if time.monotonic() - began > _SLOW_SEND:
                    self._slice = _SLICE
                return
            line = CURRENT.get()
            for start in range(0, len(buffer), self._slice):
                piece = buffer[start : start + self._slice]
                await self._stream.send(piece)
                if line is not None:
                    line.watch.sent(len(piece))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as exc:
            raise self._core.WriteError(_reason(exc)) from exc

    async def _race(self, buffer: bytes) -> None:
        """Send `buffer` unless the peer speaks first."""
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._read_ahead())
            # Read later, or never where the connection is closed: either way it is no news.
            self._ahead.add_done_callback(_note)
        if not self._ahead.done():
            self._sending = asyncio.create_task(self._send(buffer))
            self._sending.add_done_callback(_note)
            await asyncio.wait((self._sending, self._ahead), return_when=asyncio.FIRST_COMPLETED)
        if self._ahead.done():
            # The interrupted send stays: to cancel it would break a TLS stream for reading.
            raise self._core.WriteError("the peer answered before the body was sent")
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending

    async def _read_ahead(self) -> bytes:
        """Return the first bytes that are more than a 1xx answer (RFC 9110 section 15.2)."""
        data = b""
        while True:
            more = await self._receive(64 * 1024)
            data += more
            if not more or len(data) > _MOST_INFORMATIONAL or not _informational(data):
                return data


def _informational(data: bytes) -> bool:
    """Whether `data` is nothing but 1xx answers, the last one perhaps in part."""
    while data:
        start = data[:10]
        if len(start) == len(b"HTTP/1.1 1") and start[:7] + start[8:] != b"HTTP/1. 1":
            return False
        _, end, data = data.partition(b"\r\n\r\n")
        if not end:
            return b"HTTP/1.".startswith(start[:7])
    return True


def _note(task: asyncio.Task[Any]) -> None:  # Any: what the task returns is not asked
    if not task.cancelled():
        task.exception()


def _reason(exc: BaseException) -> str:
    return str(exc.__cause__ or exc)


def _on_asyncio() -> bool:
    return asyncio._get_running_loop() is not None
