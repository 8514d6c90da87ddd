"""The promises of `penstock.interfaces.Transport` and `Wire`, held against an implementation.

    async def test_my_transport_keeps_the_seam() -> None:
        await check_transport(MyTransport)

Each trial has a transport of its own and a loopback server that behaves in one way. Runs on asyncio
and on trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from penstock.errors import (
    ConnectError,
    DeadlineError,
    InvalidHeaderError,
    PenstockError,
    StreamClosedError,
    TransportError,
)
from penstock.interfaces import HttpCall, Transport, Wire
from penstock.limits import Limits, Timeouts
from penstock.testing.loopback import (
    Loopback,
    Manners,
    answers,
    answers_slowly,
    cuts_short,
    hangs_up,
    redirects,
    says_nothing,
    stops,
)
from penstock.transports import Watchdog

__all__ = ["check_transport"]

TURNS = 20
"""How many turns of the loop a cancellation is tried after."""


async def check_transport(make: Callable[[], Transport], *, patience: float = 2.0) -> None:
    """Try everything that the seam promises of an HTTP transport.

    Args:
        make: Makes a transport; each is closed after its trial.
        patience: Seconds after which something that should happen at once counts as hanging. The
            library promises 100 ms; a busy test machine gets more.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    for manners, check in _TRIALS:
        await _try(make, manners, check, patience)
    for turns in range(TURNS):
        await _try(make, answers_slowly, _cancelled_after(turns), patience)


async def _try(
    make: Callable[[], Transport], manners: Manners, check: _Check, patience: float
) -> None:
    promise = (check.__doc__ or "").strip().splitlines()[0]
    failure: str | None = None
    async with Loopback.running(manners) as server:
        transport = make()
        trial = _Trial(transport, server, patience)
        try:
            with anyio.fail_after(10 * patience):
                await check(trial)
                await trial.soon(transport.aclose())
                await trial.hung_up()
        except* TimeoutError:
            failure = "it hangs"
        except* AssertionError as group:
            failure = _first(group)
        finally:
            with anyio.CancelScope(shield=True):
                await transport.aclose()
    if failure is not None:
        raise AssertionError(f"{promise} But: {failure}")


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


# --- the trials ----------------------------------------------------------------------------------


class _Body:
    """A request's body, in one piece or in many."""

    def __init__(self, data: bytes, *, small: bool) -> None:
        self._data = data
        self.small = data if small else None

    async def open(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), 4096):
            yield self._data[start : start + 4096]

    async def length(self) -> int:
        return len(self._data)


@dataclass
class _Trial:
    """A transport, a server, and how long to wait."""

    transport: Transport
    server: Loopback
    patience: float

    def call(
        self,
        *,
        body: _Body | None = None,
        timeouts: Timeouts | None = None,
        headers: list[tuple[str, str]] | None = None,
    ) -> HttpCall:
        return HttpCall(
            method="POST",
            url=self.server.url,
            headers=headers or [],
            body=_Body(b"{}", small=True) if body is None else body,
            watch=Watchdog(timeouts or Timeouts(), limits=Limits()),
            limits=Limits(),
        )

    async def open(self, **options: Timeouts) -> Wire:
        return await self.transport.open(self.call(**options))  # type: ignore[arg-type]

    async def soon(self, step: Awaitable[None]) -> None:
        with anyio.fail_after(self.patience):
            await step

    async def hung_up(self) -> None:
        """Wait until the server has no connection left."""
        with anyio.fail_after(self.patience):
            for _ in range(10_000):
                if not self.server.connected:
                    return
                await anyio.sleep(0.001)


_Check: TypeAlias = Callable[[_Trial], Awaitable[None]]


async def _read_all(wire: Wire) -> bytes:
    data = b""
    while more := await wire.read():
        data += more
    return data


