"""A provider that answers from a script: for tests of whatever stands around a provider.

    provider = ScriptedProvider([["Hel", "lo"], Finish("stop")])      # one answer, two reads
    provider = ScriptedProvider([RateLimitError("busy")], [["ok"]])   # refuses once, then answers

No sockets, no clock but the loop's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

import anyio
from anyio.lowlevel import checkpoint

from penstock.chunks import Chunk, Finish, TextDelta
from penstock.errors import ConfigurationError, PenstockError, StreamClosedError
from penstock.interfaces import CallRecord, Stream
from penstock.pipeline.stream import BatchStream
from penstock.request import ItemT, Request

__all__ = ["Line", "ScriptedProvider", "ScriptedStream"]

Line: TypeAlias = "Chunk | str | Sequence[Chunk | str] | Exception | float | anyio.Event"
"""One line of a script:

- a chunk, a ``str`` (a `TextDelta`), or a list of these: what one read completes;
- an exception: raised at that point, by ``open`` if no content came before it;
- a number: a wait of so many seconds, 0 for one turn of the loop;
- an `anyio.Event`: a wait until it is set.
"""


class ScriptedStream(BatchStream[Chunk]):
    """A stream that says what its script says; ends where the script ends.

    Args:
        script: The lines; see `Line`.
        record: What is known of the call.
    """

    def __init__(self, script: Sequence[Line], record: CallRecord | None = None) -> None:
        self._script = _Script(script)
        super().__init__(self._script, record or CallRecord())

    @property
    def released(self) -> bool:
        """Whether the stream let go of its source: aborted it, or closed it."""
        return self._script.released


class ScriptedProvider:
    """Answers each request with the next of its scripts, and with the last one from then on.

    Args:
        scripts: One or more scripts; see `Line`.
        provider: The provider's name in the record of each call.

    Raises:
        ConfigurationError: There is no script.
    """

    def __init__(self, *scripts: Sequence[Line], provider: str = "scripted") -> None:
        if not scripts:
            raise ConfigurationError("a ScriptedProvider needs at least one script")
        self.requests: list[Request[Chunk]] = []
        """Every request so far."""
        self.streams: list[ScriptedStream] = []
        """A stream for every request so far, also for those that `open` refused."""
        self._scripts = scripts
        self._provider = provider

    @property
    def left_open(self) -> int:
        """How many streams still hold their source."""
        return sum(not stream.released for stream in self.streams)

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Play the next script up to its first content.

        Raises:
            Exception: The script's own, where it comes before any content.
        """
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        record = CallRecord(model=request.model, provider=self._provider, metadata=request.metadata)
        stream = ScriptedStream(script, record)
        self.requests.append(cast("Request[Chunk]", request))
        self.streams.append(stream)
        await stream.prime(lambda chunk: chunk.content or isinstance(chunk, Finish))
        return cast("Stream[ItemT]", stream)


class _Script:
    """A `penstock.pipeline.stream.Source` that plays lines."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.released = False
        self.complete = False
        self._lines = iter(list(lines))
        self._aborted = anyio.Event()
        self._error: PenstockError | None = None

    async def receive(self) -> list[Chunk]:
        for line in self._lines:
            self._check()
            if isinstance(line, Exception):
                raise line
            if isinstance(line, (int, float)):
                await self._sleep(line)
            elif isinstance(line, anyio.Event):
                await self._wait(line)
            elif batch := _chunks(line):
                return batch
        self._check()
        self.complete = self.released = True
        return []

    def take(self, batch: list[Chunk]) -> list[Chunk]:
        return batch

    def abort(self, error: PenstockError | None = None) -> None:
        if not self.released:
            self.released = True
            self._error = error
            self._aborted.set()

    async def aclose(self) -> None:
        self.released = True
        await checkpoint()

    def _check(self) -> None:
        if self._aborted.is_set():
            raise self._error or StreamClosedError("the script was aborted")

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await checkpoint()
        else:
            with anyio.move_on_after(seconds):
                await self._aborted.wait()
        self._check()

    async def _wait(self, event: anyio.Event) -> None:
        async def until(other: anyio.Event) -> None:
            await other.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(until, event)
            group.start_soon(until, self._aborted)
        self._check()


def _chunks(line: Chunk | str | Sequence[Chunk | str]) -> list[Chunk]:
    if isinstance(line, str) or not isinstance(line, Sequence):
        line = [line]
    return [TextDelta(piece) if isinstance(piece, str) else piece for piece in line]
