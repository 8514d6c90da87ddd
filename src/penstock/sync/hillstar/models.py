"""hillstar's models behind HTTP: one client for each, with hillstar's names and defaults."""

from __future__ import annotations

import os
from typing import ClassVar

from penstock.client import Client
from penstock.deployment import Deployment, Secret
from penstock.sync.hillstar.calling import TEMPERATURE, TIMEOUT, Caller
from penstock.sync.hillstar.contract import CallResult, ComplianceError

__all__ = [
    "AnthropicModel",
    "AnthropicOllamaAPIModel",
    "DevstralLocalModel",
    "GoogleAIStudioModel",
    "MistralAPIModel",
    "OllamaAPIModel",
    "OpenAIModel",
]


class AnthropicModel:
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
    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(self, model: str = "haiku", api_key: str | None = None) -> None:
        self.model_name = self.MODEL_ALIASES.get(model, model)
        """The model's own name."""
        key = _key(api_key, "ANTHROPIC_API_KEY")
        del api_key  # a traceback that shows locals must not show it (fault matrix, 39)
        client = _client("anthropic", key)
        self._caller = _caller(self, client, "anthropic", self.model_name)

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`.

        Args:
            prompt: What to say.
            max_tokens: Tokens of the answer at most.
            temperature: Sampling temperature; by default `TEMPERATURE_DEFAULT`, which is left out
                and reported as dropped where the model refuses it.
            system: What the model is told first.

        Raises:
            OSError: It failed: the error of `penstock.errors` that it is, and a
                ``requests.exceptions.RequestException`` where the program has loaded ``requests``.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class OpenAIModel:
    """GPT by OpenAI's API.

    Args:
        model: The model's name.
        api_key: The key; by default ``OPENAI_API_KEY`` has it.
        base_url: The address; by default ``OPENAI_BASE_URL``'s, or OpenAI's.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(
        self, model: str = "gpt-5.2", api_key: str | None = None, base_url: str | None = None
    ) -> None:
        self.model_name = model
        """The model's own name."""
        key = _key(api_key, "OPENAI_API_KEY")
        del api_key  # as above
        client = _client("openai", key, base_url)
        self._caller = _caller(self, client, "openai", model)

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; arguments and errors are `AnthropicModel.call`'s."""
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class GoogleAIStudioModel:
    """Gemini by the API of Google AI Studio.

    Args:
        model: The model's name.
        api_key: The key; by default ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY`` has it.
        base_url: The address; by default Google's.

    Raises:
        ComplianceError: There is no key; a ``ValueError``.
    """

    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(
        self,
        model: str = "gemini-3-flash-preview",
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self.model_name = model
        """The model's own name."""
        key = _key(api_key, "GOOGLE_API_KEY", "GEMINI_API_KEY")
        del api_key  # as above
        client = _client("gemini", key, base_url, dialect="gemini")
        self._caller = _caller(self, client, "gemini", model, provider="google_ai_studio")

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; arguments and errors are `AnthropicModel.call`'s."""
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class _Default(str):
    """The default of a parameter that a variable may stand in for."""

    __slots__ = ()


_SMALL = _Default("small")


class MistralAPIModel:
    """Mistral's models by its API: `model` is a key of `MODEL_ALIASES` or a full identifier.

    ``MISTRAL_MODEL`` names the model of those that are made without one.

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
    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

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
        """The model's own name."""
        key = _key(api_key, "MISTRAL_API_KEY")
        del api_key  # as above
        client = _client("mistral", key, base_url, dialect="mistral")
        id = self._IDS.get(self.model_name, self.model_name)
        self._caller = _caller(self, client, "mistral", self.model_name, id=id)

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; a rate limit and a timeout are in it, as ``error``.

        The arguments are `AnthropicModel.call`'s.

        Raises:
            OSError: The model is not valid, or it failed otherwise; as `AnthropicModel.call`.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class AnthropicOllamaAPIModel:
    """Models of Ollama, local and in its cloud, by its Anthropic-compatible API.

    Args:
        model_name: Ollama's name of the model; others than those of `VALID_MODELS` are asked for,
            too.
        base_url: Where Ollama is; by default ``ANTHROPIC_BASE_URL`` says so, or it is here.
        api_key: The key; by default ``ANTHROPIC_AUTH_TOKEN``, or none, as here none is needed.
        max_retries: Tries after the first, where it may help.
    """

    VALID_MODELS: ClassVar[set[str]] = {
        "devstral-2:123b-cloud",
        "gemini-3-flash-preview:cloud",
        "gpt-oss:120b-cloud",
        "minimax-m2.5:cloud",
        "mistral-large-3:675b-cloud",
    }
    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(
        self,
        model_name: str = "minimax-m2.5:cloud",
        base_url: str | None = None,
        api_key: str | None = None,
        max_retries: int = 2,
    ) -> None:
        self.model_name = model_name
        """Ollama's name of the model."""
        self.base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or "http://localhost:11434"
        """Where Ollama is."""
        usual = "env:ANTHROPIC_AUTH_TOKEN" if _has("ANTHROPIC_AUTH_TOKEN") else "ollama"
        key = Secret(api_key or usual)
        del api_key  # as above
        place = Deployment(self.base_url, key, dialect="anthropic_messages", auth="bearer")
        client = Client(deployments={"ollama/*": place}, max_retries=max_retries)
        self._caller = _caller(self, client, "ollama", model_name, provider="anthropic_ollama")

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; what fails is in it, as ``error``.

        The arguments are `AnthropicModel.call`'s.

        Raises:
            penstock.errors.AuthenticationError: The key is not valid: 401.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class OllamaAPIModel:
    """Models of Ollama, by its own API.

    Args:
        model_name: Ollama's name of the model.
        endpoint: Where Ollama is.
    """

    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(
        self,
        model_name: str = "minimax-m2.5:cloud",
        endpoint: str = "http://127.0.0.1:11434",
    ) -> None:
        self.model_name = model_name
        """Ollama's name of the model."""
        self.endpoint = endpoint
        """Where Ollama is."""
        client = _client("ollama", None, endpoint, dialect="ollama")
        self._caller = _caller(self, client, "ollama", model_name)

    def call(
        self,
        prompt: str,
        max_tokens: int = 4096,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; what fails is in it, as ``error``.

        The arguments are `AnthropicModel.call`'s.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


class DevstralLocalModel:
    """A model of a llama.cpp server, by its OpenAI-compatible API.

    Args:
        model_name: The model's name; llama.cpp takes any.
        endpoint: Where the server is.
    """

    TEMPERATURE_DEFAULT = TEMPERATURE
    timeout: float = TIMEOUT
    """Seconds that a call may take; an instance's own comes over it."""

    def __init__(
        self, model_name: str = "devstral", endpoint: str = "http://127.0.0.1:8080"
    ) -> None:
        self.model_name = model_name
        """The model's name."""
        self.endpoint = endpoint
        """Where the server is."""
        client = _client("llamacpp", None, f"{endpoint.rstrip('/')}/v1")
        self._caller = _caller(
            self, client, "llamacpp", model_name, provider="devstral_local", place=endpoint
        )

    def call(
        self,
        prompt: str,
        max_tokens: int = 2048,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; what fails is in it, as ``error``.

        The arguments are `AnthropicModel.call`'s.

        Raises:
            TimeoutError: It took longer than `timeout`; a ``requests.exceptions.Timeout`` where
                the program has loaded ``requests``.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()


def _has(variable: str) -> bool:
    return bool(os.environ.get(variable))


def _key(given: str | None, *variables: str) -> Secret:
    """Return the key, by its variable where it is not given.

    Raises:
        ComplianceError: There is none.
    """
    if given:
        return Secret(given)
    if not any(map(_has, variables)):
        raise ComplianceError(
            f"there is no key: export {variables[0]}, or pass api_key=", param="api_key"
        )
    return Secret(None, variables=variables)


def _client(
    provider: str, key: Secret | None, base_url: str | None = None, *, dialect: str | None = None
) -> Client:
    """Return a client whose models of `provider` are at `base_url`."""
    place = Deployment(base_url, key, dialect=dialect if base_url else None)
    return Client(deployments={f"{provider}/*": place}, max_retries=2)


def _caller(
    shim: object,
    client: Client,
    prefix: str,
    model: str,
    *,
    id: str = "",
    provider: str = "",
    place: str = "",
) -> Caller:
    return Caller(
        type(shim),
        client,
        asked=f"{prefix}/{id or model}",
        model=model,
        provider=provider or prefix,
        place=place,
    )
