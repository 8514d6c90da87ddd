"""How much a model thinks: OpenAI's ``reasoning_effort`` in Anthropic's words, by the model."""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.dialects.kept_blocks import BLOCKS
from penstock.dialects.modern import EFFORTS
from penstock.dialects.state import KEY, family
from penstock.errors import UsageError
from penstock.fields import Raw

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["may_think", "samples", "thinking", "unforced"]

# JSON of the OpenAI shape as the caller gives it, or of Anthropic's.
Json: TypeAlias = Any

# claude-sonnet-4-5-20250929, anthropic.claude-opus-4-6-v1, claude-sonnet-4@20250514,
# anthropic/claude-sonnet-4.5, claude-opus-5; but claude-3-7-sonnet is of another order.
_MODEL = pattern(r"claude-([a-z]+)-(?:(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)|preview)")
_ADAPTIVE = (4, 6)
"""The first that decide themselves how much to think; older ones want a budget (docs, adaptive
thinking)."""
_ADAPTING = {"type": "adaptive", "display": "summarized"}
"""Without a `display` the newest models send their thinking empty: from 4.7 on it is ``omitted``,
and was ``summarized`` before (anthropics/claude-code issue 49268, docker/docker-agent pull request
3415). Who asks for an effort wants to see it; ``thinking`` in ``extra_body`` says otherwise."""
_NEXT = (4, 7)
"""The first without temperature and top_p ("`temperature` is deprecated for this model", as seen of
the live API in sim's pull request 5328 and ComfyUI's issue 13923), and the first with the effort
``xhigh``, which is above ``high`` and, unlike ``max``, unknown to 4.6 (docs, effort)."""
_ALWAYS: Mapping[str, tuple[int, int]] = {"fable": (0, 0), "mythos": (0, 0), "opus": (5, 5)}
"""From which version on a family does not take ``disabled`` (docs, adaptive thinking; "What's new
in Claude Opus 5.5")."""
_BETWEEN: Mapping[str, tuple[int, int]] = {"sonnet": (5, 5)}
"""From which on ``between_tools`` stands in the place of ``disabled`` ("Claude Sonnet 5.5 migration
guide"; anthropic 2.14, ``ThinkingConfigBetweenToolsParam``)."""
_WILLFUL: Mapping[str, tuple[int, int]] = {
    "fable": (5, 1),
    "mythos": (5, 1),
    "opus": (5, 5),
    "sonnet": (5, 5),
}
"""From which on a request is refused that makes the model call a tool ("What's new in Claude Opus
5.5", of it and Fable 5.1; "Claude Sonnet 5.5 migration guide"; litellm 1.110.2,
``supports_forced_tool_use``, of these and Mythos 5.1)."""

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
    always = _since(_ALWAYS, model)
    version = _version(model)
    if effort == "none":
        if not always:
            kind = "between_tools" if _since(_BETWEEN, model) else "disabled"
            return {"thinking": {"type": kind}}
        losses.drop("reasoning_effort", "this model always thinks")
        effort = "minimal"
    if always or version >= _ADAPTIVE:
        word = "low" if effort == "minimal" else effort
        # Mythos Preview is as 4.6 in this.
        if word == "xhigh" and (version < _NEXT or (found is not None and found[2] is None)):
            word = "high"
        return {"thinking": _ADAPTING, "output_config.effort": word}
    limit = max_tokens if isinstance(max_tokens, int) else 0
    if limit <= _LEAST:
        losses.drop("reasoning_effort", f"thinking takes more than {_LEAST} tokens of max_tokens")
        return {}
    budget = min(max(limit * _SHARES[effort] // 100, _LEAST), limit - 1)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def samples(model: str) -> bool:
    """Whether a model takes temperature and top_p; newer ones refuse the request for them."""
    return _version(model) < _NEXT


def unforced(model: str, *, thinks: bool) -> str:
    """Return why a model may not be made to call a tool, ``""`` where it may.

    A request that asks a Claude to think is refused for a ``tool_choice`` of ``any`` or ``tool``
    (docs, tool use with thinking), and newer ones always are.
    """
    if _since(_WILLFUL, model):
        return "this model calls tools as it sees fit"
    if thinks and "claude" in model:
        return "a model that is to think calls tools as it sees fit"
    return ""


def _since(versions: Mapping[str, tuple[int, int]], model: str) -> bool:
    """Whether a model is of one of the families, and not before its version."""
    found = _MODEL.search(model)
    return found is not None and _version(model) >= versions.get(found[1], (99, 0))


def _version(model: str) -> tuple[int, int]:
    """Return Claude's version, (9, 0) for one without a number, (0, 0) for another's model."""
    found = _MODEL.search(model)
    return (int(found[2] or 9), int(found[3] or 0)) if found is not None else (0, 0)


def may_think(messages: Json, dialect: str, origin: str) -> bool:
    """Whether a model with a budget may think in this turn.

    Where results of calls come last, those calls need their thinking in front, or the API refuses
    the request ("Expected `thinking` or `redacted_thinking`, but found `tool_use`"): calls that
    another vendor's model made have none. A conversation that is not in memory is not looked at.
    """
    if not isinstance(messages, (list, tuple)):
        return True
    for message in reversed(messages):
        if isinstance(message, Raw):
            try:
                message = msgspec.json.decode(message.data)
            except (
                msgspec.DecodeError
            ):  # several of them, or a fault that is told of when it is sent
                return True
        elif hasattr(message, "to_openai"):
            message = message.to_openai()
        if not isinstance(message, Mapping):
            return True
        if message.get("role") not in ("tool", "function"):
            return not _calls_unthinkingly(message, dialect, origin)
    return True


def _calls_unthinkingly(message: Mapping[str, Json], dialect: str, origin: str) -> bool:
    """Whether `message` has calls, and no thinking to go before them."""
    if message.get("role") != "assistant":
        return False
    if not (message.get("tool_calls") or message.get("function_call")):
        return False
    state = message.get(KEY)
    state = state if isinstance(state, Mapping) else {}
    ours = state.get("dialect") == dialect and family(str(state.get("origin"))) == family(origin)
    content = message.get("content")
    blocks = state.get(BLOCKS) if ours else content
    first = blocks[0] if isinstance(blocks, list) and blocks else None
    kind = first.get("type") if isinstance(first, Mapping) else None
    return kind not in ("thinking", "redacted_thinking")
