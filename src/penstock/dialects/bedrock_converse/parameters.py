"""What becomes of each OpenAI-shaped parameter, in the order on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects.bedrock_converse.tools import ADVICE, SUBSET
from penstock.dialects.fates import Fate, Fates

__all__ = ["FATES", "FLAGS", "IDLE", "SCHEMAS"]

# JSON of the OpenAI shape as the caller gives it.
Json: TypeAlias = Any

FLAGS: Mapping[str, str] = {
    "late_system": (
        "Models take messages of the role `system` behind the first turn. Without it they are said"
        " as the user's words, with a report."
    ),
}
"""Differences of deployments that are no rename and no drop."""

IDLE: Mapping[str, tuple[Json, ...]] = {
    "logprobs": (False,),
    "store": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "stream_options": ({"include_usage": True}, {}),
}
"""Values that ask for what Bedrock does anyway: nothing is lost with them."""

_NONE = "Converse has no such parameter"

FATES: Fates = {
    "max_tokens": Fate("renamed", "inferenceConfig.maxTokens"),
    "max_completion_tokens": Fate(
        "renamed", "inferenceConfig.maxTokens", "It wins over `max_tokens`."
    ),
    "temperature": Fate(
        "converted",
        "inferenceConfig.temperature",
        "It goes to 1: what is above becomes 1, with a report. Dropped where Claude is to think,"
        " unless it is 1, and for Claude Opus 4.7, Sonnet 5 and later.",
    ),
    "top_p": Fate(
        "converted",
        "inferenceConfig.topP",
        "As it is; dropped where Claude is to think and it is below 0.95, and for Claude Opus 4.7,"
        " Sonnet 5 and later.",
    ),
    "stop": Fate("converted", "inferenceConfig.stopSequences", "A text becomes a list of one."),
    "service_tier": Fate(
        "converted",
        "serviceTier.type",
        "`default`, `flex`, `priority` and `reserved`; `auto` says nothing, others are dropped.",
    ),
    "reasoning_effort": Fate(
        "converted",
        "additionalModelRequestFields",
        "Claude: as in `anthropic_messages`, `thinking` in `additionalModelRequestFields` and the"
        " effort in `outputConfig.effort`. Nova 2: `reasoningConfig` with `low`, `medium` or"
        " `high`. gpt-oss: `reasoning_effort`. An inference profile that does not tell its model:"
        " `outputConfig.effort`. Dropped for others.",
    ),
    "response_format": Fate(
        "converted",
        "outputConfig.textFormat",
        "A `json_schema` in the subset that Bedrock takes, as text; `json_object` is dropped,"
        " `text` is what there is without.",
    ),
    "tool_choice": Fate(
        "converted",
        "toolConfig.toolChoice",
        "`auto`, `required` is `any`, a named function is `tool`. `none` is dropped: the tools have"
        " to stay as long as the conversation has calls. Of `allowed_tools` only the mode. A Claude"
        " that is to think, or is newer, may not be made to call a tool: `auto`, with a report.",
    ),
    "function_call": Fate("converted", "toolConfig.toolChoice", "As `tool_choice`."),
    "parallel_tool_calls": Fate(
        "converted",
        "additionalModelRequestFields.tool_choice",
        "`false` is `disable_parallel_tool_use` for Claude with the choice `auto`, and dropped"
        " elsewhere; `true` is what models do anyway.",
    ),
    "tools": Fate(
        "converted",
        "toolConfig.tools",
        "Functions as `toolSpec`, `cache_control` as a `cachePoint` behind it, Bedrock's own as"
        " they are; custom tools are dropped.",
    ),
    "functions": Fate("converted", "toolConfig.tools", "As `tools`."),
    "n": Fate("converted", note="1 says nothing; more is refused: there is one answer."),
    "modalities": Fate("converted", note="`text` says nothing; others are dropped."),
    "audio": Fate("dropped", note=_NONE),
    "frequency_penalty": Fate("dropped", note=_NONE),
    "logit_bias": Fate("dropped", note=_NONE),
    "logprobs": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note="`guardrailConfig` in `extra_body` names a guardrail"),
    "prediction": Fate("dropped", note=_NONE),
    "presence_penalty": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note="`cache_control` marks what is cached"),
    "prompt_cache_options": Fate("dropped", note="`cache_control` marks what is cached"),
    "prompt_cache_retention": Fate("dropped", note="`cache_control` marks what is cached"),
    "safety_identifier": Fate("dropped", note="`requestMetadata` in `extra_body` marks logs"),
    "seed": Fate("dropped", note=_NONE),
    "store": Fate("dropped", note="Nothing is stored"),
    "stream_options": Fate("dropped", note="The usage always comes"),
    "top_logprobs": Fate("dropped", note=_NONE),
    "user": Fate("dropped", note="`requestMetadata` in `extra_body` marks logs"),
    "verbosity": Fate("dropped", note=_NONE),
    "web_search_options": Fate("dropped", note="A `systemTool` in `tools` may search"),
}
"""Bedrock's own fields, such as ``guardrailConfig``, ``performanceConfig``, ``requestMetadata``,
``promptVariables`` or ``additionalModelRequestFields``, go in ``extra_body``."""

SCHEMAS = {"response_format": SUBSET, "tools": ADVICE, "strict tools": SUBSET}
"""What is taken of a schema, by where it stands."""
