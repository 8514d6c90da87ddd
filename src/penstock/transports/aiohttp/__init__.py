"""HTTP/1.1 over ``aiohttp``'s connections, which the extra ``fast`` brings.

A call takes the road of `penstock.transports.HttpxTransport`: the same owner, clocks, places and
shards, with a session of aiohttp where httpx has a client. ``aiohttp`` is loaded with the first
call.
"""

from penstock.transports.aiohttp.transport import AiohttpTransport

__all__ = ["AiohttpTransport"]
