"""A file that is one JSON array, as ShareGPT's is, as a file of lines that can be indexed."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import ijson
import msgspec

from penstock.errors import UsageError

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["BOM", "is_array", "unpacked"]

BOM = b"\xef\xbb\xbf"
"""What some editors put before the first byte of UTF-8."""

_SPACE = b" \t\r\n"


def is_array(path: Path) -> bool:
    """Whether the file's first byte that is no space opens an array.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        while block := file.read(4096):
            if block := block.removeprefix(BOM).lstrip(_SPACE):
                return block[:1] == b"["
    return False


def unpacked(path: Path, owner: object) -> Path:
    """Return a temporary file with the array's elements, one a line; it goes with `owner`.

    One element is in memory at a time, however large the file is.

    Raises:
        UsageError: The file is not one JSON array; the message says after which element.
        OSError: One of the two files cannot be read or written.
    """
    descriptor, name = tempfile.mkstemp(prefix="penstock-bench-", suffix=".jsonl")
    weakref.finalize(owner, _remove, name)
    with os.fdopen(descriptor, "wb") as lines, path.open("rb") as file:
        _copy(file, lines, path.name)
    return Path(name)


def _copy(file: BinaryIO, lines: BinaryIO, name: str) -> None:
    encode = msgspec.json.Encoder().encode
    done = 0
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    try:
        for element in ijson.items(file, "item", use_float=True):
            lines.write(encode(element) + b"\n")
            done += 1
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{name}, after {done} elements: {error}") from None


def _remove(name: str) -> None:
    Path(name).unlink(missing_ok=True)
