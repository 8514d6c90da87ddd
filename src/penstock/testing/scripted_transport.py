"""A transport without sockets: it answers from a script and remembers what it was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from anyio import Event

from penstock.errors import PenstockError, StreamClosedError
from penstock.interfaces import Ending

if TYPE_CHECKING:
    from penstock.interfaces import HttpCall

__all__ = ["Piece", "ScriptedAnswer", "ScriptedTransport", "SentCall"]

Piece: TypeAlias = bytes | float | PenstockError
"""What one read gives: bytes, so many seconds of silence, or an error."""


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer of the script."""

    pieces: Sequence[Piece] = ()
    """What the reads give, in order."""
    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    """The headers, names in lower case."""
    ending: Ending = field(default_factory=lambda: Ending(clean=True))
    """How it ends after the last piece."""


@dataclass(frozen=True, slots=True)
class SentCall:
    """What the transport was asked to send."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class ScriptedTransport:
    """Answers each call with the next of `answers`; an error among them is raised by `open`.

    For ``Client(transport=ScriptedTransport([...]))``: everything but the sockets is real.

    Args:
        answers: One for each call. A call beyond them is an `AssertionError`.
    """

    def __init__(self, answers: Iterable[ScriptedAnswer | PenstockError]) -> None:
        self.calls: list[SentCall] = []
        """Every call so far, its body whole."""
        self.open_wires = 0
        """Wires that were opened and not yet let go."""
        self._answers = iter(answers)

    async def open(self, call: HttpCall) -> _ScriptedWire:
        """Note `call`, and return the next answer."""
        body = b""
        if call.body is not None:
            body = b"".join([piece async for piece in call.body.open()])
        call.timings.sent, call.timings.bytes_sent = call.watch.elapsed(), len(body)
        self.calls.append(SentCall(call.method, call.url, dict(call.headers), body))
        answer = next(self._answers, None)
        if answer is None:
            raise AssertionError(f"call {len(self.calls)} has no answer in the script")
        if isinstance(answer, PenstockError):
            raise answer
        call.timings.opened = call.watch.elapsed()
        wire = _ScriptedWire(answer, call, self)
        call.watch.begin("ttft")
        return wire

    async def aclose(self) -> None:
        """Do nothing: there is nothing open."""


class _ScriptedWire:
    """A `penstock.interfaces.Wire` over one answer of a script."""

    released = False
    """That is for `aclose` to see to."""

    def __init__(
        self, answer: ScriptedAnswer, call: HttpCall, transport: ScriptedTransport
    ) -> None:
        self.status: int | None = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._pieces = list(answer.pieces)
        self._after = answer.ending
        self._call = call
        self._transport: ScriptedTransport | None = transport
        self._cut: PenstockError | None = None
        self._aborted = Event()
        self._ended = False
        transport.open_wires += 1
        call.watch.on_expire(self.abort)

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        return self._after if self._ended else None

    @property
    def buffered(self) -> int:
        """Nothing: bytes are made when they are read."""
        return 0

    async def read(self) -> bytes:
        """Return the next bytes of the script."""
        from anyio import move_on_after

        watch = self._call.watch
        while self._cut is None and self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, bytes):
                watch.received(len(piece))
                self._call.timings.bytes_received += len(piece)
                return piece
            if isinstance(piece, PenstockError):
                raise piece
            watch.asking()
            with move_on_after(piece):
                await self._aborted.wait()
            watch.answered()
        if self._cut is not None:
            raise self._cut
        self._ended = True
        return b""

    def abort(self, error: PenstockError | None = None) -> None:
        """Let the pending read, and every later one, raise `error`."""
        self._cut = self._cut or error or StreamClosedError("the stream was closed")
        self._aborted.set()
        self._release()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the wire."""
        if not reuse:
            self._cut = self._cut or StreamClosedError("the stream was closed")
        self._release()

    def _release(self) -> None:
        if self._transport is not None:
            self._transport.open_wires -= 1
            self._transport = None
            self._call.watch.stop()
