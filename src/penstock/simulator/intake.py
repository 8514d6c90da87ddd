"""A request's body as it arrives: counted, hashed, and kept as far as its bounds go."""

from __future__ import annotations

import hashlib

__all__ = ["Intake"]

HEAD = 1024 * 1024
"""Bytes of a body that are kept to be read; a longer one is known by its two ends."""
TAIL = 256 * 1024
"""Bytes of its end that are kept of a longer body."""


class Intake:
    """What is known of one request's body.

    Args:
        keep: Bytes to keep for the record; None keeps all of it.
    """

    __slots__ = ("_hash", "_keep", "head", "length", "pieces", "tail")

    def __init__(self, keep: int | None) -> None:
        self._hash = hashlib.sha256()
        self._keep = keep
        self.head = bytearray()
        """The body from its start: `HEAD` bytes of it, or all where all is kept."""
        self.tail = bytearray()
        """The last `TAIL` to 2 x `TAIL` bytes of what did not fit into `head`."""
        self.length = 0
        """Bytes so far."""
        self.pieces = 0
        """HTTP chunks of a chunked body; network reads of another."""

    @property
    def complete(self) -> bool:
        """Whether `head` is the whole body."""
        return self.length == len(self.head)

    def feed(self, data: bytes, starts_piece: bool) -> None:
        """Take the next bytes."""
        self.pieces += starts_piece
        self.length += len(data)
        self._hash.update(data)
        room = len(data) if self._keep is None else max(HEAD, self._keep) - len(self.head)
        if room > 0:
            self.head += data[:room]
        if room < len(data):
            self.tail += data[max(room, 0) :]
            if len(self.tail) > 2 * TAIL:
                del self.tail[:-TAIL]

    def kept(self) -> bytes:
        """Return the part that the record keeps."""
        return bytes(self.head if self._keep is None else self.head[: self._keep])

    def sha256(self) -> str:
        """Return the digest of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()
