"""The transport over asyncio, and what it leaves to httpx."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import StreamClosedError
from penstock.forks import PROCESS, Lock
from penstock.limits import Limits
from penstock.transports.direct.address import address_of
from penstock.transports.direct.head import head_of
from penstock.transports.headers import checked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Sequence

    from penstock.interfaces import HttpCall, Wire
    from penstock.transports.direct.address import Address, Origin
    from penstock.transports.direct.exchange import Exchange
    from penstock.transports.direct.pool import Home
    from penstock.transports.http import HttpxTransport
    from penstock.transports.tls import Certificate, Verify

__all__ = ["DirectStats", "DirectTransport", "proxied"]

_MOST_KEPT = 256
"""Addresses that are kept taken apart, and heads that calls have in common."""


@dataclass(frozen=True, slots=True)
class DirectStats:
    """What a transport holds on the running loop at this moment, what httpx carries included."""

    calls: int
    """Places in use: calls from before they connect until their connection is let go."""
    waiting: int
    """Calls that wait for a place."""
    connections: int
    """Open connections, busy and idle."""
    idle: int
    """Connections that wait for the next call."""


@dataclass(frozen=True, slots=True, repr=False)
class Road:
    """Where calls go that have all but their body in common: it costs a third of a short one."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    origin: Origin
    head: bytes
    """The request's head."""

    def __repr__(self) -> str:
        # The fields hold the credential, and tracebacks may show locals (fault matrix, row 39).
        return f"Road({self.method} {self.url})"


