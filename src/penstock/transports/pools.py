"""Places and connections of one transport on one event loop.

- **Places** are our own bound (`Limits.max_connections`): a call has one from before it connects
  until its connection is back in the pool or closed. The HTTP library's own bound is off, as a
  cancelled call could keep a place of it for ever.
- **Shards** are HTTP clients of a few streams each. One client looks at all its connections at
  every event: 200 streams at once are 87 a second on one, 900 on shards of httpx 0.28. The first
  shard with a free place is taken, not the next in turn, so that a quiet service has one, and its
  connections stay in use.
- A shard that holds more busy connections than it has streams has leaked one; it takes no new
  streams and is closed when its last one ends.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from penstock.errors import ConfigurationError, MissingExtraError
from penstock.transports.backend import Backend
from penstock.transports.places import Places

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from penstock.errors import PenstockError
    from penstock.interfaces import Watch
    from penstock.transports.library import Library

__all__ = ["KEEPALIVE", "Lease", "Pool", "PoolStats", "Route", "Settings", "Shard"]

Route: TypeAlias = tuple[str, str]
"""The kind of connection (``http``, ``https``, ``unix``, ``client``) and the socket's path."""

SHARD_STREAMS = 8
"""Streams of one shard. Between 4 and 16 nothing changes much."""
KEEPALIVE = 30.0
"""Seconds that an idle connection stays open. Vendors' own limits are 60 s and more; httpx's 5 s
lose the connection between two turns of a conversation."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What one loop's pool holds at this moment."""

    calls: int
    """Places in use: calls from before they connect until their connection is let go."""
    waiting: int
    """Calls that wait for a place."""
    connections: int
    """Open connections, busy and idle."""
    idle: int
    """Connections that wait for the next call."""
    shards: int
    """HTTP clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the HTTP clients of one transport are made."""

    library: Library
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    http2: bool = False
    client: Any = None  # Any: an AsyncClient of either package
    """A user's own client, which is the only shard."""


class _HangsUp(Protocol):
    """What connects a shard."""

    def hang_up(self) -> None:
        """Shut every open socket down; for a loop that is gone and can close nothing."""


class Shard:
    """One HTTP client and the streams that it carries."""

    def __init__(self, route: Route, client: Any, backend: _HangsUp | None) -> None:
        self.route = route
        self.client = client  # Any: an AsyncClient of either package
        self.backend = backend
        """What connects it; None for a user's own client."""
        self.streams = 0
        self.retired = False
        self.idle_since = inf

    @property
    def connections(self) -> list[Any]:  # Any: httpcore's connections
        """What its pools hold, through each proxy and without."""
        transports = (getattr(self.client, "_transport", None), *_mounted(self.client))
        pools = (getattr(transport, "_pool", None) for transport in transports)
        return [found for pool in pools for found in getattr(pool, "connections", ())]

    @property
    def is_open(self) -> bool:
        """Whether it has a connection."""
        return not all(found.is_closed() for found in self.connections)

    @property
    def is_idle(self) -> bool:
        """Whether it has a connection that waits for the next call."""
        return any(found.is_idle() for found in self.connections)

    @property
    def has_leaked(self) -> bool:
        """Whether more connections are busy than there are streams to use them."""
        busy = sum(not (found.is_idle() or found.is_closed()) for found in self.connections)
        return busy > self.streams


class Lease:
    """A call's place and its shard, until `release`."""

    __slots__ = ("_pool", "shard")

    def __init__(self, pool: Pool, shard: Shard) -> None:
        self._pool = pool
        self.shard = shard

    def renew(self) -> None:
        """Move to a shard without idle connections, so that the next one is a fresh one."""
        stale, self.shard = self.shard, self._pool.take_shard(self.shard.route, fresh=True)
        self._pool.let_go(stale)

    def release(self) -> None:
        """Give the place back."""
        self._pool.let_go(self.shard)
        self._pool.give_back()


