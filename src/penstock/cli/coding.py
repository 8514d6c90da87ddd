"""``penstock agent --backend claude-code`` and the like: a turn of a coding agent."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from penstock.agents.cli import (
    AgentResult,
    Server,
    Session,
    antigravity,
    antigravity_sdk,
    claude_code,
    codex,
    opencode,
)
from penstock.agents.cli.antigravity_home import linked_home
from penstock.agents.events import (
    FinalEvent,
    LoopResult,
    ReasoningEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
)
from penstock.chunks import Chunk, ProviderEvent, ReasoningDelta, TextDelta
from penstock.cli.approval import question, someone
from penstock.cli.console import dumped
from penstock.errors import ConversationError, UsageError
from penstock.limits import Timeouts
from penstock.response import ToolCall

if TYPE_CHECKING:
    from penstock.agents import Agent, MCPServer
    from penstock.agents.cli import Conversation
    from penstock.agents.events import LoopEvent
    from penstock.cli.progress import Progress

__all__ = ["CODING", "Coding", "work"]

# What an agent says of its tools.
Json: TypeAlias = Any

CODING: Mapping[str, Callable[..., Agent]] = MappingProxyType(
    {
        "antigravity": antigravity,
        "antigravity-sdk": antigravity_sdk,
        "claude-code": claude_code,
        "codex": codex,
        "opencode": opencode,
    }
)
"""The agents by the names that ``--backend`` takes."""

_LEAVING = 15.0
"""Seconds for an interrupted turn: its child is ended in four, then its session is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """A turn, as the user asked for it."""

    name: str
    prompt: str
    model: str | None
    servers: tuple[MCPServer, ...]
    session: str | None
    system: str | None
    directory: str | None
    max_steps: int | None
    timeout: float | None
    allow: bool
    quiet: bool


async def work(task: Coding, progress: Progress) -> None:
    """Run the turn, and keep its session however it ends."""
    _check_place(task.session)
    options = await _options(task)
    with _home(task) as home:
        await _ask(CODING[task.name](**options, **home), task, progress)


async def _ask(agent: Agent, task: Coding, progress: Progress) -> None:
    talk = agent.converse(_kept(task.session))
    heard = _Heard(progress.show)
    timeouts = None if task.timeout is None else Timeouts(total=task.timeout)
    async with agent:
        try:
            result = await talk.run(task.prompt, timeouts=timeouts, on_chunk=heard.take)
        finally:
            progress.pause()
            await _leave(agent, talk, task)
            progress.resume()
    progress.show(heard.final(result))


@contextmanager
def _home(task: Coding) -> Iterator[dict[str, str]]:
    """Have a home of this turn's own for ``agy``, which takes its servers from nowhere else."""
    if task.name == "antigravity" and task.servers:
        with linked_home() as home:
            yield {"home": home}
    else:
        yield {}


async def _leave(agent: Agent, talk: Conversation, task: Coding) -> None:
    """Keep where the session stands, also after Ctrl-C, which has cancelled this task."""
    with anyio.move_on_after(_LEAVING, shield=True):
        await agent.aclose()
        session = await talk.recover()
        if task.session is not None and session is not None:
            _keep(task.session, session)
            if not task.quiet:
                sys.stderr.write(f"penstock: {task.session}: session {session.id}\n")


async def _options(task: Coding) -> dict[str, Any]:  # Any: options of an agent
    options: dict[str, Any] = {
        "model": task.model,
        "system": task.system,
        "directory": task.directory,
        "servers": await _servers(task),
    }
    if task.max_steps is not None:
        if task.name != "claude-code":
            raise UsageError(f"{task.name} has no bound of steps: leave out --max-steps")
        options["max_turns"] = task.max_steps
    return options


