"""Token counts and stop reasons in Anthropic's words."""

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
    "refusal": "content_filter",
    # Neither is an end: the same conversation, sent again with the answer, goes on.
    "pause_turn": "other",
    "compaction": "other",
}
"""The SDK's ``StopReason`` and ``BetaStopReason`` (anthropic 2.14), and what they are in OpenAI's
words; any other is ``other``."""


def finish(word: str) -> Finish:
    """Return the end for the provider's `word`."""
    return Finish(REASONS.get(word, "other"), 0, word)


def usage(raw: dict[str, Json]) -> Usage:
    """Return the counts of the SDK's ``Usage``.

    Its ``input_tokens`` leave out what was read from the cache or written to it; all of the prompt
    is the sum of the three.
    """
    read = count(raw.get("cache_read_input_tokens"))
    written = count(raw.get("cache_creation_input_tokens"))
    taken = (count(raw.get("input_tokens")) or 0) + (read or 0) + (written or 0)
    given = count(raw.get("output_tokens")) or 0
    details = raw.get("output_tokens_details")
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=taken + given,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=(
            count(details.get("thinking_tokens")) if isinstance(details, dict) else None
        ),
        raw=raw,
    )
