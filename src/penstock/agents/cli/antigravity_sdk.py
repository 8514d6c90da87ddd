"""Antigravity by its Python SDK: a child of ours that runs it, for a turn or for a session."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.agents.cli.backend import Command
from penstock.agents.cli.live import talking
from penstock.agents.cli.options import AgentOptions
from penstock.agents.cli.session import write_files
from penstock.credentials import Headers, refuse_lost
from penstock.dialects.agents.antigravity_steps import AntigravityStepsAnswer
from penstock.dialects.agents.antigravity_talk import AntigravityTalk
from penstock.dialects.agents.talk import Asked
from penstock.errors import ConversationError, MissingExtraError

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start, Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.options import Server
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer

__all__ = ["AntigravitySDK"]

READING = ("view_file", "list_directory", "search_directory", "find_file", "finish")
"""The SDK's tools that change nothing and fetch nothing."""
_WORKER = Path(__file__).with_name("antigravity_worker.py")
_FOLDER = ".gemini/antigravity-sdk"
_VARIABLES = frozenset(
    {
        *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
        *("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI"),
        *("PYTHONPATH", "VIRTUAL_ENV", "ANTIGRAVITY_HARNESS_PATH"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AntigravitySDK:
    """The package ``google-antigravity`` (extra ``antigravity``), in a Python of its own.

    By default its tools that only read run, and those of servers that are allowed; whatever else it
    wants to do is asked of ``approve``, and refused where there is none. ``program`` is the Python
    that has the package, default our own. A child whose turn is cancelled ends with it.
    """

    options: AgentOptions
    allowed_tools: tuple[str, ...] = READING
    """The SDK's own tools that run unasked."""
    bypass_permissions: bool = False
    """Whether every tool runs unasked."""
    endpoint: str | None = None
    """The address of a model endpoint that speaks Gemini's API, instead of Google's."""
    endpoint_headers: Mapping[str, str] = field(default_factory=Headers, repr=False)
    """More headers for it."""
    add_directories: tuple[str, ...] = ()
    """More folders that it may work in."""

    name: str = field(default="antigravity_sdk", init=False)
    program: str = field(default="python", init=False)
    credentials: frozenset[str] = field(default=_VARIABLES, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint_headers", Headers(self.endpoint_headers))

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how its child is started: all that it is told goes by stdin.

        Raises:
            MissingExtraError: The package is not installed.
            MissingCredentialsError: A pickle left a credential of the endpoint's out.
        """
        refuse_lost(self.endpoint_headers, "AntigravitySDK.endpoint_headers")
        if self.options.program is None and not _installed():
            raise MissingExtraError(
                "Antigravity's SDK needs its package: pip install 'penstock[antigravity]'"
            )
        # -P: the worker's neighbours are no modules of its own.
        argv = (self.options.program or sys.executable, "-P", str(_WORKER))
        asked = Asked(
            prompt=turn.prompt, model=turn.model, system=turn.system, session_id=turn.session_id
        )
        told = AntigravityTalk(self._config()).ask(asked)
        return Command((*argv, *self.options.extra_args), b"\n".join((*told, b"")), {})

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        return AntigravityStepsAnswer(self.options.limits)

    async def live(self, start: Start) -> Live:
        """Return a conversation whose child stays."""
        return await talking(start, AntigravityTalk(self._config()), self.options)

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the conversation's database: the one file that is enough to resume."""
        path = _root(environment) / f"{id}.db"
        if not id.isalnum() or not await asyncio.to_thread(path.exists):
            return {}
        return {path.name: await asyncio.to_thread(_snapshot, path)}

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Put it where it was, below this home.

        Raises:
            ConversationError: The conversation has gone on there.
        """
        await asyncio.to_thread(_restore, _root(environment), session.files)
        return None

    def _config(self) -> dict[str, Any]:  # Any: JSON
        workspaces = [self.options.directory or str(Path.cwd()), *self.add_directories]
        return {
            "stays": self.options.keep_alive,
            "servers": [_server(each) for each in self.options.servers],
            "bypass": self.bypass_permissions,
            "allowed": list(self.allowed_tools),
            "endpoint": self.endpoint,
            "endpoint_headers": dict(self.endpoint_headers),
            "workspaces": [str(Path(each).resolve()) for each in workspaces],
            "folder": _FOLDER,
        }


def _installed() -> bool:
    try:
        return find_spec("google.antigravity") is not None
    except ModuleNotFoundError:  # not even the namespace
        return False


def _server(server: Server) -> dict[str, Any]:
    told: dict[str, Any] = {"name": server.name, "allow": server.allow}
    if server.url:
        return {**told, "url": server.url, "headers": dict(server.headers)}
    program, *arguments = server.command
    return {**told, "command": program, "args": arguments, "env": dict(server.environment)}


def _snapshot(path: Path) -> bytes:
    """A database as one file, whether its child is done with it or not."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        return database.serialize()


def _restore(root: Path, files: Mapping[str, bytes]) -> None:
    missing = {}
    for name, content in files.items():
        path = root / Path(name).name
        if not path.exists():
            missing[name] = content
        elif _snapshot(path) != content:
            raise ConversationError(
                f"the session has gone on in {root.name}: {path.name} there is another;"
                " use a home= of its own",
                code="changed",
            )
    write_files(root, missing)


def _root(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home()) / _FOLDER
