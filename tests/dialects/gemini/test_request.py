"""Requests to Gemini: where they go, what each parameter becomes, which form a schema has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from penstock.dialects.gemini import Gemini
from penstock.dialects.gemini.parameters import FATES
from penstock.dialects.gemini.thinking import generation
from penstock.encoders import encode_json
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Quirks, Target
from penstock.request import ChatParams, ChatRequest

STUDIO = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1"
MODEL = "gemini-2.5-flash"


def target(base_url: str = STUDIO, model: str = MODEL, flags: str = "", **fields: Any) -> Target:
    """A deployment."""
    origin = "/".join(base_url.split("/")[:3])
    quirks = Quirks(flags=frozenset(flags.split()))
    return Target(
        deployment="d",
        provider="p",
        model=model,
        base_url=base_url,
        origin=origin,
        quirks=quirks,
        **fields,
    )


def encoded(there: Target | None = None, **request: Any) -> tuple[str, Any, list[str]]:
    """The address, the body and what is dropped."""
    asked = ChatRequest(**{"model": "m", "messages": "Hello", **request})
    dropped: list[str] = []
    outgoing = Gemini().encode(asked, there or target(), dropped=dropped)
    body = json.loads(b"".join(encode_json(dict(outgoing.fields))))
    return outgoing.url, body, dropped


def said(there: Target | None = None, **params: Any) -> Any:
    """The body's fields beside the conversation; nothing is dropped."""
    _, body, dropped = encoded(there, params=params)
    assert [] == dropped
    body.pop("contents")
    return body


GOOGLE = "publishers/google/models/gemini-2.5-flash"
# The base, the model, fields of the target, and the address without its verb.
ADDRESSES: list[tuple[str, str, dict[str, Any], str]] = [
    (STUDIO, MODEL, {}, f"{STUDIO}/models/gemini-2.5-flash"),
    (STUDIO, "models/gemini-2.5-flash", {}, f"{STUDIO}/models/gemini-2.5-flash"),
    (STUDIO, "tunedModels/mine-1", {}, f"{STUDIO}/tunedModels/mine-1"),
    (STUDIO, "sim/echo?a=1", {}, f"{STUDIO}/models/sim%2Fecho%3Fa%3D1"),
    (STUDIO[:-7], MODEL, {}, f"{STUDIO}/models/gemini-2.5-flash"),
    (STUDIO[:-7], MODEL, {"api_version": "v1alpha"}, f"{STUDIO[:-4]}alpha/models/{MODEL}"),
    (
        VERTEX,
        MODEL,
        {"project": "p-1", "region": "europe-west1"},
        f"{VERTEX}/projects/p-1/locations/europe-west1/{GOOGLE}",
    ),
    (VERTEX, MODEL, {"project": "p"}, f"{VERTEX}/projects/p/locations/europe-west1/{GOOGLE}"),
    (VERTEX[:-3], MODEL, {"project": "p"}, f"{VERTEX}/projects/p/locations/europe-west1/{GOOGLE}"),
    (
        "https://aiplatform.googleapis.com/v1",
        MODEL,
        {"project": "p"},
        f"https://aiplatform.googleapis.com/v1/projects/p/locations/global/{GOOGLE}",
    ),
    (
        "https://aiplatform.googleapis.com/v1",
        MODEL,
        {"flags": "vertex"},
        f"https://aiplatform.googleapis.com/v1/{GOOGLE}",
    ),
    (
        f"{VERTEX}/projects/p/locations/us",
        "meta/llama-4",
        {"project": "q"},
        f"{VERTEX}/projects/p/locations/us/publishers/meta/models/llama-4",
    ),
    (
        VERTEX,
        "projects/9/locations/us/endpoints/7",
        {"project": "p"},
        f"{VERTEX}/projects/9/locations/us/endpoints/7",
    ),
    (
        VERTEX,
        "endpoints/7",
        {"project": "p"},
        f"{VERTEX}/projects/p/locations/europe-west1/endpoints/7",
    ),
]


@pytest.mark.parametrize(("base", "model", "fields", "expected"), ADDRESSES)
def test_a_model_is_at_its_address(
    base: str, model: str, fields: dict[str, Any], expected: str
) -> None:
    """AI Studio, Vertex, express mode and endpoints, each name in as many segments as it has."""
    there = target(base, model, **fields)

    assert f"{expected}:streamGenerateContent?alt=sse" == encoded(there)[0]
    assert f"{expected}:generateContent" == encoded(there, stream=False)[0]


