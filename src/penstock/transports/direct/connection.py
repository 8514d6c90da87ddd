"""One socket: what comes goes to whoever has the connection, through one buffer for all of a loop.

A plain asyncio protocol is handed a fresh 256 KiB for each read, and shrinks it: up to 3.5 times
the cost of a read into a buffer that is there.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextvars import Context
from typing import TYPE_CHECKING, Protocol, cast

from penstock.transports.direct.parser import Parser
from penstock.transports.sockets import hang_up, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.pool import Home
    from penstock.transports.direct.tls import Tls

__all__ = ["Buffers", "Connection", "Listener"]

READ = 60 * 1024
"""Bytes of one read; with `penstock.transports.direct.exchange.AHEAD` of them unread, 64 KiB."""
# Seconds after which a send that goes on is asked how much the peer has taken.
_SAMPLE = 0.25
_HUNG_UP = "the peer hung up during TLS"


class Buffers:
    """What every connection of a loop is read into: nothing stays in it between two callbacks."""

    def __init__(self) -> None:
        self.raw = memoryview(bytearray(READ))
        """As it comes."""
        self.plain = memoryview(bytearray(READ))
        """Decrypted."""


class Listener(Protocol):
    """Whoever has a connection; told from the loop, never from within a call of its own."""

    def arrived(self, data: memoryview) -> None:
        """Take in `data`, which is gone when this returns."""
        ...

    def caught_up(self) -> None:
        """Note that `arrived` was told all that is there: nothing follows in this turn."""
        ...

    def ended(self, error: Exception | None, *, clean: bool) -> None:
        """Note that nothing more comes; `clean` is False where TLS was not ended in order."""
        ...

    def taken(self, size: int) -> None:
        """Note that the peer took `size` more bytes of a send that stood still."""
        ...


class Connection(asyncio.BufferedProtocol):
    """One connection, plain or with TLS; made by `penstock.transports.direct.connecting`.

    Args:
        origin: Whom it goes to.
        home: The loop's connections, which it is one of until it is lost.
        tls: Its TLS.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_buffers",
        "_drained",
        "_ended",
        "_established",
        "_home",
        "_readable",
        "_sampler",
        "_shaken",
        "_tls",
        "_transport",
        "_unsent",
        "blocked",
        "idle_since",
        "listener",
        "lost",
        "origin",
        "parser",
        "paused",
    )

    def __init__(self, origin: Origin, home: Home, tls: Tls | None) -> None:
        self.origin = origin
        self.blocked = False
        """Whether a send has not been taken whole, and may still be."""
        self.listener: Listener | None = None
        """Who has it; None while it waits for a call."""
        self.idle_since = 0
        """After which sweep of the home's it was last given back."""
        self.lost = False
        """Whether it is of no more use."""
        self.paused = False
        """Whether what comes stays in the kernel."""
        self.parser = Parser(origin)
        """What reads its answers."""
        self._home = home
        self._tls = tls
        self._buffers = home.buffers
        self._buffer = home.buffers.raw
        if sys.platform == "win32":
            # A proactor holds on to the buffer until the bytes are there.
            self._buffer = memoryview(bytearray(READ))
        self._transport: asyncio.Transport | None = None
        # Says whether the peer has said anything; kept, as each call asks.
        self._readable: Callable[[], object] | None = None
        self._ended = self._established = False
        self._unsent = 0
        self._sampler: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._shaken: asyncio.Future[None] | None = None

    # --- for whoever has it

    def write(self, data: bytes) -> None:
        """Send `data`; what the kernel does not take waits, and `blocked` says so."""
        if self.lost or self._transport is None:
            return
        if self._tls is None:
            self._transport.write(data)
            return
        try:
            self._transport.write(self._tls.encrypt(data))
        except ssl.SSLError as exc:
            self._end(exc, clean=False)
            self.abort()

    async def drained(self) -> None:
        """Wait until everything is sent, or the connection lost."""
        while self.blocked:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def is_quiet(self) -> bool:
        """Whether the peer has said nothing since the last answer, not even goodbye."""
        if self._readable is None:
            assert self._transport is not None  # it was in use
            self._readable = readable(self._transport.get_extra_info("socket"))
        return not self._readable()

    def pause(self) -> None:
        """Leave what comes in the kernel."""
        if not self.paused and self._transport is not None and not self.lost:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.paused:
            self.paused = False
            if self._transport is not None and not self.lost:
                Context().run(self._transport.resume_reading)

    def abort(self) -> None:
        """Close it at once, without a word, also to whoever has it."""
        self.listener = None
        self._leave()
        if self._transport is None:
            self._home.gone(self)
        elif self._home.loop.is_closed():  # of a call that the collector ends
            self.hang_up()
        else:
            self._transport.abort()

    def close(self) -> None:
        """Close it in order; nothing may be unsent."""
        if self._transport is not None and not self.lost:
            if self._tls is not None and (words := self._tls.goodbye()):
                self._transport.write(words)
            self._leave()
            self._transport.close()

    def hang_up(self) -> None:
        """Shut the socket down, where the loop is gone and can close nothing."""
        if self._transport is not None:
            hang_up(self._transport.get_extra_info("socket"))

    async def shake_hands(self) -> None:
        """Wait until TLS is up.

        Raises:
            ssl.SSLError: The peers do not agree, or the certificate is not trusted.
            OSError: The peer hung up.
        """
        if self._tls is None:
            return
        if self.lost:
            raise OSError(_HUNG_UP)
        self._shaken = asyncio.get_running_loop().create_future()
        self._shake()
        try:
            await self._shaken
        finally:
            self._shaken = None
        if self._tls.protocol not in (None, "http/1.1"):
            raise ssl.SSLError(f"the peer wants to speak {self._tls.protocol}")

    # --- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        # `pause_writing` as soon as anything has to wait: a body is never more than a piece ahead.
        self._transport.set_write_buffer_limits(high=0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes are there."""
        listener, data = self.listener, self._buffer[:nbytes]
        if self._tls is not None:
            self._tls.receive(data)
            self._decrypt()
        elif listener is not None:
            listener.arrived(data)
        else:
            self._deliver(data)
        # At the very end: whoever goes on with it may close the connection, or send on it.
        if listener is not None:
            listener.caught_up()

    def eof_received(self) -> bool:
        """The peer sends no more; the connection is closed on our side too."""
        self._end(None, clean=self._tls is None or self._tls.finished)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(exc, clean=self._tls is None or self._tls.finished)
        self._leave()
        self._transport = None
        self._home.gone(self)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self.blocked = not self.lost
        self._sample_later()

    def resume_writing(self) -> None:
        """Everything is with the kernel."""
        self.blocked = False
        self._stop_sampling()
        if self.listener is not None:
            self.listener.taken(self._unsent)
        self._wake_sender()

    # --- inside

    def _deliver(self, data: memoryview) -> None:
        if self.listener is not None:
            self.listener.arrived(data)
        elif self._shaken is None:
            # Nobody asked: whatever it is, the next call must not take it for its answer.
            self.abort()

    def _decrypt(self) -> None:
        tls, plain = self._tls, self._buffers.plain
        assert tls is not None
        assert self._transport is not None  # it has received something
        if not self._established:
            if self._shaken is not None:
                self._shake()
            if not self._established:
                return
        try:
            while size := tls.read_into(plain):
                self._deliver(plain[:size])
                if self.lost:
                    return
        except ssl.SSLError as exc:
            self._end(exc, clean=False)
            self.abort()
            return
        if words := tls.pending():
            self._transport.write(words)
        if tls.finished:
            self._end(None, clean=True)
            self.abort()

    def _shake(self) -> None:
        tls, transport, shaken = self._tls, self._transport, self._shaken
        assert tls is not None
        assert transport is not None
        assert shaken is not None
        try:
            done = tls.handshake()
        except ssl.SSLError as exc:
            transport.write(tls.pending())
            if not shaken.done():
                shaken.set_exception(exc)
            return
        transport.write(tls.pending())
        if done and not shaken.done():
            self._established = True
            shaken.set_result(None)

    def _end(self, error: Exception | None, *, clean: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._shaken is not None and not self._shaken.done():
            self._shaken.set_exception(error or OSError(_HUNG_UP))
        listener, self.listener = self.listener, None
        self._leave()
        if listener is not None:
            listener.ended(error, clean=clean)

    def _leave(self) -> None:
        """Be of no more use: to senders, and to the pool."""
        self.lost, self.blocked = True, False
        self.parser.release()
        self._stop_sampling()
        self._wake_sender()
        self._home.leaves(self)

    def _wake_sender(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _sample_later(self) -> None:
        assert self._transport is not None  # it has paused us
        self._unsent = self._transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._sampler = loop.call_later(_SAMPLE, self._sample)

    def _sample(self) -> None:
        """Tell of a slow send's progress: a peer that takes a little is healthy."""
        if self._transport is None:
            return
        before = self._unsent
        self._sample_later()
        if self.listener is not None and self._unsent < before:
            self.listener.taken(before - self._unsent)

    def _stop_sampling(self) -> None:
        if self._sampler is not None:
            self._sampler.cancel()
            self._sampler = None
