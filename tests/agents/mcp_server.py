"""An MCP server of the official SDK, for both transports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer


def made() -> MCPServer:  # noqa: C901  # a list of tools
    """Return the server."""
    server = MCPServer("tests")

    @server.tool()
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    @server.tool()
    def fail(why: str) -> str:
        """Fail."""
        raise ValueError(why)

    @server.tool()
    async def hang(path: str = "") -> str:
        """Wait for ever; say in a file when it was cancelled."""
        try:
            await asyncio.sleep(3600)
        finally:
            if path:
                Path(path).write_text("cancelled")  # noqa: ASYNC240  # it is small
        return ""

    @server.tool()
    def big(size: int) -> str:
        """Return a long text."""
        return "x" * size

    @server.tool()
    def die() -> str:
        """End the process."""
        os._exit(3)

    @server.tool()
    def pid() -> str:
        """Return the process and a child of it that outlives its stdin."""
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL
        )
        return f"{os.getpid()} {child.pid}"

    @server.tool()
    def environment() -> str:
        """Return the names of the environment's variables."""
        return " ".join(sorted(os.environ))

    @server.tool()
    async def slow(ctx: Context) -> str:
        """Say how far it is."""
        for done in range(3):
            await ctx.report_progress(done, 3, f"step {done}")
            await asyncio.sleep(0.02)
        return "done"

    @server.tool()
    async def stuck(ctx: Context) -> str:
        """Say that it has begun, and wait for ever."""
        await ctx.report_progress(1, 2, "begun")
        await asyncio.sleep(3600)
        return ""

    @server.tool()
    async def grow(ctx: Context) -> str:
        """Have another tool from now on."""

        def later() -> str:
            """Be new."""
            return "new"

        server.add_tool(later)
        # What a server of the protocol before 2026 says, and what one of that year does.
        await ctx.session.send_tool_list_changed()
        await ctx.notify_tools_changed()
        return "grown"

    return server


if __name__ == "__main__":
    made().run("stdio")
