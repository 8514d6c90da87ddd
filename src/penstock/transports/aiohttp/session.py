"""aiohttp behind the calls that `Dialogue` and `Pool` make of httpx: one session for each shard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl

from penstock.transports.aiohttp.connecting import connector
from penstock.transports.aiohttp.connection import COURSE, Course, Request, tracing
from penstock.transports.aiohttp.faults import broken, unanswered
from penstock.transports.exchange import CLEANUP
from penstock.transports.library import Library, library
from penstock.transports.line import CURRENT
from penstock.transports.pools import Shard
from penstock.transports.sockets import hang_up

if TYPE_CHECKING:
    import ssl

    from penstock.transports.pools import Route

__all__ = ["AiohttpShard", "package"]

_AT_ONCE = 64 * 1024
"""Bytes of a body that leave with the head; aiohttp warns of those above 1 MiB."""
_MOST_READ = 64 * 1024
_NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_SKIPPED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(slots=True)
class _Request:
    """A request, as `Dialogue` makes one of the library's."""

    method: str
    url: Any  # Any: a URL of either package
    headers: list[tuple[bytes, bytes]]
    stream: AsyncIterator[bytes]
    extensions: dict[str, Any] = field(default_factory=dict)  # Any: as httpx has them


@cache
def package() -> Library:
    """Return aiohttp as `Dialogue` and `Pool` see an HTTP library."""
    real = library()
    http = SimpleNamespace(URL=real.http.URL, InvalidURL=real.http.InvalidURL, Request=_Request)
    return Library("aiohttp", http, real.core, _as_it_is)


def _as_it_is(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return pieces


@dataclass(frozen=True, slots=True)
class _Held:
    """A connection, as a pool of httpx shows it."""

    idle: bool
    closed: bool

    def is_idle(self) -> bool:
        """Whether it waits for the next call."""
        return self.idle

    def is_closed(self) -> bool:
        """Whether it is shut."""
        return self.closed


class _Client:
    """One session."""

    def __init__(self, connector: Any) -> None:  # Any: either connector
        self._connector = connector
        self._http = library().http
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_MOST_READ // 2,  # it holds twice as much
            request_class=Request,
            skip_auto_headers=_SKIPPED,
            timeout=_NO_TIMEOUTS,
            trace_configs=[tracing()],
            trust_env=False,
        )
        self._session._retry_connection = False  # row 21 is `Dialogue`'s

    async def send(self, request: _Request, **_: Any) -> _Response:  # Any: all of them are fixed
        """Send `request`; the answer's body is left with the peer."""
        line = CURRENT.get()
        assert line is not None  # `Dialogue` set it
        course = Course(line)
        token = COURSE.set(course)
        try:
            return _Response(await self._send(request, course), course, self._http)
        except BaseException as exc:
            await course.end()
            if not isinstance(exc, Exception):
                raise
            error = course.fault or unanswered(exc, course, self._http)
            if error is exc:
                raise
            raise error from exc
        finally:
            COURSE.reset(token)

    async def _send(self, request: _Request, course: Course) -> aiohttp.ClientResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.headers]
        sizes = [int(value) for name, value in headers if name == "Content-Length"]
        size = sizes[0] if sizes else None
        body: Any = _Body(request.stream, size, course, self._http)
        if not isinstance(request.stream, AsyncGenerator) and (size or 0) <= _AT_ONCE:
            body = b"".join([piece async for piece in request.stream])
        return await self._session.request(
            request.method,
            yarl.URL(str(request.url), encoded=True),
            headers=[pair for pair in headers if pair[0] != "Transfer-Encoding"],
            data=body or None,
            allow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._connector.jobs:
            await asyncio.wait(self._connector.jobs, timeout=CLEANUP)
        going = tuple(self._connector.open)
        for protocol in going:
            protocol.abort()
        await self._session.close()
        if going:
            await asyncio.wait([protocol.gone for protocol in going], timeout=CLEANUP)


class _Body:
    """A body's pieces, held to the length that was announced; no generator, nobody closes it."""

    def __init__(
        self, pieces: AsyncIterator[bytes], size: int | None, course: Course, http: Any
    ) -> None:
        self._pieces, self._left, self._course, self._http = pieces, size, course, http

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._pieces.__anext__()
        except StopAsyncIteration:
            if self._left:
                raise self._misfit("little") from None
            raise
        except Exception as exc:
            self._course.fault = exc
            raise
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise self._misfit("much")
        return piece

    def _misfit(self, how: str) -> Exception:
        words = f"Too {how} data for declared Content-Length"
        error: Exception = self._http.LocalProtocolError(words)
        self._course.fault = error
        return error


class _Response:
    """An answer, as `Dialogue` reads one of the library's."""

    http_version = "HTTP/1.1"

    def __init__(self, response: aiohttp.ClientResponse, course: Course, http: Any) -> None:
        self._response, self._course, self._http = response, course, http
        self.status_code = response.status
        self.headers = SimpleNamespace(raw=response.raw_headers)
        self.stream = self
        self._protocol = course.protocol
        self._broken = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._course.line.hung_up:
            raise self._http.ReadError("the call is over")
        content = self._response.content
        try:
            data = await content.read(_MOST_READ)
        except Exception as exc:
            self._broken = True
            # aiohttp forgets what came before the fault.
            data = content._read_nowait(_MOST_READ)
            if not data:
                # Whoever asked gets what came first: all of it may have been one read.
                await asyncio.sleep(0)
                raise broken(exc, self._protocol, self._http) from exc
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Let go of the connection, which goes back to the pool where the answer is read."""
        writer = self._course.writer
        sending = writer is not None and not writer.done()
        if sending or self._broken or not self._response.content.is_eof():
            await self._course.end()
        self._response.close()


class AiohttpShard(Shard):
    """One session and the streams that it carries."""

    def __init__(self, route: Route, context: ssl.SSLContext) -> None:
        self._connector = connector(route, context)
        super().__init__(route, _Client(self._connector), self)

    @property
    def connections(self) -> list[Any]:  # Any: see `Shard`
        """What its connector holds."""
        return [_Held(each.idle, not each.is_connected()) for each in self._connector.open]

    def hang_up(self) -> None:
        """Shut every open socket down; for a loop that is gone and can close nothing."""
        for protocol in self._connector.open:
            hang_up(protocol.transport.get_extra_info("socket"))
