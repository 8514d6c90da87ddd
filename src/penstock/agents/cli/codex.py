"""Codex as a child: ``codex exec``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from penstock.agents.cli.backend import Command
from penstock.agents.cli.codex_provider import OPENAI, Told, provider_config
from penstock.agents.cli.codex_rollout import PATTERN, is_plain, preface, provider_of
from penstock.agents.cli.codex_servers import server_config
from penstock.agents.cli.codex_version import program_version
from penstock.agents.cli.live import talking
from penstock.agents.cli.options import AgentOptions
from penstock.agents.cli.session import read_files, write_files
from penstock.agents.cli.surroundings import child_environment, in_home
from penstock.dialects.agents.codex import CodexAnswer
from penstock.dialects.agents.codex_server import CodexServerAnswer
from penstock.dialects.agents.codex_talk import CodexTalk
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.agents.cli.backend import Start, Turn
    from penstock.agents.cli.live import Live
    from penstock.agents.cli.session import Session
    from penstock.agents.cli.surroundings import Scratch
    from penstock.dialects.agents.answer import AgentAnswer

__all__ = ["Codex"]

MAX_PROMPT = 1_048_576
"""Characters of a prompt (0.169.0: ``input_too_large``)."""
MAX_ARGUMENT = 131_072
"""Bytes of an argument with the zero at its end (Linux: MAX_ARG_STRLEN, execve(2))."""
_PROVIDER = "penstock"
# What else 0.169.0 asks the internet for at its start: counts, feature flags, releases, plugins.
# And keys, which it hides from the model's commands only where it is told to.
_QUIET: Mapping[str, Any] = MappingProxyType(  # Any: TOML values
    {
        "analytics.enabled": False,
        "otel.metrics_exporter": "none",
        "check_for_update_on_startup": False,
        "features.plugins": False,
        "shell_environment_policy.ignore_default_excludes": False,
    }
)
_HIDDEN = ("KEY", "SECRET", "TOKEN")
"""What the names of variables have in them that Codex takes for keys (0.169.0)."""
_SANDBOXES = ("read-only", "workspace-write", "danger-full-access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codex:
    """``codex exec --json``.

    It works in a sandbox that can write nothing, and without a bypass MCP tools still run, by their
    server's ``allow``.

    Raises:
        ConfigurationError: There is no such sandbox, or the server of `keep_alive` has no such
            option.
    """

    options: AgentOptions
    sandbox: str = "read-only"
    """``read-only``, ``workspace-write`` or ``danger-full-access``."""
    bypass_approvals_and_sandbox: bool = False
    """Whether everything runs unasked and outside of any sandbox."""
    skip_git_repo_check: bool = True
    """Whether it may work outside of a git repository."""
    ephemeral: bool = False
    """Whether nothing is written, and no session can be resumed."""
    ignore_rules: bool = False
    """Whether the user's rules for commands are left out."""
    ignore_user_config: bool = False
    """Whether the user's configuration is left out."""
    profile: str | None = None
    """A profile of the configuration; not on resume, which has no such option."""
    endpoint: str | None = None
    """The address of a model endpoint that speaks the Responses API, instead of OpenAI's."""
    endpoint_key: str = "CODEX_API_KEY"
    """The variable that holds its key."""
    own_retries: bool = False
    """Whether it may ask a failing model again by itself: OpenAI up to thirty times (0.169.0).

    Else it asks once: a provider of the user's has its retries turned off, and for OpenAI's own,
    which has no option for that, one called ``penstock-openai`` makes the same requests. As a
    session keeps its provider, one that Codex began goes on with Codex' own, where a turn ends as
    it is about to try again; and Codex by itself goes on with one of ours by ``codex fork``. Its
    own provider has them all with ``config={"model_provider": "openai"}``."""
    auto_compact_token_limit: int | None = None
    """Tokens of a thread from which on it is compacted."""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)  # Any: TOML values
    """More of ``-c``: dotted names and their values, stronger than ours. They are arguments, which
    every user can read, so no place for keys. Plugins are off unless ``features.plugins`` is true
    here: Codex looks for theirs on the internet. The model's commands see no variable that has
    KEY, SECRET or TOKEN in its name, unless ``shell_environment_policy.ignore_default_excludes``
    is true."""

    name: str = field(default="codex", init=False)
    program: str = field(default="codex", init=False)

    def __post_init__(self) -> None:
        if self.sandbox not in _SANDBOXES:
            raise ConfigurationError(
                f"no sandbox is called {self.sandbox!r}; there is {', '.join(_SANDBOXES)}",
                param="sandbox",
            )
        for name in ("profile", "ignore_rules", "ignore_user_config"):
            if self.options.keep_alive and getattr(self, name):
                raise ConfigurationError(
                    f"codex app-server has no {name}: leave it out, or keep_alive=", param=name
                )

    @property
    def credentials(self) -> frozenset[str]:
        """Variables of ours that it may see."""
        return frozenset({"CODEX_API_KEY", "CODEX_HOME", self.endpoint_key})

    def command(self, turn: Turn, scratch: Scratch) -> Command:
        """Return how `turn` is asked.

        Raises:
            ConfigurationError: The prompt is longer than Codex takes, or the system prompt longer
                than an argument may be.
        """
        if self.options.keep_alive:
            _check(turn.prompt)
            return self._server(turn, scratch)
        environment = dict(self._moved())
        prompt = self._preface(turn, environment) + turn.prompt
        _check(prompt)
        argv = [self.options.program or self.program, "exec"]
        if turn.session_id:
            argv.append("resume")
        argv.append("--json")
        argv += self._flags()
        if turn.model:
            argv += ["-m", turn.model]
        argv += self._sandboxed(resumed=turn.session_id is not None)
        for name, value in self._config(turn, environment, scratch):
            argv += ["-c", f"{name}={_toml(value)}"]
            if name == "developer_instructions":
                _check_system(argv[-1])
        argv += self.options.extra_args
        if turn.session_id:
            argv.append(turn.session_id)
        argv.append("-")
        return Command(tuple(argv), prompt.encode("utf-8", "replace"), environment)

    def answer(self, totals: Mapping[str, float]) -> AgentAnswer:
        """Return the state of one answer."""
        if self.options.keep_alive:
            return CodexServerAnswer(self.options.limits, retries=self.own_retries)
        return CodexAnswer(self.options.limits, earlier=totals, retries=self.own_retries)

    async def live(self, start: Start) -> Live:
        """Return a session whose child stays."""
        sandbox, policy = self.sandbox, "never"
        if self.options.approve is not None:
            policy = "untrusted"  # ask before whatever is not known to be harmless
        if self.bypass_approvals_and_sandbox:
            sandbox, policy = "danger-full-access", "never"
        settings = {"sandbox": sandbox, "approvalPolicy": policy, "ephemeral": self.ephemeral}
        before = await asyncio.to_thread(self._preface, start.turn, start.environment)
        _check(before + start.turn.prompt)
        return await talking(start, CodexTalk(settings, preface=before), self.options)

    async def capture(self, id: str, environment: Mapping[str, str]) -> dict[str, bytes]:
        """Return the rollout: the one file that is enough to resume.

        The databases beside it hold paths of this home, and must not travel.
        """
        if not is_plain(id):
            return {}
        return await asyncio.to_thread(read_files, _root(environment), PATTERN.format(id=id))

    async def restore(self, session: Session, environment: Mapping[str, str]) -> str | None:
        """Put the rollout where it was, below this home."""
        await asyncio.to_thread(write_files, _root(environment), session.files)
        return None

    def _preface(self, turn: Turn, ours: Mapping[str, str]) -> str:
        """What a resumed session has to be told before its prompt: another system prompt."""
        if not turn.session_id:
            return ""
        return preface(_root(self._seen(ours)), turn.session_id, turn.system)

    def _seen(self, ours: Mapping[str, str]) -> dict[str, str]:
        """The environment of a child."""
        options = self.options
        return child_environment(self.credentials, ours, options.environment, home=options.home)

    def _moved(self) -> Iterator[tuple[str, str]]:
        if self.options.home is not None:
            folder = Path(self.options.home) / ".codex"
            with in_home(self.options.home):
                folder.mkdir(parents=True, exist_ok=True)  # Codex refuses one that is not there
            yield "CODEX_HOME", str(folder)

    def _server(self, turn: Turn, scratch: Scratch) -> Command:
        """The server of a thread, which the protocol tells the rest."""
        environment = dict(self._moved())
        argv = [self.options.program or self.program, "app-server"]
        for name, value in self._config(turn, environment, scratch):
            if name != "developer_instructions":  # the thread's
                argv += ["-c", f"{name}={_toml(value)}"]
        return Command((*argv, *self.options.extra_args), b"", environment)

    def _flags(self) -> list[str]:
        flags = {
            "--skip-git-repo-check": self.skip_git_repo_check,
            "--ephemeral": self.ephemeral,
            "--ignore-rules": self.ignore_rules,
            "--ignore-user-config": self.ignore_user_config,
        }
        return [flag for flag, wanted in flags.items() if wanted]

    def _sandboxed(self, *, resumed: bool) -> list[str]:
        if self.bypass_approvals_and_sandbox:
            return ["--dangerously-bypass-approvals-and-sandbox"]
        if resumed:  # ``resume`` has neither -s nor -p
            return ["-c", f"sandbox_mode={_toml(self.sandbox)}"]
        return ["-s", self.sandbox, *(["-p", self.profile] if self.profile else [])]

    def _config(
        self, turn: Turn, environment: dict[str, str], scratch: Scratch
    ) -> Iterator[tuple[str, Any]]:
        yield from ((name, value) for name, value in _QUIET.items() if name not in self.config)
        if turn.system:
            yield "developer_instructions", turn.system
        if turn.effort:
            yield "model_reasoning_effort", turn.effort
        if self.auto_compact_token_limit is not None:
            yield "model_auto_compact_token_limit", self.auto_compact_token_limit
        if self.endpoint:
            yield from self._pointed()
        for number, server in enumerate(self.options.servers):
            yield from server_config(server, number, environment)
        yield from self.config.items()
        if not self.endpoint:
            yield from self._provided(turn, self._seen(environment), scratch)

    def _pointed(self) -> Iterator[tuple[str, Any]]:
        """A provider at the caller's endpoint, whose key no command of the model sees."""
        yield "model_provider", _PROVIDER
        within = f"model_providers.{_PROVIDER}"
        yield f"{within}.name", _PROVIDER
        yield f"{within}.base_url", self.endpoint
        yield f"{within}.env_key", self.endpoint_key
        yield f"{within}.wire_api", "responses"
        if not any(word in self.endpoint_key.upper() for word in _HIDDEN):
            yield "shell_environment_policy.exclude", [self.endpoint_key]
        if not self.own_retries:  # they must not multiply with ours
            yield f"{within}.request_max_retries", 0
            yield f"{within}.stream_max_retries", 0

    def _provided(
        self, turn: Turn, seen: Mapping[str, str], scratch: Scratch
    ) -> Iterator[tuple[str, Any]]:
        """The provider of the user's configuration, or OpenAI's, without its retries."""
        root, id = _root(seen), turn.session_id
        told = Told(
            root=root,
            config=self.config,
            arguments=self.options.extra_args,
            profile=None if id else self.profile,
            ignore_user_config=self.ignore_user_config,
            session=(provider_of(root, id) or OPENAI) if id else None,
            own_retries=self.own_retries,
        )
        program, directory = self.options.program or self.program, self.options.directory
        yield from provider_config(
            told, lambda: program_version(program, seen, directory, scratch=scratch)
        )


def _check(prompt: str) -> None:
    if len(prompt) > MAX_PROMPT:
        raise ConfigurationError(
            f"Codex takes prompts of {MAX_PROMPT} characters; this one has {len(prompt)}"
        )


def _check_system(argument: str) -> None:
    size = len(argument.encode("utf-8", "surrogatepass")) + 1
    if sys.platform == "linux" and size > MAX_ARGUMENT:
        raise ConfigurationError(
            f"the system prompt is too long for codex exec: as an argument it has {size} bytes, and"
            f" the system takes {MAX_ARGUMENT}; with keep_alive=True it goes by stdin",
            param="system",
        )


def _toml(value: Any) -> str:  # Any: what TOML can say
    """Return `value` as TOML on one line; a JSON string is a basic string of TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _root(environment: Mapping[str, str]) -> Path:
    moved = environment.get("CODEX_HOME")
    return Path(moved) if moved else Path(environment.get("HOME") or Path.home()) / ".codex"
