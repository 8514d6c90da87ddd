"""One answer being read: a wire's bytes to frames, and its dialect's frames to chunks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from penstock.decoders import EventStreamDecoder, JSONArrayDecoder, JSONLinesDecoder, SSEDecoder
from penstock.decoders.whole import WholeDecoder
from penstock.errors import (
    DeadlineError,
    DecodeError,
    LimitExceededError,
    PenstockError,
    TruncatedError,
)
from penstock.interfaces import Ending
from penstock.pipeline.stream import Interrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from penstock.chunks import Chunk
    from penstock.interfaces import Answer, Decoder, Framing, Watch, Wire
    from penstock.limits import Limits
    from penstock.response import Timings

__all__ = ["HttpSource", "decoder_for"]

# Seconds that an answer with all its content waits for what may follow: usage, `[DONE]`, the end.
_TAIL = 5.0
_SILENT = Ending(clean=False, detail=f"nothing came for {_TAIL:g} s after its finish reason")


def decoder_for(
    framing: Framing, limits: Limits
) -> Decoder[Any]:  # Any: each has frames of its own
    """Return the decoder of a `framing` that a dialect names."""
    match framing:
        case "sse":
            return SSEDecoder(text=False, max_line=limits.max_line, max_event=limits.max_event)
        case "json_lines":
            return JSONLinesDecoder(max_line=limits.max_line)
        case "event_stream":
            return EventStreamDecoder(
                max_frame=limits.max_frame, max_frame_headers=limits.max_frame_headers
            )
        case "json_array":
            return JSONArrayDecoder(max_event=limits.max_event, alone=True)
        case _:
            return WholeDecoder(max_event=limits.max_event)


class HttpSource(Struct, eq=False):
    """Reads one answer in the batches that the network makes."""

    wire: Wire
    """The bytes."""
    decoder: Decoder[Any]  # Any: each has frames of its own
    """Bytes to frames."""
    answer: Answer[Any]
    """Frames to chunks."""
    watch: Watch
    """The call's clocks."""
    timings: Timings
    """Where it is noted when content came and when the answer ended."""
    keep: Callable[[Sequence[Any]], None] | None = None
    """Takes every frame, for ``keep_raw``; None where nobody wants them."""
    complete: bool = False
    """Whether it is over."""
    _ignored: int = 0
    _whole: bool = False
    _gone: bool = False

    def __repr__(self) -> str:
        # What was said, and to whom, is nobody's but the caller's (fault matrix, row 39).
        return "HttpSource(...)"

    def receive(self) -> Awaitable[bytes]:
        """Return what to wait for: the next bytes, or the end of an answer that is whole."""
        if self._whole:
            # Only now: the last chunks do not wait for the drain.
            return self._drain()
        return self._tail() if self.answer.settled else self.wire.read()

    def take(self, received: bytes) -> list[Chunk]:
        """Return the chunks that are whole with what was `received`; there may be none.

        Raises:
            PenstockError: The answer failed; `Interrupted` where chunks came before that.
        """
        chunks: list[Chunk] = []
        if self._whole:
            self.complete = True
            return chunks
        try:
            if not received:
                self._end(chunks)
                return chunks
            try:
                frames = self.decoder.decode(received)
            except (DecodeError, LimitExceededError) as error:
                self._take(error.frames, chunks)
                raise
            if self._take(frames, chunks):
                self._ignored = 0  # what came before content says nothing any more
            else:
                self._note_noise()
        except PenstockError as error:
            self._stop()
            if chunks:
                raise Interrupted(chunks, error) from error
            raise
        if self.answer.complete:
            self._whole = True
            self._stop()
            # Where the wire has ended as well, there is nothing to be drained.
            self.complete = self.wire.released
        return chunks

    def _end(self, chunks: list[Chunk]) -> None:
        """Take the end of the bytes."""
        ending = self.wire.ending or _SILENT
        if not ending.clean and isinstance(self.decoder, WholeDecoder):
            # A stream's terminal event says that it is whole; of this answer only its end does,
            # and a compressed one has not shown its checksum (row 10 of the fault matrix).
            raise TruncatedError(f"the answer is cut ({ending.detail})", code="torn_end")
        try:
            frames = self.decoder.flush()
        except (DecodeError, LimitExceededError) as error:
            self._take(error.frames, chunks)
            # Bytes that end too soon are a truncation, and the dialect judges those.
            if error.code != "torn_end":
                raise
            ending = replace(ending, clean=False, detail=ending.detail or error.message)
        else:
            self._take(frames, chunks)
        if not self.answer.complete:
            self.answer.finish(ending, chunks)
        self._whole = True
        self._stop()

    async def _drain(self) -> bytes:
        """Let go of the wire of an answer that is whole."""
        await self.aclose()
        return b""

    async def _tail(self) -> bytes:
        """Return the bytes behind all the content; their terminal event is waited for only so long.

        Some servers send a finish reason and then neither ``[DONE]`` nor the end of the body.
        """
        from anyio import move_on_after  # costs more than a read, but comes once a stream

        try:
            with move_on_after(_TAIL):
                return await self.wire.read()
        except DeadlineError:
            pass  # nothing is missing: a clock that runs out now ends the wait, not the answer
        return b""

    def _take(self, frames: Sequence[Any], chunks: list[Chunk]) -> bool:
        """Read `frames`; return whether there is content in them."""
        if not frames:
            return False
        if self.keep is not None:
            self.keep(frames)
        content = False
        try:
            self.answer.feed(frames, chunks)
        finally:
            for chunk in chunks:
                if chunk.content:
                    content = True
                    elapsed = self.watch.content()
                    if self.timings.ttft is None:
                        self.timings.ttft = elapsed
                    break
        return content

    def _note_noise(self) -> None:
        ignored = self.decoder.ignored
        if ignored > self._ignored:
            self.watch.ignored(ignored - self._ignored)
        self._ignored = ignored

    def buffered(self) -> int:
        """Return how many bytes were received and not yet handed out."""
        return self.decoder.buffered + self.wire.buffered

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the wire, unless the answer is whole; a pending `receive` raises `error`."""
        self._stop()
        if not self._whole:
            self.wire.abort(error)

    async def aclose(self) -> None:
        """Let go of the wire; after a whole answer its connection is used again."""
        if self._gone:
            return
        if not self._whole:  # else the clocks were stopped by then
            self._stop()
        await self.wire.aclose(reuse=self._whole)
        self._gone = True

    def _stop(self) -> None:
        if self.timings.total is None:
            self.timings.total = self.watch.stop()
