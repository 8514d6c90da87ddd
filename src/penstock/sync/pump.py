"""An async stream read ahead for a thread that blocks: one task, and a window with two bounds."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.errors import StreamClosedError, UsageError
from penstock.sync.portal import closed, leave_at_exit, next_of, settle

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from penstock.sync.portal import Gate, Job, Portal

__all__ = ["Pump"]

T = TypeVar("T")


class Pump(Generic[T]):
    """Opens a source on the portal's loop, reads it ahead, and hands its items to a thread.

    What one read of the network completed is handed over together, with one wake-up: asyncio runs
    the hand-over when the task that reads has to wait. At most `max_items` items and `max_bytes`
    bytes, or one item that is larger, are between the source and the thread; a thread that does not
    ask leaves the rest in the kernel.

    One thread iterates; any may close.

    Args:
        portal: Where the source runs.
        source: What to open, iterate and leave.
        weigh: An item's size in bytes, roughly.
        max_items: The window's bound in items.
        max_bytes: The window's bound in bytes.
    """

    def __init__(
        self,
        portal: Portal,
        source: AbstractAsyncContextManager[AsyncIterable[T]],
        *,
        weigh: Callable[[T], int],
        max_items: int,
        max_bytes: int,
    ) -> None:
        self._portal = portal
        self._source = source
        self._weigh = weigh
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._inbox: SimpleQueue[_Batch[T] | _End] = SimpleQueue()
        self._job: Job | None = None
        # On the loop's side: what was read, in all and since the last hand-over.
        self._batch: _Batch[T] = _Batch()
        self._read = _Count()
        self._room: Gate | None = None
        # On the thread's side: what was taken and used up, and what is being used.
        self._taken = _Count()
        self._current: _Batch[T] = _Batch()
        self._pending: Iterator[T] = iter(())
        self._ended = False

    @property
    def live(self) -> bool:
        """Whether the source is open on the portal's loop."""
        return self._job is not None and not self._ended

    def open(self) -> None:
        """Open the source, and wait until it is.

        Raises:
            UsageError: It was opened before.
            Exception: What the source raised.
        """
        if self._job is not None:
            raise UsageError("this stream was opened before: make a new one for another call")
        try:
            self._job = self._portal.prepare(self._run, lambda: self._inbox.put(_End(closed())))
            self._job.start()
            self._take()  # an empty batch says that it is open
        except BaseException as error:
            self.close()
            if isinstance(error, StreamClosedError):
                leave_at_exit()
            raise

    def __iter__(self) -> Iterator[T]:
        """Yield what is left; another loop goes on where one was left by ``break``."""
        if self._job is None:
            raise UsageError("open the stream first: with client.stream(...) as stream")
        while True:
            yield from self._pending
            self._pending = iter(self._take())
            if self._ended:
                return

    def close(self) -> None:
        """Cancel the source where it has not ended, and wait until it has let go; idempotent.

        The wait is two seconds at most.
        """
        if self._job is None or self._ended:
            return
        self._job.cancel()
        settle(self._inbox, lambda message: isinstance(message, _End))
        self._pending = iter(())
        self._ended = True
        self._inbox.put(_End(StreamClosedError("the stream was closed")))

    def _take(self) -> list[T]:
        """Return the next batch; an empty one at the end."""
        self._give_room()
        message = next_of(self._inbox)
        if isinstance(message, _End):
            self._ended = True
            self._inbox.put(message)  # whoever asks again, or waits too, learns the same
            if isinstance(message.error, StreamClosedError):
                leave_at_exit()
            if message.error is not None:
                raise message.error
            return []
        self._current = message
        return message.items

    def _give_room(self) -> None:
        """Count the batch that was used up, and wake the reader if it waits for that."""
        self._taken.items += len(self._current.items)
        self._taken.bytes += self._current.bytes
        self._current = _Batch()
        # Half a window at a time: each wake-up of the loop costs about as much as ten items.
        if self._room is not None and self._job is not None and not self._full(share=2):
            with suppress(RuntimeError):  # the loop has ended: the inbox says so
                self._job.loop.call_soon_threadsafe(self._resume)

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            async with self._source as items:
                self._inbox.put(_Batch())
                async for item in items:
                    self._add(item)
                    while self._full():
                        await self._wait_for_room()
        except Exception as failure:
            error = failure
        except BaseException:  # cancelled: by `close`, or by the loop's end
            error = StreamClosedError("the stream was closed")
        self._hand_over()
        self._inbox.put(_End(error))

    def _add(self, item: T) -> None:
        weight = self._weigh(item)
        self._read.items += 1
        self._read.bytes += weight
        self._batch.bytes += weight
        self._batch.items.append(item)
        if len(self._batch.items) == 1 and self._job is not None:
            self._job.loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._batch.items:
            batch, self._batch = self._batch, _Batch()
            self._inbox.put(batch)

    def _full(self, *, share: int = 1) -> bool:
        return (
            share * (self._read.items - self._taken.items) >= self._max_items
            or share * (self._read.bytes - self._taken.bytes) >= self._max_bytes
        )

    async def _wait_for_room(self) -> None:
        assert self._job is not None
        self._hand_over()
        self._room = self._job.loop.create_future()
        try:
            if self._full():  # asked again now that the thread can see that we wait
                await self._room
        finally:
            self._room = None

    def _resume(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class _Count:
    """Items and bytes so far; written by one thread."""

    __slots__ = ("bytes", "items")

    def __init__(self) -> None:
        self.items = 0
        self.bytes = 0


class _Batch(Generic[T]):
    """What is handed over at once."""

    __slots__ = ("bytes", "items")

    def __init__(self) -> None:
        self.items: list[T] = []
        self.bytes = 0


class _End:
    """The last message: how it ended."""

    __slots__ = ("error",)

    def __init__(self, error: Exception | None) -> None:
        self.error = error
