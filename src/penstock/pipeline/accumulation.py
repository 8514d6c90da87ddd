"""The answer so far, at hand while it streams."""

from __future__ import annotations

from collections.abc import Callable

from penstock.chunks import Chunk, Finish
from penstock.errors import ConfigurationError, LimitExceededError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.fold import Fold
from penstock.pipeline.stream import Interrupted
from penstock.response import Reply

__all__ = ["Accumulate", "Snapshot", "accumulate"]


def accumulate(
    callback: Callable[[Snapshot], object] | None = None,
    *,
    every: int = 1,
    limits: Limits | None = None,
) -> Accumulate:
    """Return a middleware that keeps the answer so far and shows it to `callback`.

    Input and output: the same chunks. `callback` is told after a batch (at the edge: a chunk) that
    has brought at least `every` bytes since the last time, and once more when a choice is finished
    or the answer ends. It is given the stream's one `Snapshot`, whose text is put together when it
    is read: reading it costs as much as the answer is long, so `every` keeps a long answer linear.
    What the callback raises ends the stream, after the chunks that it was told of.

    Args:
        callback: Is told; None where `Accumulate.latest` is looked at instead.
        every: Bytes between two calls.
        limits: Bounds what is kept, by ``max_answer`` and the bounds of tool calls.

    Raises:
        ConfigurationError: `every` is below 1.
        LimitExceededError: From the stream, after the chunks within the bound.
    """
    if every < 1:
        raise ConfigurationError(f"accumulate needs every=1 or more, not {every}")
    return Accumulate(callback, every, limits)


class Snapshot:
    """An answer as far as it has come; it goes on growing."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    @property
    def size(self) -> int:
        """Bytes so far, as ``Limits.max_answer`` counts them."""
        return self._fold.size

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return self._fold.text

    def reply(self, record: CallRecord | None = None) -> Reply:
        """Return the whole answer so far; `record` adds what is known of the call."""
        return self._fold.reply(record or CallRecord())


class Accumulate:
    """The middleware that `accumulate` returns: a `penstock.pipeline.StageFactory`."""

    def __init__(
        self, callback: Callable[[Snapshot], object] | None, every: int, limits: Limits | None
    ) -> None:
        self.latest: Snapshot | None = None
        """The snapshot of the stream that began last; for a middleware that serves one stream."""
        self._callback = callback
        self._every = every
        self._limits = limits

    def begin(self) -> _Accumulation:
        """Return the stage for one stream."""
        fold = Fold(self._limits)
        self.latest = Snapshot(fold)
        return _Accumulation(fold, self.latest, self._callback, self._every)


class _Accumulation:
    def __init__(
        self,
        fold: Fold,
        snapshot: Snapshot,
        callback: Callable[[Snapshot], object] | None,
        every: int,
    ) -> None:
        self._fold = fold
        self._snapshot = snapshot
        self._callback = callback
        self._every = every
        self._told = 0
        self._news = False

    def __call__(self, batch: list[Chunk]) -> list[Chunk]:
        for place, chunk in enumerate(batch):
            try:
                self._fold.add((chunk,))
            except LimitExceededError as error:
                raise Interrupted(batch[:place], error) from error
        self._news = True
        grown = self._fold.size - self._told >= self._every
        if grown or any(isinstance(chunk, Finish) for chunk in batch):
            self._tell(batch)
        return batch

    def flush(self) -> list[Chunk]:
        """Tell the last state; nothing is held back."""
        self._tell([])
        return []

    def _tell(self, batch: list[Chunk]) -> None:
        if self._callback is None or not self._news:
            return
        self._told, self._news = self._fold.size, False
        try:
            self._callback(self._snapshot)
        except Exception as error:
            raise Interrupted(batch, error) from error
