"""A loopback server that behaves in one way, for the check of transports.

Runs on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

__all__ = [
    "Asked",
    "Loopback",
    "Manners",
    "Peer",
    "answers",
    "answers_slowly",
    "cuts_short",
    "hangs_up",
    "redirects",
    "says_nothing",
    "stops",
]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_MOST = 64 * 1024


@dataclass
class Asked:
    """A request as the server saw it."""

    line: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Peer:
    """One connection of the server."""

    def __init__(self, stream: SocketStream, asked: list[Asked]) -> None:
        self._stream = stream
        self._buffered = BufferedByteReceiveStream(stream)
        self._asked = asked

    async def request(self) -> None:
        """Read a whole request."""
        head = await self._buffered.receive_until(b"\r\n\r\n", _MOST)
        line, *fields = head.split(b"\r\n")
        pairs = (field.split(b":", 1) for field in fields)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = b""
        if b"content-length" in headers:
            body = await self._buffered.receive_exactly(int(headers[b"content-length"]))
        elif headers.get(b"transfer-encoding") == b"chunked":
            while size := int(await self._buffered.receive_until(b"\r\n", 64), 16):
                body += (await self._buffered.receive_exactly(size + 2))[:-2]
            await self._buffered.receive_exactly(2)
        self._asked.append(Asked(line, headers, body))

    async def send(self, data: bytes) -> None:
        """Send `data`."""
        await self._stream.send(data)

    async def silence(self) -> None:
        """Send nothing until the other side hangs up."""
        while True:
            await self._buffered.receive()


Manners: TypeAlias = "Callable[[Peer], Awaitable[None]]"


class Loopback:
    """A loopback server that treats every connection alike."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.accepted = 0
        self.connected = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, manners: Manners) -> AsyncIterator[Loopback]:
        """Serve until the block ends."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        port = listener.extra(SocketAttribute.local_port)
        server = cls(f"http://127.0.0.1:{port}/v1/chat")

        async def accept(stream: SocketStream) -> None:
            server.accepted += 1
            server.connected += 1
            try:
                async with stream:
                    await manners(Peer(stream, server.asked))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.IncompleteRead):
                pass
            finally:
                server.connected -= 1

        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, accept)
            yield server
            group.cancel_scope.cancel()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def answers(peer: Peer) -> None:
    """Answer every request whole and at once."""
    while True:
        await peer.request()
        await peer.send(_CHUNKED + _chunk(b"one") + _chunk(b"two") + b"0\r\n\r\n")


async def answers_slowly(peer: Peer) -> None:
    """Answer every request in pieces, a millisecond apart."""
    while True:
        await peer.request()
        for piece in (_CHUNKED, _chunk(b"one"), _chunk(b"two"), b"0\r\n\r\n"):
            await peer.send(piece)
            await anyio.sleep(0.001)


async def redirects(peer: Peer) -> None:
    """Send every request elsewhere."""
    while True:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )


async def cuts_short(peer: Peer) -> None:
    """Begin an answer and hang up in the middle of it."""
    await peer.request()
    await peer.send(_CHUNKED + _chunk(b"one") + b"5\r\nha")


async def hangs_up(peer: Peer) -> None:
    """Take a request and hang up."""
    await peer.request()


async def says_nothing(peer: Peer) -> None:
    """Take a request and say nothing."""
    await peer.request()
    await peer.silence()


async def stops(peer: Peer) -> None:
    """Begin an answer and say nothing more."""
    await peer.request()
    await peer.send(_CHUNKED + _chunk(b"one"))
    await peer.silence()
