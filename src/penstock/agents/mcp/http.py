"""The transport over streamable HTTP: the SDK's, over a client that bounds what is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.agents.mcp.server import MCPServer

__all__ = ["http_transport"]

_TIMEOUT = 30.0
"""Seconds for connecting, writing and waiting for a connection, the SDK's own default. Reading has
none: a call's clock is the loop's, and a stream of notifications may be silent for hours."""


_NOT_FOUND = 404
"""What a session that the server does not know is answered with (MCP 2025-06-18, "Session
Management"); the SDK hands on the words of the body."""


@asynccontextmanager
async def http_transport(
    server: MCPServer, *, max_read: int, forgotten: Callable[[], None]
) -> AsyncGenerator[Any, None]:  # Any: the SDK's two streams, passed on to its client
    """Open the transport to a server's URL.

    Args:
        server: Where it is.
        max_read: Bytes of an event or of any other answer.
        forgotten: Called where the server does not know the session: it was started anew.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    client = httpx2.AsyncClient(
        # What is not compressed cannot unpack to more than was read (fault matrix: bombs).
        headers={"accept-encoding": "identity", **server.headers},
        auth=server.auth,
        timeout=httpx2.Timeout(_TIMEOUT, read=None),
        event_hooks={"response": [_bound(max_read, forgotten)]},
    )
    assert server.url is not None
    streams = streamable_http_client(server.url, http_client=client, max_sse_event_size=max_read)
    async with client, streams as both:
        yield both


def _bound(max_read: int, forgotten: Callable[[], None]) -> Callable[[Any], Awaitable[None]]:
    """Return what sees each answer (an ``httpx2.Response``) before its body is read."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        """An answer's body that ends in an error past a bound."""

        def __init__(self, response: httpx2.Response) -> None:
            self._source: Any = response.stream  # Any: httpx2 says less of it than it is
            self._coding = response.headers.get("content-encoding", "identity").strip().lower()
            kind = response.headers.get("content-type", "").lower()
            # Each event of an event stream has the bound, and not all together.
            self._left = inf if kind.startswith("text/event-stream") else max_read

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if self._coding != "identity":
                raise httpx2.StreamError(f"the answer is compressed ({self._coding}), unasked")
            async for data in self._source:
                self._left -= len(data)
                if self._left < 0:
                    raise httpx2.StreamError(f"the answer exceeds {max_read} bytes")
                yield data

        async def aclose(self) -> None:
            await self._source.aclose()

    async def bound(response: httpx2.Response) -> None:
        if response.status_code == _NOT_FOUND and "mcp-session-id" in response.request.headers:
            forgotten()
        response.stream = Bounded(response)

    return bound