async def _whole(trial: _Trial) -> None:
    """An answer is read to its end, which is clean, and stays at its end."""
    wire = await trial.open()
    _hold(wire.status == 200, "status is the answer's")
    _hold(wire.headers.get("content-type") == "text/event-stream", "headers are in lower case")
    _hold(wire.ending is None, "ending is None before the end")
    _hold(await _read_all(wire) == b"onetwo", "read returns the body without its framing")
    _hold(wire.ending is not None and wire.ending.clean, "a whole answer ends clean")
    _hold(await wire.read() == b"", "a read after the end is empty")
    await wire.aclose(reuse=True)
    await wire.aclose()


async def _sends(trial: _Trial) -> None:
    """A small body goes out with its length, a large one whole, with the call's headers."""
    data = bytes(range(256)) * 1000
    for body in (_Body(b"{}", small=True), _Body(data, small=False)):
        call = trial.call(body=body, headers=[("x-mine", "1")])
        wire = await trial.transport.open(call)
        await _read_all(wire)
        await wire.aclose(reuse=True)
    small, large = trial.server.asked
    _hold(small.line.startswith(b"POST /v1/chat HTTP/1.1"), "method and path are the call's")
    _hold(small.headers.get(b"x-mine") == b"1", "headers are the call's")
    _hold(
        (small.headers.get(b"content-length"), small.body) == (b"2", b"{}"),
        "a small body has Content-Length",
    )
    _hold(large.body == data, "a body in pieces comes whole")


async def _counts(trial: _Trial) -> None:
    """With ``framing="length"`` a large body has Content-Length."""
    call = trial.call(body=_Body(b"x" * 100_000, small=False))
    call.framing = "length"
    await _read_all(await trial.transport.open(call))
    (asked,) = trial.server.asked
    _hold(asked.headers.get(b"content-length") == b"100000", "the body is counted first")
    _hold(len(asked.body) == 100_000, "and comes whole")


async def _notes(trial: _Trial) -> None:
    """The call's timings are filled in, from its beginning."""
    call = trial.call()
    await _read_all(await trial.transport.open(call))
    times = call.timings
    steps = [times.sent, times.opened, times.first_byte]
    _hold(all(step is not None for step in steps), "sent, opened and first_byte are noted")
    _hold((times.bytes_sent, times.bytes_received) == (2, 6), "bytes are counted")


async def _used_again(trial: _Trial) -> None:
    """Calls one after the other use one connection."""
    for _ in range(5):
        wire = await trial.open()
        await wire.read()
        await wire.aclose(reuse=True)
    _hold(trial.server.accepted == 1, f"{trial.server.accepted} connections for 5 calls")


async def _drained(trial: _Trial) -> None:
    """The rest of an answer is read when it is closed for reuse."""
    for _ in range(5):
        wire = await trial.open()
        await wire.read()
        await wire.aclose(reuse=True)
    # On a busy machine the rest may come too late, but not five times.
    _hold(trial.server.accepted < 5, "no connection is used again")


async def _redirect(trial: _Trial) -> None:
    """A redirect is an answer."""
    wire = await trial.open()
    _hold(wire.status == 307, "its status is returned")
    _hold(wire.headers.get("location") == "http://127.0.0.1:1/", "with its location")


async def _torn(trial: _Trial) -> None:
    """A cut answer is delivered as far as it came, and its ending is not clean."""
    wire = await trial.open()
    _hold((await _read_all(wire)).startswith(b"one"), "what came is read")
    _hold(wire.ending is not None and not wire.ending.clean, "the ending is torn")


async def _no_answer(trial: _Trial) -> None:
    """A peer that hangs up without an answer is a `TransportError`."""
    await _raises(TransportError, trial.open())


async def _nobody(trial: _Trial) -> None:
    """Where nobody listens there is a `ConnectError`."""
    call = trial.call()
    call.url = "http://127.0.0.1:1/"
    await _raises(ConnectError, trial.transport.open(call))


