"""A wire that also writes what passes to a file, which the simulator can replay.

The format is that of `penstock.simulator`: a line of JSON for the answer's head, one for each piece
of its body, one for its end. Secrets and the request's body are left out.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError
from penstock.providers.headers import selected
from penstock.providers.redact import masked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import TextIOWrapper

    from penstock.errors import PenstockError
    from penstock.interfaces import Ending, HttpCall, Transport, Wire

__all__ = ["captured"]

_log = logging.getLogger("penstock.providers")


async def captured(transport: Transport, call: HttpCall, path: str) -> Wire:
    """Send `call`, and write to the file `path` what comes back; the file is replaced.

    Raises:
        ConfigurationError: The file cannot be written. Nothing was sent, or the disk is full.
        PenstockError: There is no answer.
    """
    recording = Recording(path)  # before a byte leaves
    try:
        wire = await transport.open(call)
    except BaseException:
        recording.close()
        raise
    try:
        return Capture(wire, recording, call)
    except BaseException:
        wire.abort()
        raise


class Recording:
    """The file of one exchange, as lines of JSON.

    Args:
        path: The file; it is replaced.

    Raises:
        ConfigurationError: It cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            # Each line is written at once: what came before a crash is what the file is for.
            self._file: TextIOWrapper | None = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115  # `close` closes it
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def write(self, line: dict[str, object]) -> None:
        """Append `line`; nothing once it is closed.

        Raises:
            ConfigurationError: It cannot be written, and is closed.
        """
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as exc:
            self.close()
            raise self._unwritable(exc) from exc

    def close(self, line: dict[str, object] | None = None) -> None:
        """Append `line`, and close the file; idempotent.

        It is the end of a call that is over: where the disk is full by then, a warning is logged.
        """
        try:
            if line is not None:
                self.write(line)
        except ConfigurationError as error:
            _log.warning("%s; the recording has no end", error.message)
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # of the line that could not be written
                file.close()

    def _unwritable(self, exc: OSError) -> ConfigurationError:
        return ConfigurationError(f"capture={self._path!r} cannot be written: {exc.strerror}")


class Capture:
    """Passes a wire on, and writes it down.

    Args:
        wire: The wire.
        recording: Takes what passes.
        call: What was sent; its credential is not written.
    """

    released = False
    """That is for `aclose` to see to."""

    def __init__(self, wire: Wire, recording: Recording, call: HttpCall) -> None:
        self.status = wire.status
        self.headers: Mapping[str, str] = wire.headers
        self._wire = wire
        self._recording = recording
        self._started = monotonic()
        shown = {name: masked(name, value) for name, value in call.headers}
        recording.write(
            {
                "recording": 1,
                "status": wire.status,
                "headers": selected(wire.headers),
                "request": {"method": call.method, "url": call.url, "headers": shown},
            }
        )

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._wire.buffered

    @property
    def ending(self) -> Ending | None:
        """How it ended."""
        return self._wire.ending

    async def read(self) -> bytes:
        """Return the next bytes, written down."""
        data = await self._wire.read()
        if data:
            self._recording.write({"t": self._now(), **_piece(data)})
        else:
            self._end("clean" if self.ending is None or self.ending.clean else "torn")
        return data

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection."""
        self._end("torn")
        self._wire.abort(error)

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection."""
        self._end("clean" if reuse else "torn")
        await self._wire.aclose(reuse=reuse)

    def _now(self) -> float:
        return round(monotonic() - self._started, 6)

    def _end(self, how: str) -> None:
        self._recording.close({"t": self._now(), "end": how})


def _piece(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode("ascii")}
