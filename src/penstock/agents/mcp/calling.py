"""One call of a model over MCP: a task that alone waits for the server, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from penstock.chunks import Chunk, TextDelta
from penstock.errors import (
    DeadlineError,
    InternalError,
    LimitExceededError,
    PenstockError,
    ProtocolError,
    StreamClosedError,
)

if TYPE_CHECKING:
    from penstock.interfaces import Watch
    from penstock.providers.blame import Blame
    from penstock.response import Timings

__all__ = ["Calling"]

_GRACE = 1.0
"""Seconds in which the answer has to come after a line that is none: a server may print a word, and
one that answers with it has nothing more to say."""


class Calling:
    """The source of one answer: text while the server works, and then the rest.

    Args:
        watch: The call's clocks.
        timings: When things happened.
        blame: Fills in and redacts what is raised.
        max_held: Bytes of text that may wait to be read.
    """

    def __init__(self, watch: Watch, timings: Timings, blame: Blame, *, max_held: int) -> None:
        self.streamed = ""
        """The text that came while the server worked."""
        self.expired = False
        """Whether a clock ran out."""
        self._watch = watch
        self._timings = timings
        self._blame = blame
        self._max_held = max_held
        self._task: asyncio.Task[list[Chunk]] | None = None
        self._held: list[Chunk] = []
        self._size = 0
        self._news = asyncio.Event()
        self._error: PenstockError | None = None
        self.complete = False
        """Whether nothing more comes."""
        self.noise: str | None = None
        """The last line from the server that was no message."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, call: Coroutine[Any, Any, list[Chunk]]) -> None:
        """Start `call`, and its clocks."""
        self._task = asyncio.get_running_loop().create_task(call)
        self._task.add_done_callback(self._done)
        self._watch.on_expire(self._expire)
        self._watch.begin("response")
        self._watch.begin("ttft")
        self._watch.begin("idle")
        self._watch.begin("progress")

    def progress(self, done: float, total: float | None, words: str | None) -> None:
        """Take what the server says while it works: a sign of life, or a piece of the answer.

        Of a piece ``done`` is how many characters have come with it, and there is no ``total``.
        """
        self._sign_of_life(len(words or ""))
        if words and total is None and done == len(self.streamed) + len(words):
            self.streamed += words
            self._keep(TextDelta(words), len(words))

    def garbled(self, line: str, *, alone: bool) -> None:
        """Note a line that is no message; `alone`, it can only be meant as this call's answer."""
        self.noise = line
        if alone and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_GRACE, self._fail, self._no_json())

    async def receive(self) -> None:
        """Wait until something has come."""
        assert self._task is not None
        self._watch.asking()
        try:
            while not (self._held or self._error or self._task.done()):
                self._news.clear()
                await self._news.wait()
        finally:
            self._watch.answered()

    def take(self, _: None) -> list[Chunk]:
        """Return what has come.

        Raises:
            PenstockError: There is no answer.
        """
        if self._held:
            held, self._held, self._size = self._held, [], 0
            return held
        assert self._task is not None
        self.complete = True
        return self._rest(self._task)

    def abort(self, error: PenstockError | None = None) -> None:
        """Stop waiting; the server is told that nobody does."""
        self._watch.stop()
        if self._error is None:
            self._error = error or StreamClosedError("the call was aborted")
        self._cancel()

    async def aclose(self) -> None:
        """Wait for the end of the task."""
        self._watch.stop()
        self._cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    def buffered(self) -> int:
        """Return the bytes of text that wait to be read."""
        return self._size

    def _rest(self, task: asyncio.Task[list[Chunk]]) -> list[Chunk]:
        """Return the last chunks, or raise why there are none."""
        if self._error is not None:
            raise self._error
        self._timings.total = self._watch.elapsed()
        if task.cancelled():
            raise StreamClosedError("the call was cancelled")
        failure = task.exception()
        if failure is None:
            self._watch.stop()
            chunks = task.result()
            if any(chunk.content for chunk in chunks):
                self._content()
            return chunks
        if isinstance(failure, PenstockError):
            raise self._blame(failure) from failure.__cause__
        raise self._blame(InternalError(f"{type(failure).__name__}: {failure}")) from failure

    def _sign_of_life(self, size: int) -> None:
        self._watch.end("response")
        self._watch.received(size + 1)
        if self._timings.first_byte is None:
            self._timings.first_byte = self._watch.elapsed()

    def _keep(self, chunk: Chunk, size: int) -> None:
        self._held.append(chunk)
        self._size += size
        self._content()
        if self._size > self._max_held:
            self._fail(
                LimitExceededError(
                    f"{self._size} bytes of the answer wait to be read",
                    phase="max_read",
                    limit=self._max_held,
                    elapsed=self._size,
                )
            )
        self._news.set()

    def _content(self) -> None:
        self._watch.content()
        if self._timings.ttft is None:
            self._timings.ttft = self._watch.elapsed()

    def _expire(self, error: DeadlineError) -> None:
        self.expired = True
        if self.noise is not None:
            error.message += f"; the server wrote what is no message: {self.noise[:80]!r}"
        self._fail(error)

    def _no_json(self) -> ProtocolError:
        line = self.noise or ""
        return ProtocolError(
            f"the server wrote what is no message, and no answer: {line[:80]!r}", body=line
        )

    def _fail(self, error: PenstockError) -> None:
        if self._error is None and not (self._task is not None and self._task.done()):
            self._error = self._blame(error)
            self._cancel()
            self._news.set()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[list[Chunk]]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not task.cancelled():
            task.exception()  # asyncio complains of errors that nobody looked at
        self._news.set()
