"""Token counts and stop reasons in Bedrock's words."""

from __future__ import annotations

from typing import Any, TypeAlias

from penstock.chunks import Finish, Usage
from penstock.dialects.counts import count

__all__ = ["REASONS", "finish", "usage"]

# JSON as a provider sent it.
Json: TypeAlias = Any

REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "other",
    "malformed_tool_use": "other",
}
"""The service model's ``StopReason``, and what they are in OpenAI's words; any other is
``other``."""


def finish(word: str) -> Finish:
    """Return the end for the provider's `word`."""
    return Finish(REASONS.get(word, "other"), 0, word)


def usage(raw: dict[str, Json]) -> Usage:
    """Return the counts of the service model's ``TokenUsage``.

    Its ``inputTokens`` leave out what was read from the cache or written to it (AWS, Bedrock user
    guide, "Prompt caching"); all of the prompt is the sum of the three.
    """
    read = count(raw.get("cacheReadInputTokens"))
    written = count(raw.get("cacheWriteInputTokens"))
    taken = (count(raw.get("inputTokens")) or 0) + (read or 0) + (written or 0)
    given = count(raw.get("outputTokens")) or 0
    total = count(raw.get("totalTokens"))
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=taken + given if total is None else total,
        cached_tokens=read,
        cache_write_tokens=written,
        raw=raw,
    )
