"""What a child has said and nobody has read, and how it ended: where its wires wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import LimitExceededError, PenstockError, StreamClosedError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.interfaces import Ending, Watch
    from penstock.response import Timings
    from penstock.transports.process.spool import Spool

__all__ = ["Backlog"]


class Backlog:
    """The bytes of one answer, between whoever hears the child and whoever reads.

    Args:
        spool: Where they wait.
        watch: The clocks of the call.
        timings: Where it is noted when things happened.
        give_up: Is told why no more can be kept.
    """

    def __init__(
        self,
        spool: Spool,
        watch: Watch,
        timings: Timings,
        *,
        give_up: Callable[[PenstockError], None],
    ) -> None:
        self.cut: PenstockError | None = None
        """What a reader is told of an answer that was given up, whatever waits."""
        self._spool = spool
        self._watch = watch
        self._timings = timings
        self._give_up = give_up
        self._news = asyncio.Event()
        self._ending: Ending | None = None
        self._muted = False

    @property
    def size(self) -> int:
        """Bytes that were received and not yet read."""
        return self._spool.size

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        return None if self._spool.size else self._ending

    @property
    def over(self) -> bool:
        """Whether it has ended, though not all of it may be read."""
        return self._ending is not None

    async def read(self) -> bytes:
        """Return the next bytes; ``b""`` once it has ended and all is read.

        Raises:
            PenstockError: It was given up: a clock, a bound or the consumer.
        """
        while True:
            if self.cut is not None:
                raise self.cut
            if data := self._spool.take():
                return data
            if self._ending is not None:
                return b""
            self._news.clear()
            self._watch.asking()
            try:
                await self._news.wait()
            finally:
                self._watch.answered()

    def put(self, data: bytes) -> None:
        """Keep `data`, a sign of life, and wake its reader."""
        if self._muted or self.over:
            return
        self._watch.received(len(data))
        timings = self._timings
        timings.bytes_received += len(data)
        if timings.first_byte is None:
            timings.first_byte = self._watch.elapsed()
        try:
            self._spool.put(data)
        except LimitExceededError as error:
            self._give_up(error)
        except OSError as exc:
            words = f"a child's output cannot be kept: {exc}"
            self._give_up(TransportError(words, peer_fault=False))
        self._news.set()

    def end(self, ending: Ending) -> None:
        """Note that no more comes."""
        self._ending = ending
        self._news.set()

    def fail(self, error: PenstockError | None) -> None:
        """Tell the reader `error`, or that it was closed; the first one holds."""
        self.cut = self.cut or error or StreamClosedError("the stream was closed")
        self.mute()
        self._news.set()

    def mute(self) -> None:
        """Forget what waits, and keep nothing any more: nobody reads on."""
        self._muted = True
        self._spool.clear()
