"""The official SDK's server around a `Desk`, over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock._version import VERSION
from penstock.agents.serving.offers import OFFERS, failed
from penstock.errors import ConfigurationError, InternalError, MissingExtraError, PenstockError

if TYPE_CHECKING:
    from penstock.agents.serving.desk import Answered, Desk, Say

__all__ = ["leave_on_term", "make_server", "serve_http", "serve_stdio"]

_log = logging.getLogger("penstock.agents")

# The SDK's types, ASGI's, and uvicorn's: all are loaded with the server.
SDK: TypeAlias = Any

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_INSTRUCTIONS = (
    "The tool chat asks a language model of any provider; models lists what there is. Models are"
    " named provider/model; sim/echo is a simulator's, and needs no key."
)


def make_server(desk: Desk) -> SDK:
    """Return an ``mcp.server.lowlevel.Server`` whose tools `desk` answers.

    Raises:
        MissingExtraError: There is no ``mcp`` package.
    """
    _load()
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

    tools = [Tool(**offer) for offer in OFFERS]

    async def list_tools(_context: SDK, _params: SDK) -> SDK:
        return ListToolsResult(tools=tools)

    async def call_tool(context: SDK, params: SDK) -> SDK:
        async def say(done: int, words: str) -> None:
            await context.session.report_progress(float(done), None, words)

        try:
            text, facts = await _answered(desk, params, say)
        except PenstockError as error:
            said = TextContent(type="text", text=f"{error.kind}: {error.message}")
            return CallToolResult(content=[said], structured_content=failed(error), is_error=True)
        said = TextContent(type="text", text=text)
        return CallToolResult(content=[said], structured_content=facts)

    return Server(
        "penstock",
        version=VERSION,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _answered(desk: Desk, params: SDK, say: Say) -> Answered:
    try:
        return await desk.call(params.name, params.arguments, say)
    except PenstockError:
        raise
    except Exception as failure:  # the task's edge: the client is told, and the server goes on
        _log.exception("a call of %s failed", params.name)
        raise InternalError(f"{type(failure).__name__}: {failure}") from failure


async def serve_stdio(desk: Desk) -> None:
    """Serve the client at the other end of stdin and stdout, until it closes stdin.

    Raises:
        MissingExtraError: There is no ``mcp`` package.
    """
    server = make_server(desk)
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


def leave_on_term(desk: Desk) -> None:
    """Have SIGTERM end this process once `desk` has ended what it started, for commands.

    A server over stdio waits in a thread for its client's next line, and nothing but that line or
    its end would wake it; a default SIGTERM would leave a Codex at work on an answer for nobody.
    """
    loop = asyncio.get_running_loop()

    def leave() -> None:
        leaving.append(loop.create_task(_left(desk)))

    leaving: list[asyncio.Task[None]] = []
    with suppress(NotImplementedError, ValueError):  # Windows, and threads that are not the main
        loop.add_signal_handler(signal.SIGTERM, leave)


async def _left(desk: Desk) -> None:
    try:
        await desk.aclose()
    finally:
        os._exit(128 + signal.SIGTERM)


async def serve_http(
    desk: Desk,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve clients over streamable HTTP, until cancelled or interrupted.

    Args:
        desk: Answers.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        token: What clients have to send: ``authorization: Bearer <token>``.
        ready: Told the server's URL once it listens.

    Raises:
        ConfigurationError: Others could reach it, and no `token` keeps them from it.
        OSError: The address cannot be listened on.
        MissingExtraError: There is no ``mcp`` package.
    """
    if host not in _LOOPBACK and not token:
        raise ConfigurationError(
            f"who reaches {host} could spend your keys: set PENSTOCK_MCP_TOKEN, which clients then "
            "have to send, or listen on 127.0.0.1",
            param="token",
        )
    app = make_server(desk).streamable_http_app(host=host)
    import uvicorn

    config = uvicorn.Config(
        app if token is None else _guarded(app, token),
        log_level="warning",
        timeout_graceful_shutdown=1,
        # The interface may be left out: uvicorn looks at the app, and ours is a function.
        interface="asgi3",
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        at = f"[{host}]" if ":" in host else host
        if ready is not None:
            bound.listen()
            ready(f"http://{at}:{bound.getsockname()[1]}/mcp")
        await _served(uvicorn.Server(config), bound)


async def _served(server: SDK, bound: socket.socket) -> None:
    """Run uvicorn's `server`; cancelled, it is told to end, and waited for."""
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await asyncio.wait([serving])
        raise


def _guarded(app: SDK, token: str) -> Callable[[SDK, SDK, SDK], Awaitable[None]]:
    """Return `app` for those who know `token` (RFC 6750 section 2.1)."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: SDK, receive: SDK, send: SDK) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, wanted):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await app(scope, receive, send)

    return guard


def _load() -> None:
    try:
        import_module("mcp")
    except ImportError as error:
        raise MissingExtraError(
            "an MCP server needs the official package: pip install 'penstock[mcp]'"
        ) from error
