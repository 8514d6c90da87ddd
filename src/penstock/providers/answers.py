"""What comes back from one deployment: its answers as streams of chunks, its errors as ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError as NotJson
from msgspec.json import decode as decode_json

from penstock.errors import LimitExceededError, PenstockError
from penstock.limits import media_limits
from penstock.pipeline.stream import BatchStream
from penstock.providers.headers import rate_limit, told_by
from penstock.providers.source import HttpSource, decoder_for
from penstock.transports.dates import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.chunks import Chunk
    from penstock.interfaces import CallRecord, Dialect, Framing, Watch, Wire
    from penstock.limits import Limits
    from penstock.providers.blame import Blame
    from penstock.providers.headers import Told
    from penstock.request import ChatRequest

__all__ = ["Answers"]

_log = logging.getLogger("penstock.providers")


class Answers:
    """Reads what one deployment says.

    Args:
        dialect: Its vocabulary.
        limits: Bounds in bytes.
        origin: Scheme, host and port of the deployment.
    """

    def __init__(self, dialect: Dialect, limits: Limits, *, origin: str) -> None:
        self._dialect = dialect
        self._limits = limits
        self._origin = origin
        # What an answer's headers are called, and what that tells: a peer's are mostly the same.
        self._last: tuple[tuple[str, ...], Told] = (), told_by({})
        # The last answer's type, and how it is framed.
        self._framed: tuple[str | None, Framing] = None, "json"

    def note(self, record: CallRecord, wire: Wire) -> None:
        """Put into `record` what the answer's head says."""
        headers = wire.headers
        names, told = self._last
        if names != (present := tuple(headers)):
            told = told_by(headers)
            self._last = present, told
        record.status = wire.status
        record.headers = told.kept(headers)
        if told.ids:
            record.request_id = told.request_id(headers)
        if told.limited:
            record.rate_limit = rate_limit(headers)

    def stream(
        self,
        request: ChatRequest,
        wire: Wire,
        record: CallRecord,
        watch: Watch,
        blame: Blame,
    ) -> BatchStream[Chunk]:
        """Return the answer that begins on `wire`."""
        content_type = wire.headers.get("content-type", "")
        framed = self._framed
        if content_type != framed[0]:
            framed = self._framed = content_type, self._dialect.framing(content_type)
        limits = self._limits
        if request.params and request.media:
            limits = media_limits(limits, media=True)
        source = HttpSource(
            wire,
            decoder=decoder_for(framed[1], limits),
            answer=self._dialect.answer(request, content_type, limits, origin=self._origin),
            watch=watch,
            timings=record.timings,
            keep=_keeper(record, limits.max_answer) if request.keep_raw else None,
        )
        record.buffered = source.buffered
        return BatchStream(source, record, blame)

    async def rejection(self, wire: Wire) -> PenstockError:
        """Read what the peer says, within its bound, and put it into our words."""
        body = bytearray()
        try:
            while len(body) < self._limits.max_error_body and (data := await wire.read()):
                body += data[: self._limits.max_error_body - len(body)]
        except PenstockError as error:
            _log.debug("the body of an error was cut short: %s", error.kind)
        rejection = self._dialect.error(wire.status or 0, wire.headers, bytes(body))
        told = retry_after(wire.headers)
        if told is not None:  # what the body says of it is for clients that see no headers
            rejection.retry_after = told
        return rejection


def _keeper(
    record: CallRecord, most: int
) -> Callable[[Sequence[Any]], None]:  # Any: frames of any decoder
    kept: list[Any] = []
    record.raw = kept
    size = 0

    def keep(frames: Sequence[Any]) -> None:
        nonlocal size
        for frame in frames:
            data = getattr(frame, "data", frame)
            data = getattr(data, "payload", data)  # an EventStream's
            size += len(data)
            if size > most:
                raise LimitExceededError(
                    f"the answer's events pass max_answer={most}; keep_raw keeps them all",
                    phase="max_answer",
                    limit=most,
                    elapsed=size,
                )
            try:
                kept.append(decode_json(data))
            except (NotJson, UnicodeDecodeError):
                kept.append(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)

    return keep
