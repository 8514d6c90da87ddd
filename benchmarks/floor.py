"""What the interpreter can do at all: asyncio, llhttp and msgspec, and nothing built from it.

The floor that other clients are compared with: a protocol that reads into one buffer, llhttp for
the framing, a split at blank lines, and a typed decode of each event that looks at its text alone.
No task, no timer, no bound, no object for the caller.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec

__all__ = ["Floor"]

# One for all connections, as what is read is taken out at once: else it would be their memory.
_BUFFER = memoryview(bytearray(64 * 1024))


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice]


class Floor(asyncio.BufferedProtocol):
    """One connection that counts the texts of the answers to its requests.

    Args:
        url: Where requests go.
        request: Their body.
    """

    def __init__(self, url: str, request: Any) -> None:  # Any: whatever JSON has
        from httptools import HttpResponseParser

        self._make = HttpResponseParser
        self._decode = msgspec.json.Decoder(_Event).decode
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        parts = urlsplit(url)
        self._where = parts.hostname, parts.port
        body = json.dumps(request).encode()
        self._request = (
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (parts.path.encode(), parts.netloc.encode(), len(body), body)
        )

    async def connect(self) -> Floor:
        """Connect, once."""
        self._loop = asyncio.get_running_loop()
        self._transport, _ = await self._loop.create_connection(lambda: self, *self._where)
        return self

    async def once(self) -> int:
        """Send the request; how many events its answer has."""
        self._parser = self._make(self)
        self._count, self._rest = 0, b""
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._transport.write(self._request)
        await self._done
        return self._count

    def close(self) -> None:
        """End the connection."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes are there."""
        self._parser.feed_data(_BUFFER[:nbytes])
        self._take()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._take()
        if not self._done.done():
            self._done.set_result(None)

    def _take(self) -> None:
        *events, self._rest = (self._rest + b"".join(self._pieces)).split(b"\n\n")
        self._pieces.clear()
        decode = self._decode
        for event in events:
            if event[6:12] != b"[DONE]":
                decode(event[6:])
                self._count += 1
