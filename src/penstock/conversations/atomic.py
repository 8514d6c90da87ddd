"""Files that are written beside another one, and take its name once they are whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["beside", "clear", "fresh_beside", "named"]


@contextmanager
def fresh_beside(path: Path) -> Iterator[Path]:
    """Lend a name beside `path` that nobody else has; broken off, a file that has it is removed.

    The name is there before the file is, so that nothing stays whenever it is broken off (a file
    of `tempfile` is made before its name is known, and loading that costs more than writing).
    """
    fresh = path.with_name(f"{path.name}.{os.urandom(16).hex()}.new")
    try:
        yield fresh
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def named(fresh: Path, path: Path) -> None:
    """Give a file its name, unless there is one of that name by now.

    Raises:
        FileExistsError: There is.
    """
    try:
        try:
            os.link(fresh, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links, such as FAT: the name is taken first
            path.touch(exist_ok=False)
            try:
                fresh.replace(path)
            except BaseException:
                path.unlink()
                raise
        else:
            fresh.unlink()
    except FileExistsError:
        raise FileExistsError(f"there is a file {path} already") from None


def beside(messages: Path) -> Path:
    """Return where what is known of the file `messages` is."""
    return messages.with_name(messages.name + ".meta")


def clear(messages: Path) -> None:
    """Remove what a process that was killed left of the messages, or of what is known of them.

    It would have what is to be redacted. Who calls it has the lock: nobody else writes the one, and
    the other only where there is none.
    """
    ours = re.compile(rf"{re.escape(messages.name)}(\.meta)?\.[0-9a-f]{{32}}\.new")
    with suppress(OSError), os.scandir(messages.parent) as found:
        for each in found:
            if ours.fullmatch(each.name):
                os.unlink(each.path)
