"""The beginning of another conversation's file, which a fork shares for as long as it stays."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.conversations.files import MessageFile, identity
from penstock.conversations.lines import LineFile
from penstock.conversations.sidecar import Sidecar, beside
from penstock.errors import ConversationError

__all__ = ["Shared"]


class Shared:
    """The first bytes of a file that is written by others.

    Args:
        path: The file.
        generation: That of the file when the fork was made.
        size: How many bytes.
        fork: The fork's name, for errors.

    Raises:
        ConversationError: They are not what they were.
    """

    def __init__(self, path: Path, generation: str, size: int, *, fork: str) -> None:
        self._file = MessageFile(path)
        self._generation = generation
        self._size = size
        self._fork = fork
        self._beside = os.fspath(beside(path))  # it is looked at with each call
        self._seen = (-1, 0, 0)
        try:
            self.check()
        except BaseException:
            self.close()
            raise
        self.lines = LineFile(self._file.handle, size)
        """Its lines."""

    def check(self) -> None:
        """Look whether they are what they were: who rewrites or cuts them says so beforehand.

        Raises:
            ConversationError: They are not.
        """
        found = identity(self._beside)
        if found == self._seen:
            return
        side = Sidecar.of(self._file.path)
        if self._size > min(side.unchanged(self._generation, self._size), self._file.end):
            raise ConversationError(
                f"{self._fork} is a fork of {self._file.path.name}, which was rewritten since",
                code="changed",
            )
        self._seen = found

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._file.close()
