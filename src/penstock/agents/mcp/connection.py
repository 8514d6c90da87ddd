"""One MCP server: calls from any task, over its run, and over another when that has ended.

What was asked when a server ended is asked once more only where it was not heard, or does no harm.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.mcp.content import result_of
from penstock.agents.mcp.owner import LostError, Owner, said
from penstock.agents.tools import OnProgress, ToolError, ToolResult
from penstock.errors import (
    LimitExceededError,
    PenstockError,
    StreamClosedError,
    ToolCrashedError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.agents.limits import LoopLimits
    from penstock.agents.mcp.server import MCPServer

__all__ = ["Connection", "UnansweredError"]

# The SDK's types: it is loaded with the first server.
SDK: TypeAlias = Any

_SETTLE = 5
"""Milliseconds for what a server said before an answer to be heard, when the answer is there."""
_PAGES = 1000


class UnansweredError(ToolError):
    """The server lives, and gives no result: its answer is an error of the protocol.

    Args:
        message: What it says, and who it is.
        code: JSON-RPC's code of it.
        data: What else it says.
    """

    def __init__(self, message: str, code: int = 0, data: SDK = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Connection:
    """A server that is started when it is needed, and again when it died.

    Args:
        server: Where it is.
        limits: Bounds of what it says.
    """

    def __init__(self, server: MCPServer, limits: LoopLimits) -> None:
        self.server = server
        """Where it is."""
        self.stale = True
        """Whether its tools are to be listed again."""
        self.on_garbled: Callable[[Exception], None] | None = None
        """Told of what comes and is no message."""
        self._limits = limits
        self._owner: Owner | None = None
        self._last: Owner | None = None
        self._runs: set[Owner] = set()
        self._closed = False
        self._lock = asyncio.Lock()
        self._failures = 0
        self._reached = False
        self._called = False

    @property
    def live(self) -> bool:
        """Whether the server has been reached, and has not ended."""
        return self._owner is not None and self._owner.live

    async def tools(self) -> list[SDK]:
        """Return what tools the server has now.

        Raises:
            ToolCrashedError: It cannot be reached, or says what it may not.
            LimitExceededError: They are too many, or their schemas too large.
            StreamClosedError: The connection was closed.
        """
        while True:
            owner = await self._ready()
            try:
                return await self._all_tools(owner)
            except LostError:
                self._count(owner)

    async def settle(self) -> None:
        """Hear what the server said before its last answer: that its tools are others, if it did.

        The SDK hands an answer over at once, and tells of a notification in tasks of its own, over
        HTTP from another stream; so one that came first is heard later.
        """
        called, self._called = self._called, False
        if not called:
            return
        for _ in range(_SETTLE):
            if not self.stale:
                await asyncio.sleep(0.001)  # whatever is there already has its turn

    async def _all_tools(self, owner: Owner) -> list[SDK]:
        found: list[SDK] = []
        size = 0
        self.stale = False  # before asking: what changes meanwhile is asked for again
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._listed(owner, cursor)
            for tool in page.tools:
                size += len(msgspec.json.encode(tool.input_schema))
                size += len(tool.name) + len(tool.description or "")
                found.append(tool)
            self._check("max_tools", self._limits.max_tools, len(found))
            self._check("max_schemas", self._limits.max_schemas, size)
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise self._crash("its list of tools has no end")

    async def call(
        self, name: str, arguments: SDK, progress: OnProgress, *, repeatable: bool
    ) -> ToolResult:
        """Call a tool, by the server's own name.

        A server that dies meanwhile is started again. What it was doing may be done or not: the
        call is made again where it is `repeatable`, else it is a failure that says so.

        Raises:
            ToolError: The server answers with an error, or died and is back.
            ToolCrashedError: It is gone, or what it says is no answer.
            StreamClosedError: The connection was closed.
        """
        self._called = True
        while True:
            owner = await self._ready()
            try:
                answer = await self._answered(owner, name, arguments, progress)
            except LostError as lost:
                self._count(owner)
                await self._ready()
                if repeatable or lost.unheard:
                    continue
                raise ToolError(
                    f"the server {self.server.name!r} ended before it answered, and was started "
                    "again; the call may or may not have taken effect"
                ) from None
            self._failures = 0
            owner.failed = False
            return result_of(answer)

    async def ask(
        self, name: str, arguments: SDK, progress: OnProgress, *, listed: bool = True
    ) -> SDK:
        """Call a tool once, for what may not be done twice, and return the server's own answer.

        A server that is gone is started by the next call.

        Args:
            name: The server's own name for the tool.
            arguments: A dict of them.
            progress: Told what the server says meanwhile.
            listed: Whether the server can list its tools; one that cannot promises no shape.

        Raises:
            UnansweredError: The server says that it has no result.
            TransportError: It ended before it answered.
            ToolCrashedError: It cannot be reached, or what it says is no answer.
            StreamClosedError: The connection was closed.
        """
        self._failures = 0  # every call has its own starts
        while True:
            owner = await self._ready()
            try:
                return await self._answered(owner, name, arguments, progress, listed=listed)
            except LostError as lost:
                self._count(owner)
                if not lost.unheard:
                    raise TransportError(
                        self._words("it ended before it answered"), code=self.server.name
                    ) from None

    async def renew(self, within: float) -> None:
        """End a server that answers nothing `within` so many seconds: it hangs."""
        owner = self._owner
        if owner is None or owner.client is None:
            return
        try:
            async with asyncio.timeout(within):
                await owner.wait(owner.client.list_tools())
        except (TimeoutError, LostError):
            await self._drop(owner)
        except Exception as error:  # an error is an answer, unless it is the connection's end
            if _is_closed(error):
                await self._drop(owner)

    def shut(self) -> None:
        """Begin nothing any more, and let what runs end; idempotent."""
        self._closed = True
        self._owner = None
        for owner in self._runs:
            owner.stop()

    async def aclose(self) -> None:
        """End the connection for good, and a child with all that it started; idempotent."""
        self.shut()
        await asyncio.gather(*(owner.aclose() for owner in self._runs))

    async def _end(self) -> None:
        """End the server's run, if there is one: another may follow."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.aclose()
            self._runs.discard(owner)

    async def _drop(self, owner: Owner) -> None:
        """End a connection that is of no use any more, unless that has been done."""
        async with self._lock:
            if self._owner is owner:
                await self._end()

    async def _ready(self) -> Owner:
        """Return the server's run, which is begun if there is none."""
        async with self._lock:
            if self._owner is not None and self._owner.live:
                return self._owner
            while True:
                await self._end()
                try:
                    return await self._start()
                except PenstockError:
                    raise
                except Exception as error:
                    if self._closed:
                        continue  # which is what ended it
                    # One that was never reached is a mistake, not bad luck.
                    self._failures += 1
                    if not self._reached or self._failures > self.server.restarts:
                        raise self._given_up(said(error)) from error
                await asyncio.sleep(min(0.05 * 2**self._failures, 2.0))

    async def _start(self) -> Owner:
        if self._closed:
            raise StreamClosedError(
                f"the MCP server {self.server.name!r} was closed before it answered"
            )
        if self._failures > self.server.restarts:
            raise self._given_up(f"it ended {self._failures} times in a row")
        owner = Owner(self.server, self._limits, heard=self._heard, gone=self._gone)
        self._owner = self._last = owner
        self._runs.add(owner)
        await owner.open()
        self._reached = True
        return owner

    def _count(self, owner: Owner) -> None:
        """Count a run that failed: once, however many calls it took with it."""
        self.stale = True
        self._failures += not owner.failed
        owner.failed = True

    def _heard(self, message: SDK) -> None:
        if isinstance(message, Exception) and self.on_garbled is not None:
            self.on_garbled(message)
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.stale = True

    def _gone(self) -> None:
        self.stale = True

    async def _listed(self, owner: Owner, cursor: str | None) -> SDK:
        try:
            async with asyncio.timeout(self._limits.start_timeout):
                return await owner.wait(owner.client.list_tools(cursor=cursor))
        except (LostError, PenstockError):
            raise
        except Exception as error:
            self.stale = True
            if _is_closed(error):
                await self._drop(owner)
                raise LostError(unheard=True) from None
            self._count(owner)
            raise self._crash(f"it does not list its tools: {said(error)}") from error

    async def _answered(
        self, owner: Owner, name: str, arguments: SDK, progress: OnProgress, *, listed: bool = True
    ) -> SDK:
        from mcp.shared.exceptions import MCPError

        async def on_progress(done: float, total: float | None, words: str | None) -> None:
            progress(done, total, words)

        client = owner.client
        call = client.call_tool if listed else partial(_call_unlisted, client)
        try:
            return await owner.wait(call(name, arguments, progress_callback=on_progress))
        except MCPError as error:
            if owner.forgotten:  # the server knows no such session: it was not heard
                await self._drop(owner)
                raise LostError(unheard=True) from None
            if _is_closed(error):
                await self._drop(owner)
                raise LostError() from None
            # The server lives, and says what is wrong: a failure, as its isError is.
            unsure = "; the call may or may not have taken effect" if _is_cut(error) else ""
            raise UnansweredError(
                f"the server {self.server.name!r} gives no result: {error.message}{unsure}",
                error.code,
                error.error.data,
            ) from None
        except (LostError, ToolError, PenstockError):
            raise
        except Exception as error:
            raise self._crash(f"its answer to {name!r} is none: {said(error)}") from error

    def _check(self, name: str, limit: int, reached: int) -> None:
        if reached > limit:
            raise LimitExceededError(
                f"the tools of {self.server.name!r} exceed LoopLimits.{name}: {reached} over "
                f"{limit}",
                phase=name,
                limit=limit,
                elapsed=reached,
            )

    def _given_up(self, why: str) -> ToolCrashedError:
        """Return an error that ends this run; the next one has starts of its own."""
        self._failures = 0
        return self._crash(why)

    def _crash(self, why: str) -> ToolCrashedError:
        return ToolCrashedError(self._words(why), code=self.server.name)

    def _words(self, why: str) -> str:
        words = f"the MCP server {self.server.name!r} is of no use: {why}"
        last = "" if self._last is None else self._last.words
        return f"{words}; it said: {last}" if last else words


async def _call_unlisted(client: SDK, name: str, arguments: SDK, *, progress_callback: SDK) -> SDK:
    """Call a tool without what the SDK's own call does besides: to list the tools."""
    from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

    request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
    return await client.session.send_request(
        request, CallToolResult, progress_callback=progress_callback
    )


def _is_closed(error: Exception) -> bool:
    """Return whether the SDK says that the connection has ended."""
    # The same code stands for one answer that broke off, over a connection that goes on.
    return _is_cut(error) and getattr(error, "message", "") == "Connection closed"


def _is_cut(error: Exception) -> bool:
    """Return whether the SDK says that an answer broke off."""
    from mcp_types import CONNECTION_CLOSED

    return getattr(error, "code", None) == CONNECTION_CLOSED
