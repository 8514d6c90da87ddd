"""What a caller says of an agent: values, all of which pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from penstock.agents.tools import Approve
from penstock.credentials import Headers, refuse_lost
from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts

__all__ = ["AGENT_TIMEOUTS", "AgentOptions", "Server"]

# JSON of an agent's own configuration.
Json: TypeAlias = Any

AGENT_TIMEOUTS = Timeouts(
    total=600.0, write=60.0, response=None, ttft=None, idle=None, progress=None
)
"""An agent's clocks in seconds: only its whole turn is timed, as its tools run in silence; the
others can be set. ``total`` covers what the agent retries by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An MCP server that the agent may use: at an address, or a command that it starts.

    Raises:
        ConfigurationError: It has neither or both, or a name that the agents cannot take.
    """

    name: str
    """Its name, letters, digits, ``-`` and ``_``; the agents call its tools by it."""
    url: str | None = None
    """The address of a streamable HTTP server."""
    headers: Mapping[str, str] = field(default_factory=Headers, repr=False)
    """More headers for it. A pickle takes no credential among them along, only the name of the
    variable that holds it."""
    command: tuple[str, ...] = field(default=(), repr=False)
    """The program and arguments of a stdio server. Every user of the machine can read arguments,
    and a pickle has them: a key belongs into `environment`."""
    environment: Mapping[str, str] = field(default_factory=Headers, repr=False)
    """The variables of a stdio server; as with `headers`, no credential travels."""
    allow: bool = True
    """Whether its tools run without being asked for; else each call is refused."""
    required: bool = True
    """Whether a turn without it is an error, where the agent can tell."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", Headers(self.headers))
        object.__setattr__(self, "environment", Headers(self.environment))
        if (self.url is None) == (not self.command):
            raise ConfigurationError(f"server {self.name!r} needs a url= or a command=, not both")
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError(f"{self.name!r} is no name for an MCP server", param="name")

    def check(self) -> None:
        """Refuse a server whose credentials are in another process.

        Raises:
            MissingCredentialsError: A pickle left one out.
        """
        refuse_lost(self.headers, f"MCP server {self.name}: headers")
        refuse_lost(self.environment, f"MCP server {self.name}: environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What all agents take.

    Raises:
        ConfigurationError: A value is none that an agent takes.
    """

    model: str | None = None
    """The model's id in the agent's own words; None is the agent's default."""
    system: str | None = None
    """The system prompt of turns whose messages have none."""
    directory: str | None = None
    """Where the agent works; None is our own directory."""
    servers: tuple[Server, ...] = ()
    """The MCP servers of this agent."""
    extra_args: tuple[str, ...] = field(default=(), repr=False)
    """More arguments, before the prompt's place. Every user of the machine can read them, and a
    pickle has them: a key belongs into `environment`."""
    environment: Mapping[str, str] = field(default_factory=Headers, repr=False)
    """More variables for the child, stronger than ours. A pickle takes no key or token among them
    along, only the name of the variable of ours that holds it."""
    home: str | None = None
    """A folder that stands for the user's home: configuration, credentials and sessions are there
    and nowhere else. None is the user's own."""
    keep_alive: bool = False
    """Whether a session's child stays between its turns: text comes in deltas where the agent has
    them, and a turn starts at once. `penstock.agents.cli.Agent.aclose` ends the children."""
    max_idle: int = 4
    """How many children may wait for a turn of theirs; the ones that waited longest are ended."""
    approve: Approve | None = field(default=None, repr=False)
    """Decides on tools that the agent may not run unasked; needs `keep_alive`. Without it they are
    denied."""
    program: str | None = None
    """The program, by name or path; None is the agent's usual one."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    """Clocks that differ from `AGENT_TIMEOUTS`."""
    limits: Limits = field(default_factory=Limits)
    """Bounds in bytes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "environment", Headers(self.environment))
        if self.approve is not None and not self.keep_alive:
            raise ConfigurationError(
                "approve= needs keep_alive=True: a child that is asked once cannot ask back",
                param="approve",
            )
        if self.max_idle < 0:
            raise ConfigurationError("max_idle is a number of children", param="max_idle")

    def check(self) -> None:
        """Refuse options whose credentials are in another process.

        Raises:
            MissingCredentialsError: A pickle left one out.
        """
        refuse_lost(self.environment, "AgentOptions.environment")
        for server in self.servers:
            server.check()
