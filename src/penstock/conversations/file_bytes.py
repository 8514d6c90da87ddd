"""The bytes of an attachment, read from where they are: a path, an open file, or memory."""

from __future__ import annotations

import os
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from penstock.errors import ConfigurationError
from penstock.fields import Base64

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["FileBytes", "Source"]

Source: TypeAlias = "str | PathLike[str] | IO[bytes] | bytes"
"""A path, a seekable binary file, or bytes."""


class FileBytes:
    """Where an attachment's bytes are read from, at any offset, by several passes at once."""

    def __init__(self, source: Source) -> None:
        self.path: Path | None = None
        self._file: IO[bytes] | None = None
        self._compares = isinstance(source, (str, os.PathLike, bytes))
        self._lock = Lock()
        self._digest = ""
        self.name = ""
        if isinstance(source, (str, os.PathLike)):
            self._at(Path(source))
        else:
            self._of(source)

    def _at(self, path: Path) -> None:
        self.path, self.name = path, path.name
        try:
            self._stat = path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in it
            address = str(path).startswith(("http:", "https:", "data:", "gs:", "s3:"))
            raise ConfigurationError(
                f"cannot read {self.name[:80]!r}: {getattr(error, 'strerror', error)}"
                + ("; an address goes in from_url()" if address else ""),
                param="source",
            ) from error
        if not path.is_file():
            raise ConfigurationError(f"{self.name} is no file", param="source")
        self.size = self._stat.st_size

    def _of(self, source: IO[bytes] | bytes) -> None:
        file = BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
        try:
            self.size = file.seek(0, os.SEEK_END)
            readable = isinstance(file.read(0), bytes)
        except (AttributeError, OSError, ValueError):  # also io.UnsupportedOperation; closed
            readable = False
        if not readable:
            raise ConfigurationError(
                "an attachment is a path, a seekable binary file that is open for reading, or"
                f" bytes, not {type(source).__name__}",
                param="source",
            )
        self._file = file
        name = getattr(file, "name", "")
        self.name = Path(name).name if isinstance(name, str) else ""

    def __getstate__(self) -> dict[str, Any]:  # Any: its attributes
        """Return what is pickled: a path, or bytes; both are read where they arrive."""
        if not self.path and not isinstance(self._file, BytesIO):
            raise TypeError("an attachment of an open file does not pickle: give its path or bytes")
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    def base64(self) -> Base64:
        """Return the base64 of all of it, made while it is read."""
        return Base64(self.size, self.read, self._wait, self._compares, self.identity)

    def identity(self) -> str:
        """Return what tells the bytes from others: a file by its path, size and time."""
        if self.path is not None:
            return f"{self.path}:{self.size}:{self._stat.st_mtime_ns}"
        if isinstance(self._file, BytesIO):
            if not self._digest:
                self._digest = blake2b(self._file.getbuffer(), digest_size=16).hexdigest()
            return self._digest
        return f"{self.name}:{self.size}"

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes at an offset.

        Raises:
            ConfigurationError: The file is not what it was when the part was made.
        """
        if self.path is not None:
            return self._read_path(self.path, offset, size)
        assert self._file is not None
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def _read_path(self, path: Path, offset: int, size: int) -> bytes:
        # Opened for each read: a part may wait in a conversation for as long as it likes.
        with path.open("rb", buffering=0) as file:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
                raise ConfigurationError(f"{self.name} was changed since it was attached")
            file.seek(offset)
            return file.read(size)

    async def _wait(self, offset: int, size: int) -> bytes:
        from anyio.to_thread import run_sync

        return await run_sync(self.read, offset, size)
