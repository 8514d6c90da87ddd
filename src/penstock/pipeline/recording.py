"""An answer written down as it passes, to be played back by the simulator."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias
from uuid import uuid4

from penstock.chunks import Chunk, Meta, ProviderEvent
from penstock.errors import ConfigurationError
from penstock.pipeline.edge import Step

__all__ = ["record"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_log = logging.getLogger("penstock.pipeline")

_MAX_SIZE = 256 * 1024 * 1024
"""What `penstock.simulator.load_recording` reads."""


def record(
    target: str | Path | IO[str],
    *,
    max_size: int = _MAX_SIZE,
    clock: Callable[[], float] = time.monotonic,
) -> Step:
    """Return a middleware that writes the chunks to a file as they pass, with their times.

    Input and output: the same chunks. What is written is a recording of the simulator: a line of
    JSON for the head, one for each chunk as an event of the OpenAI shape, one for the end, which is
    ``torn`` where the answer failed or was not read to its end. ``Simulator(recordings={"name":
    path})`` plays it back for the model ``replay/name``, and the chunks are the same again.

    It runs at the edge. A line is written without waiting, in the file's own buffer.

    Args:
        target: A file's path, which is replaced; a directory, in which each stream has a file of
            its own, named by its time; or an open text file, which stays open. Streams that run at
            once need the directory.
        max_size: Characters after which no more is written: the recording then ends as ``torn``,
            with a warning, and the stream goes on.
        clock: The time, in seconds.

    Raises:
        ConfigurationError: From the stream: the file cannot be opened.
        OSError: From the stream: the file cannot be written.
    """

    async def step(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        tape = _Tape(target, max_size, clock)
        end: Literal["clean", "torn"] = "torn"
        try:
            async for chunk in chunks:
                tape.add(chunk)
                yield chunk
            end = "clean"
        finally:
            tape.close(end)

    return step


class _Tape:
    def __init__(
        self, target: str | Path | IO[str], max_size: int, clock: Callable[[], float]
    ) -> None:
        self._owner: AbstractContextManager[IO[str]] = _opened(target)
        self._file = self._owner.__enter__()
        self._clock = clock
        self._begun = clock()
        self._left = max_size
        self._names: dict[str, Json] = {}
        self._write(
            {"recording": 1, "status": 200, "headers": {"content-type": "text/event-stream"}}
        )

    def add(self, chunk: Chunk) -> None:
        """Write a chunk down."""
        if self._left >= 0:
            self._piece(self._event(chunk))

    def close(self, end: Literal["clean", "torn"]) -> None:
        """Write the end down, and close the file if it is ours."""
        try:
            if self._left >= 0:
                if end == "clean":
                    self._piece("data: [DONE]\n\n")
                self._write({"t": self._now(), "end": end})
        finally:
            self._owner.__exit__(None, None, None)

    def _piece(self, text: str) -> None:
        line = {"t": self._now(), "text": text}
        if len(text) > self._left:
            _log.warning("a recording is over its bound, and ends before its answer")
            self._write({"t": self._now(), "end": "torn"})
            self._left = -1
            return
        self._left -= len(text)
        self._write(line)

    def _write(self, line: dict[str, Json]) -> None:
        self._file.write(json.dumps(line) + "\n")

    def _now(self) -> float:
        return round(self._clock() - self._begun, 6)

    def _event(self, chunk: Chunk) -> str:
        """The chunk as a server-sent event from which a client makes the same chunk."""
        if isinstance(chunk, Meta):
            for name in ("id", "created", "model"):
                if value := getattr(chunk, name):
                    self._names[name] = value
        elif isinstance(chunk, ProviderEvent) and chunk.name not in ("delta", "choice", "chunk"):
            data = chunk.data if isinstance(chunk.data, str) else _compact(chunk.data)
            return f"event: {chunk.name}\ndata: {data}\n\n"
        # Names that the answer has not said stay away: they would be news to the client.
        value = chunk.to_openai()
        for name in ("id", "created", "model"):
            value[name] = value[name] or self._names.get(name)
        return f"data: {_compact({k: v for k, v in value.items() if v is not None})}\n\n"


def _opened(target: str | Path | IO[str]) -> AbstractContextManager[IO[str]]:
    if not isinstance(target, (str, Path)):
        return nullcontext(target)
    path = Path(target)
    if path.is_dir():
        path /= f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid4().hex[:8]}.jsonl"
    try:
        return path.open("w", encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be recorded to: {exc.strerror}") from exc


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
