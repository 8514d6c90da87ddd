"""What is not as it is in chia: one list, which the test of the signatures goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DEPARTURES", "Departure"]


@dataclass(frozen=True, slots=True)
class Departure:
    """One difference."""

    name: str
    """The name in chia, a parameter behind its class; ``*`` is every class."""
    why: str
    """What is different, and why."""
    there: Any = None  # Any: a default of any type
    """A parameter's default there, where its default is what differs."""
    here: Any = None  # Any: as above
    """Its default here."""


_ASKED = "permissions are bypassed for who asks for it by name"
_KEYS = "OPENAI_API_KEY goes to OpenAI alone: the class reads its provider's own variable"

DEPARTURES = (
    Departure(
        "chia.models.antigravity.AntigravityLLM.dangerously_skip_permissions",
        _ASKED,
        there=True,
        here=False,
    ),
    Departure(
        "chia.models.codex.CodexLLM.dangerously_bypass_approvals_and_sandbox",
        _ASKED,
        there=True,
        here=False,
    ),
    Departure(
        "chia.models.claude.ClaudeCodeLLM",
        f"{_ASKED}: extra_cli_args=['--dangerously-skip-permissions']",
    ),
    Departure("chia.models.opencode.OpenCodeLLM", f"{_ASKED}: extra_cli_args=['--auto']"),
    Departure("chia.models.openai_compat.OpenAICompatLLM.api_key", _KEYS),
    Departure("chia.models.openai_providers.FireworksLLM", _KEYS),
    Departure("chia.models.openai_providers.GroqLLM", _KEYS),
    Departure("chia.models.openai_providers.OpenRouterLLM", _KEYS),
    Departure("chia.models.ollama.OllamaLLM", _KEYS),
    Departure("chia.models.vllm.VLLMLLM", _KEYS),
    Departure(
        "*.api_key",
        "a literal key does not travel in a pickle: name its variable, api_key='env:NAME'",
    ),
    Departure(
        "*.retries",
        "counts the tries after the first, as the word says; chia's code counts that one as well",
    ),
    Departure(
        "*.prompt",
        "a bound of ours that was reached, a conversation that cannot be kept and a tool that"
        " crashed end it at once, with success=False: of what nothing classifies, these alone are"
        " not asked again `retries` times, as each would only be met again",
    ),
    Departure(
        "*.client_kwargs",
        "of a client's options there are endpoint, region, timeout, retries and headers: no SDK"
        " stands behind the class",
    ),
)
"""All of them."""
