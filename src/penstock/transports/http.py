"""HTTP over ``httpx`` or ``httpx2``: what carries proxies, trio and a client of the user's."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from penstock.errors import ConfigurationError, StreamClosedError
from penstock.forks import PROCESS, Lock
from penstock.limits import Limits
from penstock.transports.dialogue import Dialogue
from penstock.transports.exchange import CLEANUP, Exchange
from penstock.transports.library import library, library_of
from penstock.transports.pools import Pool, PoolStats, Settings
from penstock.transports.tls import make_context, no_context

if TYPE_CHECKING:
    import ssl

    from penstock.interfaces import HttpCall, Wire
    from penstock.transports.library import Library
    from penstock.transports.pools import Route
    from penstock.transports.tls import Certificate, Verify
    from penstock.transports.trio_exchange import TrioExchange

__all__ = ["HttpxTransport", "TransportStats"]


@dataclass(frozen=True, slots=True)
class TransportStats(PoolStats):
    """What a transport holds on the running loop at this moment."""

    library: str
    """``httpx``, ``httpx2`` or ``aiohttp``."""


_COUNTS = [count.name for count in fields(PoolStats)]


class HttpxTransport:
    """Sends calls through pools of its own, one for each event loop, or through a user's client.

    It may be used from several loops and threads, and by a forked child, each with connections of
    its own. No redirect is followed: an answer 3xx is an answer.

    Args:
        limits: ``max_connections`` bounds the calls of one loop that hold a connection. A header
            block above 100 KiB is refused whatever ``max_response_headers`` says: h11's own bound.
        client: A user's own ``httpx.AsyncClient`` or ``httpx2.AsyncClient``: the only one used, and
            never closed here. Its proxies, certificates, headers, authentication and hooks hold;
            early answers are not seen, and stale connections not retried, as its sockets are its
            own.
        proxy: The proxy's address for all calls; default the environment's (``HTTPS_PROXY``,
            ``ALL_PROXY``, ``NO_PROXY``, ...) where `trust_env` holds.
        verify: True trusts the system's authorities (see `penstock.transports.tls.make_context`);
            a path or a context replaces them, False switches the check off.
        cert: A certificate of the client's.
        trust_env: Whether the environment's proxies, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` hold.
        http2: Whether to offer HTTP/2, which needs the package ``h2``. Off by default: with one
            connection for all streams a cancelled one holds a place of the peer's 100.
        use: Which package; default ``httpx2`` where it is installed, else ``httpx``.

    Raises:
        ConfigurationError: The client is of neither package.
        MissingExtraError: `use` is not installed.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        client: object | None = None,
        proxy: str | None = None,
        verify: Verify = True,
        cert: Certificate | None = None,
        trust_env: bool = True,
        http2: bool = False,
        use: Literal["httpx", "httpx2"] | None = None,
    ) -> None:
        if client is not None:
            library_of(client)
        self._limits = limits or Limits()
        self._client = client
        self._proxy = proxy
        self._verify, self._cert, self._trust_env = verify, cert, trust_env
        self._http2 = http2
        self._use = use
        self._context: ssl.SSLContext | None = None
        self._lock = Lock()
        self._loops: dict[object, _Loop] = {}
        # A forked child keeps its parent's pools, so that no finaliser touches their sockets.
        self._inherited: dict[object, _Loop] = {}
        self._generation = PROCESS.generation
        self._closed = False

    @property
    def library(self) -> str:
        """The package that sends: ``httpx``, ``httpx2`` or ``aiohttp``."""
        return self._library().name

    def stats(self) -> TransportStats:
        """Return what is open on the running loop; outside of one, on all loops together."""
        loop = _running()
        loops = [here for key, here in tuple(self._loops.items()) if loop in (None, key)]
        total = TransportStats(0, 0, 0, 0, 0, library=self.library)
        for here in loops:
            found = here.pool.stats()
            total = replace(
                total,
                **{name: getattr(total, name) + getattr(found, name) for name in _COUNTS},
            )
        return total

    async def open(self, call: HttpCall) -> Wire:
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
        self._check_open()
        url, route = self._address(call.url)
        settings = self._settings()
        dialogue = Dialogue(call, url, settings)
        if route[0] == "https" and self._context is None:
            await self._make_context()
        here = self._here(settings)
        lease = await here.pool.lease(route, call.watch)
        if self._closed:
            lease.release()
            self._check_open()
        if not isinstance(here.loop, asyncio.AbstractEventLoop):
            from penstock.transports.trio_exchange import TrioExchange

            in_task = TrioExchange(call, dialogue, lease, here.in_tasks.discard)
            here.in_tasks.add(in_task)
            return await in_task.opened()
        exchange = Exchange(call, dialogue, lease, here.exchanges.discard)
        here.exchanges.add(exchange)
        exchange.start()
        return await exchange.opened()

    async def aclose(self) -> None:
        """Cut every call, close every connection, and wait up to 2 s for those that are closing.

        Pools of other loops are told to close theirs, and not waited for.
        """
        self._closed = True
        with self._lock:
            self._notice_fork()
            here = self._loops.pop(_running(), None)
            others = list(self._loops.values())
            # What closes here stays until it has: whoever is cancelled meanwhile closes again.
            self._loops = {} if here is None else {_running(): here}
        for other in others:
            other.close_soon()
        if here is not None:
            await here.aclose()
            with self._lock:
                self._loops.pop(_running(), None)

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError("the transport is closed")

    def _library(self) -> Library:
        return library(self._use) if self._client is None else library_of(self._client)

    def _settings(self) -> Settings:
        return Settings(
            library=self._library(),
            proxy=self._proxy,
            trust_env=self._trust_env,
            http2=self._http2,
            client=self._client,
        )

    def _address(self, url: str) -> tuple[Any, Route]:  # Any: a URL of either package
        http = self._library().http
        try:
            parts = urlsplit(url)
        except ValueError as exc:
            raise ConfigurationError(f"{url[:80]!r} is not an address: {exc}") from exc
        kind, path, address = parts.scheme, "", url
        if kind == "http+unix":
            # The host is the socket's path, percent-encoded, as in requests-unixsocket.
            kind, path = "unix", unquote(parts.netloc)
            query = f"?{parts.query}" if parts.query else ""
            address = f"http://localhost{parts.path or '/'}{query}"
        elif kind not in ("http", "https"):
            raise ConfigurationError(f"{url[:80]!r} is no address that HTTP can call")
        if self._client is not None:
            kind, path = "client", ""
        try:
            return http.URL(address), (kind, path)
        except http.InvalidURL as exc:
            raise ConfigurationError(f"{url[:80]!r} is not an address: {exc}") from exc

    async def _make_context(self) -> None:
        """Load the authorities in a thread: they take three times what a loop may stand still."""
        from anyio.to_thread import run_sync

        def make() -> ssl.SSLContext:
            return make_context(self._verify, cert=self._cert, trust_env=self._trust_env)

        context = await run_sync(make)
        self._context = self._context or context

    def _here(self, settings: Settings) -> _Loop:
        """The running loop's pool; loops that are gone, and a parent process's, are forgotten."""
        loop = _running()
        here = self._loops.get(loop)
        if here is not None and self._generation == PROCESS.generation:
            return here
        with self._lock:
            self._notice_fork()
            for gone in [found for found in self._loops if _is_gone(found)]:
                self._loops.pop(gone).pool.abandon()
            here = self._loops[loop] = _Loop(loop, self._pool(settings))
        return here

    def _pool(self, settings: Settings) -> Pool:
        return Pool(settings, self._tls, self._limits.max_connections)

    def _notice_fork(self) -> None:
        """Leave a parent's sockets to it: nothing is sent on them, not even a goodbye."""
        if self._generation != PROCESS.generation:
            self._generation = PROCESS.generation
            self._inherited, self._loops = self._loops, {}

    def _tls(self, route: Route) -> ssl.SSLContext:
        """The context for connections of `route`: all with TLS share one."""
        return self._context if route[0] == "https" and self._context else no_context()


