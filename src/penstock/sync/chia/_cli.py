"""Prompts to programs: one turn of an agent of `penstock.agents.cli` for each try."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from os import environ
from typing import TYPE_CHECKING, Any, cast

from penstock.agents.cli import Agent, AgentOptions, Server
from penstock.agents.mcp.server import has_server, server_of
from penstock.chunks import ProviderEvent, ReasoningDelta, TextDelta
from penstock.dialects.agents.resets import parse_rate_limit_reset as _parse_reset
from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts
from penstock.sync.chia._calls import ChiaTool, LLMCallBase, Said
from penstock.sync.chia._errors import Setting
from penstock.transports.process import ProcessCall, ProcessTransport, ProcessWire

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.agents.cli import Session
    from penstock.agents.cli.backend import Backend
    from penstock.chunks import Chunk
    from penstock.sync.chia._log import Tell

__all__ = ["CLITurn", "options_of", "parse_rate_limit_reset", "seen", "servers_of"]

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_TOOLS = frozenset({"tool_call", "tool_result"})


class CLITurn:
    """One prompt to a program.

    Args:
        backend: Returns the agent, and what it is told, with the MCP servers of this prompt.
        message: The user's words.
        tools: What stands for MCP servers.
        session: What to go on with.
        keep: Takes the session after every try, and has the next one go on with it; None where
            each try begins anew.
        stream: Whether it tells what the agent says and which tools it calls.
        all: Whether it tells every other event, too.
    """

    def __init__(
        self,
        backend: Callable[[tuple[Server, ...]], Awaitable[Backend]],
        message: str,
        tools: Sequence[ChiaTool],
        *,
        session: Session | None = None,
        keep: Callable[[Session | None], None] | None = None,
        stream: bool = True,
        all: bool = False,
    ) -> None:
        self.said = Said()
        self._backend, self._message = backend, message
        self._servers = tuple(servers_of(tools))
        self._session, self._keep = session, keep
        self._stream, self._all = stream, all

    async def run(self, tell: Tell) -> None:
        """Try once; `said` has the answer, or what there is without one."""
        self.said = Said()
        recorder = _Recorder()
        async with Agent(await self._backend(self._servers), transport=recorder) as agent:
            talk = agent.converse(self._session)
            try:
                result = await talk.run(self._message, on_chunk=lambda each: self._hear(each, tell))
            finally:
                self.said = recorder.told()
                self.said.session, self.said.environment = talk.session, agent.environment()
                if self._keep is not None:
                    self._session = talk.session
                    self._keep(talk.session)
        self.said.text = result.text

    async def _hear(self, chunk: Chunk, tell: Tell) -> None:
        if isinstance(chunk, ProviderEvent):
            if self._all or (self._stream and chunk.name in _TOOLS):
                await tell((chunk.name, chunk.data))
        elif self._stream and isinstance(chunk, TextDelta):
            await tell(("text", chunk.text))
        elif self._all and isinstance(chunk, ReasoningDelta):
            await tell(("reasoning", chunk.reasoning))
        elif self._all:
            await tell((type(chunk).__name__, chunk.to_openai()))


class _Recorder(ProcessTransport):
    """Starts a child, and keeps what it prints."""

    def __init__(self) -> None:
        super().__init__()
        self._tee: _Tee | None = None

    async def open(self, call: ProcessCall) -> ProcessWire:
        """Start `call`."""
        self._tee = _Tee(await super().open(call), call.limits.max_answer)
        return cast("ProcessWire", self._tee)

    def told(self) -> Said:
        """Return what the child printed, and how it exited."""
        if self._tee is None:
            return Said()
        ending = self._tee.ending
        code = None if ending is None else ending.exit_code
        setting = Setting(
            # Below zero is a signal, ours: a turn that has failed is not waited for.
            exit_code=-1 if code is None or code < 0 else code,
            stderr="" if ending is None else ending.stderr,
        )
        return Said(stream=self._tee.text(), setting=setting)


class _Tee:
    """A child's wire that keeps a copy of what is read from it, up to a bound in bytes."""

    def __init__(self, wire: ProcessWire, bound: int) -> None:
        self._wire = wire
        self._left = bound
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # Any: whatever the wire has
        return getattr(self._wire, name)

    async def read(self) -> bytes:
        """Return the wire's next bytes."""
        data = await self._wire.read()
        if self._left > 0:
            self._pieces.append(data[: self._left])
        self._left -= len(data)
        return data

    def text(self) -> str:
        """Return what was read."""
        text = b"".join(self._pieces).decode("utf-8", "replace")
        return text if self._left >= 0 else f"{text}\n[{-self._left} more bytes]\n"


def options_of(
    shim: LLMCallBase,
    servers: tuple[Server, ...],
    *,
    program: str | None = None,
    directory: str | None = None,
    extra: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    home: str | None = None,
    system: str | None = None,
) -> AgentOptions:
    """Return what all agents take, by what `shim` says."""
    return AgentOptions(
        model=shim.model,
        system=(shim.system_message if system is None else system) or None,
        directory=directory,
        servers=servers,
        extra_args=tuple(extra or ()),
        environment=environment or {},
        home=home,
        program=program,
        timeouts=Timeouts(total=float(shim.timeout_seconds)),
        limits=Limits(),
    )


def servers_of(tools: Iterable[ChiaTool]) -> Iterable[Server]:
    """Yield the MCP servers that `tools` stand for, each by a name of its own.

    Raises:
        ConfigurationError: One of them is no MCP server.
    """
    taken: set[str] = set()
    for at, tool in enumerate(tools):
        if not isinstance(tool, Server) and not has_server(tool):
            raise ConfigurationError(
                f"tools[{at}] is {type(tool).__name__}, and a coding agent takes MCP servers only:"
                " objects with a name and a url, URLs, penstock.agents.MCPServer",
                param="tools",
            )
        server = tool if isinstance(tool, Server) else _server(tool)
        if server.name in taken:
            raise ConfigurationError(f"two tools are called {server.name!r}", param="tools")
        taken.add(server.name)
        yield server


def _server(tool: ChiaTool) -> Server:
    found = server_of(tool)
    return Server(
        name=_NOT_A_NAME.sub("_", found.name).strip("_") or "tools",
        url=found.url,
        headers=found.headers,
        command=tuple(found.command),
        environment=found.env,
    )


def seen(names: Iterable[str]) -> dict[str, str]:
    """Return those of our variables that are set."""
    return {name: environ[name] for name in names if name in environ}


def parse_rate_limit_reset(text: str) -> datetime | None:
    """Return when the limit that an error's text tells of is lifted, in UTC; None without one."""
    return _parse_reset(text)
