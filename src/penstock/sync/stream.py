"""A streamed answer for code that blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Self, cast

from penstock.chunks import AudioDelta, Chunk, ImageDelta, ReasoningDelta, TextDelta, ToolCallDelta
from penstock.facts import AnswerFacts
from penstock.sync.pump import Pump

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.interfaces import CallRecord
    from penstock.limits import Limits
    from penstock.response import Reply
    from penstock.stream import ChatStream
    from penstock.sync.portal import Portal

__all__ = ["SyncStream"]

_SMALL = 64
"""Bytes that a chunk counts in the window besides its text."""


class SyncStream(AnswerFacts):
    """An answer as it arrives: made by `penstock.SyncClient.stream`, opened by ``with``.

    Iterating hands out chunks; it is `penstock.ChatStream` without ``await``. The answer is read
    ahead by at most ``Limits.max_queue_items`` chunks or ``Limits.max_queue_bytes`` bytes, and
    `response` and the other facts know what was read ahead. Leaving the ``with`` cancels the call
    where it has not ended, and waits until it has let go. One thread iterates; any may `close`.

    Args:
        portal: Where the call runs.
        stream: The call.
        limits: The window's bounds.
    """

    def __init__(self, portal: Portal, stream: ChatStream, limits: Limits) -> None:
        self._portal = portal
        self._stream = stream
        self._pump: Pump[Chunk] = Pump(
            portal,
            stream,
            weigh=_size,
            max_items=limits.max_queue_items,
            max_bytes=limits.max_queue_bytes,
        )

    def __enter__(self) -> Self:
        self._pump.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._pump)

    def text(self) -> Generator[str, None, None]:
        """Yield the pieces of the first choice's text, and nothing else."""
        for chunk in self:
            if type(chunk) is TextDelta and chunk.choice == 0:
                yield chunk.text

    def collect(self) -> Reply:
        """Read what is left and return the whole answer.

        Raises:
            PenstockError: The answer failed, or does not fit the pydantic model that was given.
            UsageError: The stream was opened with ``collect=False``.
        """
        for _ in self:
            pass
        return self._portal.call(self._stream.collect)

    def close(self) -> None:
        """Cancel the call if the answer has not ended, and wait until it has let go; idempotent."""
        self._pump.close()

    @property
    def response(self) -> Reply:
        """The answer as far as it has been read.

        Raises:
            UsageError: The stream was opened with ``collect=False``.
        """
        return cast("Reply", self._ask("response"))

    @property
    def partial(self) -> Any:  # Any: JSON of any shape
        """The JSON value that the text amounts to so far, as `penstock.ChatStream.partial` says."""
        return self._ask("partial")

    def _ask(self, name: str) -> Any:  # Any: whatever the attribute is
        if self._pump.live:  # the loop adds to it: ask there
            return self._portal.call(getattr, self._stream, name)
        return getattr(self._stream, name)

    @property
    def _record(self) -> CallRecord:  # type: ignore[override]  # read only here
        return self._stream._record


def _size(chunk: Chunk) -> int:
    """Return what `chunk` counts in the window: its text, of whichever kind that can be large."""
    if type(chunk) is TextDelta:
        return _SMALL + len(chunk.text)
    if isinstance(chunk, ReasoningDelta):
        return _SMALL + len(chunk.reasoning)
    if isinstance(chunk, ToolCallDelta):
        return _SMALL + len(chunk.arguments)
    if isinstance(chunk, AudioDelta):
        return _SMALL + len(chunk.data)
    if isinstance(chunk, ImageDelta):
        return _SMALL + len(chunk.url)
    return _SMALL
