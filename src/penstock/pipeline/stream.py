"""The one concrete stream: a source of batches, with everything that the seam promises around it.

`BatchStream` keeps the promises of `penstock.interfaces.Stream`, so that whoever has a new source
of items (a wire, a cache, a script) writes three methods and no bookkeeping.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from penstock.errors import LimitExceededError, PenstockError, StreamClosedError, UsageError
from penstock.interfaces import CallRecord, Outcome, Stage
from penstock.request import ItemT

__all__ = ["MAX_PROLOGUE", "BatchStream", "Interrupted", "Source"]

_log = logging.getLogger("penstock.pipeline")

ErrorT = TypeVar("ErrorT", bound=Exception | None)

MAX_PROLOGUE = 4096
"""Items that `BatchStream.prime` keeps while it waits for content: role-only deltas, metadata."""


class Interrupted(Exception):  # as StopIteration: not always an error
    """What a source or a stage raises when it fails after it made something.

    The items are delivered first and the error follows at the next read, so that no cut of the
    network changes what the reader sees. It never reaches a caller.
    """

    def __init__(self, items: Sequence[Any], error: Exception | None) -> None:
        super().__init__()
        self.items = list(items)
        """What was made before."""
        self.error = error
        """What happened; None where a stage wants no more."""


class Source(Protocol[ItemT]):
    """Where a `BatchStream` has its items from. Never read by two tasks at once.

    What waits is apart from what works: so nothing stands between the reader and the wire while it
    waits, and what comes is made into items there and then.
    """

    @property
    def complete(self) -> bool:
        """Whether it is over: nothing comes behind what `take` returned last, or is held."""
        ...

    def receive(self) -> Awaitable[Any]:  # Any: what its own `take` takes
        """Wait for more; not called once it is `complete`.

        Raises:
            PenstockError: The answer failed.
        """
        ...

    def take(self, received: Any, /) -> list[ItemT]:  # Any: as above
        """Return the items that are whole with what was `received`; there may be none.

        Raises:
            PenstockError: The answer failed. Raise `Interrupted` where items came before that.
        """
        ...

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the source at once, from any task or callback; a pending `receive` raises `error`."""
        ...

    async def aclose(self) -> None:
        """Let go of everything; idempotent, and not called once it is `complete`."""
        ...


