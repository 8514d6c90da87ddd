"""opencode as a child: ``opencode run``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from penstock.agents.cli.backend import Command
from penstock.agents.cli.errand import run_errand
from penstock.agents.cli.opencode_config import SILENT_PLUGIN, VARIABLE, configuration
from penstock.agents.cli.opencode_home import (
    OFFLINE,
    ONLINE_PLUGIN,
    RETRY_PLUGIN,
    fetches_in_vain,
    settle,
    unlock,
)
from penstock.agents.cli.opencode_server import EXPORT, serving
from penstock.agents.cli.options import AgentOptions
from penstock.agents.cli.surroundings import child_environment
from penstock.dialects.agents.opencode import OpenCodeAnswer
from penstock.dialects.agents.opencode_events import OpenCodeEventsAnswer
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start, Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.options import Server
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer

__all__ = ["OpenCode"]

_QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}
_PRIVATE = {"share": "disabled", "autoupdate": False}
_SAFE = dict.fromkeys(("edit", "bash", "webfetch", "external_directory"), "deny")
_PASSWORD = "OPENCODE_SERVER_PASSWORD"
_LEASH = """
exec 3<&0
"$0" "$@" 3<&- </dev/null & server=$!
trap 'kill "$server"' TERM
(read -r _ <&3; kill "$server") >/dev/null 2>&1 & leash=$!
wait "$server"; code=$?
while kill -0 "$server" 2>/dev/null; do wait "$server"; code=$?; done
kill "$leash" 2>/dev/null
exit "$code"
"""
"""Ends the server when our end of its stdin closes, as the ending of a child begins with that and
the server reads none: closing takes 0.1 s and not the 2 s until TERM. It ends no sooner than the
server does. `penstock.transports.process.warden` is for where we are killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCode:
    """``opencode run --format json``.

    Its tools that write, run commands or leave the folder are denied unless `permission` allows
    them. It has no option that lowers its own retries: a plugin of ours, or its server's events,
    end a turn that it would ask again. A session resumes in the directory that it was restored
    for, and in no other.

    Raises:
        ConfigurationError: The server of `keep_alive` has no such option; or opencode is to run
            without plugins.
    """

    options: AgentOptions
    permission: Mapping[str, Any] = field(default_factory=lambda: dict(_SAFE))  # Any: rules
    """``allow``, ``ask`` (refused here) or ``deny`` for ``edit``, ``bash``, ``webfetch`` and
    ``external_directory``."""
    auto_approve: bool = False
    """Whether everything that is not denied runs unasked (``--auto``)."""
    thinking: bool = True
    """Whether its thinking is shown."""
    own_retries: bool = False
    """Whether it may ask a failing provider again by itself, five times in about 72 s; else the
    first time that it would is the turn's error, and the end of a sub-agent, whose tool fails. What
    a turn that may has failed of is not ``retryable``."""
    agent: str | None = None
    """An agent of the user's configuration; with a system prompt it is one of ours."""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)  # Any: its configuration
    """More of its configuration: providers, small_model, ... A pickle has it as it is: a key is
    ``{env:NAME}``, with that name among `credentials`."""
    project_config: bool = True
    """Whether the folder's own configuration is read."""
    credentials: frozenset[str] = frozenset()
    """Variables of ours that it may see: the keys of the providers that it uses."""

    name: str = field(default="opencode", init=False)
    program: str = field(default="opencode", init=False)

    def __post_init__(self) -> None:
        for name, usual in (("auto_approve", False), ("thinking", True)):
            if self.options.keep_alive and getattr(self, name) is not usual:
                raise ConfigurationError(
                    f"opencode serve has no {name}={not usual}: leave it out, or keep_alive=",
                    param=name,
                )
        if self._is_pure() and (self.options.keep_alive or not self.own_retries):
            raise ConfigurationError(
                "opencode --pure has no plugins, and ours end its own retries and keep its server's"
                " password from commands: leave it out, or own_retries=True and no keep_alive=",
                param="extra_args",
            )

    def _is_pure(self) -> bool:
        given = [each.partition("=")[0] for each in self.options.extra_args]
        variable = self.options.environment.get("OPENCODE_PURE", "").lower()
        return "--pure" in given or variable in ("1", "true")

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how `turn` is asked."""
        if self.options.home is not None:
            settle(self.options.home)
        unlock(self._seen())
        if self.options.keep_alive:
            return self._server(turn, scratch)
        argv = [self.options.program or self.program, "run", "--format", "json"]
        argv += ["--title", "penstock"]  # saves the request to a model that makes one
        if turn.model:
            argv += ["--model", turn.model]
        if agent := self._agent(turn):
            argv += ["--agent", agent]
        if self.thinking:
            argv.append("--thinking")
        if self.auto_approve:
            argv.append("--auto")
        if turn.session_id:
            argv += ["--session", turn.session_id]
        argv += self.options.extra_args
        prompt = turn.prompt.encode("utf-8", "replace")
        return Command(tuple(argv), prompt, self._environment(turn, scratch))

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        if self.options.keep_alive:
            return OpenCodeEventsAnswer(self.options.limits, retries=self.own_retries)
        return OpenCodeAnswer(self.options.limits)

    async def live(self, start: Start) -> Live:
        """Return a session whose server stays."""
        password = start.environment[_PASSWORD]
        agent = self._agent(start.turn)
        return await serving(
            start, self.options, password=password, agent=agent, retries=self.own_retries
        )

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the session's export, which goes to a file: on a pipe it is cut (1.18)."""
        with TemporaryDirectory(prefix="penstock-") as folder:
            path = Path(folder) / EXPORT
            done = await run_errand(
                (self.options.program or self.program, "export", id),
                self._for_errand(environment, folder),
                directory=self.options.directory,
                output=path,
            )
            content = await asyncio.to_thread(path.read_bytes)
        return {EXPORT: content} if done and content.lstrip()[:1] == b"{" else {}

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Import the session's export into this home, for this directory."""
        if self.options.home is not None:
            await asyncio.to_thread(settle, self.options.home)
        with TemporaryDirectory(prefix="penstock-") as folder:
            path = Path(folder) / EXPORT
            await asyncio.to_thread(path.write_bytes, session.files.get(EXPORT, b""))
            await run_errand(
                (self.options.program or self.program, "import", str(path)),
                self._for_errand(environment, folder),
                directory=self.options.directory,
            )
        return None

    def _server(self, turn: Turn, scratch: Scratch) -> Command:
        """The server of a session, on a free port of loopback, which asks for a word."""
        argv = [self.options.program or self.program, "serve"]
        argv += ["--hostname", "127.0.0.1", "--port", "0", *self.options.extra_args]
        word = {_PASSWORD: token_urlsafe(24)}
        if sys.platform != "win32" and self._is_there(argv[0]):
            argv = ["/bin/sh", "-c", _LEASH, *argv]
        return Command(tuple(argv), b"", self._environment(turn, scratch) | word)

    def _is_there(self, program: str) -> bool:
        if Path(program).name != program:  # a path is one from where the child works
            program = str(Path(self.options.directory or ".", program).absolute())
        return which(program, path=self._seen().get("PATH")) is not None

    def _agent(self, turn: Turn) -> str | None:
        return "penstock" if turn.system else self.agent

    def _plugins(self, scratch: Scratch, *, offline: bool) -> list[str]:
        """Those of ours: what a command may not see, and who ends a turn asked again."""
        ours = {"silent.js": SILENT_PLUGIN}
        if offline:
            ours["online.js"] = ONLINE_PLUGIN
        if not (self.own_retries or self.options.keep_alive):
            ours["retries.js"] = RETRY_PLUGIN
        return [Path(scratch.write(name, text)).as_uri() for name, text in ours.items()]

    def _offline(self) -> bool:
        """Whether npm is told that it is, unless the caller has told it anything of that."""
        seen = self._seen()
        if OFFLINE in map(str.lower, seen) or self.config.get("plugin"):
            return False
        return fetches_in_vain(seen, self.options.directory, project=self.project_config)

    def _seen(self) -> dict[str, str]:
        """What a child sees of this machine."""
        given, home = self.options.environment, self.options.home
        return child_environment(self.credentials, {}, given, home=home)

    def _environment(self, turn: Turn, scratch: Scratch) -> dict[str, str]:
        quiet = self._quiet()
        plugins = self._plugins(scratch, offline=OFFLINE in quiet)
        config = configuration(self._config(plugins), turn.system, scratch)
        return {**quiet, VARIABLE: config}

    def _quiet(self) -> dict[str, str]:
        """What goes without files of a turn's."""
        quiet = {**_QUIET, VARIABLE: json.dumps(_PRIVATE)}
        if not self.project_config:
            quiet["OPENCODE_DISABLE_PROJECT_CONFIG"] = "1"
        if self._offline():
            quiet[OFFLINE] = "true"
        return quiet

    def _for_errand(self, environment: Mapping[str, str], folder: str) -> dict[str, str]:
        """The environment of a program that does not wait for the packages which npm is to fetch.

        It ends amid that, and leaves a lock behind: the next start, which waits, would wait until
        that is a minute old (1.18.33). Where nothing can be fetched the lock may be its own.
        """
        quiet = self._quiet()
        return {**environment, **quiet, **({"XDG_STATE_HOME": folder} if OFFLINE in quiet else {})}

    def _config(self, plugins: Sequence[str]) -> dict[str, Any]:
        config: dict[str, Any] = {**_PRIVATE, "permission": dict(self.permission)}
        if self.options.servers:
            config["mcp"] = {each.name: _server(each) for each in self.options.servers}
        config |= self.config
        config["plugin"] = [*plugins, *config.get("plugin", ())]
        if refused := self._refused():
            rules = config["permission"]
            # The last rule that fits decides.
            config["permission"] = {
                **({"*": rules} if isinstance(rules, str) else rules),
                **refused,
            }
        return config

    def _refused(self) -> dict[str, str]:
        """The rules for the tools of servers that are not allowed, which are called after them."""
        rule = "deny" if self.options.approve is None else "ask"
        return {f"{each.name}_*": rule for each in self.options.servers if not each.allow}


def _server(server: Server) -> dict[str, Any]:
    if server.url:
        headers = dict(server.headers)
        return {"type": "remote", "url": server.url, "headers": headers, "enabled": True}
    return {
        "type": "local",
        "command": list(server.command),
        "environment": dict(server.environment),
        "enabled": True,
    }
