"""What the interpreter can do at all: asyncio, llhttp and msgspec, and nothing built from it.

The floor that other clients are compared with: a protocol that reads into one buffer, llhttp for
the framing, a split at blank lines, and a typed decode of each event that looks at its text alone.
No task, no timer, no bound, no object for the caller. `FLOORS` has one for the wire of each dialect
that is measured, which does the same and cuts as that wire is cut: an event stream of AWS message
by message, with the checksum of each message and without that of its prelude.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from struct import Struct
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit
from zlib import crc32

import msgspec

__all__ = ["FLOORS", "Floor"]

# One for all connections, as what is read is taken out at once: else it would be their memory.
_BUFFER = memoryview(bytearray(64 * 1024))


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice]


class _Piece(msgspec.Struct, gc=False):
    text: str | None = None


class _Grown(msgspec.Struct, gc=False):
    delta: _Piece | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Piece] = []


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None


class _Generated(msgspec.Struct, gc=False):
    candidates: list[_Candidate] = []


class _Line(msgspec.Struct, gc=False):
    message: _Delta


class Floor(asyncio.BufferedProtocol):
    """One connection that counts the texts of the answers to its requests.

    Args:
        url: Where requests go.
        request: Their body.
    """

    event: ClassVar[type] = _Event
    """What is decoded of each event."""

    def __init__(self, url: str, request: Any) -> None:  # Any: whatever JSON has
        from httptools import HttpResponseParser

        self._make = HttpResponseParser
        self._decode = msgspec.json.Decoder(self.event).decode
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        parts = urlsplit(url)
        self._where = parts.hostname, parts.port
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = json.dumps(request).encode()
        self._request = (
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (target.encode(), parts.netloc.encode(), len(body), body)
        )

    @classmethod
    def to(cls, url: str, model: str) -> Floor:
        """Return one that asks `model` of the simulator at `url` in the words of this wire."""
        return cls(*cls._asking(url, model))

    @staticmethod
    def _asking(url: str, model: str) -> tuple[str, Any]:
        said = [{"role": "user", "content": "hi"}]
        return f"{url}/v1/chat/completions", {"model": model, "messages": said, "stream": True}

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


class _Messages(Floor):
    """Anthropic's: server-sent events with a name."""

    event = _Grown

    @staticmethod
    def _asking(url: str, model: str) -> tuple[str, Any]:
        said = [{"role": "user", "content": "hi"}]
        request = {"model": model, "messages": said, "stream": True, "max_tokens": 32_000}
        return f"{url}/v1/messages", request

    def _take(self) -> None:
        *events, self._rest = (self._rest + b"".join(self._pieces)).split(b"\n\n")
        self._pieces.clear()
        decode = self._decode
        for event in events:
            decode(event[event.index(b"data: ") + 6 :])
        self._count += len(events)


class _Gemini(Floor):
    """Gemini's: server-sent events without a name."""

    event = _Generated

    @staticmethod
    def _asking(url: str, model: str) -> tuple[str, Any]:
        said = [{"role": "user", "parts": [{"text": "hi"}]}]
        where = f"{url}/v1/models/{quote(model, safe='')}:streamGenerateContent?alt=sse"
        return where, {"contents": said}


class _Ollama(Floor):
    """Ollama's: lines."""

    event = _Line

    @staticmethod
    def _asking(url: str, model: str) -> tuple[str, Any]:
        said = [{"role": "user", "content": "hi"}]
        return f"{url}/api/chat", {"model": model, "messages": said, "stream": True}

    def _take(self) -> None:
        *lines, self._rest = (self._rest + b"".join(self._pieces)).split(b"\n")
        self._pieces.clear()
        decode = self._decode
        for line in lines:
            decode(line)
        self._count += len(lines)


_SIZES = Struct(">II").unpack_from
_SUM = Struct(">I").unpack_from


class _Converse(Floor):
    """Bedrock's: an event stream of AWS, with the checksum of each message."""

    event = _Grown

    @staticmethod
    def _asking(url: str, model: str) -> tuple[str, Any]:
        said = [{"role": "user", "content": [{"text": "hi"}]}]
        where = f"{url}/v1/model/{quote(model, safe='')}/converse-stream"
        return where, {"messages": said}

    def _take(self) -> None:
        data = self._rest + b"".join(self._pieces)
        self._pieces.clear()
        decode, start, size = self._decode, 0, len(data)
        while size - start >= 16:
            total, headers = _SIZES(data, start)
            end = start + total - 4
            if end + 4 > size:
                break
            if crc32(data[start:end]) != _SUM(data, end)[0]:
                raise ValueError("a message's checksum is wrong")
            decode(data[start + 12 + headers : end])
            self._count += 1
            start = end + 4
        self._rest = data[start:]


FLOORS: Mapping[str, type[Floor]] = {
    "openai_chat": Floor,
    "anthropic_messages": _Messages,
    "bedrock_converse": _Converse,
    "gemini": _Gemini,
    "ollama": _Ollama,
}
"""The floor of each dialect's wire."""
