"""Every OpenAI-shaped parameter, and what becomes of it in a body of the Responses.

The order is the order on the wire: what a server needs for routing first, tools last before the
conversation, so that the same request gives the same bytes whatever the order of the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern

from penstock.dialects.fates import Fate, Fates
from penstock.dialects.schemas.strict import ADVICE, STRICT

__all__ = ["ENCRYPTED", "FATES", "FLAGS", "LOGPROBS", "SCHEMAS", "STATEFUL", "thinks"]

_NONE = "The Responses have no such parameter"

FATES: Fates = {
    "store": Fate(
        "sent",
        note=(
            "False where it is not given, so that nothing is left at the provider unasked; left to"
            " the provider beside `background`, `previous_response_id` or `conversation` in"
            " `extra_body`, which need what is stored."
        ),
    ),
    "service_tier": Fate("sent"),
    "user": Fate("sent"),
    "safety_identifier": Fate("sent"),
    "prompt_cache_key": Fate("sent"),
    "prompt_cache_retention": Fate("sent"),
    "prompt_cache_options": Fate("sent"),
    "max_tokens": Fate(
        "renamed", "max_output_tokens", "Thinking counts, too; `max_completion_tokens` wins."
    ),
    "max_completion_tokens": Fate("renamed", "max_output_tokens"),
    "temperature": Fate("sent"),
    "top_p": Fate("sent"),
    "reasoning_effort": Fate(
        "renamed",
        "reasoning.effort",
        "Summaries are asked for with `extra_body={'reasoning': {'summary': 'auto'}}`, which is"
        " added to it. Of the words that a model is known to take the nearest, with a report.",
    ),
    "verbosity": Fate("renamed", "text.verbosity"),
    "top_logprobs": Fate("sent"),
    "logprobs": Fate(
        "converted", "include", "True is `message.output_text.logprobs` in it; False says nothing."
    ),
    "parallel_tool_calls": Fate("sent"),
    "moderation": Fate("sent"),
    "stream_options": Fate(
        "converted",
        "stream_options",
        "Without `include_usage`, as usage always comes; without streaming it is dropped.",
    ),
    "n": Fate("converted", note="1 says nothing; more is refused: there is one answer."),
    "modalities": Fate(
        "converted",
        note="`text` says nothing; others are refused. Images come of the tool `image_generation`.",
    ),
    "audio": Fate("dropped", note="The Responses do not speak"),
    "stop": Fate("dropped", note="The Responses have no stop sequences"),
    "seed": Fate("dropped", note=_NONE),
    "frequency_penalty": Fate("dropped", note=_NONE),
    "presence_penalty": Fate("dropped", note=_NONE),
    "logit_bias": Fate("dropped", note=_NONE),
    "prediction": Fate("dropped", note=_NONE),
    "response_format": Fate("converted", "text.format", "`json_schema` without its inner object."),
    "tool_choice": Fate(
        "converted", "tool_choice", "Without its inner object; the Responses' own shapes as is."
    ),
    "function_call": Fate("converted", "tool_choice", "Deprecated by OpenAI."),
    "web_search_options": Fate("converted", "tools", "The tool `web_search` with these options."),
    "functions": Fate("converted", "tools", "Deprecated by OpenAI; they are function tools."),
    "tools": Fate(
        "converted",
        "tools",
        "Functions and custom tools without their inner object, functions with `strict: false`"
        " unless they say otherwise (the Responses' default is true); built-in tools as they are.",
    ),
}
"""Every parameter, in the order on the wire."""

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
"""Of ``openai.types.responses.ResponseIncludable``."""

STATEFUL = ("background", "previous_response_id", "conversation")
"""Fields that need a stored response, so that ``store: false`` beside them would be a contradiction
or break the next turn."""

FLAGS: Mapping[str, str] = {
    "no_encrypted_reasoning": "Encrypted reasoning is not asked for: the provider refuses it.",
    "no_item_ids": "Items go back without the ids that the provider gave them: it keeps none.",
    "system_for_developer": (
        "The role `developer` is not known; what developers say is said with the role `system`."
    ),
}
"""Differences of providers that are no rename and no drop, by the names that rows use."""

# OpenAI refuses `include` of encrypted reasoning with "Encrypted content is not supported with this
# model." for models that do not think: gpt-4o, gpt-4.1-mini, gpt-5-chat-latest and gpt-5.2-chat are
# reported (pydantic/pydantic-ai issues 2865 and 3326, microsoft/amplifier issue 199).
_THOUGHTLESS = pattern(r"(?:.*/)?(?:ft:)?(?:gpt-3|gpt-4|chatgpt-|gpt-5(?:\.\d+)?-chat).*")


def thinks(model: str) -> bool:
    """Whether `model` may think, by its name: only OpenAI's own without thinking are known."""
    return not _THOUGHTLESS.fullmatch(model)


SCHEMAS = {
    "response_format": ADVICE,
    "strict response_format": STRICT,
    "tools": ADVICE,
    "strict tools": STRICT,
}
"""What is taken of a schema, by where it stands."""
