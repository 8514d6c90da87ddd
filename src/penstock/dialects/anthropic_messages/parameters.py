"""What becomes of each OpenAI-shaped parameter, in the order on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects.anthropic_messages.tools import ADVICE, SUBSET
from penstock.dialects.fates import Fate, Fates

__all__ = ["DEFAULT_MAX_TOKENS", "FATES", "FLAGS", "IDLE", "SCHEMAS"]

# JSON of the OpenAI shape as the caller gives it.
Json: TypeAlias = Any

DEFAULT_MAX_TOKENS = 32_000
"""Sent where the caller names no limit, as the API requires one: the most that the smallest of the
Claude models in service can write (Opus 4.1: 32,000; Opus and Sonnet 4.5: 64,000; from 4.6 on:
128,000; docs, models overview, and Effect-TS/effect pull request 7129, which corrects the last),
which others take as well."""

FLAGS: Mapping[str, str] = {
    "vertex": (
        "Anthropic on Google's Vertex AI: project, region and model in the address, the version in"
        " the body. A deployment with a `project` and a `region` is one, with or without the flag,"
        " and so is one whose address has a project in it."
    ),
    "late_system": (
        "Models take messages of the role `system` behind the first turn (Claude Opus 4.8 and"
        " later). Without it they are said as the user's words, with a report."
    ),
}
"""Differences of providers that are no rename and no drop, by the names that rows use."""

IDLE: Mapping[str, tuple[Json, ...]] = {
    "logprobs": (False,),
    "store": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "stream_options": ({"include_usage": True}, {}),
}
"""Values that ask for what Anthropic does anyway: nothing is lost with them."""

_NONE = "Anthropic has no such parameter"

FATES: Fates = {
    "max_tokens": Fate(
        "sent", note=f"Anthropic requires it: {DEFAULT_MAX_TOKENS} where neither name is given."
    ),
    "max_completion_tokens": Fate("renamed", "max_tokens", "It wins over `max_tokens`."),
    "temperature": Fate(
        "converted",
        "temperature",
        (
            "Anthropic's goes to 1: what is above becomes 1, with a report. Dropped beside"
            " `reasoning_effort` unless it is 1, for Claude Opus 4.7, Sonnet 5 and later, and from"
            " API version 2026-10-21 on."
        ),
    ),
    "top_p": Fate(
        "sent",
        note=(
            "Dropped beside `reasoning_effort` where it is below 0.95, for Claude Opus 4.7, Sonnet"
            " 5 and later, and from API version 2026-10-21 on."
        ),
    ),
    "stop": Fate("converted", "stop_sequences", "A text becomes a list of one."),
    "service_tier": Fate(
        "converted",
        "service_tier",
        (
            "`auto` and `standard_only` as they are, `priority` is `auto`, `default` is"
            " `standard_only`; others are dropped."
        ),
    ),
    "user": Fate("renamed", "metadata.user_id"),
    "safety_identifier": Fate("renamed", "metadata.user_id", "It wins over `user`."),
    "reasoning_effort": Fate(
        "converted",
        "thinking",
        "Claude 4.6 and later: `none` is `thinking.type` `disabled` (`between_tools` from Sonnet"
        " 5.5 on; Opus 5.5, Fable and Mythos always think), others `adaptive`, its"
        " text `summarized`, with `output_config.effort` (`minimal` as `low`, `xhigh` as"
        " `high` for 4.6). Older ones, and models that are not Claude: `enabled` with"
        " `budget_tokens` of 10, 20, 50, 80 or 95 % of `max_tokens` for `minimal`, `low`,"
        " `medium`, `high` and beyond.",
    ),
    "response_format": Fate(
        "converted",
        "output_config.format",
        "A `json_schema` in the subset that the API takes; `json_object` is dropped, `text` is"
        " what there is without.",
    ),
    "tool_choice": Fate(
        "converted",
        "tool_choice",
        "`required` is `any`, a named function is `tool`; of `allowed_tools` only the mode. Both"
        " are `auto`, with a report, beside `reasoning_effort` and for Claude Opus 5.5, Sonnet 5.5,"
        " Fable and Mythos 5.1 and later, which refuse them.",
    ),
    "function_call": Fate("converted", "tool_choice", "Deprecated by OpenAI."),
    "parallel_tool_calls": Fate(
        "converted", "tool_choice.disable_parallel_tool_use", "The opposite."
    ),
    "tools": Fate(
        "converted",
        "tools",
        "Functions in Anthropic's shape, its own tools as they are; custom tools are dropped.",
    ),
    "functions": Fate("converted", "tools", "Deprecated by OpenAI."),
    "web_search_options": Fate(
        "converted",
        "tools",
        "The server tool `web_search_20250305`; `search_context_size` is dropped.",
    ),
    "n": Fate("converted", note="1 says nothing; more is refused: there is one answer."),
    "modalities": Fate("converted", note="`text` says nothing; others are dropped."),
    "audio": Fate("dropped", note="Claude does not speak"),
    "frequency_penalty": Fate("dropped", note=_NONE),
    "logit_bias": Fate("dropped", note=_NONE),
    "logprobs": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note=_NONE),
    "prediction": Fate("dropped", note=_NONE),
    "presence_penalty": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note="`cache_control` marks what is cached"),
    "prompt_cache_options": Fate("dropped", note="`cache_control` marks what is cached"),
    "prompt_cache_retention": Fate("dropped", note="`cache_control` marks what is cached"),
    "seed": Fate("dropped", note=_NONE),
    "store": Fate("dropped", note="Nothing is stored"),
    "stream_options": Fate("dropped", note="The usage always comes"),
    "top_logprobs": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
}
"""Parameters of Anthropic's own, such as ``top_k``, ``thinking`` or ``betas``, go in
``extra_body``."""

SCHEMAS = {"response_format": SUBSET, "tools": ADVICE, "strict tools": SUBSET}
"""What is taken of a schema, by where it stands."""
