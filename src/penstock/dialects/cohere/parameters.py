"""Every parameter of the OpenAI shape, and what becomes of it in Cohere's ``v2.chat``.

The order is the order on the wire. What Cohere has beside these goes in ``extra_body``: ``k``,
``safety_mode``, ``documents``, ``citation_options``, ``strict_tools``, ``priority``, ``thinking``.
"""

from __future__ import annotations

from penstock.dialects.cohere.tools import ADVICE, SUBSET
from penstock.dialects.fates import Fate, Fates

__all__ = ["FATES", "SCHEMAS"]

_NONE = "Cohere's API has nothing like it."

FATES: Fates = {
    "max_tokens": Fate("sent"),
    "max_completion_tokens": Fate("renamed", "max_tokens"),
    "stop": Fate("converted", "stop_sequences", "A text becomes a list of one."),
    "temperature": Fate("sent"),
    "top_p": Fate("renamed", "p"),
    "seed": Fate("sent"),
    "frequency_penalty": Fate("sent", note="It takes 0 to 1."),
    "presence_penalty": Fate("sent", note="It takes 0 to 1."),
    "logprobs": Fate("sent"),
    "top_logprobs": Fate("dropped", note="Only the tokens that were chosen have probabilities."),
    "reasoning_effort": Fate(
        "converted",
        "thinking",
        "`none` disables it; `minimal`, `low` and `medium` enable it with a budget of 256, 1024 and"
        " 4096 tokens, the others without a budget.",
    ),
    "response_format": Fate(
        "converted",
        "response_format",
        "`json_schema` is `json_object` with the schema, in the subset that it takes.",
    ),
    "tool_choice": Fate(
        "converted",
        "tool_choice",
        "`required` and `none` in capitals; `auto` is what it does anyway; for one function it is"
        " `REQUIRED`, and only that function is sent.",
    ),
    "tools": Fate(
        "converted",
        "tools",
        "Functions as they are; `strict` in one of them is `strict_tools` for all, their schemas in"
        " the subset of `response_format`; other tools are dropped.",
    ),
    "functions": Fate("converted", "tools", "As tools."),
    "function_call": Fate("converted", "tool_choice", "As `tool_choice`."),
    "n": Fate("refused", note="It gives one choice; `1` is what it does anyway."),
    "stream_options": Fate(
        "converted", note="Usage always comes, so `include_usage` says nothing; the rest is lost."
    ),
    "modalities": Fate("converted", note="`text` is what it does anyway; others are dropped."),
    "parallel_tool_calls": Fate("dropped", note=_NONE),
    "audio": Fate("dropped", note="The answer is text."),
    "logit_bias": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note="`safety_mode` in `extra_body` is near to it."),
    "prediction": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note=_NONE),
    "prompt_cache_options": Fate("dropped", note=_NONE),
    "prompt_cache_retention": Fate("dropped", note=_NONE),
    "safety_identifier": Fate("dropped", note=_NONE),
    "service_tier": Fate("dropped", note="`priority` in `extra_body` is near to it."),
    "store": Fate("dropped", note=_NONE),
    "user": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
    "web_search_options": Fate("dropped", note=_NONE),
}
"""In the order on the wire."""

SCHEMAS = {"response_format": SUBSET, "tools": ADVICE, "strict tools": SUBSET}
"""What is taken of a schema, by where it stands."""
