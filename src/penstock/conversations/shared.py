"""Forks of a file: one is made beside it, and shares its beginning for as long as that stays."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.conversations.atomic import beside
from penstock.conversations.files import MessageFile, identity
from penstock.conversations.handles import private
from penstock.conversations.lines import LineFile
from penstock.conversations.sidecar import Sidecar
from penstock.conversations.stores import failed
from penstock.errors import ConfigurationError, ConversationError

__all__ = ["Shared", "made_beside"]


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


def made_beside(parent: Path, name: str) -> Path:
    """Make an empty file for a fork.

    Args:
        parent: The file that it is a fork of.
        name: Its name; ``""`` for one that is free.

    Raises:
        ConfigurationError: `name` is no name of a ``.jsonl`` file.
        ConversationError: There is a file of that name, or it cannot be made.
    """
    name = name or _free_name(parent)
    if Path(name).name != name or Path(name).suffix != ".jsonl":
        raise ConfigurationError(
            f"a fork of {parent.name} is a .jsonl file in its folder, not {name!r}"
        )
    path = parent.with_name(name)
    try:
        os.close(private(os.fspath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        raise ConversationError(f"there is a file {name} already", code="exists") from None
    except OSError as error:
        raise failed(f"cannot make {name}", error) from error
    return path


def _free_name(parent: Path) -> str:
    number = 1
    while True:
        fork = parent.with_stem(f"{parent.stem}.fork{number}")
        if not (fork.exists() or beside(fork).exists()):
            return fork.name
        number += 1
