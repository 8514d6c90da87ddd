"""HTTP/1.1 over asyncio without a client library: as little CPU per chunk and memory per stream.

The parser is llhttp (``httptools``), TLS is OpenSSL through the standard library; the handling of
connections is ours, as CPU per chunk and KiB per stream are what penstock exists for.

    address   an address: what to connect to, what to ask for
    dial      a connected socket, to whichever address answers first
    tls       TLS between bytes in memory
    connection  one socket: reads into a shared buffer, says when the peer takes no more
    parser    bytes of an answer to its status, headers and body
    head      a request's head, and a request that is in memory
    body      a request's body that comes in pieces
    opening   one call until there is an answer
    exchange  its answer: the `penstock.interfaces.Wire`
    waiting   what a task waits for: told at once, or a turn of the loop later
    inflating  a compressed answer
    draining  the rest of one that nobody wants
    pool      connections that wait for the next call, on one loop
    transport  the `penstock.interfaces.Transport`
    adapter   the same for other people's ``httpx`` clients

Nothing is loaded with this package: the parser comes with the first call.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.transports.direct.adapter import httpx_transport
    from penstock.transports.direct.transport import DirectStats, DirectTransport

__all__ = ["DirectStats", "DirectTransport", "httpx_transport"]

_ROOMS = {"DirectStats": "transport", "DirectTransport": "transport", "httpx_transport": "adapter"}


def __getattr__(name: str) -> Any:  # Any: as many types as names
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