async def _bad_header(trial: _Trial) -> None:
    """A header with a line break reaches no socket."""
    call = trial.call(headers=[("x", "a\r\ny: b")])
    await _raises(InvalidHeaderError, trial.transport.open(call))
    _hold(trial.server.accepted == 0, "no connection is made")


async def _response_clock(trial: _Trial) -> None:
    """A peer that never answers meets the ``response`` clock."""
    error = await _raises(DeadlineError, trial.open(timeouts=Timeouts(response=0.05)))
    _hold(error.phase == "response", f"phase is {error.phase}")
    await trial.hung_up()


async def _idle_clock(trial: _Trial) -> None:
    """A peer that stops meets the ``idle`` clock, now and at each later read."""
    wire = await trial.open(timeouts=Timeouts(idle=0.3))
    _hold(await wire.read() == b"one", "what came is read")
    for _ in range(2):
        error = await _raises(DeadlineError, wire.read())
        _hold(error.phase == "idle", f"phase is {error.phase}")
    await wire.aclose()
    await trial.hung_up()


async def _aborts(trial: _Trial) -> None:
    """`abort` ends a pending read with the given error; later ones raise it too."""
    wire = await trial.open()
    await wire.read()
    _hold(not wire.released, "released says whether there is something to let go of")

    async def reader() -> None:
        error = await _raises(PenstockError, wire.read())
        _hold(error is given, "the read raises the error of the abort")

    given = PenstockError("enough")
    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        await anyio.sleep(0.01)
        wire.abort(given)
        wire.abort()
    await _raises(PenstockError, wire.read())
    await trial.soon(wire.aclose())
    await trial.hung_up()


async def _closes(trial: _Trial) -> None:
    """`aclose` ends a pending read of another task, and hangs up."""
    wire = await trial.open()
    await wire.read()

    async def reader() -> None:
        await _raises(StreamClosedError, wire.read())

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        await anyio.sleep(0.01)
        await trial.soon(wire.aclose())
    await _raises(StreamClosedError, wire.read())
    await trial.soon(wire.aclose())
    await trial.hung_up()


async def _closed_transport(trial: _Trial) -> None:
    """A transport that is closed cuts what is open, and opens nothing."""
    wire = await trial.open()
    await trial.soon(trial.transport.aclose())
    await _raises(PenstockError, wire.read())
    await _raises(PenstockError, trial.open())
    await trial.soon(wire.aclose())


def _cancelled_after(turns: int) -> _Check:
    async def check(trial: _Trial) -> None:
        """A call that is cancelled leaves nothing, and the next one works."""

        async def whole() -> None:
            wire = await trial.open()
            try:
                await _read_all(wire)
            finally:
                await wire.aclose()

        async with anyio.create_task_group() as group:
            group.start_soon(whole)
            for _ in range(turns):
                await checkpoint()
            group.cancel_scope.cancel()
        _hold(await _read_all(await trial.open()) == b"onetwo", "the next call is answered")

    return check


_TRIALS: list[tuple[Manners, _Check]] = [
    (answers, _whole),
    (answers_slowly, _whole),
    (answers, _sends),
    (answers, _counts),
    (answers, _notes),
    (answers, _used_again),
    (answers_slowly, _drained),
    (redirects, _redirect),
    (cuts_short, _torn),
    (hangs_up, _no_answer),
    (answers, _nobody),
    (answers, _bad_header),
    (says_nothing, _response_clock),
    (stops, _idle_clock),
    (stops, _aborts),
    (stops, _closes),
    (stops, _closed_transport),
]


async def _raises(kind: type[PenstockError], step: Awaitable[object]) -> PenstockError:
    try:
        await step
    except PenstockError as exc:
        _hold(isinstance(exc, kind), f"{kind.__name__} is raised, not {exc!r}")
        return exc
    raise AssertionError(f"{kind.__name__} is raised")


def _hold(promise: bool, words: str) -> None:
    if not promise:
        raise AssertionError(words)
