"""What is known of a model besides its name: from ``genai-prices``, which is kept up to date.

It is an extra, ``penstock[prices]``. It knows no largest answer and no modalities, and neither does
another library that is kept: of these penstock says nothing rather than something old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from penstock.errors import MissingExtraError
from penstock.providers.catalogue import catalogue, find_row
from penstock.providers.names import SHORT_NAMES

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

__all__ = ["ModelFacts", "model_facts"]

_THEIRS: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "anthropic",
        "azure": "azure",
        "azure_ai": "azure",
        "azure_v1": "azure",
        "baseten": "baseten",
        "bedrock": "aws",
        "bedrock_mantle": "aws",
        "cerebras": "cerebras",
        "cloudflare": "cloudflare",
        "cohere": "cohere",
        "cohere_chat": "cohere",
        "databricks": "databricks",
        "deepseek": "deepseek",
        "fireworks_ai": "fireworks",
        "gemini": "google",
        "github_copilot": "github-copilot",
        "groq": "groq",
        "minimax": "minimax",
        "mistral": "mistral",
        "moonshot": "moonshotai",
        "novita": "novita",
        "openai": "openai",
        "openrouter": "openrouter",
        "ovhcloud": "ovhcloud",
        "perplexity": "perplexity",
        "together_ai": "together",
        "vertex_ai": "google",
        "xai": "x-ai",
        "zai": "zai",
        "zhipu": "zhipuai",
    }
)
"""What the library calls each provider; of others it has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of one model of one provider."""

    provider: str
    """The provider's key in the catalogue."""
    id: str
    """The model's id, as the library has it: often one for several names."""
    name: str | None = None
    """The name for people."""
    context_window: int | None = None
    """How many tokens the model takes, or None: nobody said."""
    deprecated: bool = False
    """Whether the provider has said that the model will go."""


def model_facts(model: str) -> ModelFacts | None:
    """Return what is known of `model`, or None.

    Args:
        model: ``provider/model`` or ``provider:model``, a short name of penstock's own, or an id
            that begins as one provider's do.

    Raises:
        MissingExtraError: ``genai-prices`` is not installed. The first call loads its table, which
            takes most of a second: on an event loop, call it in a thread.
    """
    provider, name = _split(SHORT_NAMES.get(model, model))
    theirs = _THEIRS.get(provider or "")
    if provider is None or theirs is None:
        return None
    try:
        _, found = _snapshot().find_provider_model(name, None, theirs, None)
    except LookupError:
        return None
    return ModelFacts(
        provider=provider,
        id=found.id,
        name=found.name,
        context_window=found.context_window,
        deprecated=bool(found.deprecated),
    )


def _split(model: str) -> tuple[str | None, str]:
    """Return the provider's key and the rest."""
    for mark in "/:":
        said, found, rest = model.partition(mark)
        row = find_row(said) if found else None
        if row is not None:
            return row.key, rest
    fitting = [
        (len(prefix), row.key)
        for row in catalogue().values()
        for prefix in row.model_prefixes
        if model.startswith(prefix)
    ]
    return (max(fitting)[1] if fitting else None), model


def _snapshot() -> DataSnapshot:
    """Return the table that comes with the library, or what its user has put in the place."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError as exc:
        raise MissingExtraError(
            "facts about models need genai-prices: pip install 'penstock[prices]'"
        ) from exc
    return get_snapshot()
