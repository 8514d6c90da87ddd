"""An open file that stays open for as long as somebody reads from it."""

from __future__ import annotations

import os

from penstock.conversations.stores import failed
from penstock.errors import ConversationError

__all__ = ["Handle", "private"]


def private(path: str, flags: int) -> int:
    """Open a file that, where it is made, is its owner's only: an ``opener`` for `open`."""
    return os.open(path, flags, 0o600)


class Handle:
    """A file descriptor; a pass over a file that was replaced goes on reading the old one.

    Args:
        number: The descriptor, which is this object's to close.
        name: The file's, for errors.
    """

    __slots__ = ("name", "number")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        """The descriptor; -1 once it is closed."""
        self.name = name
        """The file's name."""

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`, fewer only where the file ends.

        Raises:
            ConversationError: It is closed, or cannot be read.
        """
        if self.number < 0:
            raise ConversationError(f"{self.name} is closed", code="closed")
        try:
            return os.pread(self.number, size, offset)
        except OSError as error:
            raise failed(f"cannot read {self.name}", error) from error

    def close(self) -> None:
        """Close it; idempotent."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        """Close it when nobody has it any more."""
        self.close()
