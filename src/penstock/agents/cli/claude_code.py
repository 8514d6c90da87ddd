"""Claude Code as a child: ``claude -p``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.agents.cli.backend import Command
from penstock.agents.cli.live import talking
from penstock.agents.cli.options import AgentOptions
from penstock.agents.cli.session import write_files
from penstock.dialects.agents.claude_code import ClaudeCodeAnswer
from penstock.dialects.agents.claude_code_talk import ClaudeCodeTalk

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start, Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.options import Server
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer

__all__ = ["ClaudeCode"]

# The agent's own ten retries take three minutes, a wrong key's too: ours are the ones that count.
_QUIET = {
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
_LONG = 32 * 1024
"""Characters of a system prompt that go into a file, not an argument."""
_FOLDER = "penstock"
"""The project folder for sessions that were restored: they are resumed by their path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeCode:
    """``claude -p --output-format stream-json --verbose``.

    Permissions are not bypassed unless `bypass_permissions` says so: a tool that would need to ask
    is denied, and MCP tools run by their server's ``allow``.
    """

    options: AgentOptions
    partial: bool = True
    """Whether text comes in deltas (``--include-partial-messages``)."""
    tools: tuple[str, ...] | None = None
    """The built-in tools; ``()`` is none, None the agent's default."""
    allowed_tools: tuple[str, ...] = ()
    """Tools and rules that run without being asked for, such as ``Bash(git log:*)``."""
    disallowed_tools: tuple[str, ...] = ()
    """Tools and rules that never run."""
    permission_mode: str | None = None
    """``default``, ``plan``, ``acceptEdits``, ``dontAsk``, ...; None is the agent's default."""
    bypass_permissions: bool = False
    """Whether every tool runs unasked (``--dangerously-skip-permissions``); refused as root."""
    append_system: bool = False
    """Whether the system prompt is added to the agent's own instead of replacing it."""
    bare: bool = False
    """Whether hooks, plugins, memory and CLAUDE.md are left out; takes API keys only."""
    add_directories: tuple[str, ...] = ()
    """More folders that it may work in."""
    fallback_model: str | None = None
    """Models to try when the first is busy, with commas between."""
    max_turns: int | None = None
    """Requests to the model in one turn of ours."""
    max_budget: float | None = None
    """US dollars for one turn of ours."""
    json_schema: Mapping[str, Any] | None = None  # Any: a JSON Schema
    """The schema of ``structured_output``."""

    name: str = field(default="claude_code", init=False)
    program: str = field(default="claude", init=False)
    credentials: frozenset[str] = field(
        default=frozenset(
            {
                *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"),
                *("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"),
            }
        ),
        init=False,
    )

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how `turn` is asked."""
        argv = [self.options.program or self.program, "-p"]
        argv += ["--output-format", "stream-json", "--verbose"]
        if self.partial:
            argv.append("--include-partial-messages")
        if turn.model:
            argv += ["--model", turn.model]
        argv += self._system(turn, scratch)
        argv += self._permissions()
        argv += self._bounds(turn)
        if self.options.servers:
            argv += ["--mcp-config", scratch.write("mcp.json", _servers(self.options.servers))]
            argv.append("--strict-mcp-config")
        prompt = turn.prompt.encode("utf-8", "replace")
        if self.options.keep_alive:
            prompt = b""
            argv += ["--input-format", "stream-json"]
            if self.options.approve is not None:
                argv += ["--permission-prompt-tool", "stdio"]
        if turn.session_id:
            argv += ["--resume", turn.session_file or _plain(turn.session_id)]
        home = self.options.home
        moved = {} if home is None else {"CLAUDE_CONFIG_DIR": str(Path(home) / ".claude")}
        argv += self.options.extra_args
        return Command(tuple(argv), prompt, {**_QUIET, **moved})

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        needed = frozenset(each.name for each in self.options.servers if each.required)
        return ClaudeCodeAnswer(self.options.limits, earlier=totals, servers=needed)

    async def live(self, start: Start) -> Live:
        """Return a session whose child stays."""
        return await talking(start, ClaudeCodeTalk(), self.options)

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the one file of the session, ``<id>.jsonl``."""
        path = await asyncio.to_thread(_latest, self.root(environment), _plain(id))
        return {} if path is None else {f"{id}.jsonl": await asyncio.to_thread(path.read_bytes)}

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Put the session's file into a folder of its own, unless some project has it."""
        root, id = self.root(environment), _plain(session.id)
        path = await asyncio.to_thread(_latest, root, id)
        content = session.files.get(f"{session.id}.jsonl")
        if path is None or (
            content is not None and await asyncio.to_thread(_differs, path, content)
        ):
            await asyncio.to_thread(write_files, root / "projects" / _FOLDER, session.files)
            path = root / "projects" / _FOLDER / f"{id}.jsonl"
        return str(path)

    def root(self, environment: Mapping[str, str]) -> Path:
        """Return the configuration's folder."""
        moved = environment.get("CLAUDE_CONFIG_DIR")
        return Path(moved) if moved else Path(environment.get("HOME") or Path.home()) / ".claude"

    def _system(self, turn: Turn, scratch: Scratch) -> list[str]:
        system = turn.system
        if not system:
            return []
        # Else 2.1.329 sends the one that the session began with, whatever it is told now.
        argv = ["--system-prompt-snapshot", "off"] if turn.session_id else []
        flag = "--append-system-prompt" if self.append_system else "--system-prompt"
        if len(system) > _LONG:
            return [*argv, f"{flag}-file", scratch.write("system.txt", system)]
        return [*argv, flag, system]

    def _permissions(self) -> list[str]:
        allowed = [f"mcp__{each.name}" for each in self.options.servers if each.allow]
        allowed += self.allowed_tools
        argv = ["--allowedTools", ",".join(allowed)] if allowed else []
        if self.disallowed_tools:
            argv += ["--disallowedTools", ",".join(self.disallowed_tools)]
        if self.tools is not None:
            argv += ["--tools", ",".join(self.tools)]
        if self.bypass_permissions:
            argv.append("--dangerously-skip-permissions")
        elif self.permission_mode:
            argv += ["--permission-mode", self.permission_mode]
        return argv

    def _bounds(self, turn: Turn) -> list[str]:
        argv: list[str] = ["--bare"] if self.bare else []
        for folder in self.add_directories:
            argv += ["--add-dir", folder]
        told = {
            "--effort": turn.effort,
            "--fallback-model": self.fallback_model,
            "--max-turns": self.max_turns,
            "--max-budget-usd": self.max_budget,
            "--json-schema": None if self.json_schema is None else json.dumps(self.json_schema),
        }
        for flag, value in told.items():
            if value is not None:
                argv += [flag, str(value)]
        return argv


def _plain(id: str) -> str:
    """The id, which becomes a file's name: nothing else may be in it."""
    return "".join(each for each in id if each.isalnum() or each in "-_")


def _latest(root: Path, id: str) -> Path | None:
    """The session's file; of copies in several projects the one that went on."""
    found = [path for path in root.glob(f"projects/*/{id}.jsonl") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def _differs(path: Path, content: bytes) -> bool:
    """Whether a file is no record of the same turns: a child that ends adds what they cost."""
    there = path.read_bytes()
    added = there[len(content) :] if there.startswith(content) else None
    return added is None or any(kind in added for kind in (b'"type":"user"', b'"type":"assistant"'))


def _servers(servers: tuple[Server, ...]) -> str:
    told: dict[str, dict[str, Any]] = {}  # Any: JSON
    for each in servers:
        kind: Literal["http", "stdio"] = "http" if each.url else "stdio"
        told[each.name] = {"type": kind}
        if each.url:
            told[each.name] |= {"url": each.url, "headers": dict(each.headers)}
        else:
            program, *arguments = each.command
            told[each.name] |= {"command": program, "args": arguments}
            told[each.name]["env"] = dict(each.environment)
    return json.dumps({"mcpServers": told})
