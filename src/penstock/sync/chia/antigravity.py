"""``chia.models.antigravity``: Google's ``agy``, one process for each prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from penstock import errors
from penstock.agents.cli import Antigravity, Server
from penstock.agents.cli.antigravity_home import linked_home
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

    from penstock.sync.chia._log import Tell

__all__ = [
    "AntigravityError",
    "AntigravityLLM",
    "AuthenticationError",
    "BillingError",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "RateLimitError",
    "ServerError",
    "UnknownAntigravityError",
    "parse_rate_limit_reset",
]


class AntigravityError(ExitError):
    """The base of this module's errors."""


class RateLimitError(ExitMaybeLimit, AntigravityError, errors.RateLimitError):
    """A quota is used up."""


class AuthenticationError(AntigravityError, errors.AuthenticationError):
    """Nobody is signed in."""


class BillingError(AntigravityError, errors.BillingError):
    """The account has no credits left."""


class InvalidRequestError(AntigravityError, errors.InvalidRequestError):
    """The request cannot be answered as it is; so is one that a filter blocks."""


class ServerError(AntigravityError, errors.ServerError):
    """The server failed, and so did every try after that."""


class MaxOutputTokensError(AntigravityError, errors.OutputTruncatedError):
    """The answer was cut at its limit, twice."""


class UnknownAntigravityError(AntigravityError):
    """What nothing classifies."""


@dataclass(eq=False)
class AntigravityLLM(LLMCallBase):
    """``agy``, one process for each prompt.

    Other than there, no permission is bypassed: ``agy`` goes by its own rules, and the bypass is
    ``dangerously_skip_permissions=True``. With `tools` it runs in a home of this prompt's own, as
    it reads MCP servers from nowhere else: what is in its folder is linked there, its list of
    servers alone is another.
    """

    model: str | None = None
    """The model's id; None is ``agy``'s default."""
    logging_name: str = "antigravity"
    """The logger's name."""
    agy_bin: str = "agy"
    """The program."""
    work_dir: str | None = None
    """Where it works; None is our own directory."""
    add_dirs: list[str] | None = None
    """More folders that it may work in."""
    gemini_dir: str | None = None
    """Its folder, with sign-in and settings; None is ``~/.gemini``."""
    dangerously_skip_permissions: bool = False
    """Whether every tool runs unasked; there this is the default."""
    sandbox: bool = False
    """Whether its commands run in its sandbox."""
    extra_cli_args: list[str] | None = None
    """More arguments."""

    kinds: ClassVar[Kinds] = Kinds(
        UnknownAntigravityError,
        *(RateLimitError, AuthenticationError, BillingError, InvalidRequestError, ServerError),
        MaxOutputTokensError,
    )

    @ChiaFunction(resources={"antigravity_creds": 0.01})
    def prompt(self, user_message: str, tools: list[ChiaTool] | None = None) -> QueryResult:
        """Ask, and return the answer.

        Args:
            user_message: The user's words.
            tools: MCP servers: objects with a name and a url.

        Raises:
            AntigravityError: It failed in a way that has a class here.
            UsageError: It could not be asked.
        """
        return self._ask(user_message, tools)

    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        return _Turn(self, message, tools)

    def _agent(self, servers: tuple[Server, ...], home: str | None) -> Antigravity:
        return Antigravity(
            options=options_of(
                *(self, servers),
                program=self.agy_bin,
                directory=self.work_dir,
                extra=self.extra_cli_args,
                home=home,
            ),
            sandbox=self.sandbox,
            bypass_permissions=self.dangerously_skip_permissions,
            add_directories=tuple(self.add_dirs or ()),
        )


class _Turn:
    """A prompt in a home of its own, where one is needed."""

    def __init__(self, shim: AntigravityLLM, message: str, tools: Sequence[ChiaTool]) -> None:
        self._shim = shim
        self._home: str | None = None
        self._inner = CLITurn(self._agent, message, tools)
        self._alone = bool(tools) or shim.gemini_dir is not None

    @property
    def said(self) -> Said:
        """What came of the last try."""
        return self._inner.said

    async def run(self, tell: Tell) -> None:
        """Try once."""
        if not self._alone:
            await self._inner.run(tell)
            return
        with linked_home(self._shim.gemini_dir) as self._home:
            await self._inner.run(tell)

    async def _agent(self, servers: tuple[Server, ...]) -> Antigravity:
        return self._shim._agent(servers, self._home)
