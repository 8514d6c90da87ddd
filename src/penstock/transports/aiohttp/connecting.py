"""What opens aiohttp's connections: nothing is left of one that nobody waits for any more.

uvloop forgets a connection whose opening is cancelled once it was made: it says of it neither that
it is there nor that it is lost. So each is opened in a task of its own, which goes on to where the
connection can be shut.
"""

from __future__ import annotations

import asyncio
import socket
from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp

from penstock.transports.aiohttp.connection import Connection
from penstock.transports.pools import KEEPALIVE
from penstock.transports.sockets import hang_up, keep_alive

if TYPE_CHECKING:
    import ssl

    from penstock.transports.pools import Route

__all__ = ["connector"]

_TURNS = 3
"""Turns of the loop in which it takes a socket over; uvloop forgets one that breaks before."""


class _Opening:
    """How far one connection is, and what becomes of it where nobody waits for it."""

    __slots__ = ("given_up", "handed_over", "sockets")

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.handed_over = False
        """Whether the loop has the socket, and the job is not to be cancelled."""
        self.given_up = False

    def give_up(self, job: asyncio.Task[Connection]) -> None:
        """Have `job` end at once, and shut what it brings."""
        self.given_up = True
        job.add_done_callback(_shut)
        if self.handed_over:
            self._cut(job, _TURNS)
        else:
            job.cancel()

    def _cut(self, job: asyncio.Task[Connection], turns: int) -> None:
        """Let a handshake find its peer gone; without TLS there is nothing left to do by then."""
        if job.done():
            return
        if turns:
            job.get_loop().call_soon(self._cut, job, turns - 1)
        else:
            for sock in self.sockets:
                hang_up(sock)


_OPENING: ContextVar[_Opening] = ContextVar("penstock_aiohttp_opening")


def _shut(job: asyncio.Task[Connection]) -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().abort()


def _socket(info: Any) -> socket.socket:  # Any: an entry of getaddrinfo
    opening = _OPENING.get()
    if opening.given_up:
        raise OSError("nobody waits for a connection")
    family, kind, protocol, _, _ = info
    made = socket.socket(family=family, type=kind, proto=protocol)
    opening.sockets.append(made)
    opening.handed_over = False  # a further address, where the last one did not do
    keep_alive(made)
    return made


def _made(siblings: set[Connection]) -> Connection:
    """Return what the loop makes of a socket, which is its own from now on."""
    _OPENING.get().handed_over = True
    return Connection(asyncio.get_running_loop(), siblings)


class _Noted:
    """What both connectors have of ours."""

    def _prepare(self) -> None:
        self.open: set[Connection] = set()
        self.jobs: set[asyncio.Task[Connection]] = set()
        # Not declared here: the other base has declared it, as a factory of its own class.
        setattr(self, "_factory", partial(_made, self.open))  # noqa: B010

    async def _create_connection(self, *how: Any) -> Connection:  # Any: aiohttp's own
        opening = _Opening()
        # In a context of nobody: the loop keeps that in which it is told to read.
        context = Context()
        context.run(_OPENING.set, opening)
        work = super()._create_connection(*how)  # type: ignore[misc]
        job: asyncio.Task[Connection] = context.run(asyncio.get_running_loop().create_task, work)
        self.jobs.add(job)
        job.add_done_callback(self.jobs.discard)
        try:
            await asyncio.wait((job,))
        except BaseException:  # a cancel, or a coroutine that is closed by hand
            opening.give_up(job)
            raise
        opening.sockets.clear()
        return job.result()

    def _release(self, key: Any, protocol: Any, **options: Any) -> None:  # Any: aiohttp's own
        protocol.course, protocol.idle = None, True
        super()._release(key, protocol, **options)  # type: ignore[misc]


class _Tcp(_Noted, aiohttp.TCPConnector):
    pass


class _Unix(_Noted, aiohttp.UnixConnector):
    pass


def connector(route: Route, context: ssl.SSLContext) -> Any:  # Any: either connector
    """Return what opens connections of `route`, and keeps those that wait."""
    kind, path = route
    options: dict[str, Any] = {"limit": 0, "keepalive_timeout": KEEPALIVE}  # Any: keyword arguments
    if kind == "unix":
        made: Any = _Unix(path, **options)
    else:
        made = _Tcp(
            ssl=context, resolver=aiohttp.ThreadedResolver(), socket_factory=_socket, **options
        )
    made._prepare()
    return made
