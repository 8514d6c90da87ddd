"""``penstock agent``: a task for a model with tools, or for a coding agent."""

from __future__ import annotations

import shlex
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import get_cancelled_exc_class

from penstock.agents import LoopLimits, MCPServer, ToolLoop
from penstock.cli.approval import Approval
from penstock.cli.coding import CODING, Coding, work
from penstock.cli.console import spoken
from penstock.cli.exits import INTERRUPTED, exit_code
from penstock.cli.pick import announce, pick
from penstock.cli.progress import progress_for
from penstock.cli.settings import configured
from penstock.conversations import Conversation
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.cli.progress import Progress

__all__ = ["AgentOptions", "act"]

_SIMULATED = "sim/tools?rate=30"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What the user asked for."""

    prompt: str | None = None
    backend: str | None = None
    model: str | None = None
    mcp: tuple[str, ...] = ()
    session: str | None = None
    system: str | None = None
    cwd: str | None = None
    max_steps: int | None = None
    timeout: float | None = None
    allow: bool = False
    as_json: bool | None = None
    quiet: bool = False


async def act(options: AgentOptions) -> int:
    """Work on the prompt until there is an answer; return the exit code."""
    _check_folder(options.cwd)
    as_json = options.as_json
    if as_json is None:
        as_json = not sys.stdout.isatty()
    progress = progress_for(as_json=as_json, quiet=options.quiet)
    name, _, model = (options.backend or "").partition("/")
    async with _told(progress):
        if name in CODING:
            await _coding(options, name, model, progress)
        else:
            _check_name(name)
            await _loop(options, progress)
    return 0


def _check_folder(path: str | None) -> None:
    if path is not None and not Path(path).is_dir():
        raise UsageError(f"there is no folder {path}", param="cwd")


def _check_name(name: str) -> None:
    """Refuse what is nearly an agent's name, which would be looked for among the models."""
    if near := get_close_matches(name, CODING, 1, 0.85):
        raise UsageError(f"there is no {name}: did you mean {near[0]}?", param="backend")


@asynccontextmanager
async def _told(progress: Progress) -> AsyncIterator[None]:
    """Show how a run ends that has no result, whatever ends it."""
    try:
        yield
    except PenstockError as error:
        progress.failed(error.kind, error.message, exit_code(error))
        raise
    except (get_cancelled_exc_class(), KeyboardInterrupt):
        progress.failed("interrupted", "the run was interrupted", INTERRUPTED)
        raise
    finally:
        progress.close()


def _check_session(options: AgentOptions, name: str) -> None:
    """Refuse a file for a coding agent's session that is, or would be taken for, another thing."""
    if options.session and Path(options.session).suffix in (".jsonl", ".db", ".sqlite"):
        raise UsageError(
            f"{options.session} is the name of a model's conversation: a coding agent's session is "
            "kept under another, such as one in .json",
            param="session",
        )
    if name == "opencode" and Path(options.session or "").name == "opencode.json":
        raise UsageError(
            "opencode reads a file called opencode.json as its configuration: give the session "
            "another name",
            param="session",
        )


async def _coding(options: AgentOptions, name: str, model: str, progress: Progress) -> None:
    """Let a coding agent work."""
    if model and options.model:
        raise UsageError(f"--backend {options.backend} names the model already", param="model")
    _check_session(options, name)
    task = Coding(
        name=name,
        model=options.model or model or None,
        prompt=spoken(options.prompt, quiet=options.quiet),
        servers=servers_of(options),
        session=options.session,
        system=options.system,
        directory=options.cwd,
        max_steps=options.max_steps,
        timeout=options.timeout,
        allow=options.allow,
        quiet=options.quiet,
    )
    await work(task, progress)


async def _loop(options: AgentOptions, progress: Progress) -> None:
    """Run the tool loop over a chat model."""
    if options.backend and options.model:
        raise UsageError(f"--backend {options.backend} names the model already", param="model")
    picked = await pick(options.backend or options.model, simulated=_SIMULATED)
    if not options.quiet:
        announce(picked)
    tools: list[Any] = [*servers_of(options)]  # Any: what a loop takes
    own = [clock] if picked.model == _SIMULATED and not tools else []
    approve = Approval(
        progress,
        allowed=None if options.allow else {each.__name__ for each in own},
        quiet=options.quiet,
    )
    async with (
        configured(default_model=picked.model) as client,
        Conversation.open(options.session) as kept,
        ToolLoop(
            client,
            tools=[*tools, *own],
            system=options.system,
            approve=approve,
            limits=_limits(options),
        ) as loop,
    ):
        prompt = await _begin(kept, options)
        before = await kept.length()
        try:
            async with loop.run(prompt, conversation=kept) as run:
                async for event in run:
                    progress.show(event)
        except BaseException:
            # Not awaited: Ctrl-C has cancelled this task.
            if prompt is None or len(kept.sync) > before:
                progress.pause()
                _advise(options)
            raise


async def _begin(kept: Conversation, options: AgentOptions) -> str | None:
    """Return what is said first; None where a kept conversation goes on by itself."""
    length = await kept.length()
    if length and options.system:
        raise UsageError(
            f"{options.session} has {length} messages already: --system begins a conversation",
            param="system",
        )
    if options.prompt is None and length and sys.stdin.isatty():
        return None
    try:
        return spoken(options.prompt, quiet=options.quiet)
    except UsageError:
        if options.prompt is not None or not length:
            raise
        return None


def _limits(options: AgentOptions) -> LoopLimits:
    given = {"max_steps": options.max_steps, "timeout": options.timeout}
    told: Any = {name: value for name, value in given.items() if value is not None}  # Any: floats
    return LoopLimits(**told)


def _advise(options: AgentOptions) -> None:
    """Say how a run goes on that broke off."""
    if options.session is not None and not options.quiet:
        sys.stderr.write(
            f"penstock: {options.session} has what came; --session {options.session} without a "
            "prompt goes on from there\n"
        )


def servers_of(options: AgentOptions) -> tuple[MCPServer, ...]:
    """Return the MCP servers: URLs, and commands as a shell would read them.

    Raises:
        UsageError: One is neither.
    """
    return tuple(_server(each, options.cwd) for each in options.mcp)


def _server(told: str, cwd: str | None) -> MCPServer:
    if told.startswith(("http://", "https://")):
        return MCPServer(url=told)
    try:
        command = shlex.split(told)
    except ValueError as error:
        raise UsageError(f"--mcp {told!r} is no command: {error}", param="mcp") from None
    if not command:
        raise UsageError("--mcp needs a URL or a command", param="mcp")
    return MCPServer(command=command, cwd=cwd)


def clock() -> str:
    """Tell the date and time; what the simulator calls where there is no other tool."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
