"""``chia.models.openai_providers``: `OpenAICompatLLM` at four providers.

Other than there, each reads the variable of its own provider, and none sends ``OPENAI_API_KEY`` to
another host.
"""

from __future__ import annotations

from penstock.sync.chia.openai_compat import Preset

__all__ = ["FireworksLLM", "GroqLLM", "OpenAILLM", "OpenRouterLLM"]


class OpenAILLM(Preset, creds="openai_creds"):
    """A model of OpenAI; the key is that of ``OPENAI_API_KEY``."""

    logging_name = "openai"


class FireworksLLM(Preset, creds="fireworks_creds"):
    """A model of Fireworks AI; the key is that of ``FIREWORKS_API_KEY``."""

    logging_name = "fireworks"
    provider = "fireworks_ai"


class GroqLLM(Preset, creds="groq_creds"):
    """A model of Groq; the key is that of ``GROQ_API_KEY``."""

    logging_name = "groq"
    provider = "groq"


class OpenRouterLLM(Preset, creds="openrouter_creds"):
    """A model of OpenRouter; the key is that of ``OPENROUTER_API_KEY``."""

    logging_name = "openrouter"
    provider = "openrouter"
