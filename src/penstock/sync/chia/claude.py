"""``chia.models.claude``: Claude Code, or Anthropic's API by the same name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock import errors
from penstock.agents.cli import ClaudeCode, Server, Session
from penstock.agents.cli.session import write_files
from penstock.deployment import Deployment
from penstock.dialects.agents.claude_code import parse_rate_limit_event
from penstock.keys import Secret
from penstock.sync.chia._api import APITurn, Ask
from penstock.sync.chia._calls import (
    ChiaFunction,
    ChiaTool,
    LLMCallBase,
    QueryResult,
    Said,
    Turn,
)
from penstock.sync.chia._cli import CLITurn, options_of, parse_rate_limit_reset, seen
from penstock.sync.chia._errors import (
    ExitError,
    ExitLimit,
    ExitServer,
    ExitTruncated,
    ExitUnknown,
    Kinds,
    TypedExit,
)
from penstock.sync.chia._options import ClientKwargs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.conversations import SyncConversation

__all__ = [
    "AuthenticationError",
    "BillingError",
    "ClaudeCodeError",
    "ClaudeCodeLLM",
    "ClaudeCodeQueryResult",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "RateLimitError",
    "ServerError",
    "UnknownClaudeError",
    "parse_rate_limit_event",
    "parse_rate_limit_reset",
]


class ClaudeCodeError(TypedExit):
    """The base of this module's errors."""


class RateLimitError(ExitLimit, ClaudeCodeError, errors.RateLimitError):
    """A usage limit was hit."""


class AuthenticationError(ExitError, ClaudeCodeError, errors.AuthenticationError):
    """The token or key is wrong, expired or absent."""


class BillingError(ExitError, ClaudeCodeError, errors.BillingError):
    """The account has no credit left."""


class InvalidRequestError(ExitError, ClaudeCodeError, errors.InvalidRequestError):
    """The request cannot be answered as it is; so is one that a filter blocks."""


class ServerError(ExitServer, ClaudeCodeError, errors.ServerError):
    """The server failed, and so did every try after that."""


class MaxOutputTokensError(ExitTruncated, ClaudeCodeError, errors.OutputTruncatedError):
    """The answer was cut at its limit, twice."""


class UnknownClaudeError(ExitUnknown, ClaudeCodeError):
    """What nothing classifies."""


@dataclass
class ClaudeCodeQueryResult(QueryResult):
    """What a prompt came to, and the session that goes on elsewhere (`ClaudeCodeLLM.restore`)."""

    session_transcript: bytes | None = None
    """The session's file: prompts and tool output, to be treated as sensitive."""
    session_transcript_path: str | None = None
    """Where that file is here; its name is the session's id."""


# What Claude Code sees where it is told to use another cloud's models.
_CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "ANTHROPIC_BEDROCK_BASE_URL"),
    ),
    "CLAUDE_CODE_USE_VERTEX": (
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUD_ML_REGION"),
        *("ANTHROPIC_VERTEX_PROJECT_ID", "ANTHROPIC_VERTEX_BASE_URL"),
    ),
}


