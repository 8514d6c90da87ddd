"""What becomes of each OpenAI-shaped parameter, in the order on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects.fates import Fate, Fates
from penstock.dialects.gemini.tools import JSON_SCHEMA, OPENAPI_SCHEMA

__all__ = ["CONFIG", "FATES", "FLAGS", "IDLE", "SCHEMAS"]

# JSON of the OpenAI shape as the caller gives it.
Json: TypeAlias = Any

CONFIG = "generationConfig"
"""The object that most parameters are in."""

FLAGS: Mapping[str, str] = {
    "vertex": (
        "Gemini on Google's Vertex AI. A deployment with a `project` is one, with or without the"
        " flag; with the flag and without a project it is in express mode."
    ),
    "openapi_schemas": (
        "Schemas go in `responseSchema` and `parameters` only, for servers that do not know"
        " `responseJsonSchema` and `parametersJsonSchema`."
    ),
}
"""Differences of providers that are no rename and no drop, by the names that rows use."""

IDLE: Mapping[str, tuple[Json, ...]] = {
    "parallel_tool_calls": (True,),
    "stream_options": ({"include_usage": True}, {}),
    "service_tier": ("auto",),
    "logit_bias": ({},),
}
"""Values that ask for what Gemini does anyway: nothing is lost with them."""

_NONE = "Gemini has no such parameter"
_CACHED = "`cachedContent` in `extra_body` names what is cached"

FATES: Fates = {
    "max_tokens": Fate("renamed", f"{CONFIG}.maxOutputTokens"),
    "max_completion_tokens": Fate(
        "renamed", f"{CONFIG}.maxOutputTokens", "It wins over `max_tokens`."
    ),
    "temperature": Fate("renamed", f"{CONFIG}.temperature"),
    "top_p": Fate("renamed", f"{CONFIG}.topP"),
    "n": Fate("renamed", f"{CONFIG}.candidateCount"),
    "seed": Fate("renamed", f"{CONFIG}.seed"),
    "presence_penalty": Fate("renamed", f"{CONFIG}.presencePenalty"),
    "frequency_penalty": Fate("renamed", f"{CONFIG}.frequencyPenalty"),
    "stop": Fate("converted", f"{CONFIG}.stopSequences", "A text becomes a list of one."),
    "logprobs": Fate("renamed", f"{CONFIG}.responseLogprobs"),
    "top_logprobs": Fate("renamed", f"{CONFIG}.logprobs"),
    "modalities": Fate("converted", f"{CONFIG}.responseModalities", "In capitals."),
    "audio": Fate(
        "converted",
        f"{CONFIG}.speechConfig",
        "`voice` is the name of a prebuilt voice; a `format` but `pcm16` is dropped.",
    ),
    "reasoning_effort": Fate(
        "converted",
        f"{CONFIG}.thinkingConfig",
        "With `includeThoughts`, unless it is `none`. Gemini 3 and later: `thinkingLevel`, `xhigh`"
        " and `max` as `HIGH`, for 4 Hydrogen `XHIGH`; `none` as the least level, with a report."
        " Gemini 2.5 and others: `thinkingBudget` of 1024 for `minimal` and `low`, 8192, 24576;"
        " more is 24576, or 32768 for 2.5 Pro, whose least is 128. Dropped for 2.0 and earlier.",
    ),
    "response_format": Fate(
        "converted",
        f"{CONFIG}.responseMimeType",
        "`json_object` and `json_schema` are `application/json`; the schema goes in"
        " `responseJsonSchema` or `responseSchema`, whichever loses less of it.",
    ),
    "service_tier": Fate(
        "converted",
        "serviceTier",
        "`default` is `standard`; `flex` and `priority` as they are; others are dropped.",
    ),
    "store": Fate("converted", "store", "AI Studio's; dropped for Vertex."),
    "tool_choice": Fate(
        "converted",
        "toolConfig.functionCallingConfig",
        "`required` is `ANY`; a named function is `ANY` with its name; `allowed_tools` is `ANY`"
        " (required) or `VALIDATED` (auto) with their names.",
    ),
    "function_call": Fate("converted", "toolConfig.functionCallingConfig"),
    "tools": Fate(
        "converted",
        note="Functions in one `functionDeclarations`; a tool of another type is Gemini's own of"
        " that name, and one without a type goes as it is; custom tools are dropped.",
    ),
    "functions": Fate("converted", "tools"),
    "web_search_options": Fate(
        "converted", "tools", "The tool `googleSearch`; its settings are dropped."
    ),
    "parallel_tool_calls": Fate("dropped", note="Gemini calls as many tools as it likes"),
    "logit_bias": Fate("dropped", note=_NONE),
    "moderation": Fate("dropped", note="`safetySettings` in `extra_body` say what is blocked"),
    "prediction": Fate("dropped", note=_NONE),
    "prompt_cache_key": Fate("dropped", note=_CACHED),
    "prompt_cache_options": Fate("dropped", note=_CACHED),
    "prompt_cache_retention": Fate("dropped", note=_CACHED),
    "safety_identifier": Fate("dropped", note=_NONE),
    "stream_options": Fate("dropped", note="The usage always comes"),
    "user": Fate("dropped", note=_NONE),
    "verbosity": Fate("dropped", note=_NONE),
}
"""Parameters of Gemini's own, such as ``topK`` or ``mediaResolution``, go in ``extra_body``, within
``generationConfig`` where Gemini has them there."""

SCHEMAS = {
    "response_format": JSON_SCHEMA,
    "tools": JSON_SCHEMA,
    "strict tools": JSON_SCHEMA,
    "tools or response_format of OpenAPI": OPENAPI_SCHEMA,
}
"""What is taken of a schema, by where it stands; that form goes which loses less."""
