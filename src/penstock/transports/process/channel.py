"""For agents that stay: one reader for a child, and one bounded queue for each turn.

A long-lived child answers many turns over one pipe. Whoever knows its words says whose a line is;
here is what reads them (`Channel`) and where they wait (`TurnWire`), which a provider reads like
the output of a child of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import DecodeError, LimitExceededError, PenstockError
from penstock.interfaces import Ending
from penstock.transports.process.backlog import Backlog
from penstock.transports.process.child import GRACE
from penstock.transports.process.spool import MAX_SPOOL, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.interfaces import Decoder, Watch, Wire
    from penstock.response import Timings

__all__ = ["Channel", "TurnWire"]


class Channel:
    """Reads frames from a wire for as long as it has any, whoever they are for.

    Args:
        wire: The bytes.
        decoder: Bytes to frames.
        hear: Is told each frame.
        lost: Is told how it ended, once: after the last frame, or when a frame was none.
    """

    def __init__(
        self,
        wire: Wire,
        decoder: Decoder[Any],  # Any: whatever its frames are
        *,
        hear: Callable[[Any], None],
        lost: Callable[[Ending], None],
    ) -> None:
        self.wire = wire
        self.alive = True
        """Whether more frames may come."""
        self._decoder = decoder
        self._hear = hear
        self._lost = lost
        self._reading = asyncio.ensure_future(self._read())

    async def aclose(self) -> None:
        """End the wire, and the reader with it; idempotent."""
        self.wire.abort()
        await self.wire.aclose()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        detail = ""
        try:
            while data := await self.wire.read():
                for frame in self._decoder.decode(data):
                    self._hear(frame)
        except (DecodeError, LimitExceededError) as error:
            for frame in error.frames:
                self._hear(frame)
            detail = error.message
        except PenstockError as error:
            detail = error.message
        finally:
            self.alive = False
            ending = self.wire.ending or Ending(False, detail)
            self._lost(ending if not detail else Ending(False, detail, stderr=ending.stderr))
            self.wire.abort()


class TurnWire:
    """What a long-lived child says in one turn, as a wire.

    Its turn ends with `finish`, or with the child. Cut before that (a clock, the consumer), it asks
    politely, and uses force if there is no end within `grace`.

    Args:
        watch: The clocks of the call.
        timings: Where it is noted when things happened.
        memory: Bytes that wait in memory; more go to a file.
        interrupt: Asks for the turn's end; the child goes on.
        kill: Ends the child.
        grace: Seconds between the two.
        limit: Bytes that may wait altogether.
    """

    released = False
    """That is for `aclose` to see to."""

    status: int | None = None

    def __init__(
        self,
        watch: Watch,
        timings: Timings,
        *,
        memory: int,
        interrupt: Callable[[], None],
        kill: Callable[[], None],
        grace: float = GRACE,
        limit: int = MAX_SPOOL,
    ) -> None:
        self.headers: Mapping[str, str] = {}
        self.on_end: Callable[[], None] = _ignore
        self.watch = watch
        self._timings = timings
        spool = Spool(memory=memory, limit=limit)
        self._backlog = Backlog(spool, watch, timings, give_up=self.abort)
        self._interrupt, self._kill, self._grace = interrupt, kill, grace
        self._over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    # --- what the child's session tells

    def begin(self) -> None:
        """Start the clocks of the answer: the turn is under way."""
        self._timings.opened = self.watch.elapsed()
        self.watch.on_expire(self.abort)
        self.watch.begin("idle")
        self.watch.begin("ttft")

    def put(self, line: bytes) -> None:
        """Keep a line of the turn, and wake its reader."""
        self._backlog.put(line + b"\n")

    def finish(self, ending: Ending | None = None) -> None:
        """Note that the turn is over, by its last line or by the child's end; idempotent."""
        if self._over.is_set():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._backlog.end(ending or Ending(True))
        self._over.set()
        self.on_end()

    @property
    def over(self) -> bool:
        """Whether the turn has ended."""
        return self._over.is_set()

    # --- what the provider asks

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        return self._backlog.ending

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._backlog.size

    async def read(self) -> bytes:
        """Return the next lines; ``b""`` once the turn is over and all is read.

        Raises:
            PenstockError: The wire was aborted: a clock, a bound or the consumer.
        """
        return await self._backlog.read()

    def abort(self, error: PenstockError | None = None) -> None:
        """End the turn, politely first; a pending `read` raises `error`."""
        if self._over.is_set() and error is None:
            return
        self._backlog.fail(error)
        self._end()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Wait for the turn's end; without it, ask for it."""
        self._end()
        self._backlog.mute()
        await self._over.wait()

    def _end(self) -> None:
        if self._timer is None and not self._over.is_set():
            self._timer = asyncio.get_running_loop().call_later(self._grace, self._kill)
            self._interrupt()


def _ignore() -> None:
    """Nobody asks for the end."""
