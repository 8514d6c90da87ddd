"""Stage 3 of 6: bytes out, bytes in; the only sockets and processes.

============= ==================================================================================
module        what it has
============= ==================================================================================
direct        HTTP/1.1 over asyncio without a client library, which is the default
http          HTTP over ``httpx`` and ``httpx2``; below it `backend`, `dialogue`, `exchange` on
              asyncio, `trio_exchange`, `library`, `line`, `pools`, `faults`, and `judge`
aiohttp       HTTP over ``aiohttp``'s connections
process       child processes on their pipes
watchdog      the clocks of one call, with `trio_clock`; `rounds` looks at those of a loop together
              `rate` judges how fast bytes come, `deadlines` says what ran out
places        how many calls hold a connection
headers       header fields on their way out and in
dates         when a peer asks to be called again
inflate       answers that came compressed
tls           which certificates are trusted
sockets       what every TCP socket is told
============= ==================================================================================

`import penstock` loads none of this. The transport over ``httpx`` is loaded with its name, as anyio
and the standard library's cookies come with it, and ``httpx`` itself with the first call.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.transports.dates import retry_after
from penstock.transports.watchdog import Clock, Watchdog

if TYPE_CHECKING:
    from penstock.transports.http import HttpxTransport, TransportStats

__all__ = ["Clock", "HttpxTransport", "TransportStats", "Watchdog", "retry_after"]


def __getattr__(name: str) -> Any:  # Any: as many types as names
    if name in ("HttpxTransport", "TransportStats"):
        return getattr(import_module("penstock.transports.http"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
