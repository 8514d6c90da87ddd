"""What a prompt says of itself: records of a logger of the caller's choice, and of a file."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

__all__ = ["Log", "News", "Tell", "shortened", "weight"]

# What happened: its kind, and its content in whatever shape it has.
News: TypeAlias = "tuple[str, Any]"
# Who hears of it, as soon as there is room for it there.
Tell: TypeAlias = "Callable[[News], Awaitable[None]]"

_LONGEST = 10_000
"""Characters of one record."""
_FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"


def shortened(news: News) -> News:
    """Return `news` as a record has it: no more than that waits for one."""
    kind, content = news
    return kind, _cut(str(content))


def weight(news: News) -> int:
    """Return the bytes of news that are `shortened`."""
    kind, content = news
    return len(kind) + len(content.encode("utf-8", "surrogatepass"))


class Log:
    """Records of one prompt.

    What was said stands in DEBUG records only; INFO has what happened, and WARNING what failed.

    Args:
        name: The logger's name.
        level: The logger's level.
        folder: Where a file named like the logger takes the same records; it is for its owner's
            eyes only. None is no file.

    Raises:
        ConfigurationError: The file cannot be written.
    """

    def __init__(self, name: str, level: int, folder: str | None) -> None:
        self._logger = logging.getLogger(name)
        if self._logger.level != level:
            self._logger.setLevel(level)
        # Not a handler of the logger: that has prompts of other threads as well.
        self._file = None if folder is None else _file(Path(folder), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def hears(self, level: int) -> bool:
        """Whether anybody is there for records of that level."""
        if not self._logger.isEnabledFor(level):
            return False
        # Python itself prints what has no handler, from warnings on.
        return self._file is not None or level >= logging.WARNING or self._logger.hasHandlers()

    def news(self, news: News) -> None:
        """Note what was said."""
        kind, content = news
        self.say(logging.DEBUG, "%s: %s", kind, content)

    def say(self, level: int, message: str, *parts: object) -> None:
        """Note anything."""
        if not self.hears(level):
            return
        shown = tuple(part if isinstance(part, (int, float)) else _cut(str(part)) for part in parts)
        record = self._logger.makeRecord(self._logger.name, level, "", 0, message, shown, None)
        if self._file is not None:
            self._file.handle(record)
        self._logger.handle(record)


def _file(folder: Path, name: str) -> logging.FileHandler:
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as exc:
        raise ConfigurationError(
            f"log_dir: {path} cannot be written: {exc.strerror}", param="log_dir"
        ) from exc
    handler.setFormatter(logging.Formatter(_FORMAT))
    return handler


def _cut(text: str) -> str:
    left = len(text) - _LONGEST
    return text if left <= 0 else f"{text[:_LONGEST]}... ({left} more characters)"
