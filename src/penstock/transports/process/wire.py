"""The output of one child: bytes as they come, and how they ended."""

from __future__ import annotations

import asyncio
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

from penstock.interfaces import Ending
from penstock.transports.process.backlog import Backlog
from penstock.transports.process.child import Child, said_of
from penstock.transports.process.warden import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Watch
    from penstock.transports.process.call import ProcessCall
    from penstock.transports.process.spool import Spool

__all__ = ["MAX_STDERR", "ProcessWire"]

MAX_STDERR = 64 * 1024
"""Bytes of stderr that are kept, its end (fault matrix, Bounds)."""
_ORPHANS = 0.25
"""Seconds that stdout may stay open after its child's end: a grandchild holds it."""
_WARDEN = -1
"""Stands among a child's open pipes for the shell that guards it."""
_EXCERPT = 4096
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence (ECMA-48 section 5.4): opencode writes them to a pipe, too."""


class ProcessWire:
    """One child: its output as bytes, and its end.

    Args:
        call: What it runs.
        spool: Where its output waits.
        child: The child, which is about to begin.
    """

    released = False
    """That is for `aclose` to see to."""

    status: int | None = None

    def __init__(self, call: ProcessCall, spool: Spool, child: Child) -> None:
        self.headers: Mapping[str, str] = {}
        self.on_end: Callable[[ProcessWire], None] = _ignore
        self._call = call
        self._child = child
        self._backlog = Backlog(spool, call.watch, call.timings, give_up=self.abort)
        self._stderr = bytearray()
        self._open_pipes = {1, 2}
        self._exited = False
        self._leave: Callable[[], None] | None = None
        self._feeding: asyncio.Task[None] | None = None

    # --- what the loop tells

    def missing(self) -> None:
        """Note that there is no child, and never will be."""
        self._settle()

    def begun(self, transport: asyncio.SubprocessTransport) -> None:
        """Take the child, and begin to feed it."""
        self._child.begun(transport)
        self._guard(transport.get_pid())
        self._call.timings.opened = self._call.watch.elapsed()
        if self._backlog.cut is not None:  # nobody wants it any more
            self._child.terminate()
        elif self._call.keep_open:
            self._call.watch.on_expire(self.abort)
        else:
            self._call.watch.on_expire(self.abort)
            self._call.watch.begin("idle")
            self._call.watch.begin("ttft")
            self._feeding = asyncio.ensure_future(self._child.feed(self._call))

    def _guard(self, pid: int) -> None:
        if sys.platform != "win32":
            gone = partial(self.pipe_closed, _WARDEN)
            self._leave = guard(pid, gone, scratch=self._call.scratch)
        if self._leave is not None:
            self._open_pipes.add(_WARDEN)

    def received(self, data: bytes) -> None:
        """Keep output, and wake its reader."""
        self._backlog.put(data)

    def complained(self, data: bytes) -> None:
        """Keep the end of stderr; it is a sign of life as well."""
        self._call.watch.received(len(data))
        self._stderr += data
        if len(self._stderr) > MAX_STDERR:
            del self._stderr[:-MAX_STDERR]

    def pipe_closed(self, fd: int) -> None:
        """Note that one of the pipes has ended."""
        if fd == 0:
            self._child.may_write.set()  # whoever waits to write finds it closed
        self._open_pipes.discard(fd)
        if self._exited and not self._open_pipes:
            self._settle()

    def exited(self) -> None:
        """Note that the child has; its pipes may have bytes yet, or a grandchild behind them."""
        self._exited = True
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
        if not self._open_pipes:
            self._settle()
        else:
            asyncio.get_running_loop().call_later(_ORPHANS, self._orphaned)

    def _orphaned(self) -> None:
        """Wait for no pipe that a grandchild holds; the warden, which was killed, is waited for."""
        self._open_pipes &= {_WARDEN}
        if not self._open_pipes:
            self._settle()

    def full(self) -> None:
        """Note that the child takes no more for now."""
        self._child.may_write.clear()

    def drained(self) -> None:
        """Note that it takes more."""
        self._child.may_write.set()

    # --- what the provider asks

    @property
    def pid(self) -> int | None:
        """The child's process id, which is its group's; None until it is there."""
        return self._child.pid

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        return self._backlog.ending

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._backlog.size

    @property
    def stderr(self) -> str:
        """The end of what the child said on stderr so far, without colours."""
        return _COLOUR.sub("", self._stderr[-_EXCERPT:].decode("utf-8", "replace"))

    async def read(self) -> bytes:
        """Return the next bytes; ``b""`` once the child has ended and all is read.

        Raises:
            PenstockError: The wire was aborted: a clock, a bound or the consumer.
        """
        return await self._backlog.read()

    def write(self, data: bytes) -> None:
        """Write to a stdin that was kept open, and wait for nothing; a child's end says its own."""
        pipe = self._child.stdin
        if pipe is not None:
            pipe.write(data)

    async def send(self, data: bytes, watch: Watch) -> None:
        """Write to a stdin that was kept open, as fast as it is read; `watch` has the clocks."""
        watch.begin("write")
        try:
            self.write(data)
            await self._child.may_write.wait()
            watch.sent(len(data))
        finally:
            watch.end("write")

    def abort(self, error: PenstockError | None = None) -> None:
        """End the child's group at once; a pending `read` raises `error`."""
        if self._backlog.over and error is None:
            return
        self._backlog.fail(error)
        self._child.end()

    async def aclose(self, *, reuse: bool = False) -> None:
        """Wait for the child's end; with `reuse` it may take its time, else it is ended."""
        if not self._backlog.over:
            self._child.end(patiently=reuse)
        self._backlog.mute()
        await self._child.ended.wait()

    def _settle(self) -> None:
        """Say how it ended: it has, and nothing of it is left."""
        if self._backlog.over:
            return
        if self._feeding is not None:
            self._feeding.cancel()
        code = self._child.bury()
        self._backlog.end(Ending(code == 0, said_of(code), exit_code=code, stderr=self.stderr))
        self._child.ended.set()
        self.on_end(self)


def _ignore(wire: ProcessWire) -> None:
    """Nobody asks for the end."""
