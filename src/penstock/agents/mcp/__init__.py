"""MCP servers as tools: configuration, connections that outlive a server's death, both transports.

=========== ====================================================================================
module      what it has
=========== ====================================================================================
server      `MCPServer`: where a server is and how it is reached
connection  one server's owner task: it alone opens and closes the official SDK's client
stdio       the transport to a child process: lines of bounded length, an end that leaves nothing
http        the transport over streamable HTTP, with bounds on what is read
content     what a server's result says, in the OpenAI shape
=========== ====================================================================================

The official ``mcp`` package (extra ``mcp``) has the protocol; it is loaded with the first server.
"""

from __future__ import annotations

from penstock.agents.mcp.server import MCPServer

__all__ = ["MCPServer"]