class BatchStream(Generic[ItemT]):
    """A `penstock.interfaces.Stream` over a `Source`.

    - A batch goes through `stages`; one that they empty is not handed out.
    - A stage with a ``flush()`` method is asked for what it held back once, at the end of the
      answer or before its error.
    - The end and an error are final: every later read says the same. What a batch completed before
      an error is delivered first. A `PenstockError` raised here is ``committed``.
    - ``on_close`` is told once, as soon as the outcome is known: before the last items are read.
      What a callback raises is logged and stops nobody.
    - `aclose` of a live stream makes a pending read raise `StreamClosedError`, and later ones too.

    Args:
        source: Where the items come from.
        record: What is known of the call.
        blame: Is told of every `PenstockError` of the source's, and says in it where it happened.
    """

    __slots__ = (
        "__weakref__",
        "_blame",
        "_error",
        "_exhausted",
        "_live",
        "_primed",
        "_reading",
        "_released",
        "_source",
        "on_close",
        "record",
        "stages",
    )

    def __init__(
        self,
        source: Source[ItemT],
        record: CallRecord,
        blame: Callable[[PenstockError], object] | None = None,
    ) -> None:
        self.record = record
        self.stages: list[Stage[ItemT]] = []
        self.on_close: list[Callable[[Outcome], None]] = []
        self._source = source
        self._blame = blame
        self._primed: Interrupted | list[ItemT] | None = None
        self._live = True
        self._error: Exception | None = None
        self._reading = False
        self._exhausted = False
        self._released = False

    async def prime(self, ready: Callable[[ItemT], bool]) -> None:
        """Read ahead until an item is `ready` or the answer ends; for ``Provider.open``.

        Stages see nothing yet: what was read goes through them at the first `read`. An error that
        comes with a `ready` item waits for `read`; any other is raised here, and the source is
        aborted. The caller closes the stream in either case.

        Raises:
            LimitExceededError: `MAX_PROLOGUE` items came, and none was `ready`.
            Exception: What the source raised.
        """
        source = self._source
        items: list[ItemT] = []
        fault: Exception | None = None
        try:
            while True:
                items += (batch := source.take(await source.receive()))
                if source.complete or any(map(ready, batch)):
                    break
                if len(items) > MAX_PROLOGUE:
                    raise _prologue(len(items))
            self._primed = items
        except Interrupted as cut:
            items += cut.items
            fault = cut.error
            self._primed = Interrupted(items, fault)
        except Exception as error:
            self._fail(self._located(error))
            raise
        except BaseException:
            self.cancel()
            raise
        if fault is not None and not any(map(ready, items)):
            self._fail(self._located(fault))
            raise fault

    async def read(self) -> list[ItemT]:
        """Return the next items, at least one; empty at the end.

        Raises:
            PenstockError: The answer failed, or the stream was closed.
            Exception: A stage failed; what it raised, unchanged.
        """
        if self._reading:
            raise UsageError("two tasks read one stream; use penstock.pipeline.tee")
        self._reading = True
        source = self._source
        items: list[ItemT] = []
        try:
            while self._live and not items:
                try:
                    if self._primed is None:
                        batch = source.take(await source.receive())
                    else:
                        batch = self._first()
                except Interrupted as cut:
                    items = self._close_with(cut.items, self._located(cut.error))
                except Exception as error:
                    items = self._close_with([], self._located(error))
                else:
                    items = self._through(batch)
                    if source.complete:
                        self._exhausted, self._released = self._live, True
                        items = items + self._close_with([], None)
        except BaseException:
            self.cancel()
            raise
        finally:
            self._reading = False
        if self._error is not None and not items:
            raise self._error
        return items

    async def aclose(self) -> None:
        """Abort the source if the answer has not ended, and let go of it; from any task."""
        if self._live:
            self._error = StreamClosedError("the stream was closed")
            self._source.abort(self._error)
            self._finish("abandon")
        if not self._released:
            await self._source.aclose()
            self._released = True

    def _first(self) -> list[ItemT]:
        """Return what `prime` has read."""
        primed, self._primed = self._primed, None
        if isinstance(primed, Interrupted):
            raise primed
        return primed or []

    def _through(self, batch: list[ItemT]) -> list[ItemT]:
        """Return `batch` as the stages leave it; nothing of it, where it was closed meanwhile."""
        if not self._live:
            return []
        passed = 0  # so many have had it
        try:
            for stage in self.stages:
                if not batch:
                    break
                passed += 1
                batch = stage(batch)
        except Interrupted as cut:
            return self._close_with(cut.items, cut.error, after=passed)
        except Exception as error:
            return self._close_with([], error, after=passed)
        return batch

    def _close_with(
        self, batch: list[ItemT], error: Exception | None, *, after: int = 0
    ) -> list[ItemT]:
        """The last items, through the stages from `after` on, and the verdict."""
        if not self._live:  # closed meanwhile: what the source says now is an echo of that
            return []
        for place, stage in enumerate(self.stages[after:], after):
            try:
                if batch:
                    batch = stage(batch)
                flush: Callable[[], list[ItemT]] | None = getattr(stage, "flush", None)
                if flush is not None:
                    batch = [*batch, *flush()]
            except Interrupted as cut:
                return self._close_with(cut.items, cut.error, after=place + 1)
            except Exception as failure:
                return self._close_with([], failure, after=place + 1)
        if error is not None:
            if isinstance(error, PenstockError):
                error.committed = True
            self._fail(error)
        elif self._exhausted:
            self._finish("end")
        else:  # a stage wants no more
            self._source.abort()
            self._finish("abandon")
        return batch

    def _located(self, error: ErrorT) -> ErrorT:
        """Return an error of the source's, in which it is said where it happened."""
        if self._blame is not None and isinstance(error, PenstockError):
            self._blame(error)
        return error

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._source.abort()
        self._finish("error", error)

    def cancel(self) -> None:
        """Abort the source of a live answer whose reader was cancelled; nobody waits for it."""
        if not self._live:
            return
        self._error = StreamClosedError("the stream was cancelled")
        self._source.abort(self._error)
        self._finish("cancel")

    def _finish(
        self, kind: Literal["end", "abandon", "error", "cancel"], error: Exception | None = None
    ) -> None:
        self._live = False
        # The source knows the record, too: together they would wait for the collector.
        self.record.buffered = int
        for tell in self.on_close:
            try:
                tell(Outcome(kind, self.record, error))
            except Exception:  # a policy's fault must not hide the outcome from the next one
                _log.exception("an on_close callback failed")


def _prologue(count: int) -> LimitExceededError:
    return LimitExceededError(
        f"{count} items came before the first content; the bound is {MAX_PROLOGUE}",
        phase="prologue",
        limit=MAX_PROLOGUE,
        elapsed=count,
    )
