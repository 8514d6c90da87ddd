"""One run of an MCP server: a task that alone opens it, keeps it and closes it.

The SDK's client holds task groups, so it must be closed by the task that opened it. When the
connection is gone the task ends, and who waits for an answer is told.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock._version import VERSION
from penstock.agents.mcp.stdio import Ring
from penstock.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.agents.limits import LoopLimits
    from penstock.agents.mcp.server import MCPServer

__all__ = ["LostError", "Owner", "said"]

# The SDK's types: it is loaded with the first server.
SDK: TypeAlias = Any

_END = 8.0
"""Seconds for an owner to close: what a child's end may take, and a little (see `stdio`)."""


class LostError(Exception):
    """The connection ended before an answer.

    Args:
        unheard: Whether it is certain that the server did nothing.
    """

    def __init__(self, *, unheard: bool = False) -> None:
        super().__init__("the connection ended")
        self.unheard = unheard


class Owner:
    """One run of a server, from its start to its end.

    Args:
        server: Where it is.
        limits: Bounds of what it says, and of its start.
        heard: Told of what the server says unasked, and of what is no message.
        gone: Told when a child is gone.
    """

    def __init__(
        self,
        server: MCPServer,
        limits: LoopLimits,
        *,
        heard: Callable[[SDK], None],
        gone: Callable[[], None],
    ) -> None:
        self.client: SDK = None
        """The SDK's client, once the server has been reached."""
        self.forgotten = False
        """Whether the server knows no such session: what it was asked, it did not hear."""
        self.failed = False
        """Whether it has been counted as one that failed."""
        self._server, self._limits = server, limits
        self._on_heard, self._on_gone = heard, gone
        self._stop = asyncio.Event()
        self._stderr = Ring()
        self._over = False
        self._task: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        """Whether the server has been reached, and has not ended."""
        if self.client is None or self._task is None:
            return False
        return not (self._task.done() or self._over)

    @property
    def words(self) -> str:
        """The end of what a child said on stderr, also when it is gone."""
        return self._stderr.tail()

    async def open(self) -> None:
        """Reach the server.

        Raises:
            MissingExtraError: The SDK is not installed.
            TimeoutError: It took longer than ``start_timeout``.
            Exception: Whatever kept it from being reached.
        """
        await asyncio.to_thread(_load)
        if self._stop.is_set():
            raise ConnectionError("the connection was closed")
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[SDK] = loop.create_future()
        self._task = loop.create_task(self._own(ready), name=f"mcp {self._server.name}")
        self._task.add_done_callback(_seen)
        try:
            async with asyncio.timeout(self._limits.start_timeout):
                await asyncio.wait([self._task, ready], return_when=asyncio.FIRST_COMPLETED)
        except BaseException as error:
            self._cancel()
            if isinstance(error, TimeoutError):
                raise TimeoutError(
                    f"no answer within {self._limits.start_timeout} seconds"
                ) from None
            raise
        if not ready.done():
            if not self._task.cancelled():
                await self._task  # raises why
            raise ConnectionError("the connection was closed")
        self.client = ready.result()

    async def wait(self, waiting: Awaitable[SDK]) -> SDK:
        """Wait for an answer, or for the connection's end.

        Raises:
            LostError: It ended.
            Exception: What `waiting` raises.
        """
        work = asyncio.ensure_future(waiting)
        work.add_done_callback(_seen)  # nobody may look, where the connection ends first
        if self._task is None or self._stop.is_set():
            work.cancel()
            raise LostError(unheard=True)
        try:
            await asyncio.wait([work, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                work.cancel()
                # It tells the server that nobody waits any more, which takes a turn or two.
                await asyncio.wait([work], timeout=0.05)
        if work.cancelled() or not work.done():
            raise LostError()
        return work.result()

    def stop(self) -> None:
        """Begin to end the connection: at once where it is not open yet."""
        self._stop.set()
        if self.client is None:
            self._cancel()

    async def aclose(self) -> None:
        """End the connection, and a child with all that it started; idempotent."""
        self.stop()
        if self._task is None:
            return
        done, _ = await asyncio.wait([self._task], timeout=_END)
        if not done:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_END)

    def _cancel(self) -> None:
        """Cancel the task, once: a second time would cut short how it ends its child."""
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    async def _own(self, ready: asyncio.Future[SDK]) -> None:
        """Open the client, keep it until it is to end, and close it: all in this one task."""
        from mcp import Client
        from mcp_types import Implementation

        client = Client(
            self._transport(),
            mode=self._server.mode,
            client_info=Implementation(name="penstock", version=VERSION),
            message_handler=self._heard,
            cache=None,
        )
        try:
            async with client, AsyncExitStack() as stack:
                await _subscribe(client, stack)
                if not ready.done():
                    ready.set_result(client)
                await self._stop.wait()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    def _transport(self) -> SDK:
        max_read = self._limits.max_read
        if self._server.url is not None:
            from penstock.agents.mcp.http import http_transport

            return http_transport(self._server, max_read=max_read, forgotten=self._forget)
        from penstock.agents.mcp.stdio import stdio_transport

        return stdio_transport(
            self._server, max_read=max_read, stderr=self._stderr, ended=self._ended
        )

    async def _heard(self, message: SDK) -> None:
        self._on_heard(message)

    def _forget(self) -> None:
        self.forgotten = True

    def _ended(self) -> None:
        """Note that the child is gone: what is asked next would not be heard."""
        self._over = True
        self._on_gone()


def said(error: BaseException) -> str:
    """Return what an error is, in words: the first one of a group."""
    first = _first(error)
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__


async def _subscribe(client: SDK, stack: AsyncExitStack) -> None:
    """Ask to be told when the list of tools changes, where the protocol wants to be asked."""
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
    from mcp.shared.exceptions import MCPError

    if client.server_capabilities.tools is None:
        return
    with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
        await stack.enter_async_context(client.listen(tools_list_changed=True))


def _load() -> None:
    """Load the SDK, which takes a second or two, away from the loop."""
    try:
        import_module("mcp")
        import_module("jsonschema")  # the SDK loads it with the first result
    except ImportError as error:
        raise MissingExtraError(
            "MCP servers need the official package: pip install 'penstock[mcp]'"
        ) from error


def _seen(task: asyncio.Future[Any]) -> None:  # Any: whatever it gives
    """Look at how a task ended, as asyncio complains of errors that nobody looked at."""
    if not task.cancelled():
        task.exception()


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group; the SDK's task groups make groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
