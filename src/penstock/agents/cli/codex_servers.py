"""What Codex is told of MCP servers: nothing that has a value of theirs in an argument."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.agents.cli.options import Server

__all__ = ["server_config"]


def server_config(
    server: Server, number: int, environment: dict[str, str]
) -> Iterator[tuple[str, Any]]:  # Any: TOML values
    """Yield the dotted names and values that tell of `server`.

    Args:
        server: It.
        number: Its place among the servers.
        environment: Codex' own, which takes what nobody may read in an argument. The model's
            commands do not see it: each name has KEY or TOKEN in it.

    Raises:
        ConfigurationError: A variable has a name that no shell takes.
    """
    within = f"mcp_servers.{server.name}"
    yield from (
        (f"{within}.{name}", value)
        for name, value in (_remote if server.url else _local)(server, number, environment)
    )
    if server.allow:
        # Without it every call fails, and the run ends "successfully" (0.169.0).
        yield f"{within}.default_tools_approval_mode", "approve"
    if server.required:
        yield f"{within}.required", True


def _remote(
    server: Server, number: int, environment: dict[str, str]
) -> Iterator[tuple[str, Any]]:  # Any: TOML values
    yield "url", server.url
    named: dict[str, str] = {}
    for at, (name, value) in enumerate(server.headers.items()):
        kind, _, token = value.partition(" ")
        bearer = (name.lower(), kind.lower()) == ("authorization", "bearer")
        variable = f"PENSTOCK_MCP_TOKEN_{number}" if bearer else f"PENSTOCK_MCP_KEY_{number}_{at}"
        environment[variable] = token if bearer else value
        if bearer:
            yield "bearer_token_env_var", variable
        else:
            named[name] = variable
    if named:
        yield "env_http_headers", named


def _local(
    server: Server, number: int, environment: dict[str, str]
) -> Iterator[tuple[str, Any]]:  # Any: TOML values
    """A program; its variables have names of ours on the way, so that Codex takes none as its own.

    Codex passes a variable on by the name that it has (``env_vars``), so a shell gives it back its
    own, and is the server then.
    """
    program, *arguments = server.command
    if not server.environment:
        yield from {"command": program, "args": arguments}.items()
    elif os.name == "nt":  # no shell, and arguments are no other user's to read
        yield from {"command": program, "args": arguments, "env": server.environment}.items()
    else:
        passed = {f"PENSTOCK_MCP_KEY_{number}_{n}": v for n, v in enumerate(server.environment)}
        environment |= {ours: server.environment[theirs] for ours, theirs in passed.items()}
        yield "command", "/bin/sh"
        yield "args", ["-c", _renamed(server.name, passed), program, *arguments]
        yield "env_vars", list(passed)


def _renamed(server: str, passed: Mapping[str, str]) -> str:
    """A shell's words that give variables their own names, and run the rest of its arguments."""
    for name in passed.values():
        if not name.isidentifier() or not name.isascii():
            raise ConfigurationError(
                f"Codex cannot pass {server!r} a variable called {name!r}: letters, digits and _",
                param="environment",
            )
    told = " ".join(f'{theirs}="${ours}"' for ours, theirs in passed.items())
    return f'export {told}; unset {" ".join(passed)}; exec "$0" "$@"'