@dataclass(eq=False)
class ClaudeCodeLLM(LLMCallBase):
    """Claude Code, one process for each prompt; with ``backend="api"`` a tool loop over the API.

    Other than there, no permission is bypassed: what would have to be asked for is denied, and the
    tools of the servers that a prompt is given run unasked. The bypass is
    ``extra_cli_args=["--dangerously-skip-permissions"]``.
    """

    model: str = "claude-sonnet-4-6"
    """The model's id."""
    logging_name: str = "claude_code"
    """The logger's name."""
    resume_session: bool = False
    """Whether a prompt goes on with the conversation of the last one."""
    projects_cwd: str | None = "/home/ray/.claude/projects/-home-ray-llm-env"
    """The folder below Claude Code's ``projects`` where a session from elsewhere is put; where
    there is no such folder it is one of penstock's."""
    extra_cli_args: list[str] | None = None
    """More arguments of the program."""
    log_stream: bool = True
    """Whether the log has what the agent says and the tools that it calls, as it does."""
    log_all: bool = False
    """Whether the log has every other event, too; for ``api`` that is what the model thinks."""
    backend: str = "cli"
    """``cli`` or ``api``."""
    api_key: Any = field(default=None, repr=False)  # Any: str in, out of sight within
    """The key; default the environment's ``ANTHROPIC_API_KEY``, or what the program is signed in
    with."""
    max_tokens: int = 16000
    """Tokens of each answer, for ``api``."""
    thinking: str | None = "adaptive"
    """The type of ``thinking``, for ``api``; None leaves it out."""
    max_tool_iterations: int = 100
    """How often the model is asked in one try, for ``api``."""

    result_kind: ClassVar[type[QueryResult]] = ClaudeCodeQueryResult
    kinds: ClassVar[Kinds] = Kinds(
        UnknownClaudeError,
        *(RateLimitError, AuthenticationError, BillingError, InvalidRequestError, ServerError),
        MaxOutputTokensError,
    )

    _session: Session | None = field(default=None, init=False, repr=False)
    _messages: list[Any] = field(default_factory=list, init=False, repr=False)  # Any: messages

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend not in ("cli", "api"):
            raise errors.ConfigurationError(
                f'ClaudeCodeLLM.backend is "cli" or "api", not {self.backend!r:.80}',
                param="backend",
            )
        self.api_key = None if self.api_key is None else Secret(self.api_key)

    @ChiaFunction(resources={"claude_creds": 0.01})
    def prompt(
        self,
        user_message: str,
        tools: list[ChiaTool] | None = [],  # noqa: B006  # the seed's, and only read
    ) -> ClaudeCodeQueryResult:
        """Ask, and return the answer.

        Args:
            user_message: The user's words.
            tools: MCP servers: objects with a name and a url. With ``api`` Python functions, too.

        Raises:
            ClaudeCodeError: It failed in a way that has a class here.
            UsageError: It could not be asked.
        """
        return cast("ClaudeCodeQueryResult", self._ask(user_message, tools))

    def restore(self, result: ClaudeCodeQueryResult) -> None:
        """Go on where `result` is, which may come from another machine.

        Raises:
            ConversationError: It has no session.
            ConfigurationError: ``resume_session`` is false.
        """
        data, path = result.session_transcript, result.session_transcript_path
        if data is None:
            raise errors.ConversationError("this result has no session", code="damaged")
        if not self.resume_session:
            raise errors.ConfigurationError(
                "this ClaudeCodeLLM begins anew with each prompt: make it with resume_session=True",
                param="resume_session",
            )
        if self.backend == "api":
            self._messages = [json.loads(line) for line in data.splitlines()]
            return
        id = Path(path or "").stem
        if not id:
            raise errors.ConversationError("this result has no session's name", code="damaged")
        self._session = Session(agent="claude_code", id=id, files={f"{id}.jsonl": data})

    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        if self.backend == "api":
            return self._api(message, tools)
        session = self._session if self.resume_session else None
        if session and self.projects_cwd and Path(self.projects_cwd).is_dir():
            write_files(Path(self.projects_cwd), session.files)
        return CLITurn(
            *(self._agent, message, tools),
            session=session,
            keep=self._keep if self.resume_session else None,
            stream=self.log_stream,
            all=self.log_all,
        )

    def _keep(self, session: Session | None) -> None:
        self._session = session

    async def _agent(self, servers: tuple[Server, ...]) -> ClaudeCode:
        environment: dict[str, str] = {}
        for cloud in seen(_CLOUDS):
            environment |= seen((cloud, *_CLOUDS[cloud]))
        if self.api_key is not None:
            environment["ANTHROPIC_API_KEY"] = await self.api_key.reveal("ClaudeCodeLLM")
        options = options_of(self, servers, extra=self.extra_cli_args, environment=environment)
        # Nobody reads deltas: whole messages are less to parse.
        return ClaudeCode(options=options, partial=False)

    def _api(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        ask = Ask(
            provider="anthropic",
            model=self.model,
            deployment=Deployment(api_key=self.api_key),
            max_tokens=self.max_tokens,
            max_steps=self.max_tool_iterations,
            kwargs=ClientKwargs(),
            body=None if self.thinking is None else {"thinking": {"type": self.thinking}},
        )
        earlier = self._messages if self.resume_session else ()
        return APITurn(
            *(self, ask, message, tools),
            earlier=earlier,
            stream=self.log_stream,
            all=self.log_all,
        )

    def _more(self, said: Said, *, answered: bool) -> dict[str, Any]:
        if said.conversation is not None:
            return self._conversation_of(said.conversation, answered=answered)
        if said.session is None:
            return {}
        name = f"{said.session.id}.jsonl"
        moved = said.environment.get("CLAUDE_CONFIG_DIR")
        root = Path(moved) if moved else Path(said.environment.get("HOME", "")) / ".claude"
        found = max(root.glob(f"projects/*/{name}"), key=_written, default=None)
        return {
            "session_transcript": said.session.files.get(name),
            "session_transcript_path": None if found is None else str(found),
        }

    def _conversation_of(self, conversation: SyncConversation, *, answered: bool) -> dict[str, Any]:
        if not self.resume_session or not answered:
            return {}
        self._messages = [each for each in conversation if each["role"] != "system"]
        lines = [json.dumps(each, ensure_ascii=False) for each in self._messages]
        return {"session_transcript": "".join(f"{line}\n" for line in lines).encode()}


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
