"""hillstar's models in the cloud: one client for each, with hillstar's names and defaults.

A call that fails raises an ``OSError``: the error of `penstock.errors` that it is, and a
``requests.exceptions.RequestException`` where the program has loaded ``requests``.
"""

from __future__ import annotations

import os
from typing import ClassVar

from penstock.sync.hillstar.model import Model
from penstock.sync.hillstar.places import caller_of, client_of, key_of

__all__ = [
    "AnthropicModel",
    "GoogleAIStudioModel",
    "MistralAPIModel",
    "OpenAIModel",
]


class AnthropicModel(Model):
    """Claude by Anthropic's API: `model` is ``haiku``, ``sonnet``, ``opus`` or a full identifier.

    Args:
        model: A key of `MODEL_ALIASES`, or the model's own name.
        api_key: The key; by default ``ANTHROPIC_API_KEY`` has it.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    MODEL_ALIASES: ClassVar[dict[str, str]] = {
        "haiku": "claude-haiku-4-5-20251001",
        "opus": "claude-opus-4-6",
        "sonnet": "claude-sonnet-4-6",
    }

    def __init__(self, model: str = "haiku", api_key: str | None = None) -> None:
        self.model_name = self.MODEL_ALIASES.get(model, model)
        key = key_of(api_key, "ANTHROPIC_API_KEY")
        del api_key  # a traceback that shows locals must not show it (fault matrix, 39)
        self._caller = caller_of(self, client_of("anthropic", key), "anthropic")


class OpenAIModel(Model):
    """GPT by OpenAI's API.

    Args:
        model: The model's name.
        api_key: The key; by default ``OPENAI_API_KEY`` has it.
        base_url: The address; by default ``OPENAI_BASE_URL``'s, or OpenAI's.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    def __init__(
        self, model: str = "gpt-5.2", api_key: str | None = None, base_url: str | None = None
    ) -> None:
        self.model_name = model
        key = key_of(api_key, "OPENAI_API_KEY")
        del api_key  # as above
        self._caller = caller_of(self, client_of("openai", key, base_url), "openai")


class GoogleAIStudioModel(Model):
    """Gemini by the API of Google AI Studio.

    Args:
        model: The model's name.
        api_key: The key; by default ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY`` has it.
        base_url: The address; by default Google's.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    def __init__(
        self,
        model: str = "gemini-3-flash-preview",
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self.model_name = model
        key = key_of(api_key, "GOOGLE_API_KEY", "GEMINI_API_KEY")
        del api_key  # as above
        client = client_of("gemini", key, base_url, dialect="gemini")
        self._caller = caller_of(self, client, "gemini", provider="google_ai_studio")


class _Default(str):
    """The default of a parameter that a variable may stand in for."""

    __slots__ = ()


_SMALL = _Default("small")


class MistralAPIModel(Model):
    """Mistral's models by its API: `model` is a key of `MODEL_ALIASES` or a full identifier.

    ``MISTRAL_MODEL`` names the model of those that are made without one. A rate limit and a timeout
    do not raise: they are in what a call returns, as ``error``.

    Args:
        model: ``small``, ``medium``, ``mini``, ``code``, ``devstral``, or the model's own name.
        api_key: The key; by default ``MISTRAL_API_KEY`` has it.
        base_url: The address.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    MODEL_ALIASES: ClassVar[dict[str, str]] = {
        "code": "codestral-2508",
        "devstral": "devstral-2",
        "medium": "mistral-large-2411",
        "mini": "ministral-3b",
        "small": "mistral-medium-latest",
    }

    # Names of the aliases that Mistral knows by others (docs.mistral.ai, "Models").
    _IDS: ClassVar[dict[str, str]] = {
        "devstral-2": "devstral-2512",
        "ministral-3b": "ministral-3b-latest",
    }

    def __init__(
        self,
        model: str = _SMALL,
        api_key: str | None = None,
        base_url: str = "https://api.mistral.ai/v1",
    ) -> None:
        named = os.environ.get("MISTRAL_MODEL") if model is _SMALL else None
        self.model_name = self.MODEL_ALIASES.get(named or model, named or str(model))
        key = key_of(api_key, "MISTRAL_API_KEY")
        del api_key  # as above
        client = client_of("mistral", key, base_url, dialect="mistral")
        id = self._IDS.get(self.model_name, self.model_name)
        self._caller = caller_of(self, client, "mistral", id=id)
