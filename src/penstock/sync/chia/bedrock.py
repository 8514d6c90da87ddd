"""``chia.models.bedrock``: Amazon Bedrock by its Converse API, with a tool loop over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import errors
from penstock.deployment import Deployment
from penstock.sync.chia._api import APICall
from penstock.sync.chia._errors import Kinds, Worded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.sync.chia._options import ClientKwargs

__all__ = [
    "AuthenticationError",
    "BedrockError",
    "BedrockLLM",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "RateLimitError",
    "ServerError",
    "UnknownBedrockError",
]


class BedrockError(Worded):
    """The base of this module's errors."""

    def __init__(
        self, node_id: str, error_type: str, status_code: str = "", raw_message: str = ""
    ) -> None:
        self._set(node_id, raw_message, error_type=error_type, status_code=status_code)


class _Plain(BedrockError):
    def __init__(self, node_id: str, status_code: str = "", raw_message: str = "") -> None:
        self._set(node_id, raw_message, status_code=status_code)


class RateLimitError(BedrockError, errors.RateLimitError):
    """The account is throttled, or its quota is exhausted."""

    reset_time: datetime
    """When it is lifted, in UTC; a minute from now where nobody tells: `reset_at` is None then."""

    def __init__(
        self, node_id: str, reset_time: datetime, raw_message: str = "", status_code: str = ""
    ) -> None:
        self._set(node_id, raw_message, reset_time=reset_time, status_code=status_code)


class AuthenticationError(_Plain, errors.AuthenticationError):
    """The credentials are wrong, expired or absent, or may not do this."""


class InvalidRequestError(_Plain, errors.InvalidRequestError):
    """The request cannot be answered as it is, or there is no such model."""


class ServerError(_Plain, errors.ServerError):
    """The service failed, the connection was lost or time was up; every try."""


class MaxOutputTokensError(BedrockError, errors.OutputTruncatedError):
    """The answer was cut at ``max_tokens``, twice."""

    partial_text: str
    """What there is of it."""

    def __init__(
        self,
        node_id: str,
        status_code: str = "",
        raw_message: str = "",
        partial_text: str = "",
    ) -> None:
        self._set(node_id, raw_message, status_code=status_code, partial_text=partial_text)


class UnknownBedrockError(_Plain):
    """What nothing classifies."""


@dataclass(eq=False)
class BedrockLLM(APICall, creds="bedrock_creds"):
    """A model on Amazon Bedrock, and a tool loop over it.

    Credentials are the AWS chain's, which needs the extra ``aws``, or a key of Bedrock's own in
    ``AWS_BEARER_TOKEN_BEDROCK``. What fails is a `BedrockError`.
    """

    model: str
    """The model's id, inference profile or ARN."""
    logging_name: str = "bedrock_llm"
    """The logger's name."""
    region: str | None = None
    """The region; None is that of ``AWS_REGION`` or ``AWS_DEFAULT_REGION``."""
    max_tokens: int = 16000
    """Tokens of each answer."""
    max_tool_iterations: int = 100
    """How often the model is asked in one try."""
    client_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    """``endpoint``, ``region``, ``timeout``, ``retries`` and ``headers``, by boto3's names too."""

    kinds: ClassVar[Kinds] = Kinds(
        UnknownBedrockError,
        *(RateLimitError, AuthenticationError, InvalidRequestError, ServerError),
        MaxOutputTokensError,
        wires=True,
    )

    def _place(self, kwargs: ClientKwargs) -> tuple[str, Deployment]:
        return "bedrock", Deployment(
            kwargs.endpoint,
            dialect="bedrock_converse",
            region=self.region or kwargs.region,
            auth="aws",
        )