class Pool:
    """The places and shards of one transport on one loop."""

    def __init__(
        self, settings: Settings, context: Callable[[Route], ssl.SSLContext], places: int
    ) -> None:
        self._settings = settings
        self._context = context
        self._places = Places(places)
        self._shards: dict[Route, list[Shard]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._orphans: list[Shard] = []

    def stats(self) -> PoolStats:
        """Return what it holds."""
        shards = [shard for group in self._shards.values() for shard in group]
        connections = [found for shard in shards for found in shard.connections]
        return PoolStats(
            calls=self._places.in_use,
            waiting=self._places.waiting,
            connections=sum(not found.is_closed() for found in connections),
            idle=sum(found.is_idle() for found in connections),
            shards=len(shards),
        )

    async def lease(self, route: Route, watch: Watch) -> Lease:
        """Wait for a place, under the ``pool`` clock, and take it.

        Raises:
            PoolError: There was none in time.
        """
        await self._places.take(watch)
        try:
            await self._close_orphans()
            return Lease(self, self.take_shard(route))
        except BaseException:
            self.give_back()
            raise

    def let_go(self, shard: Shard) -> None:
        """Note that a stream of `shard` has ended."""
        shard.streams -= 1
        if shard.backend is None:
            return
        if not shard.retired and shard.has_leaked:
            shard.retired = True
            self._shards[shard.route].remove(shard)
        if shard.streams:
            return
        group = self._shards.get(shard.route, [])
        if not shard.retired and len(group) > 1 and not shard.is_open:
            # Cancelled calls leave a client without connections: one is enough.
            shard.retired = True
            group.remove(shard)
        if shard.retired:
            self._close(shard)
        else:
            shard.idle_since = time.monotonic()
            self._sweep_later()

    def give_back(self) -> None:
        """Pass a place on to whoever waits longest, or keep it free."""
        self._places.give_back()

    def take_shard(self, route: Route, *, fresh: bool = False) -> Shard:
        """Find, or add, a shard for one more stream; with `fresh`, one that has to connect.

        Raises:
            MissingExtraError: A SOCKS proxy or HTTP/2 needs a package that is not installed.
            ConfigurationError: The proxy's address is not one.
        """
        most = inf if route[0] == "client" else SHARD_STREAMS
        for shard in self._shards.get(route, ()):
            if shard.streams < most and not (fresh and shard.is_idle):
                break
        else:
            shard = self._new_shard(route)
        shard.streams += 1
        shard.idle_since = inf
        return shard

    def refuse_waiting(self, error: PenstockError) -> None:
        """Let every call that waits for a place fail with `error`."""
        self._places.refuse_waiting(error)

    async def aclose(self) -> None:
        """Close every connection; a user's own client stays open."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for shard in [shard for group in self._shards.values() for shard in group]:
            if shard.backend is not None:
                await shard.client.aclose()
        self._shards.clear()  # once all are closed: one who is cancelled before closes again
        await self._close_orphans()
        if self._closing:
            await asyncio.wait(self._closing)

    def abandon(self) -> None:
        """Hang up the sockets of a loop that is gone; their memory is the collector's."""
        for group in self._shards.values():
            for shard in group:
                if shard.backend is not None:
                    shard.backend.hang_up()
        self._shards.clear()

    def _new_shard(self, route: Route) -> Shard:
        try:
            shard = self._make_shard(route, self._context(route))
        except ImportError as exc:
            raise MissingExtraError(str(exc)) from exc
        except ValueError as exc:
            raise ConfigurationError(f"the proxy's address is not usable: {exc}") from exc
        self._shards.setdefault(route, []).append(shard)
        return shard

    def _make_shard(self, route: Route, context: ssl.SSLContext) -> Shard:
        return make_shard(route, self._settings, context)

    def _sweep_later(self) -> None:
        if self._sweep is None and (loop := asyncio._get_running_loop()) is not None:
            self._sweep = loop.call_later(KEEPALIVE, self._close_idle)

    def _close_idle(self) -> None:
        """Close what has been idle for long, and come again while something is."""
        self._sweep = None
        oldest = time.monotonic() - KEEPALIVE / 2
        for route, group in self._shards.items():
            idle = [shard for shard in group if shard.streams == 0]
            old = [shard for shard in idle if shard.idle_since <= oldest]
            self._shards[route] = [shard for shard in group if shard not in old]
            for shard in old:
                self._close(shard)
            if len(idle) > len(old):
                self._sweep_later()

    def _close(self, shard: Shard) -> None:
        """Close `shard` in the background on asyncio, with the next call on trio."""
        if asyncio._get_running_loop() is None:
            self._orphans.append(shard)
            return
        task = asyncio.get_running_loop().create_task(shard.client.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_orphans(self) -> None:
        while self._orphans:
            await self._orphans.pop().client.aclose()


def make_shard(route: Route, settings: Settings, context: ssl.SSLContext) -> Shard:
    """Return a new HTTP client for `route`, or the user's own."""
    if settings.client is not None:
        return Shard(route, settings.client, None)
    http = settings.library.http
    backend = Backend(settings.library)
    limits = http.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEPALIVE
    )
    kind, path = route
    options: dict[str, Any] = {  # Any: keyword arguments of many types
        "verify": context,
        "trust_env": settings.trust_env,
        "http2": settings.http2,
        "timeout": None,
        "limits": limits,
        # What one account is given must not stay, let alone travel with another account's key.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    }
    if kind == "unix":
        options["transport"] = http.AsyncHTTPTransport(verify=context, uds=path, limits=limits)
    elif settings.proxy is not None:
        secure = settings.proxy.startswith("https:")
        options["proxy"] = http.Proxy(settings.proxy, ssl_context=context if secure else None)
    client = http.AsyncClient(**options)
    for transport in (client._transport, *_mounted(client)):
        # httpx has no argument for it where environment proxies are to hold (joints.md, "Early
        # answers"); where a later version has no such attribute, its own backend stays.
        if hasattr(getattr(transport, "_pool", None), "_network_backend"):
            transport._pool._network_backend = backend
    return Shard(route, client, backend)


def _mounted(client: Any) -> list[Any]:  # Any: transports of either package
    mounts = getattr(client, "_mounts", {})
    return [transport for transport in mounts.values() if transport is not None]
