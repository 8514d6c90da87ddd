"""A call on trio: no owner task, everything in the caller's.

trio cancels by scopes, which the HTTP library's cleanup is shielded from, so the caller's task may
have the connection. Each wait has one cancel scope of its own, and none is held between two of
them; the watchdog, another task or `TrioExchange.aclose` end a wait through its scope.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

from penstock.errors import InternalError, StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Ending, HttpCall
    from penstock.transports.dialogue import Dialogue
    from penstock.transports.pools import Lease

__all__ = ["TrioExchange"]

_DRAIN = 0.1
"""Seconds in which the rest of an answer may come, so that its connection is used again."""


class TrioExchange:
    """A `penstock.interfaces.Wire` in the caller's own task.

    Args:
        call: The exchange.
        dialogue: Its HTTP.
        lease: Its place; given back when the connection is let go.
        done: Called then.
    """

    released = False
    """That is for `aclose` to see to."""

    def __init__(
        self,
        call: HttpCall,
        dialogue: Dialogue,
        lease: Lease,
        done: Callable[[TrioExchange], None],
    ) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._call = call
        self._dialogue = dialogue
        self._lease: Lease | None = lease
        self._done = done
        self._pieces: deque[bytes] = deque()
        self._scope: anyio.CancelScope | None = None
        self._aborted: PenstockError | None = None
        self._failure: Exception | None = None
        self._ended = False
        call.watch.on_expire(self.abort)

    @property
    def ending(self) -> Ending | None:
        """How the answer ended, once `read` has returned ``b""``."""
        return self._dialogue.ending if self._ended and not self._pieces else None

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return sum(map(len, self._pieces))

    async def opened(self) -> TrioExchange:
        """Send the call and wait for the answer's status and headers.

        Raises:
            TransportError: There is no answer.
        """
        lease = self._lease
        assert lease is not None  # it is given back when this has ended
        if self._aborted is not None:
            await self._close()
            raise self._aborted
        try:
            await self._wait(self._dialogue.send(lease))
        except BaseException as exc:
            if isinstance(exc, Exception):
                self._failure = exc
            await self._close()
            raise
        self.status, self.headers = self._dialogue.status, self._dialogue.headers
        return self

    async def read(self) -> bytes:
        """Return what the next read of the network brings; ``b""`` at the end."""
        while True:
            if self._aborted is not None:
                await self._close()
                raise self._aborted
            if self._pieces:
                return self._take()
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            try:
                await self._wait(self._receive())
            except Exception as exc:
                self._failure = exc
                await self._close()
                raise
            except BaseException:
                self._aborted = self._aborted or StreamClosedError("the read was cancelled")
                await self._close()
                raise

    def abort(self, error: PenstockError | None = None) -> None:
        """End a pending wait with `error`; the connection is closed by the task that waits.

        Between two reads nobody waits: the next `read`, or `aclose`, closes it then.
        """
        if self._aborted is not None:
            return
        self._aborted = error or StreamClosedError("the stream was closed")
        self._pieces.clear()
        if self._scope is not None:
            self._scope.cancel()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        waiting = self._scope is not None
        if reuse and not waiting and self._aborted is None and self._failure is None:
            with anyio.move_on_after(_DRAIN):
                await self._drain()
        self.abort()
        if not waiting:
            await self._close()

    async def _drain(self) -> None:
        left = self._call.limits.drain
        while left >= 0 and not self._ended:
            self._pieces.clear()
            try:
                await self._receive()
            except Exception:  # what the rest of an unwanted answer holds is nobody's trouble
                return
            left -= self.buffered

    async def _wait(self, step: Awaitable[None]) -> None:
        """Await `step` in a scope that `abort` can cancel; an abort raises its error."""
        if self._scope is not None:
            raise InternalError("two reads of one answer at once")
        watch = self._call.watch
        watch.asking()
        try:
            with anyio.CancelScope() as self._scope:
                await step
        finally:
            self._scope = None
            watch.answered()
        if self._aborted is not None:
            raise self._aborted

    async def _receive(self) -> None:
        """Read until there is a piece, or the end."""
        raw = self._dialogue.raw
        assert raw is not None  # the answer is there
        try:
            while not self._pieces:
                self._pieces.extend(self._dialogue.decode(await raw.__anext__()))
        except StopAsyncIteration:
            self._dialogue.finish()
        except Exception as exc:
            error = self._dialogue.finish(exc)
            if error is exc:
                raise
            if error is not None:
                raise error from exc
        else:
            return
        self._ended = True
        await self._close()

    def _take(self) -> bytes:
        data = self._pieces.popleft()
        timings = self._call.timings
        if timings.first_byte is None:
            timings.first_byte = self._call.watch.elapsed()
        timings.bytes_received += len(data)
        return data

    async def _close(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        self._dialogue.line.hung_up = not self._ended
        try:
            with anyio.CancelScope(shield=True):
                await self._dialogue.close()
        finally:
            self._ended = True
            self._call.watch.stop()
            lease.release()
            self._done(self)
