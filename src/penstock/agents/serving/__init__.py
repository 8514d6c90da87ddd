"""penstock as an MCP server: models of any provider as tools, which is ``penstock mcp``.

======== ========================================================================================
module   what it has
======== ========================================================================================
offers   the tools: what they take, what they answer
desk     answers their calls over a client
sign_in  OpenAI's two ways in: the subscription of the Codex CLI, or a key
server   the official SDK's server, over stdio and over streamable HTTP
======== ========================================================================================

``python -m penstock.agents.serving`` is the server over stdio without the command line's extra.
"""

from __future__ import annotations

from penstock.agents.serving.desk import Desk
from penstock.agents.serving.server import leave_on_term, serve_http, serve_stdio

__all__ = ["Desk", "leave_on_term", "serve_http", "serve_stdio"]
