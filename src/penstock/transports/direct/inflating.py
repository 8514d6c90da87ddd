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

    __slots__ = ("_inflater", "_steps", "held")

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._steps: Iterator[bytes] = iter(())
        self.held = 0
        """Bytes that are being decompressed: all of them, until the last one is."""

    @property
    def complete(self) -> bool:
        """Whether the end of the compression was seen (row 10 of the fault matrix)."""
        return self._inflater.complete

    def feed(self, data: bytes) -> None:
        """Take in `data`, where nothing is `held`."""
        self._steps = self._inflater.feed(data)
        self.held = len(data)

    def step(self) -> bytes:
        """Return the next 64 KiB at most; ``b""`` once all that was held is used up.

        Raises:
            ProtocolError: It is not what the header says.
            LimitExceededError: The ratio exceeds ``Limits.max_ratio``.
        """
        try:
            data = next(self._steps, b"")
        except BaseException:
            self.held = 0
            raise
        if not data:
            self.held = 0
        return data
