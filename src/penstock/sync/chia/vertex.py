"""``chia.models.vertex``: Google Vertex AI, Gemini and the others, with a tool loop over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import environ
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import errors
from penstock.deployment import Deployment
from penstock.sync.chia._api import APICall
from penstock.sync.chia._errors import (
    Kinds,
    StatusError,
    StatusLimit,
    StatusTruncated,
    TypedStatus,
)
from penstock.sync.chia.openai_compat import OpenAICompatLLM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.sync.chia._options import ClientKwargs

__all__ = [
    "AuthenticationError",
    "ContentBlockedError",
    "InvalidRequestError",
    "MaxOutputTokensError",
    "RateLimitError",
    "ServerError",
    "UnknownVertexError",
    "VertexError",
    "VertexGeminiLLM",
    "VertexGenericLLM",
]


class VertexError(TypedStatus):
    """The base of this module's errors."""


class RateLimitError(StatusLimit, VertexError, errors.RateLimitError):
    """HTTP 429, ``RESOURCE_EXHAUSTED``."""


class AuthenticationError(StatusError, VertexError, errors.AuthenticationError):
    """HTTP 401 or 403, or no credentials at all."""


class InvalidRequestError(StatusError, VertexError, errors.InvalidRequestError):
    """HTTP 400 or 404."""


class ServerError(StatusError, VertexError, errors.ServerError):
    """HTTP 5xx, a lost connection, or time that was up; every try."""


class MaxOutputTokensError(StatusTruncated, VertexError, errors.OutputTruncatedError):
    """The answer was cut at ``max_tokens``, twice."""


class UnknownVertexError(StatusError, VertexError):
    """What nothing classifies."""


class ContentBlockedError(VertexError, errors.ContentBlockedError):
    """The prompt or the answer was blocked; it is never asked again."""

    block_reason: str
    """Google's word for it, such as ``SAFETY``."""

    def __init__(self, node_id: str, block_reason: str = "", raw_message: str = "") -> None:
        self._set(node_id, raw_message, block_reason=block_reason, status_code=None)


@dataclass(eq=False)
class VertexGeminiLLM(APICall, creds="vertex_creds"):
    """A Gemini model on Vertex AI, and a tool loop over it.

    Credentials are Google's application default ones, which need the extra ``gcp``. What fails is a
    `VertexError`.
    """

    model: str
    """The model's id."""
    logging_name: str = "vertex_gemini"
    """The logger's name."""
    project: str | None = None
    """The cloud project; None is that of ``GOOGLE_CLOUD_PROJECT``."""
    location: str | None = None
    """The location; None is that of ``GOOGLE_CLOUD_LOCATION``, else ``global``."""
    max_tokens: int = 16000
    """Tokens of each answer."""
    max_tool_iterations: int = 100
    """How often the model is asked in one try."""
    client_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    """``endpoint``, ``region``, ``timeout``, ``retries`` and ``headers``."""

    kinds: ClassVar[Kinds] = Kinds(
        UnknownVertexError,
        *(RateLimitError, AuthenticationError, InvalidRequestError, ServerError),
        *(MaxOutputTokensError, ContentBlockedError),
        wires=True,
    )

    def _place(self, kwargs: ClientKwargs) -> tuple[str, Deployment]:
        # Google's own address is filled from the environment; another one is not.
        said = environ if kwargs.endpoint else {}
        return "vertex_ai", Deployment(
            kwargs.endpoint,
            dialect="gemini",
            region=self.location or kwargs.region or said.get("GOOGLE_CLOUD_LOCATION"),
            project=self.project or said.get("GOOGLE_CLOUD_PROJECT"),
            auth="google_adc",
        )


class VertexGenericLLM(OpenAICompatLLM, creds="vertex_creds"):
    """A model of another family on Vertex AI (Llama, Mistral, ...) by its compatible address.

    The token is ``token_provider``'s where there is one, else of Google's application default
    credentials, which need the extra ``gcp``. Its errors are those of
    `penstock.sync.chia.openai_compat`.

    Args:
        model: The model's id, such as ``meta/llama-3.1-8b-instruct-maas``.
        project: The cloud project; None is that of ``GOOGLE_CLOUD_PROJECT``.
        location: The location; None is that of ``GOOGLE_CLOUD_LOCATION``, else ``global``.
        kwargs: Those of `OpenAICompatLLM`.
    """

    logging_name = "vertex_maas"
    provider = "vertex_ai"

    def __init__(
        self,
        model: str,
        project: str | None = None,
        location: str | None = None,
        **kwargs: Any,  # Any: by the class above
    ) -> None:
        super().__init__(model, **{"logging_name": type(self).logging_name, **kwargs})
        self.project, self.location = project, location

    def _deployment(self, kwargs: ClientKwargs) -> Deployment:
        return Deployment(
            self.base_url or kwargs.endpoint,
            self.token_provider or self.api_key,
            dialect="openai_chat",
            region=self.location or kwargs.region,
            project=self.project,
            auth="google_adc",
        )
