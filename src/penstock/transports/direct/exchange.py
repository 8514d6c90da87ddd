"""One call on a connection: opened by the caller's task, then driven by what the loop tells it.

No task owns the connection: every event is a plain call from the loop, so a caller that is
cancelled, or a timer that fires, cuts it there and then. Tasks are only what has to wait for
something else: a connection that is being made, a body that comes in pieces.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import (
    InternalError,
    PenstockError,
    StreamClosedError,
    TransportError,
    UsageError,
)
from penstock.interfaces import Ending
from penstock.transports.direct.body import head_of, send_body, whole
from penstock.transports.direct.connection import connect
from penstock.transports.direct.parser import Parser
from penstock.transports.direct.pool import CLEANUP
from penstock.transports.inflate import inflater

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Iterator, Mapping
    from typing import Any

    from penstock.interfaces import HttpCall
    from penstock.transports.direct.address import Address
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.pool import Home
    from penstock.transports.inflate import Inflater

__all__ = ["AHEAD", "Exchange"]

AHEAD = 16 * 1024
"""Bytes that nobody has asked for, after which the rest stays in the kernel."""
_DRAIN = 0.1
"""Seconds in which the rest of an answer may come, so that its connection is used again."""


class Exchange:
    """A `penstock.interfaces.Wire`, and the listener of its connection.

    Args:
        call: The exchange.
        address: Where it goes.
        headers: Its headers, checked.
        home: The loop's connections; a place of it is this call's, until it is let go.
        context: What is trusted, where there is TLS.
        decode: Whether a compressed answer is decompressed.
    """

    def __init__(
        self,
        call: HttpCall,
        address: Address,
        *,
        headers: list[tuple[bytes, bytes]],
        home: Home,
        context: ssl.SSLContext | None,
        decode: bool = True,
    ) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._call = call
        self._watch = call.watch
        self._origin = address.origin
        self._lines = head_of(call.method, address.target, address.host, headers)
        self._home = home
        self._context = context
        self._decode = decode
        self._parser = self._new_parser()
        self._connection: Connection | None = None
        self._reused = self._heard = self._sent = self._opened = False
        # What has come and is not read, and the caller who waits for more.
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._inflater: Inflater | None = None
        self._inflating: Iterator[bytes] | None = None
        # Why the caller gets no more: at once, or after what has been received.
        self._aborted: PenstockError | None = None
        self._failure: Exception | None = None
        self._broken: Exception | None = None
        self._ended = self._released = False
        self._ending: Ending | None = None
        self._job: asyncio.Task[Any] | None = None  # Any: a connection, or nothing
        # What is left of the bytes that may be read for the connection's sake.
        self._left: int | None = None
        self._drained: asyncio.Future[None] | None = None
        home.exchanges.add(self)

    @property
    def ending(self) -> Ending | None:
        """How the answer ended, once `read` has returned ``b""``."""
        unread = self._chunks or self._inflating is not None
        return self._ending if self._ended and not unread else None

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._size

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's fields as they came."""
        return self._parser.raw_headers

    # --- opening

    async def opened(self) -> Exchange:
        """Send the request, and wait for the answer's status and headers.

        Raises:
            TransportError: There is no answer.
        """
        self._watch.on_expire(self.abort)
        try:
            await self._exchange()
        except BaseException:
            self._chunks.clear()
            self._release(keep=False)
            await self._end_job()
            raise
        return self

    async def _exchange(self) -> None:
        await self._try(self._home.take(self._origin))
        error = self._failure
        if error is None:
            return
        if self._is_stale():
            self._begin_again()
            await self._try(None)
            # A body with one pass in it says so; what broke the pass is the connection.
            if self._failure is None:
                return
            if type(self._failure) is not UsageError:
                error = self._failure
        raise error from (error.__cause__ or self._broken)

    async def _try(self, connection: Connection | None) -> None:
        """Send the request on `connection` or a fresh one; `_failure` says why there is no answer.

        Raises:
            PenstockError: The call was given up.
        """
        self._reused = connection is not None
        if connection is None:
            connection = await self._connect()
            if connection is None:
                return
        connection.listener = self
        self._connection = connection
        self._watch.end("connect")
        if connection.lost:
            self.ended(None, clean=False)
        else:
            await self._send(connection)
        while not (self._opened or self._failure):
            await self._wait()

    async def _connect(self) -> Connection | None:
        self._watch.begin("connect")
        job = self._start(connect(self._origin, self._home, self._context))
        job.add_done_callback(self._discard)
        await self._until_done(job)
        if (failed := job.exception()) is not None:
            self._failure = failed if isinstance(failed, Exception) else None
            return None
        connection: Connection = job.result()
        self._job = None
        return connection

    async def _send(self, connection: Connection) -> None:
        body = self._call.body
        small = None if body is None else body.small
        if body is None or small is not None:
            self._call.timings.bytes_sent = len(small or b"")
            self._watch.begin("write")
            connection.write(whole(self._lines, small))
            while connection.blocked and not (self._opened or self._failure):
                await self._wait()
            self._body_sent()
            return
        job = self._start(send_body(self._call, self._lines, connection))
        while not (job.done() or self._opened or self._failure):
            await self._wait()
        if not job.done():
            # Answered, or broken: the rest of the body is not wanted.
            await self._end_job()
        elif not job.cancelled() and (fault := job.exception()) is not None:
            if not self._opened:
                self._failure = fault if isinstance(fault, Exception) else None
                self._reused = False  # it is not the connection's fault
        elif not self._failure:
            self._body_sent()

    def _body_sent(self) -> None:
        """Note that the last byte of the request has left, or as much of it as is wanted."""
        if self._failure is None and not (self._sent or self._opened):
            self._sent = True
            self._call.timings.sent = self._watch.elapsed()
            self._watch.end("write")
            self._watch.begin("response")
            self._watch.begin("ttft")

    def _is_stale(self) -> bool:
        """Whether the connection was dead already (row 21 of the fault matrix)."""
        return self._reused and not self._heard and self._broken is not None

    def _begin_again(self) -> None:
        self._detach(keep=False)
        self._parser.release()
        self._parser = self._new_parser()
        self._failure = self._broken = None
        self._sent = False
        for phase in ("write", "response"):
            self._watch.end(phase)

    def _new_parser(self) -> Parser:
        return Parser(method=self._call.method, limits=self._call.limits, origin=str(self._origin))

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:  # Any: see `_job`
        job = self._job = self._home.loop.create_task(work)
        self._home.jobs.add(job)
        job.add_done_callback(self._home.jobs.discard)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job: asyncio.Task[Any]) -> None:
        if not job.cancelled():
            job.exception()  # whoever needs it asks again
        self._wake()

    async def _until_done(self, job: asyncio.Task[Any]) -> None:
        while not job.done():
            await self._wait()

    def _discard(self, job: asyncio.Task[Connection]) -> None:
        """Close a connection that came too late."""
        if self._released and not job.cancelled() and job.exception() is None:
            job.result().abort()

    async def _end_job(self) -> None:
        job, self._job = self._job, None
        if job is not None and not job.done():
            job.cancel()
            await asyncio.wait((job,), timeout=CLEANUP)

    # --- reading

    async def read(self) -> bytes:
        """Return what has arrived, or wait for it; ``b""`` at the end."""
        while True:
            if self._aborted is not None:
                raise self._aborted
            if self._chunks or self._inflating is not None:
                if data := self._take():
                    return data
            elif self._failure is not None:
                raise self._failure
            elif self._ended:
                return b""
            else:
                await self._wait()

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        if self._aborted is not None:
            return
        self._aborted = error or StreamClosedError("the stream was closed")
        self._chunks.clear()
        self._inflating = None
        self._size = 0
        self._release(keep=False)
        if self._job is not None:
            self._job.cancel()
        self._wake()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        connection = self._connection
        healthy = self._opened and self._aborted is None and self._failure is None
        if reuse and healthy and connection is not None and not self._released:
            self._left = self._call.limits.drain
            self._chunks.clear()
            self._inflating = None
            self._size = 0
            self._drained = self._home.loop.create_future()
            # A caller that is cancelled here goes at once; the rest still has its time.
            timer = self._home.loop.call_later(_DRAIN, self.abort)
            self._drained.add_done_callback(lambda _: timer.cancel())
            connection.resume()
            await self._drained
        self.abort()

    def _take(self) -> bytes:
        if self._inflater is not None:
            data = self._inflate(self._inflater)
        else:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
        timings = self._call.timings
        if timings.first_byte is None and data:
            timings.first_byte = self._watch.elapsed()
        timings.bytes_received += len(data)
        return data

    def _inflate(self, inflater: Inflater) -> bytes:
        """Return the next 64 KiB at most of what has come; ``b""`` where it is used up."""
        if self._inflating is None:
            self._inflating = iter(inflater.feed(self._chunks.pop(0)))
        try:
            return next(self._inflating)
        except StopIteration:
            self._inflating = None
        except PenstockError as exc:
            self._inflating = None
            self._chunks.clear()
            self._fail(exc)
        if not self._chunks:
            self._size = 0
            if self._ended and not inflater.complete and self._ending == Ending(clean=True):
                self._ending = Ending(clean=False, detail="the compressed answer is cut")
        return b""

    async def _wait(self) -> None:
        """Ask for more and wait for it; whatever has happened then, the call may be given up.

        Raises:
            PenstockError: It was.
        """
        if self._aborted is not None:
            raise self._aborted
        if self._waiter is not None:
            raise InternalError("two reads of one answer at once")
        waiter = self._waiter = self._home.loop.create_future()
        if self._connection is not None:
            self._connection.resume()
        self._watch.asking()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            self._watch.answered()
        if self._aborted is not None:
            raise self._aborted

    def _wake(self) -> None:
        # Never with an exception: the caller may be cancelled, and nobody would look at it.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the connection tells

    def arrived(self, data: memoryview) -> None:
        """Take in bytes of the answer."""
        parser = self._parser
        if not self._opened:
            self._heard = True
            if self._sent:
                # Before the headers are whole they are a sign of life.
                self._watch.end("response")
                self._watch.begin("idle")
        fault: PenstockError | None = None
        try:
            parser.feed(data)
            if not self._opened and parser.complete:
                self._accept()
        except PenstockError as exc:
            fault = exc
        pieces = parser.pieces
        if pieces:
            if self._opened:
                self._keep(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()
        if fault is not None:
            self._fail(fault)
        elif parser.done:
            self._finish(Ending(clean=True))

    def ended(self, error: Exception | None, *, clean: bool) -> None:
        """Note that no more bytes come."""
        if self._released:
            return
        self._broken = error or ConnectionError("the peer closed the connection")
        parser = self._parser
        if parser.end() and clean and error is None:
            self._finish(Ending(clean=True))
        elif self._opened:
            reason = f"the connection broke: {_reason(error)}" if error else _TORN
            self._finish(Ending(clean=False, detail=reason))
        elif error is None:
            self._fail(self._no_answer(f"{self._origin} hung up without an answer"))
        else:
            words = f"the connection to {self._origin} broke: {_reason(error)}"
            self._fail(self._no_answer(words))

    def taken(self, size: int) -> None:
        """Note that the peer goes on taking the request."""
        self._watch.sent(size)
        self._wake()

    # --- inside

    def _accept(self) -> None:
        """Status and headers are there."""
        parser = self._parser
        if self._decode:
            coding = parser.headers.get("content-encoding", "")
            self._inflater = inflater(coding, max_ratio=self._call.limits.max_ratio)
        self._body_sent()
        if not self._sent or (self._job is not None and not self._job.done()):
            parser.reusable = False
        self.status, self.headers = parser.status, parser.headers
        self._opened = True
        for phase in ("connect", "write", "response"):
            self._watch.end(phase)
        self._watch.begin("idle")
        self._watch.begin("progress")
        self._call.timings.opened = self._watch.elapsed()
        self._wake()

    def _keep(self, data: bytes) -> None:
        """Hold `data` for the caller, and leave the rest in the kernel where it has enough."""
        self._watch.received(len(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.abort()
            return
        self._chunks.append(data)
        self._size += len(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif self._size >= AHEAD and self._connection is not None:
            self._connection.pause()

    def _fail(self, error: PenstockError) -> None:
        """Note what the caller is told after what has come."""
        if self._failure is None and not self._ended:
            self._failure = error
            if self._opened:
                self._release(keep=False)
            else:
                self._detach(keep=False)
            self._wake()

    def _finish(self, ending: Ending) -> None:
        if self._ended or self._aborted is not None:
            return
        self._ended = True
        self._ending = ending
        cut = self._inflater is not None and not self._chunks and not self._inflater.complete
        if ending.clean and cut and self._inflating is None:
            self._ending = Ending(clean=False, detail="the compressed answer is cut")
        self._release(keep=ending.clean and self._parser.reusable)
        self._wake()

    def _detach(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.listener = None
        if keep and not connection.lost:
            self._home.keep(connection)
        else:
            connection.abort()

    def _release(self, *, keep: bool) -> None:
        """Let go of the connection and give the place back, once."""
        if self._released:
            return
        self._released = True
        self._watch.stop()
        self._detach(keep=keep)
        self._parser.release()
        self._home.exchanges.discard(self)
        self._home.places.give_back()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _no_answer(self, words: str) -> PenstockError:
        return TransportError(words, phase="response" if self._sent else "write")


_TORN = "the peer closed connection before the end of the answer"


def _reason(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__)[:200]
