"""``chia.models.openai_providers``: `OpenAICompatLLM` at four providers.

Other than there, each reads the variable of its own provider, and none sends ``OPENAI_API_KEY`` to
another host.
"""

from __future__ import annotations

from penstock.sync.chia._calls import ChiaFunction
from penstock.sync.chia.openai_compat import OpenAICompatLLM, Preset

__all__ = ["FireworksLLM", "GroqLLM", "OpenAILLM", "OpenRouterLLM"]


class OpenAILLM(Preset):
    """A model of OpenAI; the key is that of ``OPENAI_API_KEY``."""

    logging_name = "openai"
    prompt = ChiaFunction(resources={"openai_creds": 0.01})(OpenAICompatLLM.prompt)


class FireworksLLM(Preset):
    """A model of Fireworks AI; the key is that of ``FIREWORKS_API_KEY``."""

    logging_name = "fireworks"
    provider = "fireworks_ai"
    prompt = ChiaFunction(resources={"fireworks_creds": 0.01})(OpenAICompatLLM.prompt)


class GroqLLM(Preset):
    """A model of Groq; the key is that of ``GROQ_API_KEY``."""

    logging_name = "groq"
    provider = "groq"
    prompt = ChiaFunction(resources={"groq_creds": 0.01})(OpenAICompatLLM.prompt)


class OpenRouterLLM(Preset):
    """A model of OpenRouter; the key is that of ``OPENROUTER_API_KEY``."""

    logging_name = "openrouter"
    provider = "openrouter"
    prompt = ChiaFunction(resources={"openrouter_creds": 0.01})(OpenAICompatLLM.prompt)
