"""Token counts and finish reasons of Gemini, in OpenAI's words.

Source: google-genai 3.6, ``FinishReason``, ``BlockedReason``,
``GenerateContentResponseUsageMetadata``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from penstock.chunks import Usage
from penstock.dialects.counts import count

__all__ = ["BLOCKED", "EMPTY", "FAILED", "REASONS", "usage"]

# JSON as a provider sent it.
Json: TypeAlias = Any

REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
"""Ends of answers. ``STOP`` with calls is ``tool_calls``; every other word is ``other``."""

BLOCKED = frozenset(
    {
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR"),
        *("ESCALATION",),
    }
)
"""Reasons that report a filter."""

FAILED = frozenset(
    {
        *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
        *("MISSING_THOUGHT_SIGNATURE", "PUP_LIMITED_DISABLED"),
    }
)
"""Reasons that report a failure and no end: the answer is not what the model meant to say."""

EMPTY = frozenset(
    {
        *("OTHER", "IMAGE_OTHER", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED"),
        "TOO_MANY_TOOL_CALLS",
    }
)
"""Reasons that say nothing: a failure where nothing came before them."""


def usage(raw: dict[str, Json]) -> Usage:
    """Return the counts of ``usageMetadata``.

    What tools gave to the model is part of the input, its thoughts are part of the output.
    """
    thoughts = count(raw.get("thoughtsTokenCount"))
    taken = count(raw.get("promptTokenCount")) or 0
    taken += count(raw.get("toolUsePromptTokenCount")) or 0
    given = (count(raw.get("candidatesTokenCount")) or 0) + (thoughts or 0)
    total = count(raw.get("totalTokenCount"))
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=taken + given if total is None else total,
        cached_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        raw=raw,
    )
