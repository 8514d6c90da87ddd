"""``chia.models.openai_compat``: whoever speaks Chat Completions, with a tool loop over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from os import environ
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import errors
from penstock.deployment import Deployment
from penstock.keys import Secret
from penstock.providers.addresses import row_at
from penstock.providers.catalogue import find_row
from penstock.sync.chia._api import APICall
from penstock.sync.chia._errors import (
    Kinds,
    StatusError,
    StatusLimit,
    StatusTruncated,
    TypedStatus,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.sync.chia._options import ClientKwargs

__all__ = [
    "AuthenticationError",
    "BillingError",
    "ContextLengthExceededError",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "OpenAICompatError",
    "OpenAICompatLLM",
    "Preset",
    "RateLimitError",
    "ServerError",
    "UnknownOpenAIError",
]


class OpenAICompatError(TypedStatus):
    """The base of this module's errors."""


class RateLimitError(StatusLimit, OpenAICompatError, errors.RateLimitError):
    """HTTP 429."""


class AuthenticationError(StatusError, OpenAICompatError, errors.AuthenticationError):
    """HTTP 401 or 403, or no key at all: the message says which variable to export."""


class InvalidRequestError(StatusError, OpenAICompatError, errors.InvalidRequestError):
    """HTTP 400 or 404; so is what a filter blocks."""


class ServerError(StatusError, OpenAICompatError, errors.ServerError):
    """HTTP 5xx, a lost connection, or time that was up; every try."""


class MaxOutputTokensError(StatusTruncated, OpenAICompatError, errors.OutputTruncatedError):
    """The answer was cut at ``max_tokens``, twice."""


class ContextLengthExceededError(InvalidRequestError, errors.ContextLengthError):
    """The conversation is longer than the model's window."""


class BillingError(StatusError, OpenAICompatError, errors.BillingError):
    """HTTP 402, or a quota that waiting does not restore."""


class UnknownOpenAIError(StatusError, OpenAICompatError):
    """What nothing classifies."""


@dataclass(eq=False)
class OpenAICompatLLM(APICall, creds="openai_creds"):
    """A model behind an OpenAI-compatible address, and a tool loop over it.

    Other than there, ``OPENAI_API_KEY`` is OpenAI's alone: an address of the catalogue has its
    provider's variable, and any other only the key that is given. What fails is an
    `OpenAICompatError`.
    """

    model: str
    """The model's id there."""
    logging_name: str = "openai_compat_llm"
    """The logger's name."""
    base_url: str | None = None
    """The address before ``/chat/completions``; None is the provider's own."""
    api_key: Any = field(default=None, repr=False)  # Any: str in, out of sight within
    """The key; None is that of the provider's variable."""
    token_provider: Callable[[], str] | None = field(default=None, repr=False)
    """Returns a fresh token; it is asked before each request."""
    max_tokens: int = 16000
    """Tokens of each answer."""
    max_tool_iterations: int = 100
    """How often the model is asked in one try."""
    client_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    """``endpoint``, ``timeout``, ``retries`` and ``headers``, by the SDK's names too."""

    kinds: ClassVar[Kinds] = Kinds(
        UnknownOpenAIError,
        *(RateLimitError, AuthenticationError, InvalidRequestError, ServerError),
        *(MaxOutputTokensError, ContextLengthExceededError, BillingError),
        wires=True,
    )
    provider: ClassVar[str] = "openai"
    """The provider's name in the catalogue, for an address that is not given."""
    address: ClassVar[str | None] = None
    """The address that is not given, where it is not the catalogue's."""
    address_variable: ClassVar[str] = ""
    """The variable that has it, beside the catalogue's."""
    dummy_key: ClassVar[str | None] = None
    """The key of servers that ask for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.api_key = None if self.api_key is None else Secret(self.api_key)

    def _place(self, kwargs: ClientKwargs) -> tuple[str, Deployment]:
        deployment = self._deployment(kwargs)
        return "at" if deployment.base_url else self.provider, deployment

    def _deployment(self, kwargs: ClientKwargs) -> Deployment:
        moved = environ.get(self.address_variable)
        base_url = self.base_url or kwargs.endpoint or moved or self.address
        return Deployment(
            base_url,
            self._key(base_url),
            dialect="openai_chat",
            auth=None if self.dummy_key is None else "bearer",
        )

    def _key(self, base_url: str | None) -> Secret | Callable[[], str] | None:
        """Return what is known of the key: given, supplied, or in its provider's variables."""
        if self.token_provider is not None:
            return self.token_provider
        if self.api_key is not None:
            given: Secret = self.api_key
            return given
        if self.dummy_key is not None:
            own = Secret(None, variables=_variables(self.provider))
            return own if own.given else Secret(self.dummy_key)
        row = None if base_url is None else row_at(base_url)
        return None if row is None else Secret(None, variables=row.key_env, optional=row.keyless)


def _variables(provider: str) -> tuple[str, ...]:
    row = find_row(provider)
    return () if row is None else row.key_env


class Preset(OpenAICompatLLM):
    """`OpenAICompatLLM` for one provider.

    Args:
        model: The model's id there.
        kwargs: Those of `OpenAICompatLLM`.
    """

    def __init__(self, model: str, **kwargs: Any) -> None:  # Any: by the class above
        super().__init__(model, **{"logging_name": type(self).logging_name, **kwargs})
