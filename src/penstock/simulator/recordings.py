"""Recorded answers: a JSONL file with one exchange, played back at its own pace.

{"recording": 1, "status": 200, "headers": {"content-type": "…"}, "request": {…}}
{"t": 0.013, "text": "data: …"}         bytes of the body, decoded, at seconds from the request
{"t": 0.027, "base64": "…"}             the same where they are not UTF-8
{"t": 0.031, "end": "clean"}            or "torn": the connection was lost
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import ConfigurationError
from penstock.simulator.framing import Head
from penstock.simulator.steps import End, Event, Step, Wait

__all__ = ["Piece", "Recording", "load_recording"]

_JSON, _STREAM = "application/json", "text/event-stream"
MAX_RECORDING = 256 * 1024 * 1024
"""Bytes of the longest recording that is loaded."""
_HOP = {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}
"""Headers of the recorded connection, not of the answer (RFC 9110 section 7.6.1)."""


class Piece(NamedTuple):
    """Bytes of the body and when they came."""

    t: float
    """Seconds from the end of the request."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded exchange."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """As recorded, without those that belong to the connection."""
    request: Mapping[str, Any]
    """What was asked, for the reader; a replay does not look at it."""
    pieces: tuple[Piece, ...]
    end: str
    """``"clean"`` or ``"torn"``."""
    ended: float
    """Seconds from the end of the request to the end of the answer."""

    def head(self) -> Head:
        """Return the status and headers to answer with; an unrecorded content type is guessed."""
        head = Head(self.status, self.headers)
        if any(name == "content-type" for name, _ in self.headers):
            return head
        start = self.pieces[0].data.lstrip()[:1] if self.pieces else b""
        return head.plus(("content-type", _JSON if start in (b"{", b"[") else _STREAM))

    def steps(self, speed: float = 1.0) -> Iterator[Step]:
        """Produce the body at `speed` times the recorded pace."""
        now = 0.0
        for piece in self.pieces:
            if (gap := (piece.t - now) / speed) > 0:
                yield Wait(gap)
            now = max(now, piece.t)
            yield Event(piece.data, 1)
        if (gap := (self.ended - now) / speed) > 0:
            yield Wait(gap)
        if self.end == "torn":
            yield End.CLOSE


def load_recording(path: str | Path) -> Recording:
    """Read a recording.

    Raises:
        ConfigurationError: The file is missing, larger than 256 MiB, or no recording; the message
            names the line.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_RECORDING:
            raise ConfigurationError(f"{path}: a recording has at most {MAX_RECORDING} bytes")
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}") from exc
    try:
        objects = [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line]
    except ValueError as exc:
        raise ConfigurationError(f"{path}: not JSON lines: {exc}") from exc
    return _recording(path, objects)


def _recording(path: Path, objects: list[tuple[int, Any]]) -> Recording:
    first = objects[0][1] if objects else None
    if not isinstance(first, dict) or first.get("recording") != 1:
        raise ConfigurationError(f'{path}: line 1 must have "recording": 1')
    pieces, end, ended = [], "torn", 0.0  # a file that just stops was torn with its writer
    for number, item in objects[1:]:
        try:
            ended = float(item["t"])
            if "end" in item:
                end = {"clean": "clean", "torn": "torn"}[item["end"]]
            else:
                pieces.append(Piece(ended, _data(item)))
        except (KeyError, TypeError, ValueError, binascii.Error) as exc:
            message = f'{path}: line {number} needs "t" and one of "text", "base64" and "end"'
            raise ConfigurationError(message) from exc
    return Recording(
        status=int(first.get("status", 200)),
        headers=_headers(first.get("headers") or {}),
        request=first.get("request") or {},
        pieces=tuple(pieces),
        end=end,
        ended=ended,
    )


def _data(item: dict[str, Any]) -> bytes:
    if "text" in item:
        return str(item["text"]).encode("utf-8", "surrogatepass")
    return base64.b64decode(item["base64"], validate=True)


def _headers(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(name).lower(), "".join(letter for letter in str(value) if letter.isprintable()))
        for name, value in given.items()
        if str(name).lower() not in _HOP
    )
