"""A wire that also writes what passes to a file, which the simulator can replay.

The format is that of `penstock.simulator`: a line of JSON for the answer's head, one for each piece
of its body, one for its end. Secrets and the request's body are left out.
"""

from __future__ import annotations

import json
from base64 import b64encode
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


async def captured(transport: Transport, call: HttpCall, path: str) -> Wire:
    """Send `call`, and write to the file `path` what comes back; the file is replaced.

    Raises:
        ConfigurationError: The file cannot be written. Nothing was sent.
        PenstockError: There is no answer.
    """
    recording = Recording(path)  # before a byte leaves
    try:
        wire = await transport.open(call)
    except BaseException:
        recording.close()
        raise
    return Capture(wire, recording, call)


class Recording:
    """The file of one exchange, as lines of JSON.

    Args:
        path: The file; it is replaced.

    Raises:
        ConfigurationError: It cannot be written.
    """

    def __init__(self, path: str) -> None:
        try:
            # Each line is written at once: what came before a crash is what the file is for.
            self._file: TextIOWrapper | None = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115  # `close` closes it
        except OSError as exc:
            raise ConfigurationError(f"capture={path!r} cannot be written: {exc.strerror}") from exc

    def write(self, line: dict[str, object]) -> None:
        """Append `line`; nothing once it is closed."""
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self, line: dict[str, object] | None = None) -> None:
        """Append `line`, and close the file; idempotent."""
        if self._file is None:
            return
        if line is not None:
            self.write(line)
        self._file.close()
        self._file = None


class Capture:
    """Passes a wire on, and writes it down.

    Args:
        wire: The wire.
        recording: Takes what passes.
        call: What was sent; its credential is not written.
    """

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
