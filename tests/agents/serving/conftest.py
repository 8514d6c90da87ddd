"""The SDK's client before the server, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from penstock.agents.serving import Desk
from penstock.agents.serving.server import make_server
from penstock.client import Client


@asynccontextmanager
async def talking(client: Client | None = None, **options: Any) -> AsyncIterator[Any]:
    """An SDK client of a server with these options of `Desk`."""
    import mcp

    async with (
        Desk(client or Client(), **options) as desk,
        mcp.Client(make_server(desk)) as session,
    ):
        yield session


def text(result: Any) -> str:
    """A result's text."""
    (content,) = result.content
    assert "text" == content.type
    return str(content.text)
