"""Token counts and finish reasons of many vendors."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.chunks import Finish
from penstock.dialects.openai_chat.usage import finish, usage

FIELDS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (9, 5, 14, 4, 2, 3, None),
            id="openai",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_cache_hit_tokens": 8,
            },
            (9, 5, 14, 8, None, None, None),
            id="deepseek",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cached_tokens": 0},
            (9, 5, 14, 0, None, None, None),
            id="moonshot",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cost": 0.25},
            (9, 5, 14, None, None, None, 0.25),
            id="openrouter",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "cost": {"total_cost": 1},
                "reasoning_tokens": 2,
            },
            (9, 5, 14, None, None, 2, 1.0),
            id="perplexity",
        ),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 5},
            (9, 5, 14, None, None, None, None),
            id="other names",
        ),
        pytest.param({"prompt_tokens": 0, "total_tokens": 0}, (0, 0, 0, *[None] * 4), id="zero"),
        pytest.param(
            {"prompt_tokens": 9.0, "completion_tokens": -1, "total_tokens": "x", "cost": True},
            (9, 0, 9, *[None] * 4),
            id="odd",
        ),
        pytest.param(
            {"prompt_tokens": None, "prompt_tokens_details": None, "cost": None},
            (0, 0, 0, *[None] * 4),
            id="nulls",
        ),
    ],
)
def test_counts_have_one_meaning(raw: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Whatever the vendor calls them; the vendor's own mapping is kept whole."""
    found = usage(raw)

    assert expected == tuple(getattr(found, name) for name in FIELDS)
    assert raw is found.raw


@pytest.mark.parametrize(
    ("word", "reason", "raw"),
    [
        *[(word, word, None) for word in ("stop", "length", "tool_calls", "content_filter")],
        ("function_call", "function_call", None),
        ("other", "other", None),
        ("eos", "stop", "eos"),
        ("model_length", "length", "model_length"),
        ("max_tokens", "length", "max_tokens"),
        ("tool_use", "tool_calls", "tool_use"),
        ("SAFETY", "other", "SAFETY"),
    ],
)
def test_row_9_a_reason_keeps_the_providers_word(word: str, reason: str, raw: str | None) -> None:
    """OpenAI's reasons are ours; a translated or unknown one is kept beside its meaning."""
    assert Finish(reason, 1, raw) == finish(word, 1)
