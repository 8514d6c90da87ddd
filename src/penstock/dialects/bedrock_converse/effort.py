"""How much a model thinks: OpenAI's ``reasoning_effort`` in the words of the model's family."""

from __future__ import annotations

from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.anthropic_messages.effort import thinking
from penstock.dialects.modern import EFFORTS
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["MORE", "effort", "is_claude"]

# JSON as the caller gives it, or of the vendor's.
Json: TypeAlias = Any

MORE = "additionalModelRequestFields"
"""Where parameters of a model's own go."""
_EFFORT = "outputConfig.effort"

_NOVA = pattern(r"\bamazon\.nova-[2-9]")
_GPT_OSS = pattern(r"\bopenai\.gpt-oss-")
# arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456
_HIDDEN = pattern(r"^arn:.*:(?:application-inference-profile|provisioned-model)/")
_LIMIT = 32_000
"""What a budget is a share of where the caller names no limit."""


def is_claude(model: str) -> bool:
    """Return whether `model` is one of Anthropic's, by its id or ARN."""
    return "anthropic." in model or "claude" in model


def effort(value: Json, model: str, max_tokens: Json, losses: Losses) -> dict[str, Json]:
    """Return what ``reasoning_effort`` becomes in the body, by paths.

    Sources: anthropic_messages' for Claude; AWS, Nova 2 user guide, "Using the Converse API", for
    Nova; AWS, Bedrock user guide, "OpenAI models" (fields that Converse has no place for go in
    ``additionalModelRequestFields``) for gpt-oss; the service model's ``OutputConfig``.

    Raises:
        UsageError: It is no effort.
    """
    if value not in EFFORTS:
        raise UsageError(
            f"reasoning_effort is one of {', '.join(EFFORTS)}, not {value!r:.40}",
            param="reasoning_effort",
        )
    if is_claude(model):
        said = thinking(value, model, _LIMIT if max_tokens is None else max_tokens, losses)
        return {
            _EFFORT if path == "output_config.effort" else f"{MORE}.{path}": each
            for path, each in said.items()
        }
    if _NOVA.search(model):
        return {f"{MORE}.reasoningConfig": _nova(value)}
    if _GPT_OSS.search(model):
        return {f"{MORE}.reasoning_effort": _three(value)}
    if _HIDDEN.search(model) and value != "none":
        return {_EFFORT: "low" if value == "minimal" else value}
    losses.drop("reasoning_effort", "this model has no such setting")
    return {}


def _nova(value: str) -> dict[str, Json]:
    if value == "none":
        return {"type": "disabled"}
    return {"type": "enabled", "maxReasoningEffort": _three(value)}


def _three(value: str) -> str:
    """Return the nearest of the three levels that most models have."""
    nearest = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}
    return nearest.get(value, value)
