"""Every OpenAI-shaped parameter, and what becomes of it in a body of watsonx's text chat.

The vendor's own list is ``TextChatParams`` of its node SDK (watsonx-ai 1.7.14, types/vml_v1.ts).
The order is the order on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.dialects.fates import Fate, Fates

__all__ = ["FATES", "SCHEMAS"]

_NONE = "TextChatParams has no such parameter"

FATES: Fates = {
    "max_tokens": Fate(
        "renamed", "max_completion_tokens", "Deprecated there, too; `max_completion_tokens` wins."
    ),
    "max_completion_tokens": Fate("sent"),
    "n": Fate("sent", note="The answer is complete when as many choices are."),
    "temperature": Fate("sent"),
    "top_p": Fate("sent"),
    "frequency_penalty": Fate("sent"),
    "presence_penalty": Fate("sent"),
    "stop": Fate("converted", note="A text becomes a list of one."),
    "seed": Fate("sent"),
    "logit_bias": Fate("sent"),
    "logprobs": Fate("sent"),
    "top_logprobs": Fate("sent"),
    "reasoning_effort": Fate(
        "converted",
        note="`low`, `medium` and `high` as they are; `minimal` is `low`, `xhigh` and `max` are"
        " `high`, with a report; `none` is dropped with a report.",
    ),
    "response_format": Fate("sent"),
    "tool_choice": Fate(
        "converted",
        "tool_choice_option",
        "`auto`, `none` and `required`; a named tool is `tool_choice`, as it is.",
    ),
    "function_call": Fate("converted", "tool_choice_option", "Deprecated; as `tool_choice`."),
    "tools": Fate("sent", note="Left out when there are none."),
    "functions": Fate("converted", "tools", "Deprecated; they are function tools."),
    "stream_options": Fate("dropped", note="The usage always comes with a stream"),
    "modalities": Fate("converted", note="`text` says nothing; others are dropped."),
    "parallel_tool_calls": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
    "audio": Fate("dropped", note="The answer is text"),
    "prediction": Fate("dropped", note=_NONE),
    "web_search_options": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note=_NONE),
    "prompt_cache_options": Fate("dropped", note=_NONE),
    "prompt_cache_retention": Fate("dropped", note=_NONE),
    "safety_identifier": Fate("dropped", note=_NONE),
    "service_tier": Fate("dropped", note=_NONE),
    "store": Fate("dropped", note=_NONE),
    "user": Fate("dropped", note=_NONE),
}
"""In the order on the wire."""

_WHOLE = (
    "The whole of JSON Schema: a schema is any object in `vml_v1.ts` of watsonx-ai 1.7.14, and IBM"
    " names no keyword that it refuses or ignores."
)
SCHEMAS: Mapping[str, str] = dict.fromkeys(("response_format", "tools", "strict tools"), _WHOLE)
"""What is taken of a schema, by where it stands."""
