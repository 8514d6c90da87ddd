"""Antigravity as a child: ``agy``, by its reported options; it is in no package registry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.agents.cli.antigravity_home import configure
from penstock.agents.cli.backend import Command
from penstock.agents.cli.options import AgentOptions
from penstock.agents.cli.session import read_files, write_files
from penstock.dialects.agents.antigravity import AntigravityAnswer
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start, Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer

__all__ = ["Antigravity"]

_FOLDER = ".gemini/antigravity-cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Antigravity:
    """``agy --output-format stream-json``, of version 1.2 or later.

    It has no option for a system prompt, which goes before the prompt, and reads its MCP servers
    from the home: servers need a ``home=`` of their own. What would be asked for it refuses, the
    tools of servers too, unless its own settings allow them: `Server.allow` is not told to it.

    Raises:
        ConfigurationError: It has servers, and no home of its own, or one whose tools are to be
            refused while all permissions are bypassed; or it is to be kept alive, which
            `penstock.agents.cli.AntigravitySDK` is.
    """

    options: AgentOptions
    sandbox: bool = False
    """Whether its commands run in its sandbox."""
    bypass_permissions: bool = False
    """Whether every tool runs unasked (``--dangerously-skip-permissions``)."""
    mode: str | None = None
    """``plan`` or ``accept-edits``."""
    add_directories: tuple[str, ...] = ()
    """More folders that it may work in."""

    name: str = field(default="antigravity", init=False)
    program: str = field(default="agy", init=False)
    credentials: frozenset[str] = field(
        default=frozenset({"GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"}), init=False
    )

    def __post_init__(self) -> None:
        if self.options.keep_alive:
            raise ConfigurationError(
                "agy has one turn a process: antigravity_sdk() is what can stay", param="keep_alive"
            )
        if self.options.servers and self.options.home is None:
            raise ConfigurationError(
                "agy reads its MCP servers from the user's own configuration: give it a home="
            )
        refused = [each.name for each in self.options.servers if not each.allow]
        if self.bypass_permissions and refused:
            raise ConfigurationError(
                f"agy would run the tools of {', '.join(refused)} too: leave out"
                " bypass_permissions, or the server",
                param="bypass_permissions",
            )

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how `turn` is asked."""
        argv = [self.options.program or self.program, "--output-format", "stream-json"]
        # Without it five minutes, or for ever, by version; ours is to be the one that ends it.
        argv += ["--print-timeout", f"{int(turn.total or 86_400) + 5}s"]
        told = {
            "--model": turn.model,
            "--effort": turn.effort,
            "--mode": self.mode,
            "--conversation": turn.session_id,
        }
        for flag, value in told.items():
            if value:
                argv += [flag, value]
        for folder in self.add_directories:
            argv += ["--add-dir", folder]
        if self.sandbox:
            argv.append("--sandbox")
        if self.bypass_permissions:
            argv.append("--dangerously-skip-permissions")
        argv += self.options.extra_args
        if self.options.servers and self.options.home is not None:
            configure(self.options.home, self._servers())
        prompt = turn.prompt if not turn.system else f"{turn.system}\n\n{turn.prompt}"
        quiet = {"AGY_CLI_DISABLE_AUTO_UPDATE": "1"}
        return Command(tuple(argv), prompt.encode("utf-8", "replace"), quiet)

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        return AntigravityAnswer(self.options.limits)

    async def live(self, start: Start) -> Live:
        """Refuse: it is not kept alive.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("agy has one turn a process", param="keep_alive")

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the conversation's database and its folder."""
        if not id.replace("-", "").isalnum():
            return {}
        found: dict[str, bytes] = {}
        for pattern in (f"conversations/{id}.*", f"brain/{id}/**/*"):
            found |= await asyncio.to_thread(read_files, _root(environment), pattern)
        return found

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Put them where they were, below this home."""
        await asyncio.to_thread(write_files, _root(environment), session.files)
        return None

    def _servers(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for each in self.options.servers:
            if each.url:
                told[each.name] = {"serverUrl": each.url, "headers": dict(each.headers)}
            else:
                program, *arguments = each.command
                told[each.name] = {"command": program, "args": arguments}
                told[each.name]["env"] = dict(each.environment)
        return {"mcpServers": told}


def _root(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home()) / _FOLDER
