"""Every parameter of the OpenAI shape, and what becomes of it in ``ChatCompletionRequest``.

The order is the order on the wire. Mistral refuses a body with fields that it does not know, so
that none is sent on a guess. What it has beside these goes in ``extra_body``: ``safe_prompt``,
``prompt_mode``, ``min_tokens``, ``top_k``, ``repetition_penalty``, ``prompt_logprobs``,
``guardrails``, ``metadata``.
"""

from __future__ import annotations

from penstock.dialects.fates import Fate, Fates
from penstock.dialects.mistral.schemas import SCHEMAS

__all__ = ["FATES", "SCHEMAS"]

_NONE = "Mistral's API has nothing like it."

FATES: Fates = {
    "max_tokens": Fate("sent"),
    "max_completion_tokens": Fate("renamed", "max_tokens"),
    "n": Fate("sent"),
    "temperature": Fate("sent"),
    "top_p": Fate("sent"),
    "frequency_penalty": Fate("sent"),
    "presence_penalty": Fate("sent"),
    "stop": Fate("sent"),
    "seed": Fate("renamed", "random_seed"),
    "logprobs": Fate("sent"),
    "top_logprobs": Fate("sent"),
    "reasoning_effort": Fate(
        "sent", note="Of the words that a model is known to take the nearest, with a report."
    ),
    "prediction": Fate("converted", "prediction", "Its content is one text."),
    "prompt_cache_key": Fate("sent"),
    "service_tier": Fate(
        "converted",
        "service_tier",
        "`auto` as it is, `default` is `standard_only`; others are dropped.",
    ),
    "response_format": Fate("converted", note="The shape is the same."),
    "tool_choice": Fate(
        "converted",
        "tool_choice",
        "`required` is `any`; `auto`, `none` and one function as they are.",
    ),
    "parallel_tool_calls": Fate("sent"),
    "tools": Fate(
        "converted",
        "tools",
        "Functions and Mistral's own tools as they are; custom tools are dropped.",
    ),
    "functions": Fate("converted", "tools", "As tools."),
    "function_call": Fate("converted", "tool_choice", "As `tool_choice`."),
    "stream_options": Fate(
        "converted", note="Usage always comes, so `include_usage` says nothing; the rest is lost."
    ),
    "modalities": Fate("converted", note="`text` is what it does anyway; others are dropped."),
    "audio": Fate("dropped", note="The answer is text."),
    "logit_bias": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note="`guardrails` in `extra_body` is near to it."),
    "prompt_cache_options": Fate("dropped", note=_NONE),
    "prompt_cache_retention": Fate("dropped", note=_NONE),
    "safety_identifier": Fate("dropped", note=_NONE),
    "store": Fate("dropped", note=_NONE),
    "user": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
    "web_search_options": Fate("dropped", note=_NONE),
}
"""In the order on the wire."""