class _Loop:
    """What a transport has on one event loop."""

    def __init__(self, loop: object, pool: Pool) -> None:
        self.loop = loop
        self.pool = pool
        self.exchanges: set[Exchange] = set()
        self.in_tasks: set[TrioExchange] = set()

    async def aclose(self) -> None:
        """Cut every call and close every connection."""
        self.pool.refuse_waiting(StreamClosedError("the transport was closed"))
        owners = [exchange.owner for exchange in self.exchanges]
        for exchange in tuple(self.exchanges):
            exchange.abort(StreamClosedError("the transport was closed"))
        if owners:
            await asyncio.wait(owners, timeout=CLEANUP)
        for in_task in tuple(self.in_tasks):
            in_task.abort(StreamClosedError("the transport was closed"))
            await in_task.aclose()
        await self.pool.aclose()

    def close_soon(self) -> None:
        """Let the loop, which is another thread's, close what it has."""
        if not isinstance(self.loop, asyncio.AbstractEventLoop) or self.loop.is_closed():
            self.pool.abandon()
        elif self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self.aclose(), self.loop)
        else:
            self.pool.abandon()


def _running() -> object | None:
    """What stands for the running loop; None outside of one."""
    loop = asyncio._get_running_loop()
    if loop is not None or "trio" not in sys.modules:
        return loop
    import trio

    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def _is_gone(loop: object) -> bool:
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed()
    import trio

    try:
        loop.run_sync_soon(_nothing)  # type: ignore[attr-defined]  # a TrioToken
    except trio.RunFinishedError:
        return True
    return False


def _nothing() -> None:
    """What a trio loop is asked to do, to see whether it still runs."""
