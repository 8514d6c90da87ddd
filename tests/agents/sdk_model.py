"""A model behind an MCP server that is made with the official SDK, as a user would make one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("sdk")


@server.tool()
async def complete(prompt: str, temperature: float = 1.0, ctx: Context | None = None) -> str:
    """Answer, tell how far it is, or wait until nobody does any more."""
    deed, _, rest = prompt.partition(":")
    if deed == "hang":
        try:
            await asyncio.sleep(3600)
        finally:
            Path(rest).write_text("cancelled")  # noqa: ASYNC240  # it is small
    if deed == "fail":
        raise ValueError("out of coal")
    if deed == "slowly" and ctx is not None:
        for done in range(12):
            await ctx.report_progress(done, 12, "at work")
            await asyncio.sleep(0.1)
    return f"{prompt} at {temperature}"


if __name__ == "__main__":
    server.run("stdio")
