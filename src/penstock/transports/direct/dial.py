"""A connected socket, to whichever of a host's addresses answers first (RFC 8305).

asyncio's own race leaves the winner's socket to the collector where the call is cancelled in the
turn in which it connects, and uvloop has none; so the sockets are ours here until they are handed
over.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.transports.sockets import keep_alive

if TYPE_CHECKING:
    from penstock.transports.direct.address import Origin

__all__ = ["dial"]

_Found: TypeAlias = tuple[socket.AddressFamily, Any]  # Any: an address, as the family has it

DELAY = 0.25
"""Seconds that one address has before the next is tried beside it (RFC 8305 section 5)."""


async def dial(origin: Origin) -> socket.socket:
    """Return a socket that is connected to `origin`; nothing is left where this is cancelled.

    Raises:
        OSError: No address answers; the reason is that of the last one.
    """
    if origin.kind == "unix":
        return await _connected((socket.AF_UNIX, origin.host))
    found = _literal(origin) or await _resolved(origin)
    sock = await (_connected(found[0]) if len(found) == 1 else _race(found))
    keep_alive(sock)
    return sock


def _literal(origin: Origin) -> list[_Found]:
    """A host that is a number needs no thread that looks it up."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, origin.host)
            return [(family, (origin.host, origin.port))]
    return []


async def _resolved(origin: Origin) -> list[_Found]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    if not found:
        raise OSError(f"{origin.host} has no address")
    first = found[0][0]
    ours = [(family, address) for family, _, _, _, address in found if family == first]
    others = [(family, address) for family, _, _, _, address in found if family != first]
    # RFC 8305 section 4: the families take turns.
    mixed = chain.from_iterable(zip_longest(ours, others))
    return [each for each in mixed if each is not None]


async def _connected(found: _Found) -> socket.socket:
    family, address = found
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(found: list[_Found]) -> socket.socket:
    tries: set[asyncio.Task[socket.socket]] = set()
    error = OSError("no address answers")
    waiting = iter(found)
    another: _Found | None = next(waiting)
    try:
        while another is not None or tries:
            if another is not None:
                tries.add(asyncio.create_task(_connected(another)))
                another = next(waiting, None)
            done, _ = await asyncio.wait(
                tries,
                timeout=None if another is None else DELAY,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                tries.discard(task)
                failed = task.exception()
                if failed is None:
                    return task.result()
                error = failed if isinstance(failed, OSError) else error
        raise error
    finally:
        for task in tries:
            task.cancel()
            task.add_done_callback(_hang_up)


def _hang_up(task: asyncio.Task[socket.socket]) -> None:
    """Close what came second, or too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
