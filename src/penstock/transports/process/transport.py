"""Children: each is started, and seen to its end."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import sys
from typing import TYPE_CHECKING, cast

from penstock.errors import ConfigurationError, PenstockError, TransportError
from penstock.transports.process.child import GRACE, LINGER, Child
from penstock.transports.process.spool import MAX_SPOOL, Spool
from penstock.transports.process.wire import ProcessWire

if TYPE_CHECKING:
    from penstock.transports.process.call import ProcessCall

__all__ = ["ProcessTransport"]


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
        wire = ProcessWire(call, spool, Child(grace=self.grace, linger=self._linger))
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
    except (OSError, ValueError) as exc:
        raise _not_started(call, exc) from exc


def _not_started(call: ProcessCall, exc: OSError | ValueError) -> PenstockError:
    what = call.argv[0]
    if isinstance(exc, (FileNotFoundError, NotADirectoryError, PermissionError)):
        if call.directory is not None and not os.path.isdir(call.directory):
            what = f"the directory {call.directory}"
        return ConfigurationError(
            f"cannot start {what}: {exc.strerror}; install it, or name its place", code="not_found"
        )
    if isinstance(exc, OSError) and exc.errno == errno.E2BIG:
        return ConfigurationError(f"cannot start {what}: {_longest(call)}")
    return TransportError(f"cannot start {what}: {exc}", peer_fault=False)


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
        self._wire.full()

    def resume_writing(self) -> None:
        self._wire.drained()
