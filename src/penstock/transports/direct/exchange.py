"""One answer as it is read: driven by what the loop tells it, and read by the caller.

No task owns the connection: every event is a plain call from the loop, so a caller that is
cancelled, or a timer that fires, cuts it there and then. `penstock.transports.direct.opening` has
what happens before there is an answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import InternalError, PenstockError, StreamClosedError, TransportError
from penstock.interfaces import Ending
from penstock.transports.direct.parser import Parser
from penstock.transports.direct.waiting import Wait
from penstock.transports.inflate import inflater

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from penstock.interfaces import HttpCall
    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.pool import Home
    from penstock.transports.inflate import Inflater

__all__ = ["AHEAD", "Exchange"]

_CLEAN = Ending(clean=True)
AHEAD = 4 * 1024
"""Bytes that nobody has asked for, after which the rest stays in the kernel. A reader that waits
takes all of a read at once, so that large reads are worth more than room beside them."""
_DRAIN = 0.1
"""Seconds in which the rest of an answer may come, so that its connection is used again."""


class Exchange:
    """A `penstock.interfaces.Wire`, and the listener of its connection.

    Args:
        call: The exchange.
        origin: Where it goes.
        home: The loop's connections; a place of it is this call's, until it is let go.
        decode: Whether a compressed answer is decompressed.
    """

    __slots__ = (
        "__weakref__",
        "_aborted",
        "_begun",
        "_chunks",
        "_connection",
        "_cut",
        "_decode",
        "_drained",
        "_ended",
        "_ending",
        "_inflater",
        "_inflating",
        "_left",
        "_news",
        "_parser",
        "_size",
        "_taking",
        "_waiter",
        "_watch",
        "_why",
        "broken",
        "call",
        "failure",
        "headers",
        "heard",
        "home",
        "job",
        "opened",
        "origin",
        "raw_headers",
        "released",
        "sent",
        "status",
    )

    def __init__(self, call: HttpCall, origin: Origin, home: Home, *, decode: bool) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.raw_headers: list[tuple[bytes, bytes]] = []
        """The answer's fields as they came."""
        self.call = call
        self.origin = origin
        self.home = home
        self.opened = False
        """Whether the answer's status and headers are there."""
        self.heard = False
        """Whether a byte came since the request began."""
        self.sent = False
        """Whether the request is sent whole."""
        self.failure: BaseException | None = None
        """What the caller is told after what has come."""
        self.broken: Exception | None = None
        """How the connection ended before the answer did."""
        self.released = False
        """Whether the connection is let go and the place given back."""
        self.job: asyncio.Task[Any] | None = None  # Any: a connection, or nothing
        """What makes the connection or sends the body, while it does."""
        self._watch = call.watch
        self._decode = decode
        # The connection's, which goes on with the next answer once this one is let go.
        self._parser: Parser | None = None
        self._connection: Connection | None = None
        # What has come and is not read, and the caller who waits for more.
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiter: Wait | None = None
        # Whether bytes are being taken in, and whether they are news for the reader.
        self._taking = self._news = False
        # Whether the reader was told of any news yet.
        self._begun = False
        self._inflater: Inflater | None = None
        self._inflating: Iterator[bytes] | None = None
        # Whether it was given up, and what its readers are told then.
        self._aborted = False
        self._why: PenstockError | None = None
        self._cut: asyncio.Task[Any] | None = None  # Any: see `job`
        self._ended = False
        self._ending: Ending | None = None
        # What is left of the bytes that may be read for the connection's sake.
        self._left: int | None = None
        self._drained: asyncio.Future[None] | None = None

    @property
    def ending(self) -> Ending | None:
        """How the answer ended, once `read` has returned ``b""``."""
        unread = self._chunks or self._inflating is not None
        return self._ending if self._ended and not unread else None

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._size

    # --- reading

    async def read(self) -> bytes:
        """Return what has arrived, or wait for it; ``b""`` at the end."""
        while True:
            if self._aborted:
                raise self._given_up()
            if self._chunks or self._inflating is not None:
                if data := self._take():
                    return data
            elif self.failure is not None:
                raise self.failure
            elif self._ended:
                return b""
            else:
                await self.wait()

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        if self._aborted:
            return
        self._aborted, self._why = True, error
        self._chunks.clear()
        self._inflating = None
        self._size = 0
        if not self.released:
            self.release(keep=False)
        if self.job is not None:
            self.cut_job()
        if self._waiter is not None:
            self.wake()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        connection = self._connection
        healthy = self.opened and not self._aborted and self.failure is None
        if reuse and healthy and connection is not None and not self.released:
            self._left = self.call.limits.drain
            self._chunks.clear()
            self._inflating = None
            self._size = 0
            if self._drained is None:
                self._drained = self.home.loop.create_future()
                timer = self.home.loop.call_later(_DRAIN, self.abort)
                self._drained.add_done_callback(lambda _: timer.cancel())
            connection.resume()
            # A caller that is cancelled here goes at once; the rest still has its time.
            await asyncio.wait((self._drained,))
        self.abort()

    def _take(self) -> bytes:
        if self._inflater is not None:
            data = self._inflate(self._inflater)
        else:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
        timings = self.call.timings
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
            self.failure = exc
            self.release(keep=False)
        if not self._chunks:
            self._size = 0
            if self._ended and not inflater.complete and self._ending == _CLEAN:
                self._ending = Ending(clean=False, detail="the compressed answer is cut")
        return b""

    async def wait(self) -> None:
        """Ask for more and wait for it; whatever has happened then, the call may be given up.

        Raises:
            PenstockError: It was.
        """
        if self._aborted:
            raise self._given_up()
        if self._waiter is not None:
            raise InternalError("two reads of one answer at once")
        waiter = self._waiter = Wait(loop=self.home.loop)
        connection = self._connection
        if connection is not None and connection.paused:
            connection.resume()
        self._watch.asking()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            self._watch.answered()
        if self._aborted:
            raise self._given_up()

    def wake(self) -> None:
        """Let whoever waits look again."""
        # Never with an exception: the caller may be cancelled, and nobody would look at it.
        if self._taking:
            self._news = True
        elif self._waiter is not None:
            self._waiter.soon()

    # --- what the connection tells

    def arrived(self, data: memoryview) -> None:
        """Take in bytes of the answer."""
        self._taking = True
        parser = self._parser
        assert parser is not None  # it came with the connection
        fault: PenstockError | None = None
        try:
            parser.feed(data)
        except PenstockError as exc:
            fault = exc
        if not self.opened:
            self.heard = True
            if parser.complete:
                fault = self._accept(parser) or fault
            elif self.sent:
                # Before the headers are whole they are a sign of life.
                self._watch.end("response")
                self._watch.begin("idle")
        pieces = parser.pieces
        if pieces:
            if self.opened:
                self._keep(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()
        if fault is not None:
            self.fail(fault)
        elif parser.done:
            self._finish(_CLEAN, keep=parser.reusable)

    def caught_up(self) -> None:
        """Let whoever waits go on there and then; what they leave, keeps the rest in the kernel.

        An answer that begins with little is read a turn later, together with those of other calls:
        with a hundred short ones that saves a twentieth of each, as what reads them stays at hand.
        Where it is whole and there are no other calls, that turn would be a thirtieth of it.
        """
        news, self._taking, self._news = self._news, False, False
        if news and self._waiter is not None:
            if self._begun or self._size >= AHEAD or not self.home.exchanges:
                self._waiter.now()
            else:
                self._waiter.soon()
            self._begun = True
        if self._size >= AHEAD and self._connection is not None:
            self._connection.pause()

    def ended(self, error: Exception | None, *, clean: bool) -> None:
        """Note that no more bytes come."""
        self._taking = False
        if self.released:
            return
        self.broken = error or ConnectionError("the peer closed the connection")
        assert self._parser is not None  # it came with the connection
        if self._parser.end() and clean and error is None:
            self._finish(_CLEAN)
        elif self.opened:
            reason = f"the connection broke: {_reason(error)}" if error else _TORN
            self._finish(Ending(clean=False, detail=reason))
        elif error is None:
            self.fail(self._no_answer(f"{self.origin} hung up without an answer"))
        else:
            words = f"the connection to {self.origin} broke: {_reason(error)}"
            self.fail(self._no_answer(words))

    def taken(self, size: int) -> None:
        """Note that the peer goes on taking the request."""
        self._watch.sent(size)
        self.wake()

    # --- for the opening

    def attach(self, connection: Connection) -> None:
        """Have `connection` from now on."""
        self._connection = connection
        connection.listener = self
        parser = self._parser = connection.parser or Parser(self.origin)
        connection.parser = parser
        parser.begin(self.call.method, self.call.limits)
        if connection.lost:
            self.ended(None, clean=False)

    def begin_again(self) -> None:
        """Forget a connection that turned out to be dead."""
        self.failure = self.broken = None
        self.sent = False
        for phase in ("write", "response"):
            self._watch.end(phase)

    def body_sent(self) -> None:
        """Note that the last byte of the request has left, or as much of it as is wanted."""
        if not self.sent:
            self.sent = True
            self.call.timings.sent = self._watch.requested()

    def cut_job(self) -> None:
        """End what makes the connection or sends the body: at most once, it may be tidying up."""
        if self.job is not None and self.job is not self._cut:
            self._cut = self.job
            self.job.cancel()

    def _job_is_through(self) -> bool:
        job = self.job
        return job is not None and job.done() and not job.cancelled() and job.exception() is None

    # --- inside

    def _accept(self, parser: Parser) -> PenstockError | None:
        """Status and headers are there; returned is why they are not acceptable."""
        coding = parser.headers.get("content-encoding")
        if coding is not None and self._decode:
            try:
                self._inflater = inflater(coding, max_ratio=self.call.limits.max_ratio)
            except PenstockError as exc:
                return exc
        if not (self.sent or self._job_is_through()):
            # An early answer: the rest of the body is not sent.
            parser.reusable = False
        if not self.sent:
            self.body_sent()
        self.status, self.headers = parser.status, parser.headers
        self.raw_headers = parser.raw_headers
        self.opened = self._news = True
        self.call.timings.opened = self._watch.opened()
        return None

    def _keep(self, data: bytes) -> None:
        """Hold `data` for the caller."""
        self._watch.received(len(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.abort()
            return
        self._chunks.append(data)
        self._size += len(data)
        self._news = True

    def fail(self, error: PenstockError) -> None:
        """Note what the caller is told after what has come."""
        if self.failure is None and not self._ended:
            self.failure = error
            if self.opened:
                self.release(keep=False)
            else:
                self._detach(keep=False)
            self.wake()

    def _finish(self, ending: Ending, *, keep: bool = False) -> None:
        if self._ended or self._aborted:
            return
        self._ended = True
        self._ending = ending
        cut = self._inflater is not None and not self._chunks and not self._inflater.complete
        if ending.clean and cut and self._inflating is None:
            self._ending = Ending(clean=False, detail="the compressed answer is cut")
        self.release(keep=keep)
        self.wake()

    def _detach(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.listener = None
        if keep and not connection.lost:
            self.home.keep(connection)
        else:
            connection.abort()

    def release(self, *, keep: bool) -> None:
        """Let go of the connection and give the place back, once."""
        if self.released:
            return
        self.released = True
        self._watch.stop()
        self._detach(keep=keep)
        self.home.exchanges.discard(self)
        self.home.places.give_back()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _given_up(self) -> PenstockError:
        self._why = self._why or StreamClosedError("the stream was closed")
        return self._why

    def _no_answer(self, words: str) -> PenstockError:
        return TransportError(words, phase="response" if self.sent else "write")


_TORN = "the peer closed connection before the end of the answer"


def _reason(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__)[:200]
