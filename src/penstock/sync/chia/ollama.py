"""``chia.models.ollama``: `OpenAICompatLLM` at an Ollama server."""

from __future__ import annotations

from penstock.sync.chia.openai_compat import Preset

__all__ = ["OllamaLLM"]


class OllamaLLM(Preset, creds="ollama_creds"):
    """A model of an Ollama server, by its tag.

    It is at ``OLLAMA_BASE_URL``, else at ``OLLAMA_HOST``, else on port 11434 of this machine.

    The server asks for no key, and gets a dummy one; other than there, ``OPENAI_API_KEY`` is not
    sent to it.
    """

    logging_name = "ollama"
    provider = "ollama"
    address_variable = "OLLAMA_BASE_URL"
    dummy_key = "ollama"
