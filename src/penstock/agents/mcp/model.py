"""A model behind an MCP server, as a provider.

The server has a tool that takes a prompt and gives an answer; `penstock mcp` is such a server, and
so are hillstar's. Calls run at once over one session, each found again by its id. A server that
died or hangs is started again by the call that comes after: what it was asked before is not asked
twice, as answers cost money.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast
from weakref import WeakKeyDictionary

from penstock.agents.cli.surroundings import secrets_in
from penstock.agents.limits import LoopLimits
from penstock.agents.mcp.answering import chunks_of, unanswered
from penstock.agents.mcp.asking import USUAL, ModelTool, model_tool
from penstock.agents.mcp.calling import Calling
from penstock.errors import (
    ConnectError,
    PenstockError,
    ProtocolError,
    StreamClosedError,
    ToolCrashedError,
)
from penstock.interfaces import CallRecord
from penstock.limits import Limits, Timeouts
from penstock.pipeline.stream import BatchStream
from penstock.providers.blame import Blame
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from penstock.agents.mcp.connection import Connection
    from penstock.agents.mcp.server import MCPServer
    from penstock.chunks import Chunk
    from penstock.interfaces import Stream
    from penstock.request import ChatRequest, ItemT, Request

__all__ = ["MODEL_TIMEOUTS", "ModelOverMCP"]

# Conversations, and the SDK's types.
Json: TypeAlias = Any

MODEL_TIMEOUTS = Timeouts(total=600.0, response=None, ttft=None, idle=None, progress=None)
"""A call's clocks in seconds: ``total`` is hillstar's; the others can be set, and every message
about the call is a sign of life."""
_PROBE = 2.0
"""Seconds in which a server that let a call's clock run out has to show that it lives."""


