"""One MCP server: an owner task that alone opens and closes it, and calls from any other.

The SDK's client holds task groups, so it must be closed by the task that opened it. When the
connection is gone the owner ends, calls that wait are told, and the next one starts another.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock._version import VERSION
from penstock.agents.mcp.content import result_of
from penstock.agents.mcp.stdio import Ring
from penstock.agents.tools import OnProgress, ToolError, ToolResult
from penstock.errors import (
    LimitExceededError,
    MissingExtraError,
    PenstockError,
    ToolCrashedError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.agents.limits import LoopLimits
    from penstock.agents.mcp.server import MCPServer

__all__ = ["Connection", "UnansweredError"]

# The SDK's types: it is loaded with the first server.
SDK: TypeAlias = Any

_SETTLE = 5
"""Milliseconds for what a server said before an answer to be heard, when the answer is there."""
_END = 8.0
"""Seconds for an owner to close: what a child's end may take, and a little (see `stdio`)."""
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
        self._owner: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._client: SDK = None
        self._lock = asyncio.Lock()
        self._failures = 0
        self._called = False
        self._forgotten = False
        self._ended = False
        self._stderr = Ring()

    @property
    def live(self) -> bool:
        """Whether the server has been reached, and has not ended."""
        if self._client is None or self._owner is None:
            return False
        return not (self._owner.done() or self._ended)

    async def tools(self) -> list[SDK]:
        """Return what tools the server has now.

        Raises:
            ToolCrashedError: It cannot be reached, or says what it may not.
            LimitExceededError: They are too many, or their schemas too large.
        """
        while True:
            try:
                return await self._all_tools(await self._ready())
            except _LostError:
                self._failures += 1

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

    async def _all_tools(self, client: SDK) -> list[SDK]:
        found: list[SDK] = []
        size = 0
        self.stale = False  # before asking: what changes meanwhile is asked for again
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._listed(client, cursor)
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
        """
        self._called = True
        while True:
            client = await self._ready()
            try:
                answer = await self._answered(client, name, arguments, progress)
            except _LostError as lost:
                self._failures += 1
                self.stale = True
                await self._ready()
                if repeatable or lost.unheard:
                    continue
                raise ToolError(
                    f"the server {self.server.name!r} ended before it answered, and was started "
                    "again; the call may or may not have taken effect"
                ) from None
            self._failures = 0
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
        """
        self._failures = 0  # every call has its own starts
        while True:
            client = await self._ready()
            try:
                return await self._answered(client, name, arguments, progress, listed=listed)
            except _LostError as lost:
                self.stale = True
                self._failures += 1
                if not lost.unheard:
                    raise TransportError(
                        self._words("it ended before it answered"), code=self.server.name
                    ) from None

    async def renew(self, within: float) -> None:
        """End a server that answers nothing `within` so many seconds: it hangs."""
        client = self._client
        if client is None:
            return
        try:
            async with asyncio.timeout(within):
                await self._with(client.list_tools())
        except (TimeoutError, _LostError):
            await self._drop(client)
        except Exception as error:  # an error is an answer, unless it is the connection's end
            if _is_closed(error):
                await self._drop(client)

    async def aclose(self) -> None:
        """End the connection, and a child with all that it started; idempotent."""
        owner, self._owner, self._client = self._owner, None, None
        if owner is None:
            return
        self._stop.set()
        done, _ = await asyncio.wait([owner], timeout=_END)
        if not done:
            owner.cancel()
            await asyncio.wait([owner], timeout=_END)

    async def _drop(self, client: SDK) -> None:
        """End a connection that is of no use any more, unless that has been done."""
        async with self._lock:
            if self._client is client:
                await self.aclose()

    def _forget(self) -> None:
        self._forgotten = True

    def _end(self) -> None:
        """Note that the child is gone: what is asked next would not be heard."""
        self._ended = self.stale = True

    async def _ready(self) -> SDK:
        """Return the client, of a server that is started if there is none."""
        async with self._lock:
            if self.live:
                return self._client
            while True:
                await self.aclose()
                try:
                    return await self._start()
                except PenstockError:
                    raise
                except Exception as error:
                    # At the very first a server that does not start is a mistake, not bad luck.
                    self._failures += 1
                    if self._failures == 1 or self._failures > self.server.restarts:
                        raise self._crash(_said(error)) from error
                await asyncio.sleep(min(0.05 * 2**self._failures, 2.0))

    async def _start(self) -> SDK:
        if self._failures > self.server.restarts:
            raise self._crash(f"it ended {self._failures} times in a row")
        await asyncio.to_thread(_load)
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[SDK] = loop.create_future()
        self._stop = asyncio.Event()
        self._forgotten = self._ended = False
        self._stderr = Ring()
        self._owner = loop.create_task(self._own(ready, self._stop), name=f"mcp {self.server.name}")
        self._owner.add_done_callback(_seen)
        try:
            async with asyncio.timeout(self._limits.start_timeout):
                await asyncio.wait([self._owner, ready], return_when=asyncio.FIRST_COMPLETED)
        except BaseException as error:
            self._owner.cancel()
            if isinstance(error, TimeoutError):
                raise TimeoutError(
                    f"no answer within {self._limits.start_timeout} seconds"
                ) from None
            raise
        if not ready.done():
            await self._owner  # raises why
            raise ConnectionError("the connection was closed")
        self._client = ready.result()
        return self._client

    async def _own(self, ready: asyncio.Future[SDK], stop: asyncio.Event) -> None:
        """Open the client, keep it until `stop`, and close it: all in this one task."""
        from mcp import Client
        from mcp_types import Implementation

        client = Client(
            self._transport(),
            mode=self.server.mode,
            client_info=Implementation(name="penstock", version=VERSION),
            message_handler=self._heard,
            cache=None,
        )
        try:
            async with client, AsyncExitStack() as stack:
                await self._subscribe(client, stack)
                if not ready.done():
                    ready.set_result(client)
                await stop.wait()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    def _transport(self) -> SDK:
        if self.server.url is not None:
            from penstock.agents.mcp.http import http_transport

            return http_transport(
                self.server, max_read=self._limits.max_read, forgotten=self._forget
            )
        from penstock.agents.mcp.stdio import stdio_transport

        return stdio_transport(
            self.server, max_read=self._limits.max_read, stderr=self._stderr, ended=self._end
        )

    async def _subscribe(self, client: SDK, stack: AsyncExitStack) -> None:
        """Ask to be told when the list of tools changes, where the protocol wants to be asked."""
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        if client.server_capabilities.tools is None:
            return
        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            await stack.enter_async_context(client.listen(tools_list_changed=True))

    async def _heard(self, message: SDK) -> None:
        if isinstance(message, Exception) and self.on_garbled is not None:
            self.on_garbled(message)
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.stale = True

    async def _listed(self, client: SDK, cursor: str | None) -> SDK:
        try:
            async with asyncio.timeout(self._limits.start_timeout):
                return await self._with(client.list_tools(cursor=cursor))
        except (_LostError, PenstockError):
            raise
        except Exception as error:
            self.stale = True
            if _is_closed(error):
                await self._drop(client)
                raise _LostError(unheard=True) from None
            self._failures += 1
            raise self._crash(f"it does not list its tools: {_said(error)}") from error

    async def _answered(
        self, client: SDK, name: str, arguments: SDK, progress: OnProgress, *, listed: bool = True
    ) -> SDK:
        from mcp.shared.exceptions import MCPError

        async def on_progress(done: float, total: float | None, words: str | None) -> None:
            progress(done, total, words)

        call = client.call_tool if listed else partial(_call_unlisted, client)
        try:
            return await self._with(call(name, arguments, progress_callback=on_progress))
        except MCPError as error:
            if self._forgotten:  # the server knows no such session: it was not heard
                await self._drop(client)
                raise _LostError(unheard=True) from None
            if _is_closed(error):
                await self._drop(client)
                raise _LostError() from None
            # The server lives, and says what is wrong: a failure, as its isError is.
            unsure = "; the call may or may not have taken effect" if _is_cut(error) else ""
            raise UnansweredError(
                f"the server {self.server.name!r} gives no result: {error.message}{unsure}",
                error.code,
                error.error.data,
            ) from None
        except (_LostError, ToolError, PenstockError):
            raise
        except Exception as error:
            raise self._crash(f"its answer to {name!r} is none: {_said(error)}") from error

    async def _with(self, waiting: Awaitable[SDK]) -> SDK:
        """Wait for an answer, or for the connection's end."""
        owner = self._owner
        work = asyncio.ensure_future(waiting)
        if owner is None:
            work.cancel()
            raise _LostError(unheard=True)
        try:
            await asyncio.wait([work, owner], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                work.cancel()
                # It tells the server that nobody waits any more, which takes a turn or two.
                await asyncio.wait([work], timeout=0.05)
        if work.cancelled() or not work.done():
            raise _LostError()
        return work.result()

    def _check(self, name: str, limit: int, reached: int) -> None:
        if reached > limit:
            raise LimitExceededError(
                f"the tools of {self.server.name!r} exceed LoopLimits.{name}: {reached} over "
                f"{limit}",
                phase=name,
                limit=limit,
                elapsed=reached,
            )

    def _crash(self, why: str) -> ToolCrashedError:
        return ToolCrashedError(self._words(why), code=self.server.name)

    def _words(self, why: str) -> str:
        said = self._stderr.tail()
        words = f"the MCP server {self.server.name!r} is of no use: {why}"
        return f"{words}; it said: {said}" if said else words


class _LostError(Exception):
    """The connection ended before an answer.

    Args:
        unheard: Whether it is certain that the server did nothing.
    """

    def __init__(self, *, unheard: bool = False) -> None:
        super().__init__("the connection ended")
        self.unheard = unheard


def _load() -> None:
    """Load the SDK, which takes a second or two, away from the loop."""
    try:
        import_module("mcp")
        import_module("jsonschema")  # the SDK loads it with the first result
    except ImportError as error:
        raise MissingExtraError(
            "MCP servers need the official package: pip install 'penstock[mcp]'"
        ) from error


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


def _seen(owner: asyncio.Task[None]) -> None:
    """Look at how an owner ended, as asyncio complains of errors that nobody looked at."""
    if not owner.cancelled():
        owner.exception()


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group; the SDK's task groups make groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _said(error: BaseException) -> str:
    first = _first(error)
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__
