"""``penstock mcp``: models as tools for MCP clients."""

from __future__ import annotations

import os
import sys

from penstock.agents.serving import Desk, leave_on_term, serve_http, serve_stdio
from penstock.cli.console import printed_at_once
from penstock.cli.pick import announce, pick
from penstock.cli.settings import configured
from penstock.errors import ConfigurationError

__all__ = ["run"]

TOKEN = "PENSTOCK_MCP_TOKEN"
"""The variable with what HTTP clients have to send."""


async def run(model: str | None, http: bool, host: str, port: int, concurrency: int) -> int:
    """Serve until the client, or the user, ends it."""
    picked = await pick(model)
    client = configured()
    client.locate(picked.model)  # a mistake is told now, not to the first caller
    async with Desk(client, model=picked.model, concurrency=concurrency) as desk:
        announce(picked)
        if http:
            token = os.environ.get(TOKEN) or None
            await serve_http(desk, host=host, port=port, token=token, ready=printed_at_once)
            return 0
        if sys.stdin.isatty():
            raise ConfigurationError(
                "an MCP client starts this command and speaks to it over stdin: put it into the "
                "client's configuration, or serve over HTTP with --http"
            )
        leave_on_term(desk)
        await serve_stdio(desk)
    return 0