class ModelOverMCP:
    """A `penstock.interfaces.Provider` over one MCP server.

    It pickles: what it is told, not the server that it has. Every event loop has a server of its
    own, and so has a forked process.

    Args:
        server: The command or URL of the server.
        model: The model of requests that name none, in the server's words.
        tool: The tool that is the model; by default ``chat``, ``execute_task``, or the only one
            that takes a text.
        name: What the provider is called; by default the server's name.
        timeouts: Clocks that differ from `MODEL_TIMEOUTS`.
        limits: Bounds of what the server says: ``max_read`` (16 MiB) for an answer,
            ``start_timeout`` (30 s) for its start.
    """

    def __init__(
        self,
        server: MCPServer,
        *,
        model: str | None = None,
        tool: str | None = None,
        name: str = "",
        timeouts: Timeouts | None = None,
        limits: LoopLimits | None = None,
    ) -> None:
        self.server = server
        """Where the model is."""
        self.name = name or server.name
        """What the provider is called."""
        self._model = model
        self._wanted = tool
        self._timeouts = MODEL_TIMEOUTS.override(timeouts)
        self._limits = limits or LoopLimits()
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"ModelOverMCP({self.name})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lines"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lines=WeakKeyDictionary())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Ask; return when the first content is in hand.

        Raises:
            ConnectError: The server cannot be started or reached.
            TransportError: It ended before it answered.
            ProtocolError: What it wrote is no answer.
            PenstockError: There is no answer, or it is an error.
        """
        chat = cast("ChatRequest", request)  # the only kind of request that models answer
        record = self._record(chat)
        env = secrets_in(self.server.env) + secrets_in(self.server.headers)
        blame = Blame(record, env, partial(_texts, chat.messages))
        watch = Watchdog(self._timeouts.override(request.timeouts), limits=Limits())
        calling = Calling(watch, record.timings, blame, max_held=self._limits.max_read)
        calling.begin(self._call(chat, record, calling))
        stream: BatchStream[Chunk] = BatchStream(calling, record)
        record.buffered = calling.buffered
        try:
            await stream.prime(lambda chunk: chunk.content)
        except BaseException as error:
            if isinstance(error, Exception):  # a cancelled caller is free at once
                await stream.aclose()
            raise
        return cast("Stream[ItemT]", stream)

    async def aclose(self) -> None:
        """End the server of the running loop, with all that it started; idempotent.

        Calls that wait for it get `penstock.errors.StreamClosedError`.
        """
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            line.abort()
            await line.connection.aclose()

    async def _call(
        self, request: ChatRequest, record: CallRecord, calling: Calling
    ) -> list[Chunk]:
        """Ask the server, and return the chunks of its answer."""
        from penstock.agents.mcp.connection import UnansweredError

        line, place = self._line(), self.name
        await line.ready()
        with line.waiting(calling):
            try:
                tool = await line.tool(self._wanted)
                place = f"{self.name}/{tool.name}"
                arguments = await tool.arguments(request, record.wire_model, dropped=record.dropped)
                result = await line.connection.ask(
                    tool.name, arguments, calling.progress, listed=line.listed
                )
            except UnansweredError as error:
                raise unanswered(error, place=place) from None
            except ToolCrashedError as error:
                raise _of_use(error, calling, live=line.connection.live) from error.__cause__
        return chunks_of(result, streamed=calling.streamed, place=place)

    def _line(self) -> _Line:
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            from penstock.agents.mcp.connection import Connection

            self._lines[loop] = _Line(Connection(self.server, self._limits))
        return self._lines[loop]

    def _record(self, request: ChatRequest) -> CallRecord:
        prefix, _, rest = request.model.partition("/")
        named = rest if prefix == self.name else "" if request.model == self.name else request.model
        return CallRecord(
            model=request.model,
            provider=self.name,
            deployment=self.name,
            wire_model=named or self._model or "",
            dialect="mcp",
            origin=self.server.url or f"process://{self.name}",
            metadata=request.metadata,
        )


class _Line:
    """One loop's connection to the server, and who waits for it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._tool: ModelTool | None = None
        self._waiting: set[Calling] = set()
        self._suspect = False
        self.listed = True
        """Whether the server can list its tools."""
        connection.on_garbled = self._garbled

    def abort(self) -> None:
        """Tell all who wait that the provider is closed."""
        for calling in list(self._waiting):
            calling.abort(StreamClosedError("the provider was closed"))

    async def ready(self) -> None:
        """Begin anew with a server that let a clock run out and does not answer any more."""
        if self._suspect:
            self._suspect = False
            await self.connection.renew(_PROBE)

    @contextmanager
    def waiting(self, calling: Calling) -> Iterator[None]:
        """While `calling` waits for the server."""
        self._waiting.add(calling)
        try:
            yield
        finally:
            self._waiting.discard(calling)
            self._suspect = self._suspect or calling.expired

    async def tool(self, wanted: str | None) -> ModelTool:
        """Return the tool that is the model; a server that lists none has the usual one."""
        if self._tool is None or self.connection.stale:
            try:
                listed = await self.connection.tools()
            except ToolCrashedError as error:
                if not _is_unlisted(error):
                    raise
                self.connection.stale = self.listed = False
                self._tool = ModelTool(wanted or USUAL[1], frozenset({"prompt", "model"}))
            else:
                self._tool = model_tool(listed, wanted, self.connection.server.name)
        return self._tool

    def _garbled(self, fault: Exception) -> None:
        line = getattr(fault, "line", "")
        alone = len(self._waiting) == 1 and self.connection.live
        for calling in self._waiting:
            calling.garbled(line, alone=alone)


def _of_use(error: ToolCrashedError, calling: Calling, *, live: bool) -> PenstockError:
    """Return what it means for a call that the server is of no use."""
    if live:
        return ProtocolError(error.message, code=error.code)
    if calling.noise is not None:  # it talks, and not in the protocol's words
        words = f"{error.message}; it wrote what is no message: {calling.noise[:80]!r}"
        return ProtocolError(words, code=error.code, body=calling.noise)
    return ConnectError(error.message, code=error.code)


def _is_unlisted(error: PenstockError) -> bool:
    """Return whether a server says that it has no such method as ``tools/list``."""
    from mcp_types import METHOD_NOT_FOUND

    return getattr(error.__cause__, "code", None) == METHOD_NOT_FOUND


def _texts(messages: Json) -> Iterator[str]:
    """The conversation's texts, which may appear in no error, as far as they are in memory."""
    if isinstance(messages, str):
        yield messages
    elif isinstance(messages, (list, tuple)):
        for message in messages:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str):
                yield content
