"""The tool calls of one step: found, validated, approved, made at once within a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from anyio.to_thread import run_sync

from penstock.agents.events import LoopEvent, ToolProgressEvent, ToolResultEvent
from penstock.agents.tools import ToolError, ToolRequest, ToolResult, refusal
from penstock.errors import PenstockError, ToolCrashedError

if TYPE_CHECKING:
    from penstock.agents.history import History, Pending
    from penstock.agents.limits import LoopLimits
    from penstock.agents.spill import Fitted
    from penstock.agents.toolbox import Toolbox
    from penstock.agents.tools import Approve, BoundTool
    from penstock.response import ToolCall

__all__ = ["Calls"]

# Arguments of a call: JSON.
Json: TypeAlias = Any

_LEAVE = 0.08
"""Seconds that a cancelled call is waited for: who cancelled is free within 100 ms (fault matrix,
row 27). One that takes longer is left to the loop, which waits for it when it is closed."""
_SMALL = 16 * 1024
"""Characters of a result that is looked at on the loop, where it surely goes to no disk."""
_WIDEST = 4
"""Bytes of a character in UTF-8, at most."""
_INTERRUPTED = (
    "this call was interrupted before its result was known, and may or may not have taken effect; "
    "check before making it again"
)


class Calls:
    """The calls of one step, under way.

    Args:
        pending: The calls, in the order of their results.
        box: Their tools.
        history: Where their results go.
        step: The step's number.
        limits: The bounds.
        approve: Decides on each, or None.
        leaving: Takes what does not end when it is cancelled.
    """

    def __init__(
        self,
        pending: list[Pending],
        box: Toolbox,
        history: History,
        *,
        step: int,
        limits: LoopLimits,
        approve: Approve | None,
        leaving: set[asyncio.Task[Any]],  # Any: whatever a task gives
    ) -> None:
        self._box, self._history = box, history
        self._step, self._limits, self._approve = step, limits, approve
        self._leaving = leaving
        self._news = asyncio.Event()
        self._gate = asyncio.Semaphore(limits.concurrency)
        self._progress: dict[int, ToolProgressEvent] = {}
        self._pending = pending
        self._at = 0
        self._keeping: asyncio.Task[None] | None = None
        self._tasks = [asyncio.create_task(self._one(each)) for each in pending]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._news.set())

    async def read(self) -> list[LoopEvent]:
        """Return what has happened since: progress, and results in the order of the calls.

        Returns:
            The events; nothing when all results are there.

        Raises:
            ToolCrashedError: A tool crashed; the results that are there are kept.
            Exception: What the approval hook raised.
        """
        while self._at < len(self._tasks):
            self._news.clear()
            events: list[LoopEvent] = list(self._progress.values())
            self._progress.clear()
            events += await self._finished()
            if events:
                return events
            self._raise()
            await self._news.wait()
        return []

    async def aclose(self) -> None:
        """Cancel what is under way; results that are there are kept. Idempotent."""
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            try:
                _, stuck = await asyncio.wait(left, timeout=_LEAVE)
            except asyncio.CancelledError:
                self._leave(left)
                raise
            self._leave(stuck)
        await self._keep_rest()

    async def _keep_rest(self) -> None:
        """Keep the results that are there behind one that will not come."""
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
        for at in range(self._at, len(self._tasks)):
            if _gave(self._tasks[at]):
                (result, _, _), _ = self._tasks[at].result()
                call = self._pending[at].call
                await self._history.answer(call, result.content, is_error=result.is_error)
        self._at = len(self._tasks)

    def _leave(self, tasks: Any) -> None:  # Any: a list or a set of tasks
        for task in tasks:
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _finished(self) -> list[LoopEvent]:
        """Keep the results that are there, up to the first that is not."""
        events: list[LoopEvent] = []
        while self._at < len(self._tasks) and _gave(self._tasks[self._at]):
            pending = self._pending[self._at]
            (result, size, spilled), elapsed = self._tasks[self._at].result()
            self._at += 1
            answer = self._history.answer(pending.call, result.content, is_error=result.is_error)
            self._keeping = asyncio.create_task(answer)
            await asyncio.shield(self._keeping)  # what has run is kept, whoever is cancelled
            events.append(
                ToolResultEvent(
                    step=self._step,
                    call_id=pending.call.id,
                    name=pending.call.name,
                    content=result.content,
                    is_error=result.is_error,
                    size=size,
                    spilled=spilled,
                    elapsed=elapsed,
                )
            )
        return events

    def _raise(self) -> None:
        """Raise the first crash, of whichever call."""
        for pending, task in zip(self._pending, self._tasks, strict=True):
            if not task.done() or _gave(task):
                continue
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Exception) and not isinstance(error, _ToolFault):
                raise error  # penstock's own, or the approval hook's
            cause = error.__cause__ if error is not None else None
            what = f"{type(cause).__name__}: {cause}" if cause else "it cancelled itself"
            raise ToolCrashedError(
                f"the tool {pending.call.name!r} crashed: {what:.500}",
                code=pending.call.name,
            ) from cause

    async def _one(self, pending: Pending) -> tuple[Fitted, float]:
        clock = asyncio.get_running_loop().time
        async with self._gate:
            began = clock()
            result = await self._result(pending)
            return await self._fitted(pending.call.name, result), clock() - began

    async def _fitted(self, name: str, result: ToolResult) -> Fitted:
        fit, small = self._box.spill.fit, min(_SMALL, self._limits.max_result // _WIDEST)
        if isinstance(result.content, str) and len(result.content) <= small:
            return fit(result)
        try:
            return await run_sync(fit, result)
        except OSError as fault:
            raise ToolCrashedError(
                f"the result of {name!r} is too large for the model, and the whole cannot be "
                f"kept: {fault}",
                code=name,
            ) from fault

    async def _result(self, pending: Pending) -> ToolResult:
        call = pending.call
        tool = self._box.find(call.name)
        if tool is None:
            known = ", ".join(self._box.names()[:50]) or "none"
            return ToolResult(f"there is no tool {call.name!r:.100}; there are: {known}", True)
        if pending.begun and not tool.repeatable:
            return ToolResult(_INTERRUPTED, True)
        try:
            arguments = _arguments(call)
            refusal = await self._refusal(tool, pending, arguments)
            if refusal is not None:
                return ToolResult(f"this call was denied: {refusal}", True)
            await self._history.begin(pending.at)
            return await self._made(tool, call, arguments)
        except ToolError as failure:
            return ToolResult(
                f"Error: {failure}" if str(failure) else "Error: the tool failed", True
            )

    async def _refusal(self, tool: BoundTool, pending: Pending, arguments: Json) -> str | None:
        """Ask whether a call may be made; return why not."""
        if self._approve is None:
            return None
        request = ToolRequest(
            id=pending.call.id,
            name=pending.call.name,
            arguments=arguments,
            server=tool.server,
            hints=tool.hints,
            resumed=pending.begun,
        )
        return await refusal(self._approve, request)

    async def _made(self, tool: BoundTool, call: ToolCall, arguments: Json) -> ToolResult:
        limit = self._limits.tool_timeout
        now = asyncio.get_running_loop().time

        def progress(done: float, total: float | None, words: str | None) -> None:
            if limit is not None and not clock.expired():
                clock.reschedule(now() + limit)
            self._progress[id(call)] = ToolProgressEvent(
                step=self._step,
                call_id=call.id,
                name=call.name,
                progress=done,
                total=total,
                message=words,
            )
            self._news.set()

        clock = asyncio.timeout(limit)
        try:
            async with clock:
                return await tool.call(arguments, progress)
        except TimeoutError as error:
            if clock.expired():
                return ToolResult(
                    f"no result within {limit:g} seconds; the call was cancelled", True
                )
            raise _ToolFault from error
        except (ToolError, PenstockError):
            raise
        except (Exception, SystemExit) as error:  # which would end the loop, and whoever runs in it
            raise _ToolFault from error


class _ToolFault(Exception):
    """A tool raised what it did not announce: its cause."""


def _gave(task: asyncio.Task[Any]) -> bool:  # Any: whatever it gave
    return task.done() and not task.cancelled() and task.exception() is None


def _arguments(call: ToolCall) -> Json:
    """Return a call's arguments.

    Raises:
        ToolError: They are no JSON object.
    """
    if call.kind == "custom":
        return call.arguments
    if not call.arguments.strip():
        return {}
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise ToolError(f"the arguments are not valid JSON: {fault}") from None
    if not isinstance(arguments, dict):
        raise ToolError("the arguments must be a JSON object")
    return arguments
