"""The tools of a loop under the names that the model knows, and the servers that have them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.functions import FunctionTool
from penstock.agents.mcp.server import has_server, server_of
from penstock.agents.spill import Spill
from penstock.errors import ConfigurationError, StreamClosedError

if TYPE_CHECKING:
    from penstock.agents.limits import LoopLimits
    from penstock.agents.mcp.connection import Connection
    from penstock.agents.mcp.server import MCPServer
    from penstock.agents.tools import BoundTool

__all__ = ["Toolbox", "sorted_tools"]

# A tool in the OpenAI shape, and the SDK's own types.
Json: TypeAlias = Any

_WRONG = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
"""OpenAI's and Anthropic's bound of a function's name, ``^[a-zA-Z0-9_-]{1,64}$``."""


def sorted_tools(tools: object) -> tuple[list[FunctionTool], list[MCPServer], list[Json]]:
    """Return a caller's tools by kind: functions, servers, and what the provider itself runs.

    Raises:
        ConfigurationError: An item is none of them, or two functions have one name.
    """
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise ConfigurationError("tools must be a list of callables, dicts and MCP servers")
    functions: list[FunctionTool] = []
    servers: list[MCPServer] = []
    hosted: list[Json] = []
    for at, tool in enumerate(tools):
        if isinstance(tool, FunctionTool):
            functions.append(tool)
        elif has_server(tool):
            servers.append(server_of(tool))
        elif _hosted(tool):
            hosted.append(tool)
        elif isinstance(tool, Mapping) or callable(tool):
            functions.append(FunctionTool.of(tool, at))
        else:
            raise ConfigurationError(
                f"tools[{at}] must be a callable, a dict, an MCPServer, a URL, or an object with a "
                f"name and a url, not {type(tool).__name__}"
            )
    names = [function.name for function in functions]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two tools are named {name!r}: rename one of the functions")
    return functions, servers, hosted


class Toolbox:
    """What a loop's calls find their tools in; runs of one loop share it.

    Args:
        functions: The tools that are Python.
        servers: The MCP servers.
        hosted: Tools that the provider runs, passed on as they are.
        limits: The bounds.
    """

    def __init__(
        self,
        functions: Iterable[FunctionTool],
        servers: Iterable[MCPServer],
        hosted: Iterable[Json],
        *,
        limits: LoopLimits,
    ) -> None:
        self.spill = Spill(limits)
        """Where results go that are too large."""
        self._hosted = list(hosted)
        self._functions: dict[str, BoundTool] = {tool.name: tool for tool in functions}
        self._servers = list(servers)
        self._limits = limits
        self._connections: list[Connection] = []
        self._tools: list[dict[str, BoundTool]] = []
        self._names: dict[tuple[int, str], str] = {}
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def schemas(self) -> list[Json]:
        """Every tool in the OpenAI shape."""
        return [*self._hosted, *(tool.schema for tool in self._all().values())]

    def find(self, name: str) -> BoundTool | None:
        """Return the tool that the model knows as `name`."""
        return self._all().get(name)

    def names(self) -> list[str]:
        """Return every tool's name."""
        return list(self._all())

    async def refresh(self) -> None:
        """Start the servers that do not run, and list the tools of those that have others now.

        Raises:
            ToolCrashedError: A server cannot be reached.
            LimitExceededError: It has too many tools.
            MissingCredentialsError: A pickle left out how to get in.
            MissingExtraError: There are servers, and no ``mcp`` package.
            StreamClosedError: The loop was closed.
        """
        self._refuse_closed()
        if not self._servers:
            return
        async with self._lock:
            self._refuse_closed()
            if not self._connections:
                from penstock.agents.mcp.connection import Connection

                for server in self._servers:
                    server.check()
                self._connections = [Connection(s, self._limits) for s in self._servers]
                self._tools = [{} for _ in self._servers]
            await asyncio.gather(*(each.settle() for each in self._connections))
            stale = [at for at, each in enumerate(self._connections) if each.stale]
            if stale:
                listed = await _all_or_first([self._connections[at].tools() for at in stale])
                for at, found in zip(stale, listed, strict=True):
                    self._tools[at] = self._named(at, found)

    async def aclose(self) -> None:
        """End the servers and remove the files, for good; idempotent."""
        self._closed = True
        for each in self._connections:
            each.shut()  # all of them, also where waiting for their ends is cancelled
        try:
            await asyncio.gather(*(each.aclose() for each in self._connections))
        finally:
            self.spill.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StreamClosedError("the tool loop was closed before this run had its answer")

    def _all(self) -> dict[str, BoundTool]:
        every = dict(self._functions)
        for tools in self._tools:
            every.update(tools)
        return every

    def _named(self, at: int, found: list[Json]) -> dict[str, BoundTool]:
        """Return a server's tools by names that are valid, unique, and kept once they are given."""
        from penstock.agents.mcp.tool import ServerTool

        connection = self._connections[at]
        wanted = connection.server.tools
        tools: dict[str, BoundTool] = {}
        for tool in found:
            if wanted is None or tool.name in wanted:
                name = self._names.get((at, tool.name)) or self._free(at, tool.name)
                self._names[at, tool.name] = name
                tools[name] = ServerTool(connection, tool, name)
        return tools

    def _free(self, at: int, name: str) -> str:
        """Return the tool's own name, with the server's before it where it is taken."""
        server = self._connections[at].server.name
        taken = {*self._functions, *self._names.values()}
        for number in range(1, len(taken) + 3):
            wanted = name if number == 1 else f"{server}_{name}"
            wanted = _valid(wanted if number < 3 else f"{wanted}_{number - 1}")
            if wanted not in taken:
                return wanted
        raise AssertionError("more names are taken than there are")


def _hosted(tool: object) -> bool:
    """Return whether a dict is a tool that the provider runs: it has a type that is not called."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    return isinstance(kind, str) and kind not in ("function", "custom") and "handler" not in tool  # type: ignore[operator]  # a Mapping, where it has a kind


def _valid(name: str) -> str:
    """Return `name` as a function's name: a long one ends in a hash."""
    clean = _WRONG.sub("_", name) or "tool"
    if len(clean) <= _LONGEST:
        return clean
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean[: _LONGEST - 9]}_{digest}"


async def _all_or_first(waiting: list[Any]) -> list[Any]:  # Any: lists of the SDK's tools
    """Wait for all; at the first error cancel the others, and raise it."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        return await asyncio.gather(*tasks)
    finally:
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
