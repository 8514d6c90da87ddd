"""hillstar's models on this machine: Ollama, also as the way to its cloud, and llama.cpp.

What fails is in what a call returns, as ``error``, but for what a class says.
"""

from __future__ import annotations

import os
from typing import ClassVar

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.keys import Secret
from penstock.sync.hillstar.contract import CallResult
from penstock.sync.hillstar.model import Model
from penstock.sync.hillstar.places import caller_of, client_of, has

__all__ = [
    "AnthropicOllamaAPIModel",
    "DevstralLocalModel",
    "OllamaAPIModel",
]


class AnthropicOllamaAPIModel(Model):
    """Models of Ollama, local and in its cloud, by its Anthropic-compatible API.

    A key that is not valid, HTTP 401, raises `penstock.errors.AuthenticationError`.

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

    def __init__(
        self,
        model_name: str = "minimax-m2.5:cloud",
        base_url: str | None = None,
        api_key: str | None = None,
        max_retries: int = 2,
    ) -> None:
        self.model_name = model_name
        self.base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or "http://localhost:11434"
        """Where Ollama is."""
        usual = "env:ANTHROPIC_AUTH_TOKEN" if has("ANTHROPIC_AUTH_TOKEN") else "ollama"
        key = Secret(api_key or usual)
        del api_key  # a traceback that shows locals must not show it (fault matrix, 39)
        place = Deployment(self.base_url, key, dialect="anthropic_messages", auth="bearer")
        client = Client(deployments={"ollama/*": place}, max_retries=max_retries)
        self._caller = caller_of(self, client, "ollama", provider="anthropic_ollama")


class OllamaAPIModel(Model):
    """Models of Ollama, by its own API.

    Args:
        model_name: Ollama's name of the model.
        endpoint: Where Ollama is.
    """

    def __init__(
        self,
        model_name: str = "minimax-m2.5:cloud",
        endpoint: str = "http://127.0.0.1:11434",
    ) -> None:
        self.model_name = model_name
        self.endpoint = endpoint
        """Where Ollama is."""
        client = client_of("ollama", None, endpoint, dialect="ollama")
        self._caller = caller_of(self, client, "ollama")


class DevstralLocalModel(Model):
    """A model of a llama.cpp server, by its OpenAI-compatible API.

    Args:
        model_name: The model's name; llama.cpp takes any.
        endpoint: Where the server is.
    """

    def __init__(
        self, model_name: str = "devstral", endpoint: str = "http://127.0.0.1:8080"
    ) -> None:
        self.model_name = model_name
        self.endpoint = endpoint
        """Where the server is."""
        client = client_of("llamacpp", None, f"{endpoint.rstrip('/')}/v1")
        self._caller = caller_of(
            self, client, "llamacpp", provider="devstral_local", place=endpoint
        )

    def call(
        self,
        prompt: str,
        max_tokens: int = 2048,
        temperature: float | None = None,
        system: str | None = None,
    ) -> CallResult:
        """Return the answer to `prompt`; what fails is in it, as ``error``.

        The arguments are those of `penstock.sync.hillstar.model.Model.call`.

        Raises:
            TimeoutError: It took longer than `timeout`; a ``requests.exceptions.Timeout`` where
                the program has loaded ``requests``.
        """
        ask = self._caller.ask(prompt, max_tokens, temperature, system, self.timeout)
        del prompt, system
        return ask()