def test_a_stream_may_be_an_array() -> None:
    """With Google's own word for it; other parameters of the address stay."""
    there = target(query={"$trace": "1", "alt": "json"})

    assert encoded(there)[0].endswith(":streamGenerateContent?%24trace=1&alt=json")


def test_a_path_of_the_catalogue_wins() -> None:
    """A gateway may have the model elsewhere."""
    there = target("https://g.example.com", "a/b", path="/x/{model}/{verb}")

    assert "https://g.example.com/x/a%2Fb/streamGenerateContent?alt=sse" == encoded(there)[0]


@pytest.mark.parametrize("model", ["models/../files", "models//x", "models/."])
def test_a_model_cannot_lead_elsewhere(model: str) -> None:
    """Row 40 of the fault matrix: no segment is empty or dots."""
    with pytest.raises(ConfigurationError, match="no segment"):
        encoded(target(model=model))


CONFIG = "generationConfig"
# A parameter, its value, and where it is in the body.
PARAMETERS: list[tuple[dict[str, Any], Any]] = [
    ({"temperature": 0.5, "top_p": 0.9}, {CONFIG: {"temperature": 0.5, "topP": 0.9}}),
    ({"max_tokens": 5}, {CONFIG: {"maxOutputTokens": 5}}),
    ({"max_completion_tokens": 6}, {CONFIG: {"maxOutputTokens": 6}}),
    ({"n": 2, "seed": 7}, {CONFIG: {"candidateCount": 2, "seed": 7}}),
    (
        {"presence_penalty": 1, "frequency_penalty": -1},
        {CONFIG: {"presencePenalty": 1, "frequencyPenalty": -1}},
    ),
    ({"stop": "x"}, {CONFIG: {"stopSequences": ["x"]}}),
    ({"stop": ["x", "y"]}, {CONFIG: {"stopSequences": ["x", "y"]}}),
    ({"logprobs": True, "top_logprobs": 3}, {CONFIG: {"responseLogprobs": True, "logprobs": 3}}),
    (
        {"modalities": ["text", "image"], "audio": {"voice": "Kore", "format": "pcm16"}},
        {
            CONFIG: {
                "responseModalities": ["TEXT", "IMAGE"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
            }
        },
    ),
    ({"service_tier": "flex"}, {"serviceTier": "flex"}),
    ({"service_tier": "default"}, {"serviceTier": "standard"}),
    ({"service_tier": "auto"}, {}),
    ({"store": False}, {"store": False}),
    ({"tool_choice": "auto"}, {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
    ({"tool_choice": "none"}, {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ({"function_call": "auto"}, {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
    (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            }
        },
        {
            "toolConfig": {
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}
            }
        },
    ),
    ({"web_search_options": {}}, {"tools": [{"googleSearch": {}}]}),
    ({"parallel_tool_calls": True, "stream_options": {"include_usage": True}}, {}),
    (
        {"reasoning_effort": "low"},
        {CONFIG: {"thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}}},
    ),
    ({"reasoning_effort": "none"}, {CONFIG: {"thinkingConfig": {"thinkingBudget": 0}}}),
]


@pytest.mark.parametrize(("params", "expected"), PARAMETERS, ids=lambda value: str(value)[:50])
def test_parameters_have_gemini_names(params: dict[str, Any], expected: Any) -> None:
    """Each is where the SDK's converters put it."""
    assert expected == said(**params)


DROPPED: list[tuple[dict[str, Any], list[str]]] = [
    ({"parallel_tool_calls": False}, ["parallel_tool_calls"]),
    ({"logit_bias": {"1": 2}, "user": "u"}, ["logit_bias", "user"]),
    ({"service_tier": "scale"}, ["service_tier"]),
    ({"audio": {"voice": "Kore", "format": "mp3"}}, ["audio.format"]),
    (
        {"web_search_options": {"search_context_size": "low"}},
        ["web_search_options.search_context_size"],
    ),
    ({"max_tokens": 1, "max_completion_tokens": 2}, ["max_tokens"]),
]


@pytest.mark.parametrize(("params", "expected"), DROPPED, ids=lambda value: str(value)[:40])
def test_what_has_no_words_is_reported(params: dict[str, Any], expected: list[str]) -> None:
    """By its name; a strict request is refused."""
    assert sorted(expected) == sorted(encoded(params=params)[2])
    with pytest.raises(UnsupportedFeatureError):
        encoded(params=params, strict=True)


def test_every_parameter_has_a_fate() -> None:
    """Those of `ChatParams`, and what has an argument of its own."""
    assert {*ChatParams.__annotations__, "tools", "response_format"} == set(FATES)


def test_vertex_stores_nothing() -> None:
    """The field is AI Studio's alone (google-genai: "not supported in Vertex AI")."""
    _, body, dropped = encoded(target(VERTEX, project="p"), params={"store": True})

    assert (["store"], False) == (dropped, "store" in body)


LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
THINKING: dict[str, list[Any]] = {
    "gemini-2.5-flash": [0, 1024, 1024, 8192, 24576, 24576, 24576],
    "gemini-2.5-pro": [128, 1024, 1024, 8192, 24576, 32768, 32768],
    "some-endpoint": [0, 1024, 1024, 8192, 24576, 24576, 24576],
    "gemini-3-pro-preview": ["LOW", "LOW", "LOW", "HIGH", "HIGH", "HIGH", "HIGH"],
    "gemini-3.1-pro-preview": ["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-3-flash-preview": ["MINIMAL", "MINIMAL", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-3.7-flash": ["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-3.7-flash-lite": ["MINIMAL", "MINIMAL", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-4-argon": ["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-4-hydrogen": ["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "XHIGH", "XHIGH"],
    "gemini-flash-latest": ["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"],
    "gemini-2.0-flash": [None] * 7,
    "models/gemini-1.5-pro-002": [None] * 7,
}
# Where the effort cannot be said as it is meant.
REPORTED = {
    "gemini-2.5-pro": {"none"},
    "gemini-3-pro-preview": {"none"},
    "gemini-3.1-pro-preview": {"none"},
    "gemini-3-flash-preview": {"none"},
    "gemini-3.7-flash": {"none"},
    "gemini-3.7-flash-lite": {"none"},
    "gemini-4-argon": {"none"},
    "gemini-4-hydrogen": {"none"},
    "gemini-flash-latest": {"none"},
    "gemini-2.0-flash": set(LEVELS[1:]),
    "models/gemini-1.5-pro-002": set(LEVELS[1:]),
}


@pytest.mark.parametrize("model", THINKING)
@pytest.mark.parametrize("effort", LEVELS)
def test_an_effort_is_a_budget_or_a_level(model: str, effort: str) -> None:
    """By the model's generation; thoughts are shown where there are any."""
    _, body, dropped = encoded(target(model=model), params={"reasoning_effort": effort})
    found = body.get(CONFIG, {}).get("thinkingConfig", {})
    value = found.get("thinkingLevel", found.get("thinkingBudget"))

    assert THINKING[model][LEVELS.index(effort)] == value
    assert (effort in REPORTED.get(model, ())) == (dropped == ["reasoning_effort"])
    assert (effort != "none" and value is not None) == found.get("includeThoughts", False)


def test_an_unknown_effort_is_an_error() -> None:
    """Nobody guesses."""
    with pytest.raises(UsageError, match="reasoning_effort is one of"):
        encoded(params={"reasoning_effort": "lots"})


GENERATIONS = {
    "gemini-2.5-flash-lite": (2, 5),
    "models/gemini-2.0-flash-001": (2, 0),
    "gemini-3-pro-image-preview": (3, 0),
    "gemini-live-2.5-flash-preview": (2, 5),
    "gemini-flash-lite-latest": (99, 0),
    "gemini-exp-1206": None,
    "gemma-3-27b-it": None,
}


@pytest.mark.parametrize("model", GENERATIONS)
def test_a_name_tells_its_generation(model: str) -> None:
    """Numbers that are dates or sizes are none."""
    assert GENERATIONS[model] == generation(model)


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
    "required": ["name"],
    "additionalProperties": False,
}


def tool(parameters: Any, **more: Any) -> dict[str, Any]:
    """A function."""
    return {"type": "function", "function": {"name": "f", "parameters": parameters, **more}}


# A schema, the flags, the field that it is in, and what is lost of it.
FORMS: list[tuple[Any, str, str, Any, list[str]]] = [
    (PERSON, "", "JsonSchema", PERSON, []),
    (
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
        "",
        "",
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
        [],
    ),
    (
        PERSON,
        "openapi_schemas",
        "",
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "nullable": True},
            },
            "required": ["name"],
        },
        [".additionalProperties"],
    ),
    (
        {
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
            "type": "object",
            "properties": {"list": {"$ref": "#/$defs/N"}},
        },
        "",
        "JsonSchema",
        {
            "type": "object",
            "properties": {"list": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
        },
        [],
    ),
    (
        {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 5}}},
        "",
        "JsonSchema",
        {"type": "object", "properties": {"a": {"type": "integer"}}},
        [".properties.a.multipleOf"],
    ),
]


@pytest.mark.parametrize(("schema", "flags", "suffix", "expected", "lost"), FORMS)
def test_a_schema_has_the_form_that_loses_less(
    schema: Any, flags: str, suffix: str, expected: Any, lost: list[str]
) -> None:
    """For tools and for answers; what is lost is reported by its path."""
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    there = target(flags=flags)
    _, body, dropped = encoded(there, tools=(tool(schema),), response_format=wanted)
    declared = body["tools"][0]["functionDeclarations"][0]

    answer = "responseJsonSchema" if suffix else "responseSchema"
    assert {"name": "f", f"parameters{suffix}": expected} == declared
    assert {"responseMimeType": "application/json", answer: expected} == body[CONFIG]
    paths = ("tools[0].function.parameters", "response_format.json_schema.schema")
    assert sorted(path + end for path in paths for end in lost) == sorted(dropped)


def test_a_function_without_parameters_has_none() -> None:
    """The API refuses an object without properties."""
    empty: list[Any] = [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {},
        None,
    ]
    _, body, dropped = encoded(tools=tuple(map(tool, empty)))

    assert [{"name": "f"}] * 4 == body["tools"][0]["functionDeclarations"]
    assert [] == dropped


def test_gemini_has_tools_of_its_own() -> None:
    """By their names, in either spelling, with their settings; functions are together."""
    search = {"type": "google_search", "google_search": {"timeRangeFilter": {}}}
    given = (search, tool(PERSON), {"type": "codeExecution"}, tool(None, description="d"))
    _, body, _ = encoded(tools=given)

    assert [
        {
            "functionDeclarations": [
                {"name": "f", "parametersJsonSchema": PERSON},
                {"name": "f", "description": "d"},
            ]
        },
        {"googleSearch": {"timeRangeFilter": {}}},
        {"codeExecution": {}},
    ] == body["tools"]


def test_custom_tools_and_strictness_are_reported() -> None:
    """There are neither."""
    custom = {"type": "custom", "custom": {"name": "c"}}

    assert ["tools[0]", "tools[1].function.strict"] == (
        encoded(tools=(custom, tool(None, strict=True)))[2]
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"type": "text"}, {}), ({"type": "json_object"}, {"responseMimeType": "application/json"})],
)
def test_formats_without_a_schema(given: Any, expected: Any) -> None:
    """Text is what there is without."""
    assert expected == encoded(response_format=given)[1].get(CONFIG, {})


def test_the_callers_fields_win_and_are_added_to_ours() -> None:
    """Within `generationConfig`, too; the conversation and the stream are ours."""
    extra = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        CONFIG: {"topK": 3, "temperature": 1},
        "cachedContent": "cachedContents/1",
        "labels": {"team": "a"},
    }
    _, body, dropped = encoded(params={"temperature": 0, "seed": 1}, extra_body=extra)

    assert {"temperature": 1, "seed": 1, "topK": 3} == body[CONFIG]
    assert extra["safetySettings"] == body["safetySettings"]
    assert ["cachedContent", "labels", "contents"] == list(body)[2:]
    assert [] == dropped
    for name in ("contents", "systemInstruction", "stream"):
        with pytest.raises(UsageError, match="it is penstock's"):
            encoded(extra_body={name: 1})


def test_what_goes_out_is_of_the_sdks_types() -> None:
    """Every field of the body, and every field within, is one that google-genai knows."""
    params: dict[str, Any] = {}
    for given, _ in PARAMETERS:
        params |= given
    del params["function_call"]
    system = {"role": "system", "content": "Be brief."}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": PERSON}}
    for model in ("gemini-2.5-flash", "gemini-3-pro-preview"):
        _, body, _ = encoded(
            target(model=model),
            messages=[system, {"role": "user", "content": "Hi"}],
            params=params | {"reasoning_effort": "high"},
            tools=(tool(PERSON), {"type": "google_search"}),
            response_format=wanted,
        )
        check(body)


KINDS: dict[str, Any] = {
    "generationConfig": types.GenerationConfig,
    "toolConfig": types.ToolConfig,
    "tools": types.Tool,
    "contents": types.Content,
    "systemInstruction": types.Content,
}


def check(body: Any) -> None:
    """Hold a body to the SDK's types, which forbid fields that they do not have."""
    for name, value in body.items():
        if name not in KINDS:
            assert name in {"serviceTier", "store", "safetySettings", "cachedContent", "labels"}
            continue
        for each in value if isinstance(value, list) else [value]:
            KINDS[name].model_validate_json(json.dumps(each))