class DirectTransport:
    """Sends calls over connections of its own, one pool for each event loop.

    It may be used from several loops and threads, and by a forked child, each with connections of
    its own. HTTP/1.1 only; no redirect is followed. What it does not do, `HttpxTransport` does in
    its place, with the same options: calls through a proxy, and calls on trio.

    Args:
        limits: ``max_connections`` bounds the calls of one loop that hold a connection.
        proxy: The proxy's address: httpx then carries every call but those to unix sockets.
        verify: True trusts the system's authorities (see `penstock.transports.tls.make_context`);
            a path or a context replaces them, False switches the check off.
        cert: A certificate of the client's.
        trust_env: Whether the environment's proxies, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` hold.
            Where it names a proxy for an address's scheme, httpx carries the call, and judges
            ``NO_PROXY``.
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
        self._limits = limits or Limits()
        self._proxy = proxy
        self._verify, self._cert, self._trust_env = verify, cert, trust_env
        self._proxied: frozenset[str] | None = None
        self._addresses: dict[str, Address] = {}
        # By the identity of the fields, which each holds on to.
        self._roads: dict[int, Road] = {}
        self._context: ssl.SSLContext | None = None
        self._lock = Lock()
        self._loops: dict[asyncio.AbstractEventLoop, Home] = {}
        # A forked child keeps its parent's connections, so that no finaliser touches their sockets.
        self._inherited: dict[asyncio.AbstractEventLoop, Home] = {}
        # Loaded with the first of them, and not asked for in each call.
        self._opened: Callable[..., Coroutine[Any, Any, Exchange]]  # Any: see `open`
        self._other: HttpxTransport | None = None
        self._generation = PROCESS.generation
        self._closed = False

    def stats(self) -> DirectStats:
        """Return what is open on the running loop; outside of one, on all loops together."""
        loop = asyncio._get_running_loop()
        homes = [home for key, home in tuple(self._loops.items()) if loop in (None, key)]
        calls = sum(home.places.in_use for home in homes)
        waiting = sum(home.places.waiting for home in homes)
        connections = sum(len(home.open) for home in homes)
        idle = sum(home.idle for home in homes)
        if self._other is not None:
            other = self._other.stats()
            calls, waiting = calls + other.calls, waiting + other.waiting
            connections, idle = connections + other.connections, idle + other.idle
        return DirectStats(calls, waiting, connections, idle)

    def open(self, call: HttpCall) -> Coroutine[Any, Any, Wire]:  # Any: as each coroutine has it
        """Send `call` whole; return when the answer's status and headers are there.

        Raises:
            InvalidHeaderError: A header would break the request, or is the transport's own.
            ConfigurationError: The address is none, or a proxy or certificate is not usable.
            PoolError: No place in ``Limits.max_connections`` within ``Timeouts.pool``.
            ConnectError: No connection.
            TransportError: No answer.
            ProtocolError: The answer breaks HTTP.
            LimitExceededError: The answer's headers exceed a bound.
        """
        road = self._roads.get(id(call.headers))
        home = self._loops.get(asyncio._get_running_loop())  # type: ignore[arg-type]
        if (
            road is None
            or home is None
            or road.url != call.url
            or road.method != call.method
            or self._generation != PROCESS.generation
        ):
            return self._open_first(call)
        return self._opened(call, road.origin, road.head, home)

    async def _open_first(self, call: HttpCall) -> Wire:
        """Open a call that is the first on its road or loop, or not for a connection of ours."""
        self._check_open()
        address = self._address(call.url)
        if self._is_proxied(address.origin) or asyncio._get_running_loop() is None:
            return await self._over_httpx().open(call)
        head, home = self._head(call, address), self._home()
        return await self._opened(call, address.origin, head, home)

    def exchange(
        self, call: HttpCall, headers: list[tuple[bytes, bytes]]
    ) -> Coroutine[Any, Any, Exchange]:  # Any: as each coroutine has it
        """Send `call` with `headers` in place of its own, on a connection of ours.

        The answer comes as it is on the wire: it is not decompressed, and has its raw headers.
        """
        address = self._address(call.url)
        head, home = head_of(call.method, address, headers), self._home()
        return self._opened(call, address.origin, head, home, raw=True)

    async def aclose(self) -> None:
        """Cut every call, close every connection, and wait up to 2 s for those that are closing.

        Connections of other loops are told to close, and not waited for.
        """
        self._closed = True
        with self._lock:
            self._notice_fork()
            home = self._loops.pop(asyncio._get_running_loop(), None)  # type: ignore[arg-type]
            others = list(self._loops.values())
            self._loops.clear()
        for other in others:
            other.close_soon()
        if home is not None:
            await home.aclose()
        if self._other is not None:
            await self._other.aclose()

    def _address(self, url: str) -> Address:
        """An address taken apart, once for all calls to it: it costs a fifth of a short call."""
        address = self._addresses.get(url)
        if address is None:
            if len(self._addresses) >= _MOST_KEPT:
                self._addresses.clear()
            address = self._addresses[url] = address_of(url)
        return address

    def _head(self, call: HttpCall, address: Address) -> bytes:
        """A request's head; its road is kept where others go there with the very same fields."""
        head = head_of(call.method, address, checked(call.headers))
        if isinstance(call.headers, tuple):
            if len(self._roads) >= _MOST_KEPT:
                self._roads.clear()
            road = Road(call.method, call.url, call.headers, address.origin, head)
            self._roads[id(call.headers)] = road
        return head

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError("the transport is closed")

    def _is_proxied(self, origin: Origin) -> bool:
        if origin.kind == "unix":
            return False
        if self._proxied is None:
            self._proxied = proxied(self._proxy, trust_env=self._trust_env)
        return origin.kind in self._proxied or "all" in self._proxied

    def _over_httpx(self) -> HttpxTransport:
        with self._lock:
            if self._other is None:
                from penstock.transports.http import HttpxTransport

                self._other = HttpxTransport(
                    limits=self._limits,
                    proxy=self._proxy,
                    verify=self._verify,
                    cert=self._cert,
                    trust_env=self._trust_env,
                )
            return self._other

    async def _trusting(self) -> ssl.SSLContext:
        """The context, with its authorities loaded in a thread: they take 15 ms."""
        if self._context is None:
            context = await asyncio.get_running_loop().run_in_executor(None, self._make_context)
            self._context = self._context or context
        return self._context

    def _make_context(self) -> ssl.SSLContext:
        from penstock.transports.tls import make_context

        context = make_context(self._verify, cert=self._cert, trust_env=self._trust_env)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _home(self) -> Home:
        """What there is on the running loop; with a new one, those that are gone are forgotten."""
        from penstock.transports.direct.opening import opened
        from penstock.transports.direct.pool import Home

        loop = asyncio.get_running_loop()
        with self._lock:
            self._notice_fork()
            home = self._loops.get(loop)
            if home is None:
                self._opened = opened
                for gone in [found for found in self._loops if found.is_closed()]:
                    self._loops.pop(gone).abandon()
                home = Home(loop, self._limits.max_connections, self._trusting)
                self._loops[loop] = home
        return home

    def _notice_fork(self) -> None:
        """Leave a parent's sockets to it: nothing is sent on them, not even a goodbye."""
        if self._generation != PROCESS.generation:
            self._generation = PROCESS.generation
            self._inherited, self._loops = self._loops, {}


def proxied(proxy: str | None, *, trust_env: bool) -> frozenset[str]:
    """The schemes that a proxy may carry, ``all`` for each of them."""
    if proxy is not None:
        return frozenset({"all"})
    if not trust_env:
        return frozenset()
    if sys.platform in ("darwin", "win32"):
        from urllib.request import getproxies  # the system's settings too, as httpx has them

        return frozenset(getproxies())
    found = {name.lower() for name, value in os.environ.items() if value}
    return frozenset(name for name in ("http", "https", "all") if f"{name}_proxy" in found)