async def _servers(task: Coding) -> tuple[Server, ...]:
    """Return the MCP servers, whose tools are called only where somebody has allowed it."""
    servers: list[Server] = []
    for each in task.servers:
        name = _free(each.name, {server.name for server in servers})
        allow = task.allow or await _allowed(name, task)
        servers.append(Server(name=name, url=each.url, command=tuple(each.command), allow=allow))
    return tuple(servers)


async def _allowed(name: str, task: Coding) -> bool:
    if not someone():
        if not task.quiet:
            sys.stderr.write(f"penstock: {name}'s tools are refused: --allow allows them\n")
        return False
    answer = await question(f"penstock: may {task.name} call the tools of {name}? [y]es, [N]o: ")
    return answer in ("y", "yes")


def _free(name: str, taken: set[str]) -> str:
    """Return a server's name as the agents take it."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name).strip("-") or "server"
    numbered = (plain if number == 1 else f"{plain}-{number}" for number in range(1, 1000))
    return next(each for each in numbered if each not in taken)


def _check_place(path: str | None) -> None:
    """Refuse a session that could not be kept, before a turn has been paid for."""
    if path is None:
        return
    folder = Path(path).absolute().parent
    if not path or Path(path).is_dir():
        raise UsageError(f"--session needs a file, and {path!r} is none", param="session")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(
            f"nothing can be kept in {folder}: name another --session", param="session"
        )


def _kept(path: str | None) -> Session | None:
    if path is None or not Path(path).exists():
        return None
    with _named(path):
        return Session.from_json(Path(path).read_bytes())


def _keep(path: str, session: Session) -> None:
    """Write the session, for nobody else to read; the old one is there until the new one is."""
    part = Path(f"{path}.part")
    with _named(path):
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(session.to_json())
        part.replace(path)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Say of which session the system speaks, in an error that is an event as well."""
    try:
        yield
    except OSError as exc:
        raise ConversationError(f"--session {path}: {exc.strerror}", code="io") from exc


@dataclass(slots=True)
class _Heard:
    """A turn's chunks as events of a run, which have the tools that the agent runs."""

    show: Callable[[LoopEvent], None]
    began: float = field(default_factory=monotonic)
    calls: int = 0
    running: dict[str, tuple[str, float]] = field(default_factory=dict)

    def take(self, chunk: Chunk) -> None:
        """Show what a chunk is to the reader of a run."""
        if isinstance(chunk, TextDelta):
            self.show(TextEvent(step=1, text=chunk.text))
        elif isinstance(chunk, ReasoningDelta) and chunk.reasoning:
            self.show(ReasoningEvent(step=1, reasoning=chunk.reasoning))
        elif isinstance(chunk, ProviderEvent) and chunk.name == "tool_call":
            self._call(chunk.data)
        elif isinstance(chunk, ProviderEvent) and chunk.name == "tool_result":
            self._result(chunk.data)

    def final(self, result: AgentResult) -> FinalEvent:
        """Return the last event."""
        reply = result.reply
        return FinalEvent(
            step=1,
            result=LoopResult(
                text=result.text,
                reply=reply,
                steps=0,  # agents do not say how often they ask
                calls=self.calls,
                usage=reply.usage,
                cost=reply.cost,
                elapsed=monotonic() - self.began,
            ),
        )

    def _call(self, told: Json) -> None:
        self.calls += 1
        self.running[told["id"]] = (told["name"], monotonic())
        call = ToolCall(told["id"], told["name"], dumped(told["arguments"]))
        self.show(ToolCallEvent(step=1, call=call))

    def _result(self, told: Json) -> None:
        name, began = self.running.pop(told["id"], ("", monotonic()))
        content = told["content"]
        if not isinstance(content, (str, list)):
            content = "" if content is None else dumped(content)
        self.show(
            ToolResultEvent(
                step=1,
                call_id=told["id"],
                name=name,
                content=content,
                is_error=told["is_error"],
                size=len(content.encode("utf-8", "replace")) if isinstance(content, str) else 0,
                elapsed=monotonic() - began,
            )
        )
