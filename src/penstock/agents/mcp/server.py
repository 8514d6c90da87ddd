"""Where an MCP server is, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.credentials import Headers, refuse_lost
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["MCPServer", "has_server", "server_of"]


@dataclass(frozen=True, kw_only=True)
class MCPServer:
    """An MCP server whose tools the model may call: at a URL, or a command to be run.

        MCPServer(url="https://example.com/mcp", headers={"authorization": "Bearer ..."})
        MCPServer(command=["python", "server.py"], env={"TOKEN": "..."})

    Raises:
        ConfigurationError: It has neither or both, or an option of the other kind.
    """

    url: str | None = None
    """The endpoint, for streamable HTTP. Redirects are followed within its origin only."""
    command: Sequence[str] = field(default=(), repr=False)
    """The program and its arguments, for stdio; it is run in a process group of its own. Every user
    of the machine can read arguments, and a pickle has them: a key belongs into `env`."""
    name: str = ""
    """What it is called in events and errors, and in front of a tool's name that another server
    has as well; by default the URL's host or the program's name."""
    headers: Mapping[str, str] = field(default_factory=Headers)
    """More headers of each request; they show nowhere."""
    auth: Any = None  # Any: an httpx2.Auth; httpx2 comes with the extra
    """An ``httpx2.Auth``, such as the SDK's OAuth provider."""
    env: Mapping[str, str] = field(default_factory=Headers)
    """More environment variables. Of this process's own a child gets only those that the SDK
    allows: ``HOME``, ``PATH`` and the like, no keys. They show nowhere."""
    cwd: str | PathLike[str] | None = None
    """The child's working directory."""
    tools: Sequence[str] | None = None
    """Which of its tools the model may see, by the server's own names; None is all."""
    repeatable: Sequence[str] = ()
    """Tools, by the server's own names, that do no harm when a call is made again."""
    trust_hints: bool = False
    """Whether the server is believed when it says that a tool only reads or is idempotent: such a
    tool is `repeatable`."""
    mode: str = "auto"
    """How the protocol is agreed on, as the SDK's client takes it: ``"auto"``, ``"legacy"`` or a
    version."""
    restarts: int = 3
    """How often in a row it is started or connected to again, without a call that succeeds, before
    that is an error."""

    def __post_init__(self) -> None:
        if isinstance(self.command, (str, PurePath)):
            raise ConfigurationError("MCPServer.command is a list: the program, and each argument")
        object.__setattr__(self, "command", tuple(map(str, self.command)))
        object.__setattr__(self, "headers", Headers(self.headers))
        object.__setattr__(self, "env", Headers(self.env))
        if (self.url is None) == (not self.command):
            raise ConfigurationError("an MCPServer has a url= or a command=, one of them")
        if self.url is not None and (self.env or self.cwd is not None):
            raise ConfigurationError(
                "env= and cwd= are for a command, and this MCPServer has a url"
            )
        if self.url is None and (self.headers or self.auth is not None):
            raise ConfigurationError("headers= and auth= are for a url, not for a command")
        if self.url is not None and not _is_web(self.url):
            raise ConfigurationError(f"MCPServer.url must be http:// or https://, not {self.url!r}")
        if not self.name:
            host = urlsplit(self.url).hostname if self.url is not None else None
            object.__setattr__(self, "name", host or PurePath(self.command[0]).stem)

    def check(self) -> None:
        """Refuse a server whose credentials are in another process.

        Raises:
            MissingCredentialsError: A pickle left one out.
        """
        refuse_lost(self.headers, f"MCP server {self.name}: headers")
        refuse_lost(self.env, f"MCP server {self.name}: env")


def has_server(tool: object) -> bool:
    """Return whether `tool` stands for an MCP server: one, a URL, or what has a name and a URL."""
    if isinstance(tool, MCPServer):
        return True
    return _is_web(tool) or (
        isinstance(getattr(tool, "name", None), str) and _url(tool) is not None
    )


def server_of(tool: object) -> MCPServer:
    """Return the MCP server that `tool` stands for; see `has_server`.

    An object of another program counts by its shape: ``name``, and ``url`` or ``mcp_url``; its
    ``headers`` are taken where it has some.
    """
    if isinstance(tool, MCPServer):
        return tool
    if isinstance(tool, str):
        return MCPServer(url=tool)
    headers = getattr(tool, "headers", None)
    return MCPServer(
        url=_url(tool),
        name=str(getattr(tool, "name", "")),
        headers=headers if isinstance(headers, Mapping) else {},
    )


def _url(tool: object) -> str | None:
    for name in ("url", "mcp_url"):
        value = getattr(tool, name, None)
        if _is_web(value):
            return str(value)
    return None


def _is_web(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))
