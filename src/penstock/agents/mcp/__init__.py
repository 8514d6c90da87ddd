"""MCP servers as tools and as models, over both transports and across a server's death.

=========== ====================================================================================
module      what it has
=========== ====================================================================================
server      `MCPServer`: where a server is and how it is reached
connection  one server's owner task: it alone opens and closes the official SDK's client
stdio       the transport to a child process: lines of bounded length, an end that leaves nothing
http        the transport over streamable HTTP, with bounds on what is read
content     what a server's result says, in the OpenAI shape
model       `ModelOverMCP`: a model behind a server, as a provider
calling     one call of such a model: its task, its clocks
asking      a chat as a tool's arguments
answering   a tool's result as an answer, or as the error that it is
=========== ====================================================================================

The official ``mcp`` package (extra ``mcp``) has the protocol; it is loaded with the first server.
"""

from __future__ import annotations

from penstock.agents.mcp.model import MODEL_TIMEOUTS, ModelOverMCP
from penstock.agents.mcp.server import MCPServer

__all__ = ["MODEL_TIMEOUTS", "MCPServer", "ModelOverMCP"]
