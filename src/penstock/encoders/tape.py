"""A body from a one-shot source, kept in a temporary file while it is made for the first time."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator

from penstock.encoders.passes import Pass
from penstock.errors import UsageError

__all__ = ["Tape"]


class Tape:
    """Plays what was recorded, and records what was not made yet.

    So a pass that was cut short is no loss: the next one plays its part and goes on where it ended.

    Args:
        source: The only pass that there is.
        buffer_size: Bytes that are in memory before there is a file, and that are read at once.
    """

    def __init__(self, source: Pass, *, buffer_size: int) -> None:
        from tempfile import SpooledTemporaryFile  # 0.7 MiB resident, which few bodies need

        self._source = source
        self._size = 0
        self._block = buffer_size
        self._state = "idle"
        self._file = SpooledTemporaryFile(max_size=buffer_size)  # noqa: SIM115  # closed by aclose
        self._finalizer = weakref.finalize(self, self._file.close)

    async def play(self) -> AsyncGenerator[bytes, None]:
        """Yield the body from its beginning.

        Raises:
            UsageError: The tape is closed, or its source broke off.
        """
        played = 0
        while True:
            self._check_open()
            if played < self._size:
                self._file.seek(played)
                piece = self._file.read(min(self._block, self._size - played))
            else:
                piece = await self._record()
            if not piece:
                return
            played += len(piece)
            yield piece

    async def _record(self) -> bytes:
        """Return the next piece of the source; b"" at its end."""
        if self._state == "ended":
            return b""
        if self._state != "idle":
            raise UsageError(
                "the one-shot source cannot go on: an earlier pass "
                + ("is still waiting for it" if self._state == "waiting" else "broke it off")
            )
        # An iterator that was interrupted while it was waited for has lost an item, or is over.
        self._state = "waiting"
        try:
            piece = await self._source.next()
        except BaseException:
            if self._state == "waiting":
                self._state = "broken"
            raise
        self._check_open()
        self._state = "idle" if piece else "ended"
        self._file.seek(self._size)
        self._file.write(piece)
        self._size += len(piece)
        return piece

    def _check_open(self) -> None:
        if self._state == "closed":
            raise UsageError("the body is closed, and its temporary file deleted")

    async def aclose(self) -> None:
        """Delete the file and close the source."""
        self._state = "closed"
        self._finalizer()
        await self._source.aclose()
