"""How much a model thinks: OpenAI's ``reasoning_effort`` in Anthropic's words, by the model."""

from __future__ import annotations

from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.modern import EFFORTS
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["thinking"]

# JSON of Anthropic's shape.
Json: TypeAlias = Any

# claude-sonnet-4-5-20250929, anthropic.claude-opus-4-6-v1, claude-sonnet-4@20250514,
# anthropic/claude-sonnet-4.5, claude-opus-5; but claude-3-7-sonnet is of another order.
_MODEL = pattern(r"claude-([a-z]+)-(?:(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)|preview)")
_ADAPTIVE = (4, 6)
"""The first that decide themselves how much to think; older ones want a budget (docs, adaptive
thinking)."""
_ALWAYS = frozenset({"fable", "mythos"})
"""Families that do not take ``disabled`` (docs, adaptive thinking)."""

_SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
"""Percent of ``max_tokens``; OpenRouter's reasoning page has these for the same words."""
_LEAST = 1024
"""Tokens of the smallest budget (SDK: ``ThinkingConfigEnabledParam.budget_tokens``)."""


def thinking(effort: Json, model: str, max_tokens: Json, losses: Losses) -> dict[str, Json]:
    """Return what `effort` becomes in the body, by paths.

    Args:
        effort: OpenAI's word.
        model: The model's name on the wire.
        max_tokens: The answer's limit, of which a budget is a part.
        losses: Told where the model cannot do it.

    Raises:
        UsageError: It is no effort.
    """
    if effort not in EFFORTS:
        raise UsageError(
            f"reasoning_effort is one of {', '.join(EFFORTS)}, not {effort!r:.40}",
            param="reasoning_effort",
        )
    found = _MODEL.search(model)
    always = found is not None and found[1] in _ALWAYS
    version = (int(found[2] or 9), int(found[3] or 0)) if found is not None else (0, 0)
    if effort == "none":
        if not always:
            return {"thinking": {"type": "disabled"}}
        losses.drop("reasoning_effort", "this model always thinks")
        effort = "minimal"
    if always or version >= _ADAPTIVE:
        word = "low" if effort == "minimal" else effort
        return {"thinking": {"type": "adaptive"}, "output_config.effort": word}
    limit = max_tokens if isinstance(max_tokens, int) else 0
    if limit <= _LEAST:
        losses.drop("reasoning_effort", f"thinking takes more than {_LEAST} tokens of max_tokens")
        return {}
    budget = min(max(limit * _SHARES[effort] // 100, _LEAST), limit - 1)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}
