"""Coding agents as providers: a child for each turn, or one that stays with its session.

They take the road of every other provider: process transport, JSON-lines decoder, a dialect of
their own. Permissions are never bypassed unless that is asked for by name.

    agent = claude_code(model="claude-sonnet-4-6", directory="project")
    result = await agent.run("What is in this folder?")
    print(result.text, result.reply.usage, result.session)

============= ==================================================================================
module        what it has
============= ==================================================================================
agent         `Agent`, the provider, put together from the stages
options       what a caller says of any agent; `surroundings` is what a child sees of this machine
backend       what each agent is to the provider
claude_code   Claude Code
codex         Codex; whom it asks (`codex_provider`, `codex_version`), its MCP servers
              (`codex_servers`), its record of a session (`codex_rollout`)
opencode      opencode; `opencode_config`, `opencode_home`, and `opencode_server` for one that stays
antigravity   ``agy``, with `antigravity_home`
              and by its Python SDK: `antigravity_sdk`, in an `antigravity_worker`
prompt        a request as an agent takes it
conversation  turns of one session; `policy` says when a failed one is asked again
session       where a conversation stands, as a value that travels
keep          children that stay, by their session; `live` is one of them
errand        a short run of a program that answers no one
============= ==================================================================================
"""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeAlias

from penstock.agents.cli.agent import Agent
from penstock.agents.cli.antigravity import Antigravity
from penstock.agents.cli.antigravity_sdk import AntigravitySDK
from penstock.agents.cli.claude_code import ClaudeCode
from penstock.agents.cli.codex import Codex
from penstock.agents.cli.conversation import AgentResult, Conversation
from penstock.agents.cli.opencode import OpenCode
from penstock.agents.cli.options import AGENT_TIMEOUTS, AgentOptions, Server
from penstock.agents.cli.policy import Retries
from penstock.agents.cli.session import Session
from penstock.errors import ConfigurationError

__all__ = [
    "AGENT_TIMEOUTS",
    "Agent",
    "AgentOptions",
    "AgentResult",
    "Antigravity",
    "AntigravitySDK",
    "ClaudeCode",
    "Codex",
    "Conversation",
    "OpenCode",
    "Retries",
    "Server",
    "Session",
    "antigravity",
    "antigravity_sdk",
    "claude_code",
    "codex",
    "opencode",
]

# The options of a backend and of `AgentOptions`, by name.
Option: TypeAlias = Any

_SHARED = frozenset(each.name for each in fields(AgentOptions))


def claude_code(**options: Option) -> Agent:
    """Return Claude Code; `options` are those of `AgentOptions` and `ClaudeCode`.

    Raises:
        ConfigurationError: There is no such option; the message has the nearest.
    """
    return _agent(ClaudeCode, options)


def codex(**options: Option) -> Agent:
    """Return Codex; `options` are those of `AgentOptions` and `Codex`.

    Raises:
        ConfigurationError: There is no such option; the message has the nearest.
    """
    return _agent(Codex, options)


def opencode(**options: Option) -> Agent:
    """Return opencode; `options` are those of `AgentOptions` and `OpenCode`.

    Raises:
        ConfigurationError: There is no such option; the message has the nearest.
    """
    return _agent(OpenCode, options)


def antigravity(**options: Option) -> Agent:
    """Return Antigravity's ``agy``; `options` are those of `AgentOptions` and `Antigravity`.

    Raises:
        ConfigurationError: There is no such option; the message has the nearest.
    """
    return _agent(Antigravity, options)


def antigravity_sdk(**options: Option) -> Agent:
    """Return Antigravity by its SDK; `options` are those of `AgentOptions` and `AntigravitySDK`.

    Raises:
        ConfigurationError: There is no such option; the message has the nearest.
    """
    return _agent(AntigravitySDK, options)


def _agent(
    kind: type[ClaudeCode | Codex | OpenCode | Antigravity | AntigravitySDK],
    options: dict[str, Option],
) -> Agent:
    own = {each.name for each in fields(kind) if each.init} - {"options"}
    for name in options:
        if name not in own | _SHARED:
            near = get_close_matches(name, sorted(own | _SHARED), 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"{kind.__name__} has no option {name!r}{hint}", param=name)
    shared = AgentOptions(**{n: v for n, v in options.items() if n in _SHARED})
    return Agent(kind(options=shared, **{n: v for n, v in options.items() if n in own}))
