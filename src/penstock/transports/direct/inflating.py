"""A compressed answer, decompressed no sooner than it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.transports.inflate import Inflater

__all__ = ["Inflating"]


class Inflating:
    """What has come of a compressed answer and is not read.

    Args:
        inflater: What decompresses it.
    """

    __slots__ = ("_data", "_held", "_inflater", "_steps")

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._steps: Iterator[bytes] = iter(())
        # What is being decompressed, in bytes: all of it, until the last one is. What comes next.
        self._held = 0
        self._data = b""

    @property
    def buffered(self) -> int:
        """Bytes that are not used up."""
        return self._held + len(self._data)

    @property
    def is_cut(self) -> bool:
        """Whether all is used up, and the compression's end is not in it (row 10)."""
        return not (self.buffered or self._inflater.complete)

    def feed(self, data: bytes) -> None:
        """Take in `data`."""
        self._data = self._data + data if self._data else data

    def read(self) -> bytes:
        """Return the next 64 KiB at most; ``b""`` once all that came is used up.

        Raises:
            ProtocolError: It is not what the header says; nothing is kept of it.
            LimitExceededError: The ratio exceeds ``Limits.max_ratio``.
        """
        data = b""
        try:
            while not data and self.buffered:
                if not self._held:
                    self._steps = self._inflater.feed(self._data)
                    self._held, self._data = len(self._data), b""
                data = next(self._steps, b"")
                if not data:
                    self._held = 0
        except BaseException:
            self._held, self._data = 0, b""
            raise
        return data
