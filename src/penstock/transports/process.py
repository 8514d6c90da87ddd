"""Stage 3 of 6, for agents on a pipe: a child process, its stdin, stdout and stderr.

The child leads a process group of its own, and the group is what is ended: command-line agents are
wrappers around native children and start shells and servers. The ending is that of the fault
matrix: close stdin, 2 s, TERM to the group, 2 s, KILL, wait. A child whose stdin was closed behind
its prompt has had the first of these long ago. One whose stdin ends amid a turn may work on to the
turn's end, so that `penstock.transports.warden` ends both where we are killed.

The pipes are read by callbacks of the loop, so that a slow consumer never stops them and a call
needs no task of its own; `penstock.transports.spool` is where the bytes wait.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from penstock.errors import (
    ConfigurationError,
    LimitExceededError,
    PenstockError,
    StreamClosedError,
    TransportError,
)
from penstock.interfaces import Ending
from penstock.response import Timings
from penstock.transports.spool import MAX_SPOOL, Spool
from penstock.transports.warden import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.interfaces import Watch
    from penstock.limits import Limits

__all__ = ["GRACE", "LINGER", "MAX_STDERR", "ProcessCall", "ProcessTransport", "ProcessWire"]

GRACE = 2.0
"""Seconds between the steps of ending a child (fault matrix, Bounds)."""
LINGER = 10.0
"""Seconds that a child may take to exit by itself once its answer is whole: it writes its session
then, and a runtime takes its time to come down on a busy machine."""
MAX_STDERR = 64 * 1024
"""Bytes of stderr that are kept, its end (fault matrix, Bounds)."""
_ORPHANS = 0.25
"""Seconds that stdout may stay open after its child's end: a grandchild holds it."""
_WARDEN = -1
"""Stands among a child's open pipes for the shell that guards it."""
_SLICE = 64 * 1024
_EXCERPT = 4096
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence (ECMA-48 section 5.4): opencode writes them to a pipe, too."""


@dataclass(slots=True, kw_only=True)
class ProcessCall:
    """One run of a child process, ready to be started."""

    argv: tuple[str, ...] = field(repr=False)
    """The program, and its arguments."""
    stdin: bytes = field(default=b"", repr=False)
    """What it reads; its stdin is closed behind it."""
    keep_open: bool = False
    """Whether its stdin stays open, for `ProcessWire.send`."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its whole environment: nothing of ours is added."""
    directory: str | None = None
    """Where it works; None is our own directory."""
    scratch: str | None = None
    """A folder that is not to outlive us where we are killed; it is the caller's else."""
    watch: Watch
    limits: Limits
    timings: Timings = field(default_factory=Timings)
    """Where the transport notes what happened when."""


class ProcessTransport:
    """Starts children, and sees every one of them to its end.

    Args:
        max_spool: Bytes of one child's output that may wait for their reader.
        grace: Seconds between the steps of ending a child.
        linger: Seconds that a child whose answer is whole may take to exit.
    """

    def __init__(
        self, *, max_spool: int = MAX_SPOOL, grace: float = GRACE, linger: float = LINGER
    ) -> None:
        self.grace = grace
        """Seconds between the steps of ending a child."""
        self._max_spool = max_spool
        self._linger = linger
        self._alive: set[ProcessWire] = set()

    async def open(self, call: ProcessCall) -> ProcessWire:
        """Start `call` and begin to feed it; its answer is read from the wire.

        Raises:
            ConfigurationError: There is no such program or directory, it may not be run, or its
                arguments and variables are longer than the system takes.
            TransportError: The system starts no more processes.
        """
        loop = asyncio.get_running_loop()
        spool = Spool(memory=call.limits.max_queue_bytes, limit=self._max_spool)
        wire = ProcessWire(call, spool, grace=self.grace, linger=self._linger)
        wire.on_end = self._alive.discard
        self._alive.add(wire)
        starting = asyncio.ensure_future(_start(loop, wire, call))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The child may be there by now, or in a moment: it is ended all the same.
            starting.add_done_callback(lambda done: wire.missing() if _failed(done) else None)
            wire.abort()
            raise
        except PenstockError:
            self._alive.discard(wire)
            raise
        return wire

    async def aclose(self) -> None:
        """End every child, and wait for those that are ending."""
        for wire in list(self._alive):
            wire.abort()
        for wire in list(self._alive):
            await wire.aclose()


