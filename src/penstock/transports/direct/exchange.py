"""One call on a connection: what is sent, and the answer as it is read.

No task owns the connection: every event is a plain call from the loop, so a caller that is
cancelled, or a timer that fires, cuts it there and then. `penstock.transports.direct.opening` has
what is waited for before there is an answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import InternalError, PenstockError, StreamClosedError, TransportError
from penstock.interfaces import Ending
from penstock.transports.direct.draining import Draining
from penstock.transports.direct.head import whole
from penstock.transports.direct.inflating import Inflating
from penstock.transports.direct.waiting import Wait
from penstock.transports.inflate import inflater

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from penstock.interfaces import HttpCall
    from penstock.transports.direct.address import Origin
    from penstock.transports.direct.connection import Connection
    from penstock.transports.direct.parser import Parser
    from penstock.transports.direct.pool import Home

__all__ = ["AHEAD", "BROKE", "Exchange"]

_CLEAN = Ending(clean=True)
_TORN = "the peer closed connection before the end of the answer"
_CUT = Ending(clean=False, detail="the compressed answer is cut")
BROKE = "the connection broke"
"""Begins the detail of an answer that no peer has ended."""
AHEAD = 4 * 1024
"""Bytes that nobody has asked for, after which the rest stays in the kernel. A reader that waits
takes all of a read at once, so that large reads are worth more than room beside them."""


class Exchange(Wait):
    """A `penstock.interfaces.Wire`, and the listener of its connection.

    It is what its caller waits for, too: for any news of the call.

    Args:
        call: The exchange.
        origin: Where it goes.
        home: The loop's connections; a place of it is this call's, until it is let go.
        raw: Whether the answer is wanted as it is on the wire.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_connection",
        "_data",
        "_draining",
        "_ending",
        "_inflating",
        "_parser",
        "_raw",
        "_watch",
        "_why",
        "aborted",
        "broken",
        "call",
        "failure",
        "headers",
        "home",
        "job",
        "opened",
        "opening",
        "origin",
        "raw_headers",
        "released",
        "sent",
        "status",
    )

    def __init__(self, call: HttpCall, origin: Origin, home: Home, raw: bool) -> None:
        self._loop = home.loop
        self.waiting = None
        self.call = call
        self.origin = origin
        self.home = home
        self.opening = True
        """Whether there is neither an answer nor a failure nor an end to it."""
        self.opened = False
        """Whether the answer's status and headers are there."""
        self.sent = False
        """Whether the request is sent whole."""
        self.aborted = False
        """Whether it was given up."""
        self.released = False
        """Whether the connection is let go and the place given back."""
        self.failure: BaseException | None = None
        """What the caller is told after what has come."""
        self.broken: Exception | None = None
        """How the connection ended before the answer did."""
        self.job: asyncio.Task[Any] | None = None  # Any: a connection, or nothing
        """What makes the connection or sends the body, while it does."""
        self.status: int | None
        self.headers: Mapping[str, str]
        self.raw_headers: list[tuple[bytes, bytes]]
        """As they came, where they are wanted; there once `opened`, as the two before."""
        self._watch = call.watch
        self._raw = raw
        self._connection: Connection | None = None
        # The connection's, which goes on with the next answer once this one is let go.
        self._parser: Parser | None = None
        # What has come and is not read, and whether anybody was told of any yet.
        self._data = b""
        self._begun = False
        self._ending: Ending | None = None
        # Of few answers.
        self._inflating: Inflating | None = None
        self._draining: Draining | None = None
        self._why: PenstockError | None  # what is told of one that was given up

    @property
    def ending(self) -> Ending | None:
        """How the answer ended, once `read` has returned ``b""``."""
        return None if self.buffered else self._ending

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        inflating = self._inflating
        return len(self._data) + (inflating.buffered if inflating is not None else 0)

    # --- reading

    async def read(self) -> bytes:
        """Return what has arrived, or wait for it; ``b""`` at the end."""
        while True:
            if self.aborted:
                raise self.given_up()
            data, self._data = self._data, b""
            if self._inflating is not None:
                data = self._inflated(self._inflating, data)
            if data:
                self.call.timings.bytes_received += len(data)
                return data
            if self.failure is not None:
                raise self.failure
            if self._ending is not None:
                return b""
            if self.waiting is not None:
                raise InternalError("two reads of one answer at once")
            self._watch.asking()
            connection = self._connection
            if connection is not None and connection.paused:
                connection.resume()
            try:
                await self.wait()
            except BaseException:  # a cancel, or a coroutine that is closed by hand
                self.abort()
                raise

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        if self.aborted:
            return
        self.aborted, self.opening, self._why = True, False, error
        self._data, self._inflating = b"", None
        if not self.released:
            self.release(False)
        if self._loop.is_closed():
            return  # it is the collector that ends whoever waits
        if self.job is not None:
            self.cut_job()
        self.soon()

    def given_up(self) -> PenstockError:
        """Return what whoever asks is told of a call that is `aborted`."""
        self._why = self._why or StreamClosedError("the stream was closed")
        return self._why

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        if reuse and not self.released and self.opened and self.failure is None:
            self._data, self._inflating = b"", None
            if self._draining is None:
                self._draining = Draining(self.home.loop, self.call.limits.drain, self.abort)
            if self._connection is not None:
                self._connection.resume()
            await self._draining.over()
        self.abort()

    def _inflated(self, inflating: Inflating, came: bytes) -> bytes:
        """Return the next of what has come; ``b""`` where it is used up, or no good."""
        inflating.feed(came)
        data = b""
        try:
            data = inflating.read()
        except PenstockError as exc:
            self.failure = exc
            self.release(False)
        if self._ending is _CLEAN and inflating.is_cut:
            self._ending = _CUT
        return data

    # --- what the connection tells

    def arrived(self, data: memoryview) -> None:
        """Take in bytes of the answer."""
        parser = self._parser
        assert parser is not None  # it came with the connection
        fault: PenstockError | None = None
        try:
            parser.feed(data)
        except PenstockError as exc:
            fault = exc
        body, pieces = b"", parser.pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        if not self.opened:
            fault = self._begin(parser, body) or fault
        elif body:
            self._keep(body)
        if fault is not None:
            self._fail(fault)
        elif parser.done:
            self._finish(_CLEAN, parser.reusable)

    def caught_up(self) -> None:
        """Let whoever waits go on there and then; what they leave, keeps the rest in the kernel.

        An answer that begins with little is read a turn later, together with those of other calls:
        with a hundred short ones that saves a twentieth of each, as what reads them stays at hand.
        Where it is whole and there are no other calls, that turn would be a thirtieth of it.
        """
        if self.waiting is not None:
            at_once = self._begun or len(self._data) >= AHEAD or not self.home.exchanges
            self._begun = True
            if at_once:
                self.now()
            else:
                self.soon()
        unread = self._data or self._inflating is not None
        if unread and self.buffered >= AHEAD and self._connection is not None:
            self._connection.pause()

    def ended(self, error: Exception | None, *, clean: bool) -> None:
        """Note that no more bytes come."""
        if self.released:
            return
        self.broken = error or ConnectionError("the peer closed the connection")
        assert self._parser is not None  # it came with the connection
        if self._parser.end() and clean and error is None:
            self._finish(_CLEAN, False)
        elif self.opened:
            reason = f"{BROKE}: {_reason(error)}" if error else _TORN
            self._finish(Ending(clean=False, detail=reason), False)
        elif error is None:
            self._fail(self._no_answer(f"{self.origin} hung up without an answer"))
        else:
            words = f"the connection to {self.origin} broke: {_reason(error)}"
            self._fail(self._no_answer(words))
        self.soon()

    def taken(self, size: int) -> None:
        """Note that the peer goes on taking the request."""
        self._watch.sent(size)
        self.soon()

    # --- for the opening

    def send(self, connection: Connection, head: bytes) -> bool:
        """Have `connection` from now on, and send a request whose body is in memory.

        Returns:
            Whether there is nothing left to be sent, or nobody to send it to.
        """
        call, body = self.call, self.call.body
        self._connection = connection
        connection.listener = self
        parser = self._parser = connection.parser
        parser.begin(call.method, call.limits)
        if connection.lost:
            self.ended(None, clean=False)
            return True
        small = None if body is None else body.small
        if small is not None:
            call.timings.bytes_sent = len(small)
        elif body is not None:
            return False
        connection.write(whole(head, small))
        if connection.blocked:
            return False
        if self.opening:
            self.body_sent()
        return True

    def body_sent(self) -> None:
        """Note that the request has left whole, or as much of it as is wanted."""
        if not self.sent:
            self.sent = True
            self.call.timings.sent = self._watch.requested(self.abort, self.home.rounds)

    def cut_job(self) -> None:
        """End what makes the connection or sends the body: at most once, it may be tidying up."""
        if self.job is not None and not self.job.cancelling():
            self.job.cancel()

    # --- inside

    def _begin(self, parser: Parser, body: bytes) -> PenstockError | None:
        """Take in bytes before the answer is `opened`; returned is why it is not acceptable."""
        if not parser.complete:
            if self.sent:
                # Before the headers are whole they are a sign of life.
                self._watch.end("response")
                self._watch.begin("idle")
            return None
        self.status, self.headers = parser.status, parser.headers
        coding = self.headers.get("content-encoding")
        if self._raw:
            self.raw_headers = parser.raw_headers
        elif coding is not None:
            try:
                found = inflater(coding, max_ratio=self.call.limits.max_ratio)
            except PenstockError as exc:
                return exc
            self._inflating = None if found is None else Inflating(found)
        if not self.sent:
            if not self._job_is_through():
                # An early answer: the rest of the body is not sent.
                parser.reusable = False
            self.body_sent()
        self.opened, self.opening = True, False
        self._data = body
        timings = self.call.timings
        timings.opened = self._watch.opened(len(body))
        if body:
            timings.first_byte = timings.opened
        return None

    def _keep(self, data: bytes) -> None:
        """Hold `data` for the caller."""
        elapsed = self._watch.delivered(len(data))
        if self._draining is not None:
            self._draining.pass_over(len(data))
            return
        # Past `AHEAD` of them nothing comes until they are read.
        self._data = self._data + data if self._data else data
        timings = self.call.timings
        if timings.first_byte is None:
            timings.first_byte = elapsed

    def _job_is_through(self) -> bool:
        job = self.job
        return job is not None and job.done() and not job.cancelled() and job.exception() is None

    def _fail(self, error: PenstockError) -> None:
        """Note what the caller is told after what has come."""
        if self.failure is None and self._ending is None:
            self.failure, self.opening = error, False
            if self.opened:
                self.release(False)
            elif self._connection is not None:
                self._connection.abort()
                self._connection = None

    def _finish(self, ending: Ending, keep: bool) -> None:
        if self._ending is not None or self.aborted:
            return
        inflating = self._inflating
        if inflating is not None and not self._data and inflating.is_cut and ending.clean:
            ending = _CUT
        self._ending = ending
        self.release(keep)

    def release(self, keep: bool) -> None:
        """Let go of the connection and give the place back, once."""
        if self.released:
            return
        self.released = True
        self._watch.stop()
        home, connection = self.home, self._connection
        if connection is not None:
            self._connection = None
            if keep and not connection.lost:
                home.keep(connection)
            else:
                connection.abort()
        home.exchanges.discard(self)
        home.places.give_back()
        if self._draining is not None:
            self._draining.end()

    def _no_answer(self, words: str) -> PenstockError:
        return TransportError(words, phase="response" if self.sent else "write")


def _reason(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__)[:200]
