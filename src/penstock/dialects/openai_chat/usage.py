"""Token counts and finish reasons, in OpenAI's words and in those of its copies."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from penstock.chunks import Finish, Usage

__all__ = ["FAILED", "finish", "usage"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call", "other"})
"""OpenAI's own (``chat_completion_chunk.Choice.finish_reason``), and ours for all else."""

_TRANSLATED = {
    "eos": "stop",  # Together's FinishReason
    "eos_token": "stop",  # text-generation-inference's FinishReason
    "stop_sequence": "stop",  # text-generation-inference; Anthropic's StopReason behind gateways
    "end_turn": "stop",  # Anthropic's StopReason
    "max_tokens": "length",  # Anthropic's StopReason
    "model_length": "length",  # mistralai's ChatCompletionChoice.finish_reason
    "tool_use": "tool_calls",  # Anthropic's StopReason
    "time_limit": "length",  # watsonx's FinishReason: its time_limit is up
}

FAILED = frozenset({"error", "insufficient_system_resource", "cancelled"})
"""Reasons that report a failure and no end: ``error`` of mistralai's, OpenRouter's and watsonx's
SDK types, ``insufficient_system_resource`` of DeepSeek's reference (the inference was interrupted),
``cancelled`` of watsonx's FinishReason."""


_MOST = 10**18
"""No count is as large."""
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=_MOST)]


class _Totals(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """All that a small server says, and many a large one of an answer without a cache."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count


def finish(word: str, choice: int) -> Finish:
    """Return the end of `choice` for the provider's `word`."""
    if word in _REASONS:
        return Finish(word, choice)
    return Finish(_TRANSLATED.get(word, "other"), choice, word)


def usage(raw: dict[str, Json]) -> Usage:
    """Return the counts of OpenAI's ``CompletionUsage`` and of what others add to it.

    Beside OpenAI's own: ``cost`` (OpenRouter, US dollars; Perplexity has a mapping with
    ``total_cost``), ``prompt_cache_hit_tokens`` (DeepSeek), ``cached_tokens`` (Moonshot),
    ``reasoning_tokens`` at the top (Perplexity), ``input_tokens`` and ``output_tokens`` (gateways
    that pass on the names of Anthropic and of OpenAI's own Responses).
    """
    if len(raw) == 3:
        try:
            counts = msgspec.convert(raw, _Totals)
        except msgspec.ValidationError:
            pass
        else:
            taken, given = counts.prompt_tokens, counts.completion_tokens
            return Usage(taken, given, counts.total_tokens, raw=raw)
    taken = _first(raw, "prompt_tokens", "input_tokens") or 0
    given = _first(raw, "completion_tokens", "output_tokens") or 0
    total = _first(raw, "total_tokens")
    if total is None:
        total = taken + given
    prompt = _details(raw, "prompt_tokens_details", "input_tokens_details")
    completion = _details(raw, "completion_tokens_details", "output_tokens_details")
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=total,
        cached_tokens=_known(
            _first(prompt, "cached_tokens"), _first(raw, "prompt_cache_hit_tokens", "cached_tokens")
        ),
        cache_write_tokens=_first(prompt, "cache_write_tokens"),
        reasoning_tokens=_known(
            _first(completion, "reasoning_tokens"), _first(raw, "reasoning_tokens")
        ),
        cost=_cost(raw.get("cost")),
        raw=raw,
    )


def _details(raw: dict[str, Json], *names: str) -> dict[str, Json]:
    for name in names:
        if isinstance(found := raw.get(name), dict):
            return found
    return {}


def _first(source: dict[str, Json], *names: str) -> int | None:
    for name in names if source else ():
        value = source.get(name)
        if type(value) is int and 0 <= value < _MOST:
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _MOST:
            return int(value)
    return None


def _known(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _cost(value: Json) -> float | None:
    if isinstance(value, dict):
        value = value.get("total_cost")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < _MOST else None
