"""What becomes of a request's parameters and tools, held to the SDK's types."""

from __future__ import annotations

from typing import Any

import pytest
from mistralai.client.models import ChatCompletionRequest, ChatCompletionStreamRequest
from tests.dialects.saying import say

from penstock.dialects.mistral.parameters import FATES
from penstock.errors import UnsupportedFeatureError, UsageError
from penstock.request import ChatParams

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FIELDS = ChatCompletionStreamRequest.model_fields.keys()


def test_every_parameter_has_a_fate() -> None:
    """The table has the names of `ChatParams`, and the two that have arguments of their own."""
    assert {*ChatParams.__annotations__, "tools", "response_format"} == set(FATES)


PARAMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"max_completion_tokens": 5}, {"max_tokens": 5}),
    ({"temperature": 0.5, "top_p": 0.9, "n": 2}, {"temperature": 0.5, "top_p": 0.9, "n": 2}),
    ({"seed": 7}, {"random_seed": 7}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    (
        {"presence_penalty": 1, "frequency_penalty": 0.5},
        {"presence_penalty": 1, "frequency_penalty": 0.5},
    ),
    ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"reasoning_effort": "max"}, {"reasoning_effort": "max"}),
    ({"prompt_cache_key": "k"}, {"prompt_cache_key": "k"}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
    ({"tool_choice": "none"}, {"tool_choice": "none"}),
    ({"tool_choice": "required"}, {"tool_choice": "any"}),
    ({"tool_choice": "any"}, {"tool_choice": "any"}),
    (
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
    ),
    (
        {"prediction": {"type": "content", "content": "a"}},
        {"prediction": {"type": "content", "content": "a"}},
    ),
    (
        {"prediction": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
        {"prediction": {"type": "content", "content": "a"}},
    ),
    ({"modalities": ["text"], "stream_options": {"include_usage": True}}, {}),
    (
        {"functions": [WEATHER["function"]], "function_call": {"name": "weather"}},
        {
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        },
    ),
    ({"temperature": None, "seed": None}, {"temperature": None, "random_seed": None}),
]


@pytest.mark.parametrize(("params", "wire"), PARAMS, ids=[str(p)[:60] for p, _ in PARAMS])
def test_parameters_in_mistrals_words(params: dict[str, Any], wire: dict[str, Any]) -> None:
    """Nothing is lost with these, and the SDK's type knows each field."""
    said = say("mistral", params=params, strict=True)

    assert {"model": "m", "stream": True, **wire} == {
        name: value for name, value in said.body.items() if name != "messages"
    }
    assert said.body.keys() <= FIELDS
    assert ChatCompletionStreamRequest.model_validate(said.body, extra="forbid")


FORMATS: list[dict[str, Any]] = [
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
]


@pytest.mark.parametrize("given", FORMATS)
def test_response_formats_are_the_same(given: dict[str, Any]) -> None:
    """A schema is closed, as Mistral's own SDK closes it."""
    said = say("mistral", response_format=given, strict=True, stream=False).body
    if "json_schema" in given:
        schema = said["response_format"]["json_schema"]["schema"]
        assert False is schema.pop("additionalProperties")

    assert given == said["response_format"]
    assert ChatCompletionRequest.model_validate(said, extra="forbid")


def test_advice_keeps_everything_but_the_names_of_the_schema() -> None:
    """A tool that is not strict goes as it is, without the ``$id`` that the API was seen refuse."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "email"}}}
    function = {"name": "f", "parameters": {"$schema": "x", "$id": "y", **schema}}
    said = say("mistral", tools=({"type": "function", "function": function},), strict=True)

    assert schema == said.body["tools"][0]["function"]["parameters"]
    assert [] == said.dropped


LOST = [
    {"user": "u"},
    {"logit_bias": {"1": 2}},
    {"service_tier": "priority"},
    {"store": True},
    {"modalities": ["text", "audio"]},
    {"tool_choice": {"type": "web"}},
    {"prediction": {"type": "content", "content": [{"type": "image"}]}},
]


@pytest.mark.parametrize("params", LOST, ids=str)
def test_what_has_no_words_is_reported(params: dict[str, Any]) -> None:
    """It is left out and on ``dropped``, as Mistral refuses what it does not know."""
    said = say("mistral", params=params, tools=(WEATHER,))

    assert [*params] == said.dropped
    assert not params.keys() & said.body.keys()
    with pytest.raises(UnsupportedFeatureError, match=next(iter(params))):
        say("mistral", params=params, strict=True)


def test_tools_are_functions_and_mistrals_own() -> None:
    """Parameters are never missing; custom tools are dropped."""
    bare = {"type": "function", "function": {"name": "bare", "strict": True}}
    library = {"type": "document_library", "library_ids": ["1"]}
    custom = {"type": "custom", "custom": {"name": "x"}}
    said = say("mistral", tools=(WEATHER, bare, library, custom))

    assert ["tools[3]"] == said.dropped
    assert [WEATHER, library] == [said.body["tools"][0], said.body["tools"][2]]
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert closed == said.body["tools"][1]["function"]["parameters"]
    assert ChatCompletionStreamRequest.model_validate(said.body)


def test_mistrals_own_fields_are_extra() -> None:
    """They stand beside what parameters become, before the conversation."""
    extra = {
        "safe_prompt": True,
        "prompt_mode": "reasoning",
        "min_tokens": 1,
        "top_k": 3,
        "repetition_penalty": 1.1,
        "prompt_logprobs": True,
        "guardrails": [{"block_on_error": True}],
        "metadata": {"a": "b"},
        "random_seed": 8,
    }
    said = say("mistral", params={"seed": 7}, extra_body=extra).body

    assert extra == {name: said[name] for name in extra}
    assert "messages" == list(said)[-1]
    assert ChatCompletionStreamRequest.model_validate(said, extra="forbid")
    with pytest.raises(UsageError, match="messages"):
        say("mistral", extra_body={"messages": []})


def test_the_path_is_openais() -> None:
    """Below the base URL, which has the version."""
    assert (
        "https://api.mistral.ai/v1/chat/completions"
        == say("mistral", base_url="https://api.mistral.ai/v1").url
    )
