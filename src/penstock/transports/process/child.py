"""One child and the group that it leads: what it reads, and the steps of its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from penstock.transports.process.call import ProcessCall

__all__ = ["GRACE", "LINGER", "Child", "said_of"]

GRACE = 2.0
"""Seconds between the steps of ending a child (fault matrix, Bounds)."""
LINGER = 10.0
"""Seconds that a child may take to exit by itself once its answer is whole: it writes its session
then, and a runtime takes its time to come down on a busy machine."""
_SLICE = 64 * 1024
_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


class Child:
    """A child that is there, or in a moment.

    Args:
        grace: Seconds between the steps of ending it.
        linger: Seconds that it may take to exit by itself once its answer is whole.
    """

    def __init__(self, *, grace: float, linger: float) -> None:
        self.pid: int | None = None
        self.ended = asyncio.Event()
        """Set once it is gone, and all that was told of it is known."""
        self.may_write = asyncio.Event()
        """Clear while it takes no more of its stdin."""
        self.may_write.set()
        self._grace, self._linger = grace, linger
        self._transport: asyncio.SubprocessTransport | None = None
        self._ending: asyncio.Task[None] | None = None

    def begun(self, transport: asyncio.SubprocessTransport) -> None:
        """Note that it is there."""
        self._transport = transport
        self.pid = transport.get_pid()

    @property
    def stdin(self) -> asyncio.WriteTransport | None:
        """What it reads; None where it is not there yet, or takes nothing any more."""
        if self._transport is None:
            return None
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        return None if pipe is None or pipe.is_closing() else pipe

    async def feed(self, call: ProcessCall) -> None:
        """Write the prompt, as fast as the child takes it, and close its stdin behind it."""
        pipe = self.stdin
        if pipe is None:
            return
        watch, data = call.watch, memoryview(call.stdin)
        watch.begin("write")
        try:
            for start in range(0, len(data), _SLICE):
                pipe.write(data[start : start + _SLICE])
                await self.may_write.wait()
                if pipe.is_closing():  # it does not want the rest: its answer says why
                    return
                watch.sent(min(_SLICE, len(data) - start))
            call.timings.sent = watch.elapsed()
            call.timings.bytes_sent = len(data)
        finally:
            watch.end("write")
            pipe.close()
            call.stdin = b""

    def end(self, *, patiently: bool = False) -> None:
        """Take the steps of its end, unless they are being taken; `patiently` it may linger."""
        if self._ending is None:
            linger = self._linger if patiently else 0.0
            self._ending = asyncio.ensure_future(self._steps(linger))

    def terminate(self) -> None:
        """Ask its group to end, and do nothing more."""
        self._signal(signal.SIGTERM)

    def bury(self) -> int | None:
        """Leave nothing of it: it has exited. Returns its exit code; None if it was never there."""
        self._signal(_KILL)  # no orphan: what the child left behind goes with it
        if self._transport is None:
            return None
        code = self._transport.get_returncode()
        self._transport.close()
        return code

    async def _steps(self, linger: float) -> None:
        pipe = self.stdin
        if pipe is not None:
            pipe.close() if linger else pipe.abort()
            linger = linger or self._grace
        if linger and await self._gone_within(linger):
            return
        self._signal(signal.SIGTERM)
        if await self._gone_within(self._grace):
            return
        self._signal(_KILL)
        await self.ended.wait()

    async def _gone_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.ended.is_set()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group: its leader may be gone, and others there."""
        if self.pid is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                if self._transport is not None:
                    self._transport.terminate()
            else:
                os.killpg(self.pid, number)


def said_of(code: int | None) -> str:
    """Return how a child ended in words; ``""`` for one that did as it should."""
    if code is None:
        return "the child was never there"
    if code >= 0:
        return f"exit code {code}" if code else ""
    named = {each.value: each.name for each in signal.Signals}
    return f"ended by {named.get(-code, f'signal {-code}')}"
