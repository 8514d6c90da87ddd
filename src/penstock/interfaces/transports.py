"""The seams to the wire: a body that can be had again, a call, its clocks, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct
from msgspec import field as struct_field

from penstock.errors import DeadlineError, PenstockError
from penstock.interfaces.dialects import Ending
from penstock.limits import Limits
from penstock.response import Timings

__all__ = [
    "BodySource",
    "Buffer",
    "FramedBody",
    "HttpCall",
    "Rounds",
    "Timer",
    "Transport",
    "Watch",
    "Wire",
]


Buffer: TypeAlias = "bytes | bytearray | memoryview"


class Watch(Protocol):
    """The clocks of one call (`penstock.Timeouts`), run by one watchdog."""

    def begin(self, phase: str) -> None:
        """Start the clock of that name; on a running one, start it again."""
        ...

    def end(self, phase: str) -> None:
        """Stop the clock of that name."""
        ...

    def requested(
        self,
        callback: Callable[[DeadlineError], None] | None = None,
        rounds: Rounds | None = None,
    ) -> float:
        """Note that the request is with the peer, and return the seconds since the call began.

        ``write`` ends, ``response`` and ``ttft`` begin, and the consumer waits for the answer. With
        `callback` it is `on_expire`, too.
        """
        ...

    def opened(self, size: int = 0) -> float:
        """Note that an answer has begun, and return the seconds since the call began.

        ``response`` ends, ``idle`` and ``progress`` begin: with the next `asking`, as whoever asks
        already has what it waited for, with `size` bytes of the answer.
        """
        ...

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        ...

    def sent(self, size: int) -> None:
        """Note that the peer has taken `size` bytes."""
        ...

    def received(self, size: int) -> None:
        """Note `size` bytes from the peer."""
        ...

    def delivered(self, size: int) -> float:
        """Note `size` bytes of an answer that is `opened`, which whoever asks has at once.

        It is `received` and `answered` in one, and returns the seconds since the call began.
        """
        ...

    def ignored(self, size: int) -> None:
        """Note that `size` of the received bytes say nothing: comments, unknown fields."""
        ...

    def content(self) -> float:
        """Note that content has come, and return the seconds since the call began."""
        ...

    def asking(self) -> None:
        """Note that the consumer waits for bytes."""
        ...

    def answered(self) -> None:
        """Note that the consumer has what it waited for."""
        ...

    def stop(self) -> float:
        """Stop every clock for good, and return the seconds since the call began."""
        ...

    def on_expire(
        self, callback: Callable[[DeadlineError], None], rounds: Rounds | None = None
    ) -> None:
        """Say what to do when a clock runs out; the latest `callback` holds.

        Args:
            callback: Is told which one.
            rounds: Whoever asks `look` of the loop's calls, this one among them, until `stop`.
        """
        ...

    def look(self, before: float) -> float:
        """Return when the first clock may run out; one that may before `before` has a timer."""
        ...


class BodySource(Protocol):
    """A request's body, to be had any number of times."""

    @property
    def small(self) -> bytes | None:
        """The whole body where it fits in one buffer, else None."""
        ...

    def open(self) -> AsyncIterator[bytes]:
        """Return one pass over the body."""
        ...

    async def length(self) -> int:
        """Return the body's size in bytes, at the price of a pass."""
        ...


@runtime_checkable
class FramedBody(Protocol):
    """A `BodySource` that can put what a transport needs around each piece without copying it."""

    def framed(self, frame: Callable[[Sequence[Buffer]], bytes]) -> AsyncGenerator[bytes, None]:
        """Return one pass, which gives the loop back; `frame` puts a piece's parts together."""
        ...


class HttpCall(Struct, kw_only=True, eq=False):
    """One HTTP exchange, ready to be sent: the credential is in `headers` by now."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    """A tuple says that other calls have the same ones."""
    body: BodySource | None
    watch: Watch
    limits: Limits
    framing: Literal["auto", "length"] = "auto"
    """``length`` counts a body above the buffer first."""
    timings: Timings = struct_field(default_factory=Timings)
    """Where the transport notes what happened when."""

    def __repr__(self) -> str:
        return f"HttpCall({self.method} {self.url}, ...)"  # neither the credential nor the body


class Timer(Protocol):
    """A timer that has been set."""

    def cancel(self) -> None:
        """Take it back; without effect once it has fired."""
        ...


class Rounds(Protocol):
    """Whoever looks at the clocks of many calls, in place of a timer for each."""

    clock: object
    """The loop whose time they go by."""
    next: float
    """When that is done next; infinity where nobody waits for it."""

    def expect(self, when: float) -> bool:
        """Do it at `when` already; False where that is too soon, and takes a timer."""
        ...


class Wire(Protocol):
    """An answer's bytes."""

    status: int | None
    """The HTTP status; None where the wire has none."""
    headers: Mapping[str, str]
    """The answer's headers, names in lower case, repeated ones joined by a comma."""

    @property
    def released(self) -> bool:
        """Whether nothing is left that `aclose` would let go of; a wire that cannot tell says no.

        It may be so before everything is read: of what had come, all can still be.
        """
        ...

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes, decompressed; ``b""`` at the end, clean or torn.

        While it waits it tells the call's `Watch`: ``asking`` before, ``answered`` after.

        Raises:
            TransportError: The connection broke, or a clock ran out.
            LimitExceededError: The answer breaks a bound.
        """
        ...

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        ...

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        ...


class Transport(Protocol):
    """The only sockets."""

    async def open(self, call: HttpCall) -> Wire:
        """Send `call` whole; return when the answer's status and headers are there.

        Raises:
            TransportError: There is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection and wait for those that are closing."""
        ...
