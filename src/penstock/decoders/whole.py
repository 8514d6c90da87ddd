"""A body that is one frame: an answer that is not streamed."""

from __future__ import annotations

from penstock.decoders._faults import BOUNDS, Fuse, exceeded

__all__ = ["WholeDecoder"]


class WholeDecoder:
    """Keeps the bytes until they end; they are then the one frame.

    Args:
        max_event: Bytes of the body; default 16 MiB.
    """

    def __init__(self, *, max_event: int = BOUNDS.max_event) -> None:
        self.ignored = 0
        """Always 0: every byte is part of the frame."""
        self._max_event = max_event
        self._buffer = bytearray()
        self._fuse = Fuse()

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def decode(self, data: bytes) -> list[bytes]:
        """Keep `data`; there is no frame before the end.

        Raises:
            LimitExceededError: The body is longer than `max_event`.
        """
        self._fuse.check()
        if len(self._buffer) + len(data) > self._max_event:
            fault = exceeded("max_event", self._max_event, len(self._buffer) + len(data))
            self._buffer = bytearray()
            self._fuse.blow(fault, [])
            raise fault
        self._buffer += data
        return []

    def flush(self) -> list[bytes]:
        """Return the body, if it has any bytes."""
        self._fuse.check()
        body = bytes(self._buffer)
        self._buffer = bytearray()
        return [body] if body else []
