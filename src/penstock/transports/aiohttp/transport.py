"""The transport over aiohttp, and what it leaves to httpx."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from penstock.errors import MissingExtraError
from penstock.transports.direct.transport import proxied
from penstock.transports.http import HttpxTransport
from penstock.transports.library import Library
from penstock.transports.pools import Pool

if TYPE_CHECKING:
    import ssl

    from penstock.interfaces import HttpCall, Wire
    from penstock.limits import Limits
    from penstock.transports.http import TransportStats
    from penstock.transports.pools import Route, Settings, Shard
    from penstock.transports.tls import Certificate, Verify

__all__ = ["AiohttpTransport"]


class AiohttpTransport(HttpxTransport):
    """Sends calls over ``aiohttp``'s connections, one pool for each event loop.

    HTTP/1.1 on asyncio; no redirect is followed, no cookie kept, nothing decompressed but by us.
    What it does not do, httpx does in its place: calls through a proxy, and calls on trio.

    Args:
        limits: ``max_connections`` bounds the calls of one loop that hold a connection. A header
            block above 100 KiB is refused whatever ``max_response_headers`` says.
        proxy: The proxy's address: httpx then carries every call but those to unix sockets.
        verify: As `HttpxTransport` takes it.
        cert: A certificate of the client's.
        trust_env: Whether the environment's proxies, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` hold.

    Raises:
        MissingExtraError: ``aiohttp`` is not installed.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        proxy: str | None = None,
        verify: Verify = True,
        cert: Certificate | None = None,
        trust_env: bool = True,
    ) -> None:
        if not find_spec("aiohttp"):
            raise MissingExtraError("aiohttp is not installed: pip install 'penstock[fast]'")
        super().__init__(limits=limits, proxy=proxy, verify=verify, cert=cert, trust_env=trust_env)
        self._carrier = HttpxTransport(
            limits=limits, proxy=proxy, verify=verify, cert=cert, trust_env=trust_env
        )
        self._proxied: frozenset[str] | None = None

    def stats(self) -> TransportStats:
        """Return what is open on the running loop, what httpx carries included."""
        own, other = super().stats(), self._carrier.stats()
        return replace(
            own,
            calls=own.calls + other.calls,
            waiting=own.waiting + other.waiting,
            connections=own.connections + other.connections,
            idle=own.idle + other.idle,
            shards=own.shards + other.shards,
        )

    async def open(self, call: HttpCall) -> Wire:
        """Send `call` whole; see `HttpxTransport.open`."""
        self._check_open()
        if asyncio._get_running_loop() is None or self._is_proxied(call.url):
            return await self._carrier.open(call)
        return await super().open(call)

    async def aclose(self) -> None:
        """Cut every call, close every connection, and wait up to 2 s for those that are closing."""
        await super().aclose()
        await self._carrier.aclose()

    def _is_proxied(self, url: str) -> bool:
        if self._proxied is None:
            self._proxied = proxied(self._proxy, trust_env=self._trust_env)
        scheme = url.partition(":")[0].lower()
        return scheme != "http+unix" and bool({scheme, "all"} & self._proxied)

    async def _make_context(self) -> None:
        await super()._make_context()
        if self._context is not None:
            self._context.set_alpn_protocols(["http/1.1"])

    def _library(self) -> Library:
        from penstock.transports.aiohttp.session import package

        return package()

    def _pool(self, settings: Settings) -> Pool:
        return _AiohttpPool(settings, self._tls, self._limits.max_connections)


class _AiohttpPool(Pool):
    """Places, and shards that are sessions of aiohttp."""

    def _make_shard(self, route: Route, context: ssl.SSLContext) -> Shard:
        from penstock.transports.aiohttp.session import AiohttpShard

        return AiohttpShard(route, context)
