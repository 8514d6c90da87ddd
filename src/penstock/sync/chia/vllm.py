"""``chia.models.vllm``: `OpenAICompatLLM` at a vLLM server."""

from __future__ import annotations

from penstock.sync.chia.openai_compat import Preset

__all__ = ["VLLMLLM"]


class VLLMLLM(Preset, creds="vllm_creds"):
    """The model of a vLLM server, by the name that it was started with.

    It is at ``VLLM_BASE_URL``, else on port 8200 of this machine, as there.

    A server without ``--api-key`` asks for no key, and gets a dummy one; the key of another is that
    of ``VLLM_API_KEY``. Other than there, ``OPENAI_API_KEY`` is not sent to it.
    """

    logging_name = "vllm"
    provider = "vllm"
    address = "http://localhost:8200/v1"
    address_variable = "VLLM_BASE_URL"
    dummy_key = "vllm"
