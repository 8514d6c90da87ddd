"""One tool of an MCP server, under the name that the model knows it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.tools import OnProgress, ToolResult

if TYPE_CHECKING:
    from penstock.agents.mcp.connection import Connection

__all__ = ["ServerTool"]

# JSON, and the SDK's types, which are loaded with the first server.
Json: TypeAlias = Any


@dataclass(frozen=True)
class ServerTool:
    """A tool that a server has.

    Args:
        connection: The server.
        tool: The tool as the server lists it.
        name: What the model calls it.
    """

    connection: Connection
    tool: Json
    name: str

    @property
    def server(self) -> str:
        """The server's name."""
        return self.connection.server.name

    @property
    def schema(self) -> Mapping[str, Json]:
        """The tool in the OpenAI shape."""
        function: dict[str, Json] = {"name": self.name}
        if self.tool.description:
            function["description"] = self.tool.description
        function["parameters"] = self.tool.input_schema
        return {"type": "function", "function": function}

    @property
    def hints(self) -> Mapping[str, Json]:
        """What the server says of it, by the protocol's names."""
        said = self.tool.annotations
        if said is None:
            return {}
        return dict(said.model_dump(mode="json", by_alias=True, exclude_none=True))

    @property
    def repeatable(self) -> bool:
        """Whether a call that may have run already is made again."""
        server, said = self.connection.server, self.tool.annotations
        trusted = server.trust_hints and said is not None
        return self.tool.name in server.repeatable or (
            trusted and bool(said.read_only_hint or said.idempotent_hint)
        )

    async def call(self, arguments: Json, progress: OnProgress) -> ToolResult:
        """Call it; see `Connection.call`."""
        return await self.connection.call(
            self.tool.name, arguments, progress, repeatable=self.repeatable
        )
