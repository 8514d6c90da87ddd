"""The transport to an MCP server that is a child process.

The SDK's own one puts no bound on a line, and reads it in time that grows with its square; this
one has a bound (fault matrix: MCP results), keeps what the child said on stderr, and ends the
child's whole process group.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, Process

    from penstock.agents.mcp.server import MCPServer

__all__ = ["NO_JSON", "TOO_LONG", "Garbled", "Ring", "stdio_transport"]

TOO_LONG = "penstock: too long"
NO_JSON = "penstock: no JSON"
"""What the error that stands in the place of an answer says in its ``data``, before a line break
and the beginning of what came."""

_GRACE = 2.0
"""Seconds between closing stdin, TERM and KILL (fault matrix, "child process")."""
_READ = 64 * 1024
_HEAD = 4096
"""How much of a line that is too long is kept, to find out whose answer it is."""
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_ID = re.compile(rb'"id"\s*:\s*(\d+)')
_EXCERPT = 512


class Garbled(ValueError):
    """A line on stdout that is no message, and does not say whose answer it might be.

    Args:
        message: What it is.
        line: How it begins.
    """

    def __init__(self, message: str, line: str = "") -> None:
        super().__init__(message)
        self.line = line


class Ring:
    """The last bytes of what a child says on stderr.

    Args:
        size: How many.
    """

    def __init__(self, size: int = 64 * 1024) -> None:
        self._size = size
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Keep `data`, and forget what it pushes out."""
        self._data += data
        del self._data[: -self._size]

    def tail(self, length: int = 512) -> str:
        """Return the last `length` bytes as text."""
        return bytes(self._data[-length:]).decode("utf-8", "replace").strip()


@asynccontextmanager
async def stdio_transport(
    server: MCPServer, *, max_read: int, stderr: Ring, ended: Callable[[], None]
) -> AsyncGenerator[tuple[Any, Any], None]:  # Any: streams as the SDK's client takes them
    """Run a server's command, and end it with everything that it started.

    Args:
        server: What is run.
        max_read: Bytes of a line.
        stderr: Takes what the child says there.
        ended: Called when the child says nothing any more: it is gone, or closed its stdout.

    Raises:
        OSError: There is no such program, or no such folder.
    """
    from mcp.client.stdio import get_default_environment

    process = await anyio.open_process(
        list(server.command),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=get_default_environment() | dict(server.env),
        cwd=server.cwd,
        start_new_session=True,
    )
    # No await until the finally below is reached: a child must not outlive a cancellation.
    incoming, reader = anyio.create_memory_object_stream[Any](0)
    writer, outgoing = anyio.create_memory_object_stream[Any](0)
    async with anyio.create_task_group() as tasks:
        assert process.stdout is not None
        assert process.stderr is not None
        tasks.start_soon(_read, process.stdout, incoming, max_read, ended)
        tasks.start_soon(_listen, process.stderr, stderr)
        tasks.start_soon(_write, process, outgoing, incoming)
        try:
            yield reader, writer
        finally:
            with anyio.CancelScope(shield=True):
                for stream in (reader, writer, outgoing):
                    await stream.aclose()
                await _end(process)
            tasks.cancel_scope.cancel()
    incoming.close()


async def _read(
    source: ByteReceiveStream, incoming: Any, max_read: int, ended: Callable[[], None]
) -> None:
    """Hand on the child's lines; after the session's end read on, so that the child can end."""
    lines = _Lines(max_read)
    async with incoming:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                for message in lines.feed(await source.receive(_READ)):
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                        await incoming.send(message)
        ended()


async def _listen(source: ByteReceiveStream, ring: Ring) -> None:
    with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        while True:
            ring.add(await source.receive(_READ))


async def _write(process: Process, outgoing: Any, incoming: Any) -> None:
    assert process.stdin is not None
    try:
        async with outgoing:
            async for sent in outgoing:
                text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(text.encode() + b"\n")
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        # It takes nothing any more: the session learns that the connection has ended.
        await incoming.aclose()


class _Lines:
    """Cuts what a child says into messages of the SDK.

    Args:
        max_read: Bytes of a line; of a longer one only the beginning is kept.
    """

    def __init__(self, max_read: int) -> None:
        self._max_read = max_read
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Any]:
        """Return the messages that `data` completes."""
        messages = []
        *ends, rest = data.split(b"\n")
        for piece in ends:
            self._keep(piece)
            message = self._message()
            if message is not None:
                messages.append(message)
            self._pieces, self._size = [], 0
        self._keep(rest)
        return messages

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._size += len(piece)
            self._pieces.append(piece)
        if self._size > self._max_read and len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)[:_HEAD]]

    def _message(self) -> Any:
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        line = b"".join(self._pieces)
        if self._size > self._max_read:
            return _refusal(line, TOO_LONG, f"the answer exceeds {self._max_read} bytes")
        if not line.strip():
            return None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            return _refusal(line, NO_JSON, "what it wrote on stdout is no JSON-RPC message")


def _refusal(line: bytes, why: str, words: str) -> Any:
    """Return the error that stands in the place of an answer that cannot be taken."""
    from mcp.shared.message import SessionMessage
    from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError

    start = line[:_EXCERPT].decode("utf-8", "replace")
    found = _ID.search(line[:_HEAD]) if line.lstrip().startswith(b"{") else None
    if found is None:
        return Garbled(words, start)
    error = ErrorData(code=INTERNAL_ERROR, message=words, data=f"{why}\n{start}")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


async def _end(process: Process) -> None:
    """End a child and its group; at once where the task is cancelled over anyio's shield."""
    try:
        await _end_gently(process)
    finally:
        _signal(process, _KILL)  # what it started and left
        # Not `process.aclose()`: on asyncio it waits for the pipes' end, and what left the group
        # may hold them. The transport that asyncio has behind them is closed as the SDK closes it.
        transport = getattr(getattr(process, "_process", None), "_transport", None)
        close = getattr(transport, "close", None)
        if callable(close):
            with suppress(PermissionError):
                close()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                await pipe.aclose()


async def _end_gently(process: Process) -> None:
    """Close stdin, wait, TERM, wait, KILL."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    for number in (signal.SIGTERM, _KILL):
        if await _ended(process):
            return
        _signal(process, number)
    await _ended(process)


async def _ended(process: Process) -> bool:
    """Wait for a child's end; not for its pipes', which a grandchild may hold."""
    step = 0.002
    with anyio.move_on_after(_GRACE):
        while process.returncode is None:
            await anyio.sleep(step)
            step = min(2 * step, 0.05)
    return process.returncode is not None


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)  # it leads a group of its own
        else:
            process.kill()
