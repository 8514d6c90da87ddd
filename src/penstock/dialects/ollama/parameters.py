"""Every parameter of the OpenAI shape, and what becomes of it in Ollama's ``ChatRequest``.

The order is the order on the wire. What Ollama has beside these goes in ``extra_body``:
``keep_alive``, ``think``, and ``options`` such as ``num_ctx`` and ``top_k``, which are added to
those that parameters become.
"""

from __future__ import annotations

from penstock.dialects.fates import Fate, Fates
from penstock.dialects.ollama.schemas import SCHEMAS

__all__ = ["FATES", "SCHEMAS"]

_NONE = "Ollama's API has nothing like it."

FATES: Fates = {
    "reasoning_effort": Fate(
        "converted",
        "think",
        "`none` is false, any other true; for gpt-oss, which alone has words in every server,"
        " `minimal` is `low`, and `xhigh` and `max` are `high`.",
    ),
    "response_format": Fate(
        "converted",
        "format",
        "`json_object` is `json`, a schema stands alone, `text` is not said.",
    ),
    "logprobs": Fate("sent"),
    "top_logprobs": Fate("sent"),
    "max_tokens": Fate("renamed", "options.num_predict"),
    "max_completion_tokens": Fate("renamed", "options.num_predict"),
    "temperature": Fate("renamed", "options.temperature"),
    "top_p": Fate("renamed", "options.top_p"),
    "seed": Fate("renamed", "options.seed"),
    "frequency_penalty": Fate("renamed", "options.frequency_penalty"),
    "presence_penalty": Fate("renamed", "options.presence_penalty"),
    "stop": Fate("converted", "options.stop", "A text becomes a list of one."),
    "n": Fate("refused", note="It gives one choice; `1` is what it does anyway."),
    "stream_options": Fate(
        "converted", note="Usage always comes, so `include_usage` says nothing; the rest is lost."
    ),
    "modalities": Fate("converted", note="`text` is what it does anyway; others are dropped."),
    "tool_choice": Fate(
        "converted",
        note="`auto` is what it does anyway; with `none` no tools are sent; a forced call is"
        " dropped.",
    ),
    "tools": Fate("converted", "tools", "Functions; other tools are dropped."),
    "functions": Fate("converted", "tools", "As tools."),
    "function_call": Fate("converted", note="As `tool_choice`."),
    "parallel_tool_calls": Fate("dropped", note=_NONE),
    "audio": Fate("dropped", note="The answer is text."),
    "logit_bias": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note=_NONE),
    "prediction": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note="It caches by itself, in one place."),
    "prompt_cache_options": Fate("dropped", note=_NONE),
    "prompt_cache_retention": Fate("dropped", note="`keep_alive` in `extra_body` is near to it."),
    "safety_identifier": Fate("dropped", note=_NONE),
    "service_tier": Fate("dropped", note=_NONE),
    "store": Fate("dropped", note="It stores nothing."),
    "user": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
    "web_search_options": Fate("dropped", note=_NONE),
}
"""In the order on the wire."""