async def _start(loop: asyncio.AbstractEventLoop, wire: ProcessWire, call: ProcessCall) -> None:
    new_group: dict[str, object] = {"start_new_session": True}
    if sys.platform == "win32":
        new_group = {"creationflags": 0x00000200}  # CREATE_NEW_PROCESS_GROUP
    try:
        await loop.subprocess_exec(
            lambda: _Pipes(wire),
            *call.argv,
            env=dict(call.environment),
            cwd=call.directory,
            **new_group,  # type: ignore[arg-type]  # of subprocess.Popen
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as exc:
        what = call.argv[0]
        if call.directory is not None and not _is_directory(call.directory):
            what = f"the directory {call.directory}"
        raise ConfigurationError(
            f"cannot start {what}: {exc.strerror}; install it, or name its place", code="not_found"
        ) from exc
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno == errno.E2BIG:
            raise ConfigurationError(f"cannot start {call.argv[0]}: {_longest(call)}") from exc
        raise TransportError(f"cannot start {call.argv[0]}: {exc}", peer_fault=False) from exc


def _longest(call: ProcessCall) -> str:
    """Say what is too long, and nothing that it holds but the name of an option."""
    named = {f"the variable {name}": value for name, value in call.environment.items()}
    for place, text in enumerate(call.argv):
        option = re.match(r"[\w.-]{1,80}(?==)", text)
        named[f"argument {place}" + (f" ({option[0]})" if option else "")] = text
    what, text = max(named.items(), key=lambda each: len(each[1]))
    total = sum(map(len, named.values()))
    return (
        f"its arguments and variables are longer than the system takes: {total} characters, of"
        f" which {what} has {len(text)}"
    )


def _is_directory(path: str) -> bool:
    return os.path.isdir(path)


def _failed(done: asyncio.Future[None]) -> bool:
    return done.cancelled() or done.exception() is not None


class _Pipes(asyncio.SubprocessProtocol):
    """What the loop tells of one child, passed on to its wire."""

    def __init__(self, wire: ProcessWire) -> None:
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.begun(cast("asyncio.SubprocessTransport", transport))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._wire.received(data) if fd == 1 else self._wire.complained(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._wire.pipe_closed(fd)

    def process_exited(self) -> None:
        self._wire.exited()

    def pause_writing(self) -> None:
        self._wire.may_write.clear()

    def resume_writing(self) -> None:
        self._wire.may_write.set()


class ProcessWire:
    """One child: its output as bytes, and its end.

    Args:
        call: What it runs.
        spool: Where its output waits.
        grace: Seconds between the steps of ending it.
        linger: Seconds that it may take to exit by itself once its answer is whole.
    """

    status: int | None = None

    def __init__(self, call: ProcessCall, spool: Spool, *, grace: float, linger: float) -> None:
        self.headers: Mapping[str, str] = {}
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.on_end: Callable[[ProcessWire], None] = _ignore
        self.pid: int | None = None
        self._call = call
        self._spool = spool
        self._grace, self._linger = grace, linger
        self._transport: asyncio.SubprocessTransport | None = None
        self._stderr = bytearray()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._ending: Ending | None = None
        self._open_pipes = {1, 2}
        self._error: PenstockError | None = None
        self._exited = self._muted = False
        self._leave: Callable[[], None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    # --- what the loop tells

    def missing(self) -> None:
        """Note that there is no child, and never will be."""
        self._settle()

    def begun(self, transport: asyncio.SubprocessTransport) -> None:
        """Take the child, and begin to feed it."""
        self._transport = transport
        self.pid = transport.get_pid()
        if sys.platform != "win32":
            self._leave = guard(
                self.pid, partial(self.pipe_closed, _WARDEN), scratch=self._call.scratch
            )
            if self._leave is not None:
                self._open_pipes.add(_WARDEN)
        self._call.timings.opened = self._call.watch.elapsed()
        if self._error is not None:  # nobody wants it any more
            self._signal(signal.SIGTERM)
        elif self._call.keep_open:
            self._call.watch.on_expire(self.abort)
        else:
            self._call.watch.on_expire(self.abort)
            self._call.watch.begin("idle")
            self._call.watch.begin("ttft")
            self._feeding = asyncio.ensure_future(self._feed())

    def received(self, data: bytes) -> None:
        """Keep output, and wake its reader."""
        if self._muted:
            return
        self._call.watch.received(len(data))
        timings = self._call.timings
        timings.bytes_received += len(data)
        if timings.first_byte is None:
            timings.first_byte = self._call.watch.elapsed()
        try:
            self._spool.put(data)
        except LimitExceededError as error:
            self.abort(error)
        except OSError as exc:
            self.abort(TransportError(f"a child's output cannot be kept: {exc}", peer_fault=False))
        self._news.set()

    def complained(self, data: bytes) -> None:
        """Keep the end of stderr; it is a sign of life as well."""
        self._call.watch.received(len(data))
        self._stderr += data
        if len(self._stderr) > MAX_STDERR:
            del self._stderr[:-MAX_STDERR]

    def pipe_closed(self, fd: int) -> None:
        """Note that one of the pipes has ended."""
        if fd == 0:
            self.may_write.set()  # whoever waits to write finds it closed
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

    # --- what the provider asks

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        return None if self._spool.size else self._ending

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        return self._spool.size

    @property
    def stderr(self) -> str:
        """The end of what the child said on stderr so far, without colours."""
        return _COLOUR.sub("", self._stderr[-_EXCERPT:].decode("utf-8", "replace"))

    async def read(self) -> bytes:
        """Return the next bytes; ``b""`` once the child has ended and all is read.

        Raises:
            PenstockError: The wire was aborted: a clock, a bound or the consumer.
        """
        while True:
            if self._error is not None:
                raise self._error
            if data := self._spool.take():
                return data
            if self._ending is not None:
                return b""
            self._news.clear()
            self._call.watch.asking()
            try:
                await self._news.wait()
            finally:
                self._call.watch.answered()

    def write(self, data: bytes) -> None:
        """Write to a stdin that was kept open, and wait for nothing; a child's end says its own."""
        pipe = self._stdin()
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    async def send(self, data: bytes, watch: Watch) -> None:
        """Write to a stdin that was kept open, as fast as it is read; `watch` has the clocks."""
        watch.begin("write")
        try:
            self.write(data)
            await self.may_write.wait()
            watch.sent(len(data))
        finally:
            watch.end("write")

    def abort(self, error: PenstockError | None = None) -> None:
        """End the child's group at once; a pending `read` raises `error`."""
        if self._ending is not None and error is None:
            return
        if self._error is None:
            self._error = error or StreamClosedError("the stream was closed")
        self._mute()
        self._news.set()
        self._end(linger=0.0)

    async def aclose(self, *, reuse: bool = False) -> None:
        """Wait for the child's end; with `reuse` it may take its time, else it is ended."""
        if self._ending is None:
            self._end(linger=self._linger if reuse else 0.0)
        self._mute()
        await self._ended.wait()

    # --- feeding and ending

    async def _feed(self) -> None:
        """Write the prompt, as fast as the child takes it, and close its stdin behind it."""
        pipe = self._stdin()
        if pipe is None:
            return
        watch, data = self._call.watch, memoryview(self._call.stdin)
        watch.begin("write")
        try:
            for start in range(0, len(data), _SLICE):
                pipe.write(data[start : start + _SLICE])
                await self.may_write.wait()
                if pipe.is_closing():  # it does not want the rest: its answer says why
                    return
                watch.sent(min(_SLICE, len(data) - start))
            self._call.timings.sent = watch.elapsed()
            self._call.timings.bytes_sent = len(data)
        finally:
            watch.end("write")
            pipe.close()
            self._call.stdin = b""

    def _stdin(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))

    def _mute(self) -> None:
        """Nobody reads on: what comes is not kept."""
        self._muted = True
        self._spool.clear()

    def _end(self, *, linger: float) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._ending_steps(linger))

    async def _ending_steps(self, linger: float) -> None:
        pipe = self._stdin()
        if pipe is not None and not pipe.is_closing():
            pipe.close() if linger else pipe.abort()
            linger = linger or self._grace
        if linger and await self._gone_within(linger):
            return
        self._signal(signal.SIGTERM)
        if await self._gone_within(self._grace):
            return
        self._signal(_KILL)
        await self._ended.wait()

    async def _gone_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        return self._ended.is_set()

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

    def _settle(self) -> None:
        """Say how it ended: it has, and nothing of it is left."""
        if self._ending is not None:
            return
        self._signal(_KILL)  # no orphan: what the child left behind goes with it
        code = None if self._transport is None else self._transport.get_returncode()
        if self._feeding is not None:
            self._feeding.cancel()
        if self._transport is not None:
            self._transport.close()
        detail = "" if code == 0 else _detail(code)
        self._ending = Ending(code == 0, detail, exit_code=code, stderr=self.stderr)
        self._news.set()
        self._ended.set()
        self.on_end(self)


_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def _ignore(wire: ProcessWire) -> None:
    """Nobody asks for the end."""


def _detail(code: int | None) -> str:
    if code is None:
        return "the child was never there"
    if code >= 0:
        return f"exit code {code}"
    named = {each.value: each.name for each in signal.Signals}
    return f"ended by {named.get(-code, f'signal {-code}')}"
