"""A call on asyncio: one owner task that alone opens, sends, reads and closes.

httpx does not survive being cancelled in the caller's task: in 360 runs with two cancels its pool
kept 79 busy connections; with an owner that is cancelled at most once, none. The caller only ever
waits on a future of its own, so it is free at once, whatever the owner has still to close.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import InternalError, StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Ending, HttpCall
    from penstock.transports.dialogue import Dialogue
    from penstock.transports.pools import Lease

__all__ = ["CLEANUP", "Exchange"]

CLEANUP = 2.0
"""Seconds that closing may take before the caller goes on without it."""
_DRAIN = 0.1
"""Seconds in which the rest of an answer may come, so that its connection is used again."""
# What the owner holds for the caller at most: bytes, and pieces (one read of 64 KiB can have ten
# thousand tiny HTTP chunks, which would keep the loop for 70 ms).
_AHEAD = 16 * 1024
_AHEAD_PIECES = 64


class Exchange:
    """A `penstock.interfaces.Wire` whose connection belongs to an owner task.

    Args:
        call: The exchange.
        dialogue: Its HTTP.
        lease: Its place; given back when the connection is let go.
        done: Called then.
    """

    released = False
    """That is for `aclose` to see to."""

    def __init__(
        self, call: HttpCall, dialogue: Dialogue, lease: Lease, done: Callable[[Exchange], None]
    ) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._call = call
        self._dialogue = dialogue
        self._lease: Lease | None = lease
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0
        # The caller waits for bytes; the owner waits for the caller to ask.
        self._waiter: asyncio.Future[None] | None = None
        self._demand: asyncio.Future[None] | None = None
        # Why the caller gets no more: at once, or after what has been received.
        self._aborted: PenstockError | None = None
        self._failure: Exception | None = None
        self._opened = self._ended = self._draining = False
        self._left = 0
        self._drained: asyncio.TimerHandle | None = None
        self._owner: asyncio.Task[None] | None = None

    @property
    def ending(self) -> Ending | None:
        """How the answer ended, once `read` has returned ``b""``."""
        return self._dialogue.ending if self._ended and not self._pieces else None

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._size

    @property
    def owner(self) -> asyncio.Task[None]:
        """The task that has the connection, once it is started."""
        assert self._owner is not None
        return self._owner

    def start(self) -> None:
        """Start the owner; with an eager task factory it may be through when this returns."""
        self._call.watch.on_expire(self.abort)
        self._owner = self._loop.create_task(self._own(), name="penstock exchange")
        # Not in `_own`: a task that is cancelled before it runs never gets there.
        self._owner.add_done_callback(self._released)

    async def opened(self) -> Exchange:
        """Wait for the answer's status and headers.

        Raises:
            TransportError: There is no answer.
        """
        while not (self._opened or self._ended or self._aborted):
            await self._wait()
        error = self._aborted or self._failure
        if error is not None:
            # Nothing is left behind; the owner is quick where nobody waits for the network.
            await asyncio.wait((self.owner,), timeout=CLEANUP)
            raise error
        return self

    async def read(self) -> bytes:
        """Return what has arrived, or wait for it; ``b""`` at the end."""
        while True:
            self._check()
            if self._pieces:
                return self._take()
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            await self._wait()

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        if self._aborted is not None:
            return
        self._aborted = error or StreamClosedError("the stream was closed")
        self._pieces.clear()
        self._size = 0
        self._wake()
        # At most once, and not where the owner is through: a second cancel leaks a connection.
        if not self._ended and self._owner is not None:
            self._dialogue.line.hung_up = True
            self._owner.cancel()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        if self.owner.done():
            self._aborted = self._aborted or StreamClosedError("the stream was closed")
            return
        limit = CLEANUP
        if reuse and self._opened and self._aborted is None and self._failure is None:
            limit = _DRAIN
            self._draining = True
            self._left = self._call.limits.drain
            self._pieces.clear()
            self._size = 0
            self._ask()
            # A caller that is cancelled here goes at once; the owner still has its time.
            self._drained = self._loop.call_later(_DRAIN, self.abort)
        else:
            self.abort()
        await asyncio.wait((self.owner,), timeout=limit)
        self.abort()

    def _check(self) -> None:
        if self._aborted is not None:
            raise self._aborted

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        timings = self._call.timings
        if timings.first_byte is None:
            timings.first_byte = self._call.watch.elapsed()
        timings.bytes_received += len(data)
        return data

    async def _wait(self) -> None:
        """Ask the owner for more and wait for it."""
        if self._waiter is not None:
            raise InternalError("two reads of one answer at once")
        waiter = self._waiter = self._loop.create_future()
        self._ask()
        watch = self._call.watch
        watch.asking()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            watch.answered()

    def _wake(self) -> None:
        # Never with an exception: the caller may be cancelled, and nobody would look at it.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ask(self) -> None:
        if self._demand is not None and not self._demand.done():
            self._demand.set_result(None)

    async def _own(self) -> None:
        """The owner: everything that touches the connection happens here."""
        assert self._lease is not None  # it is given back when this has ended
        try:
            await self._dialogue.send(self._lease)
            self.status, self.headers = self._dialogue.status, self._dialogue.headers
            self._opened = True
            self._wake()
            await self._receive()
        except asyncio.CancelledError:
            # Ours, by `abort`, or the loop's at its end; nobody awaits the owner's result.
            if self._aborted is None:
                self._aborted = StreamClosedError("the event loop ended")
        except Exception as exc:
            self._failure = exc
        finally:
            self._ended = True
            self._wake()
            try:
                await self._dialogue.close()
            finally:
                self._release()

    async def _receive(self) -> None:
        raw = self._dialogue.raw
        assert raw is not None  # the answer is there
        try:
            async for chunk in raw:
                for piece in self._dialogue.decode(chunk):
                    await self._keep(piece)
        except Exception as exc:
            if self._left < 0:
                return
            error = self._dialogue.finish(exc)
            if error is exc:
                raise
            if error is not None:
                raise error from exc
        else:
            self._dialogue.finish()

    async def _keep(self, piece: bytes) -> None:
        """Hold `piece` for the caller, and wait where it has enough."""
        if self._draining:
            self._left -= len(piece)
            if self._left < 0:
                raise _TooMuchLeft
            return
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        if self._size >= _AHEAD or len(self._pieces) >= _AHEAD_PIECES:
            self._demand = self._loop.create_future()
            try:
                await self._demand
            finally:
                self._demand = None

    def _released(self, owner: asyncio.Task[None]) -> None:
        if not owner.cancelled() and (exc := owner.exception()) is not None:
            # Closing failed; the connection is gone either way.
            self._failure = self._failure or exc  # type: ignore[assignment]
        self._ended = True
        self._wake()
        self._release()

    def _release(self) -> None:
        if self._lease is None:
            return
        if self._drained is not None:
            self._drained.cancel()
        self._call.watch.stop()
        self._lease.release()
        self._lease = None
        self._done(self)


class _TooMuchLeft(Exception):
    """More is left of an answer than is worth reading for its connection."""
