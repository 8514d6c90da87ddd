"""``chia.models.opencode``: opencode, one process for each prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import errors
from penstock.agents.cli import OpenCode, Server
from penstock.dialects.agents.opencode import parse_run_error, parse_session_id
from penstock.providers.catalogue import catalogue, find_row
from penstock.sync.chia._calls import (
    ChiaFunction,
    ChiaTool,
    LLMCallBase,
    QueryResult,
    Said,
    Turn,
)
from penstock.sync.chia._cli import CLITurn, options_of
from penstock.sync.chia._errors import (
    ExitError,
    ExitLimit,
    ExitServer,
    ExitTruncated,
    ExitUnknown,
    Kinds,
    TypedExit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuthenticationError",
    "BillingError",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "OpenCodeError",
    "OpenCodeLLM",
    "RateLimitError",
    "ServerError",
    "UnknownOpenCodeError",
    "parse_run_error",
    "parse_session_id",
]


class OpenCodeError(TypedExit):
    """The base of this module's errors."""


class RateLimitError(ExitLimit, OpenCodeError, errors.RateLimitError):
    """The provider behind opencode set a limit."""


class AuthenticationError(ExitError, OpenCodeError, errors.AuthenticationError):
    """opencode has no credentials for the provider, or wrong ones."""


class BillingError(ExitError, OpenCodeError, errors.BillingError):
    """The provider's account has no credit left."""


class InvalidRequestError(ExitError, OpenCodeError, errors.InvalidRequestError):
    """The request cannot be answered as it is; so is one that a filter blocks."""


class ServerError(ExitServer, OpenCodeError, errors.ServerError):
    """The provider failed, and so did every try after that."""


class MaxOutputTokensError(ExitTruncated, OpenCodeError, errors.OutputTruncatedError):
    """The answer was cut at its limit, twice."""


class UnknownOpenCodeError(ExitUnknown, OpenCodeError):
    """What nothing classifies."""


_CLOUDS = {
    "aws": (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    ),
    "google_adc": ("GOOGLE_APPLICATION_CREDENTIALS",),
}
"""What the schemes of two clouds read from the environment."""
_BYPASSES = frozenset({"--auto", "--dangerously-skip-permissions"})


@dataclass(eq=False)
class OpenCodeLLM(LLMCallBase):
    """opencode, one process for each prompt.

    Other than there, no permission is given that was not asked for: edits, commands, fetches and
    other folders are denied, and the tools of the servers that a prompt is given run unasked. The
    bypass is ``extra_cli_args=["--auto"]``.

    opencode sees the variables of the model's own provider and no other's; where no model is named
    it chooses one by itself, and sees those of all.
    """

    model: str | None = None
    """``provider/model``; None is opencode's default."""
    logging_name: str = "opencode"
    """The logger's name."""
    opencode_bin: str = "opencode"
    """The program."""
    agent_name: str = "chia"
    """The agent that has the system prompt, in a configuration of this prompt alone."""
    work_dir: str | None = None
    """Where it works; None is our own directory."""
    extra_cli_args: list[str] | None = None
    """More arguments."""

    kinds: ClassVar[Kinds] = Kinds(
        UnknownOpenCodeError,
        *(RateLimitError, AuthenticationError, BillingError, InvalidRequestError, ServerError),
        MaxOutputTokensError,
    )

    @ChiaFunction(resources={"opencode_creds": 0.01})
    def prompt(
        self,
        user_message: str,
        tools: list[ChiaTool] | None = [],  # noqa: B006  # the seed's, and only read
    ) -> QueryResult:
        """Ask, and return the answer; ``returncode`` is the program's own.

        Args:
            user_message: The user's words.
            tools: MCP servers: objects with a name and a url.

        Raises:
            OpenCodeError: It failed in a way that has a class here.
            UsageError: It could not be asked.
        """
        return self._ask(user_message, tools)

    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        return CLITurn(self._agent, message, tools)

    async def _agent(self, servers: tuple[Server, ...]) -> OpenCode:
        agent: dict[str, Any] = {"mode": "primary"}  # Any: opencode's configuration
        if self.system_message:
            agent["prompt"] = self.system_message
        options = options_of(
            *(self, servers),
            program=self.opencode_bin,
            directory=self.work_dir,
            extra=self.extra_cli_args,
            system="",
        )
        more: dict[str, Any] = {}  # Any: as above
        if _BYPASSES & set(self.extra_cli_args or ()):
            more["permission"] = {}  # what is denied is denied with the bypass, too
        return OpenCode(
            options=options,
            agent=self.agent_name,
            config={"agent": {self.agent_name: agent}},
            credentials=frozenset(_variables(self.model)),
            **more,
        )

    def _failed(self, said: Said) -> int:
        return said.setting.exit_code or -1


def _variables(model: str | None) -> Iterator[str]:
    """Yield the variables that opencode may need for `model`."""
    named = None if model is None else find_row(model.partition("/")[0].replace("-", "_"))
    for row in catalogue().values() if model is None else [named]:
        if row is not None:
            yield from row.key_env
            yield from (name for names in row.variables.values() for name in names)
            yield from _CLOUDS.get(row.auth.partition(":")[0], ())
