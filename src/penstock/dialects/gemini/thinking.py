"""Which Gemini a model is, and how much it thinks: OpenAI's ``reasoning_effort`` in its words.

Source: ai.google.dev/gemini-api/docs/thinking and /openai (budgets and levels for efforts);
docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking, "Supported thinking_level values" by
model; google-genai 3.6, ``ThinkingConfig``, ``ThinkingLevel``; ai.google.dev, latest model (Gemini
4 Argon: low, medium, high), and litellm 1.110.2 for Gemini 4 Hydrogen.
"""

from __future__ import annotations

from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.gemini.parameters import CONFIG
from penstock.dialects.modern import EFFORTS
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["generation", "signs_calls", "thinking"]

# JSON of Gemini's shape.
Json: TypeAlias = Any

_MODEL = pattern(r"gemini-(?:[a-z]+-)*?(\d{1,2})(?:\.(\d{1,2}))?(?![\d.])")
_LATEST = pattern(r"gemini-[a-z-]+-latest\b")
_LEVELS = (3, 0)
"""The first that has levels; earlier ones know budgets only."""
_NO_MINIMAL = (3, 7)
"""The first Flash without ``MINIMAL``; Pro never had it, Flash-Lite has it."""
_FOURTH = (4, 0)
"""The first whose models are no longer called Flash and Pro; none of them has ``MINIMAL``."""
_MORE = "hydrogen"
"""The one that has ``XHIGH``."""
_THINKS = (2, 5)
"""The first that thinks."""
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_MOST = 24_576
_PRO_LEAST, _PRO_MOST = 128, 32_768


def generation(model: str) -> tuple[int, int] | None:
    """Return a Gemini model's generation, such as ``(2, 5)``; None for what has no number.

    A name that ends with ``-latest`` has moved on to the newest.
    """
    found = _MODEL.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (99, 0) if _LATEST.search(model) else None


def signs_calls(model: str) -> bool:
    """Whether a model refuses function calls that come back without a thought signature."""
    return (generation(model) or (0, 0)) >= _LEVELS


def thinking(effort: Json, model: str, losses: Losses) -> dict[str, Json]:
    """Return what `effort` becomes in the body, by paths.

    Args:
        effort: OpenAI's word.
        model: The model's name on the wire.
        losses: Told where the model cannot do it.

    Raises:
        UsageError: It is no effort.
    """
    if effort not in EFFORTS:
        raise UsageError(
            f"reasoning_effort is one of {', '.join(EFFORTS)}, not {effort!r:.40}",
            param="reasoning_effort",
        )
    known = generation(model)
    if known is not None and known < _THINKS:
        if effort != "none":
            losses.drop("reasoning_effort", "this model does not think")
        return {}
    if known is not None and known >= _LEVELS:
        found: Json = {"thinkingLevel": _level(effort, model, losses)}
    else:
        found = {"thinkingBudget": _budget(effort, model, losses)}
    if effort != "none":
        found["includeThoughts"] = True
    return {f"{CONFIG}.thinkingConfig": found}


def _level(effort: str, model: str, losses: Losses) -> str:
    pro = "pro" in model
    flash = "flash" in model and "lite" not in model
    if effort == "none":
        losses.drop("reasoning_effort", "this model always thinks")
    known = generation(model) or _LEVELS
    if effort in ("none", "minimal"):
        newest = known >= (_NO_MINIMAL if flash else _FOURTH) and "lite" not in model
        return "LOW" if pro or newest else "MINIMAL"
    if effort in ("xhigh", "max") and _MORE in model:
        return "XHIGH"
    if effort == "medium" and pro and known == _LEVELS:
        return "HIGH"  # Gemini 3 Pro has two levels
    return effort.upper() if effort in ("low", "medium") else "HIGH"


def _budget(effort: str, model: str, losses: Losses) -> int:
    pro = "pro" in model
    if effort == "none" and pro:
        losses.drop("reasoning_effort", "this model always thinks")
        return _PRO_LEAST
    return _BUDGETS.get(effort, _PRO_MOST if pro else _MOST)
