"""Short names of models: one table, which users extend in code and in ``penstock.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SHORT_NAMES"]

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        # The fourth seed's table of Claude models.
        "haiku": "anthropic/claude-haiku-4-5-20251001",
        "sonnet": "anthropic/claude-sonnet-4-6",
        "opus": "anthropic/claude-opus-4-6",
        # Its table of Mistral's, with the ids that Mistral has for "ministral-3b" and "devstral-2".
        "small": "mistral/mistral-medium-latest",
        "medium": "mistral/mistral-large-2411",
        "mini": "mistral/ministral-3b-latest",
        "code": "mistral/codestral-2508",
        "devstral": "mistral/devstral-2512",
    }
)
"""What each short name stands for; ``Client(aliases=)`` adds to it and comes over it."""
