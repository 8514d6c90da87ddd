"""``chia.models.codex``: Codex, one process for each prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock import errors
from penstock.agents.cli import Codex, Server, Session
from penstock.dialects.agents.codex import parse_session_id
from penstock.sync.chia._calls import (
    ChiaFunction,
    ChiaTool,
    LLMCallBase,
    QueryResult,
    Said,
    Turn,
)
from penstock.sync.chia._cli import CLITurn, options_of, parse_rate_limit_reset
from penstock.sync.chia._errors import ExitError, ExitMaybeLimit, Kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuthenticationError",
    "BillingError",
    "CodexError",
    "CodexLLM",
    "CodexQueryResult",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "RateLimitError",
    "ServerError",
    "UnknownCodexError",
    "parse_rate_limit_reset",
    "parse_session_id",
]


class CodexError(ExitError):
    """The base of this module's errors."""


class RateLimitError(ExitMaybeLimit, CodexError, errors.RateLimitError):
    """A usage limit was hit."""


class AuthenticationError(CodexError, errors.AuthenticationError):
    """The key or the sign-in is wrong, expired or absent."""


class BillingError(CodexError, errors.BillingError):
    """The account has no quota left."""


class InvalidRequestError(CodexError, errors.InvalidRequestError):
    """The request cannot be answered as it is; so is one that a filter blocks."""


class ServerError(CodexError, errors.ServerError):
    """The server failed, and so did every try after that."""


class MaxOutputTokensError(CodexError, errors.OutputTruncatedError):
    """The answer was cut at its limit, twice."""


class UnknownCodexError(CodexError):
    """What nothing classifies."""


@dataclass
class CodexQueryResult(QueryResult):
    """What a prompt came to, and the session that goes on elsewhere (`CodexLLM.restore`)."""

    session_id: str | None = None
    """Codex' id for the conversation."""
    session_state: dict[str, bytes] | None = None
    """The files that it needs to go on, by their paths below ``CODEX_HOME``; prompts and tool
    output, to be treated as sensitive."""
    session_state_paths: tuple[str, ...] = ()
    """Their paths."""


@dataclass(eq=False)
class CodexLLM(LLMCallBase):
    """Codex, one process for each prompt.

    Other than there, nothing is bypassed: commands run in the sandbox that `sandbox` says, and the
    tools of the servers that a prompt is given run unasked. The bypass is
    ``dangerously_bypass_approvals_and_sandbox=True``.
    """

    model: str | None = None
    """The model's id; None is Codex' default."""
    logging_name: str = "codex"
    """The logger's name."""
    codex_bin: str = "codex"
    """The program."""
    work_dir: str | None = None
    """Where it works; None is our own directory."""
    extra_cli_args: list[str] | None = None
    """More arguments."""
    sandbox: str = "workspace-write"
    """``read-only``, ``workspace-write`` or ``danger-full-access``."""
    approval_policy: str = "never"
    """When commands are asked for: nobody is there to answer, so anything else denies them."""
    dangerously_bypass_approvals_and_sandbox: bool = False
    """Whether everything runs unasked and outside of any sandbox; there this is the default."""
    skip_git_repo_check: bool = True
    """Whether it may work outside of a git repository."""
    ephemeral: bool = False
    """Whether nothing is written, and no session can be resumed."""
    ignore_rules: bool = False
    """Whether the user's rules for commands are left out."""
    profile: str | None = None
    """A profile of the user's configuration; not for a prompt that goes on with a session."""
    reasoning_effort: str | None = None
    """How hard the model is to think."""
    resume_session: bool = False
    """Whether a prompt goes on with the conversation of the last one."""
    auto_compact_token_limit: int | None = 200000
    """Tokens of a conversation from which on it is compacted; None is Codex' default."""

    result_kind: ClassVar[type[QueryResult]] = CodexQueryResult
    kinds: ClassVar[Kinds] = Kinds(
        UnknownCodexError,
        *(RateLimitError, AuthenticationError, BillingError, InvalidRequestError, ServerError),
        MaxOutputTokensError,
    )

    _session: Session | None = field(default=None, init=False, repr=False)

    @ChiaFunction(resources={"codex_creds": 0.01})
    def prompt(self, user_message: str, tools: list[ChiaTool] | None = None) -> CodexQueryResult:
        """Ask, and return the answer.

        Args:
            user_message: The user's words.
            tools: MCP servers: objects with a name and a url.

        Raises:
            CodexError: It failed in a way that has a class here.
            UsageError: It could not be asked.
        """
        return cast("CodexQueryResult", self._ask(user_message, tools))

    def restore(self, result: CodexQueryResult) -> None:
        """Go on where `result` is, which may come from another machine.

        Raises:
            ConversationError: It has no session.
            ConfigurationError: ``resume_session`` is false.
        """
        if result.session_id is None or result.session_state is None:
            raise errors.ConversationError("this result has no session", code="damaged")
        if not self.resume_session:
            raise errors.ConfigurationError(
                "this CodexLLM begins anew with each prompt: make it with resume_session=True",
                param="resume_session",
            )
        self._session = Session(agent="codex", id=result.session_id, files=result.session_state)

    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        resumed = self.resume_session
        return CLITurn(
            *(self._agent, message, tools),
            session=self._session if resumed else None,
            keep=self._keep if resumed else None,
        )

    def _keep(self, session: Session | None) -> None:
        self._session = session

    async def _agent(self, servers: tuple[Server, ...]) -> Codex:
        config: dict[str, Any] = {"approval_policy": self.approval_policy}
        if self.reasoning_effort is not None:
            config["model_reasoning_effort"] = self.reasoning_effort
        return Codex(
            options=options_of(
                *(self, servers),
                program=self.codex_bin,
                directory=self.work_dir,
                extra=self.extra_cli_args,
            ),
            sandbox=self.sandbox,
            bypass_approvals_and_sandbox=self.dangerously_bypass_approvals_and_sandbox,
            skip_git_repo_check=self.skip_git_repo_check,
            ephemeral=self.ephemeral,
            ignore_rules=self.ignore_rules,
            profile=self.profile,
            auto_compact_token_limit=self.auto_compact_token_limit,
            config=config,
        )

    def _more(self, said: Said, *, answered: bool) -> dict[str, Any]:
        if said.session is None:
            return {}
        return {
            "session_id": said.session.id,
            "session_state": dict(said.session.files) or None,
            "session_state_paths": tuple(sorted(said.session.files)),
        }
