"""The direct transport for other people's clients: an ``httpx`` or ``httpx2`` transport.

client = httpx.AsyncClient(transport=httpx_transport())
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from penstock.errors import (
    ConfigurationError,
    ConnectError,
    DeadlineError,
    EncodeError,
    PenstockError,
    PoolError,
    ProtocolError,
    UsageError,
)
from penstock.interfaces import HttpCall
from penstock.limits import Limits, Timeouts
from penstock.transports.direct.exchange import BROKE
from penstock.transports.direct.transport import DirectTransport
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.transports.direct.exchange import Exchange
    from penstock.transports.tls import Certificate, Verify

__all__ = ["httpx_transport"]

# RFC 9110 sections 5.1 and 5.5; httpx takes whatever it is given.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What the connection's own handling says; httpx sends some of it by itself.
_OURS = frozenset(
    [b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding"]
)


def httpx_transport(
    use: Literal["httpx", "httpx2"] = "httpx",
    *,
    limits: Limits | None = None,
    verify: Verify = True,
    cert: Certificate | None = None,
    trust_env: bool = True,
) -> Any:  # Any: an AsyncBaseTransport of either package, of which none is loaded before
    """Return an ``AsyncBaseTransport`` whose connections are penstock's; asyncio and HTTP/1.1 only.

    The client's own timeouts, redirects, cookies, authentication and hooks hold. Answers come as
    they are on the wire, bounded by `limits` in their headers, and are decompressed by the client.

    Args:
        use: The package of the client.
        limits: ``max_connections``, ``max_response_headers`` and ``max_response_header_count``.
        verify: See `DirectTransport`.
        cert: A certificate of the client's.
        trust_env: Whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` hold; proxies are the client's.
    """
    direct = DirectTransport(limits=limits, verify=verify, cert=cert, trust_env=trust_env)
    return _adapter(use)(direct, limits or Limits())


@cache
def _adapter(use: str) -> Any:  # Any: a class made for either package
    http: Any = import_module(use)
    body = _body(http)

    class Adapter(http.AsyncBaseTransport):  # type: ignore[misc]  # of either package
        """Carries an `httpx` client's requests."""

        def __init__(self, direct: DirectTransport, limits: Limits) -> None:
            self._direct = direct
            self._limits = limits

        async def handle_async_request(self, request: Any) -> Any:  # Any: of either package
            """Send `request`, and return its answer once the headers are there."""
            headers = [each for each in request.headers.raw if not _is_ours(*each)]
            if not all(_NAME.fullmatch(name) and not _CONTROL.search(v) for name, v in headers):
                raise http.LocalProtocolError("a header would break the request", request=request)
            try:
                content = request.content
            except http.RequestNotRead:
                content = None
            call = _call(request, content, self._limits)
            try:
                exchange = await self._direct.exchange(call, headers)
            except PenstockError as exc:
                raise _translated(exc, http, request) from exc
            return http.Response(
                exchange.status,
                headers=exchange.raw_headers,
                stream=body(exchange, request),
                extensions={"http_version": b"HTTP/1.1"},
            )

        async def aclose(self) -> None:
            """Close every connection."""
            await self._direct.aclose()

    return Adapter


def _body(http: Any) -> Any:  # Any: a class made for either package
    class Body(http.AsyncByteStream):  # type: ignore[misc]  # of either package
        """An answer's body."""

        def __init__(self, exchange: Exchange, request: Any) -> None:  # Any: of either package
            self._exchange = exchange
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while data := await self._exchange.read():
                    yield data
            except PenstockError as exc:
                raise _translated(exc, http, self._request) from exc
            ending = self._exchange.ending
            if ending is not None and not ending.clean:
                broke = ending.detail.startswith(BROKE)
                kind = http.ReadError if broke else http.RemoteProtocolError
                raise kind(ending.detail, request=self._request)

        async def aclose(self) -> None:
            """Let go of the connection."""
            await self._exchange.aclose()

    return Body


class _Sent:
    """A client's body as penstock has bodies; of a stream there is one pass."""

    def __init__(self, request: Any, content: bytes | None) -> None:  # Any: of either package
        self._stream = request.stream
        self._length = request.headers.get("content-length")
        self.small = content
        self._passes = 0

    def open(self) -> AsyncIterator[bytes]:
        """Return the only pass.

        Raises:
            UsageError: It is used up.
        """
        self._passes += 1
        if self._passes > 1:
            raise UsageError("a streamed body is sent once")
        pieces: AsyncIterator[bytes] = self._stream.__aiter__()
        return pieces

    async def length(self) -> int:
        """Return what the client counted."""
        return int(self._length)


def _is_ours(name: bytes, value: bytes) -> bool:
    """Whether the connection's own handling says it; that it is to end, a client may say, too."""
    return name.lower() in _OURS and (name.lower(), value.lower()) != (b"connection", b"close")


def _call(
    request: Any,  # Any: of either package
    content: bytes | None,
    limits: Limits,
) -> HttpCall:
    clocks = request.extensions.get("timeout", {})
    read = clocks.get("read")
    timeouts = Timeouts(
        pool=clocks.get("pool"),
        connect=clocks.get("connect"),
        write=clocks.get("write"),
        response=read,
        idle=read,
        ttft=None,
        progress=None,
        total=None,
    )
    framed = "content-length" in request.headers or "transfer-encoding" in request.headers
    return HttpCall(
        method=request.method,
        url=str(request.url),
        headers=[],
        body=_Sent(request, content) if framed else None,
        watch=Watchdog(timeouts, limits=limits),
        limits=limits,
        framing="length" if "content-length" in request.headers else "auto",
    )


def _translated(exc: PenstockError, http: Any, request: Any) -> Exception:  # Any: either package's
    """The client's own word for `exc`."""
    name = "ReadError"
    if isinstance(exc, PoolError):
        name = "PoolTimeout"
    elif isinstance(exc, DeadlineError):
        kinds = {"connect": "ConnectTimeout", "write": "WriteTimeout", "pool": "PoolTimeout"}
        name = kinds.get(exc.phase or "", "ReadTimeout")
    elif isinstance(exc, ConnectError) or exc.phase == "connect":
        name = "ConnectError"
    elif isinstance(exc, ConfigurationError):
        name = "UnsupportedProtocol"
    elif isinstance(exc, EncodeError):
        name = "LocalProtocolError"
    elif isinstance(exc, ProtocolError) or "without an answer" in str(exc):
        name = "RemoteProtocolError"
    elif exc.phase == "write":
        name = "WriteError"
    error: Exception = getattr(http, name)(str(exc), request=request)
    return error
