"""How one task cuts short what another one is doing, and nothing else of what that task does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self

from msgspec import Struct

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Interruptible", "interruptible"]


class Interruptible(Protocol):
    """A ``with`` block whose end `cancel` brings about; an `anyio.CancelScope` is one."""

    def cancel(self) -> None:
        """End the block where it waits; idempotent, and not for one that is over."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


def interruptible(loop: asyncio.AbstractEventLoop | None = None) -> Interruptible:
    """Return a block of the running task's; who knows its `loop` need not have it looked for."""
    try:
        task = asyncio.current_task(loop)
    except RuntimeError:  # trio
        task = None
    if task is not None:
        return _OfTask(task, task.cancelling())
    from anyio import CancelScope

    return CancelScope()


class _OfTask(Struct, eq=False):
    """A block in a task of asyncio, by the rules of `asyncio.timeout`.

    An `anyio.CancelScope` would do. It costs as much as a tenth of a short call.
    """

    task: asyncio.Task[Any]  # Any: whatever it returns
    cancelling: int
    """How many have asked for the task's end before."""
    cut: bool = False

    def cancel(self) -> None:
        if not self.cut and asyncio.current_task() is not self.task:
            self.cut = True
            self.task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not self.cut:
            return False
        return self.task.uncancel() <= self.cancelling and kind is asyncio.CancelledError
