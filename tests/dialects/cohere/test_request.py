"""What becomes of a request's parameters and tools, and where it goes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from cohere.types import ResponseFormatV2, Thinking, ToolV2
from cohere.v2.client import V2Client
from pydantic import TypeAdapter
from tests.dialects.saying import say

from penstock.dialects.cohere.parameters import FATES
from penstock.errors import EncodeError, UnsupportedFeatureError, UsageError
from penstock.request import ChatParams

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
SDK = set(inspect.signature(V2Client.chat).parameters) - {"self", "request_options"} | {"stream"}
"""The fields of the body, as the SDK's method has them."""


def test_every_parameter_has_a_fate() -> None:
    """The table has the names of `ChatParams`, and the two that have arguments of their own."""
    assert {*ChatParams.__annotations__, "tools", "response_format"} == set(FATES)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.cohere.com", "https://api.cohere.com/v2/chat"),
        ("https://api.cohere.com/v2", "https://api.cohere.com/v2/chat"),
        ("https://p.example/cohere", "https://p.example/cohere/v2/chat"),
    ],
)
def test_an_address_may_have_the_version(base_url: str, url: str) -> None:
    """The SDK's has none, Cohere's own pages have it."""
    assert url == say("cohere", base_url=base_url).url


PARAMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"max_completion_tokens": 5}, {"max_tokens": 5}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "p": 0.9}),
    ({"seed": 7, "logprobs": True}, {"seed": 7, "logprobs": True}),
    (
        {"presence_penalty": 1, "frequency_penalty": 0.5},
        {"presence_penalty": 1, "frequency_penalty": 0.5},
    ),
    ({"stop": "END"}, {"stop_sequences": ["END"]}),
    ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "token_budget": 1024}}),
    ({"reasoning_effort": "xhigh"}, {"thinking": {"type": "enabled"}}),
    ({"n": 1, "modalities": ["text"], "stream_options": {"include_usage": True}}, {}),
    ({"stop": None, "reasoning_effort": None, "user": None}, {}),
    (
        {"functions": [WEATHER["function"]], "function_call": "none"},
        {"tools": [WEATHER], "tool_choice": "NONE"},
    ),
]


@pytest.mark.parametrize(("params", "wire"), PARAMS, ids=[str(p)[:60] for p, _ in PARAMS])
def test_parameters_in_coheres_words(params: dict[str, Any], wire: dict[str, Any]) -> None:
    """Nothing is lost with these; the SDK's method has each name."""
    said = say("cohere", params=params, strict=True)

    assert {"model": "m", "stream": True, **wire} == {
        name: value for name, value in said.body.items() if name != "messages"
    }
    assert said.body.keys() <= SDK
    if "thinking" in wire:
        Thinking.model_validate(wire["thinking"], extra="forbid")


CHOICES: list[tuple[Any, dict[str, Any]]] = [
    ("auto", {"tools": [WEATHER, LOOK]}),
    ("none", {"tools": [WEATHER, LOOK], "tool_choice": "NONE"}),
    ("required", {"tools": [WEATHER, LOOK], "tool_choice": "REQUIRED"}),
    (
        {"type": "function", "function": {"name": "look"}},
        {"tools": [LOOK], "tool_choice": "REQUIRED"},
    ),
]


@pytest.mark.parametrize(("choice", "wire"), CHOICES, ids=str)
def test_a_call_can_be_forced(choice: Any, wire: dict[str, Any]) -> None:
    """Of one tool by sending only that."""
    said = say("cohere", params={"tool_choice": choice}, tools=(WEATHER, LOOK), strict=True).body

    assert wire == {name: said[name] for name in ("tools", "tool_choice") if name in said}


def test_strict_tools_are_one_switch() -> None:
    """OpenAI has it in each function, Cohere for all of them."""
    exact = {"name": "look", "parameters": SCHEMA, "strict": True}
    said = say("cohere", tools=(WEATHER, {"type": "function", "function": exact}), strict=True).body

    assert said["strict_tools"] is True
    for tool in said["tools"]:
        ToolV2.model_validate(tool)
        assert tool["function"].keys() <= {"name", "description", "parameters"}
    assert "strict_tools" not in say("cohere", tools=(WEATHER,)).body


def test_tools_always_have_parameters() -> None:
    """Cohere's type requires them."""
    bare = {"type": "function", "function": {"name": "bare"}}
    said = say("cohere", tools=(bare,)).body

    assert {"type": "object", "properties": {}} == said["tools"][0]["function"]["parameters"]


def test_strict_tools_have_schemas_of_the_subset() -> None:
    """As an answer's schema: what is lost of it is reported, and a loose one stays as it is."""
    schema = {**SCHEMA, "properties": {"a": {"type": "integer", "minimum": 1}}}
    loose = {"type": "function", "function": {"name": "f", "parameters": schema}}
    strict = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}

    kept, said = say("cohere", tools=(loose,)), say("cohere", tools=(strict,))

    assert (schema, []) == (kept.body["tools"][0]["function"]["parameters"], kept.dropped)
    found = said.body["tools"][0]["function"]["parameters"]["properties"]["a"]
    assert "minimum" not in found
    assert ["tools[0].function.parameters.properties.a.minimum"] == said.dropped


def test_tools_that_are_no_functions_are_dropped() -> None:
    """With a report."""
    said = say("cohere", tools=({"type": "custom", "custom": {"name": "x"}},))

    assert (["tools[0]"], False) == (said.dropped, "tools" in said.body)


FORMATS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "text"}, {"type": "text"}),
    ({"type": "json_object"}, {"type": "json_object"}),
    (
        {"type": "json_object", "json_schema": SCHEMA},
        {"type": "json_object", "json_schema": SCHEMA},
    ),
    (
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        {"type": "json_object", "json_schema": SCHEMA},
    ),
    ({"type": "json_schema", "json_schema": {"name": "x"}}, {"type": "json_object"}),
]


@pytest.mark.parametrize(("given", "wire"), FORMATS)
def test_response_formats_have_the_schema_within(
    given: dict[str, Any], wire: dict[str, Any]
) -> None:
    """A schema is ``json_object`` with it; nothing is lost of one that is in the subset."""
    said = say("cohere", response_format=given, strict=True).body["response_format"]

    assert wire == said
    TypeAdapter(ResponseFormatV2).validate_python(said)


def test_other_formats_are_reported() -> None:
    """The answer is then what the model likes."""
    said = say("cohere", response_format={"type": "xml"})

    assert (["response_format"], False) == (said.dropped, "response_format" in said.body)


def test_what_a_schema_loses_is_reported() -> None:
    """Rules that are not enforced, by their paths; objects are not closed."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    given = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    said = say("cohere", response_format=given)

    assert {"a": {"type": "integer"}, "b": {"type": "string"}} == said.body["response_format"][
        "json_schema"
    ]["properties"]
    assert "response_format.json_schema.schema.properties.a.minimum" in said.dropped
    with pytest.raises(UnsupportedFeatureError, match="minimum"):
        say("cohere", response_format=given, strict=True)
    with pytest.raises(EncodeError):
        say("cohere", response_format={"type": "json_schema", "json_schema": {"schema": 5}})


LOST = [
    {"user": "u"},
    {"logit_bias": {"1": 2}},
    {"top_logprobs": 2},
    {"service_tier": "auto"},
    {"parallel_tool_calls": False},
    {"modalities": ["text", "audio"]},
    {"tool_choice": {"type": "web"}},
]


@pytest.mark.parametrize("params", LOST, ids=str)
def test_what_has_no_words_is_reported(params: dict[str, Any]) -> None:
    """It is left out and on ``dropped``; a strict request is refused."""
    said = say("cohere", params=params, tools=(WEATHER,))

    assert [*params] == said.dropped
    assert not params.keys() & said.body.keys()
    with pytest.raises(UnsupportedFeatureError, match=next(iter(params))):
        say("cohere", params=params, strict=True)


def test_several_choices_are_refused() -> None:
    """One answer where three were asked for would be another answer."""
    with pytest.raises(UnsupportedFeatureError, match="cannot say n"):
        say("cohere", params={"n": 3})


def test_an_unknown_effort_is_refused() -> None:
    """The error has the words that there are."""
    with pytest.raises(UsageError, match="none, minimal, low"):
        say("cohere", params={"reasoning_effort": "enormous"})


def test_coheres_own_fields_are_extra() -> None:
    """They stand beside what parameters become, before the conversation."""
    extra = {
        "k": 5,
        "safety_mode": "STRICT",
        "documents": ["one", {"data": {"text": "two"}, "id": "2"}],
        "citation_options": {"mode": "FAST"},
        "priority": 1,
        "thinking": {"type": "enabled", "token_budget": 7},
    }
    said = say("cohere", params={"reasoning_effort": "none"}, extra_body=extra).body

    assert extra == {name: said[name] for name in extra}
    assert said.keys() <= SDK
    assert "messages" == list(said)[-1]
    with pytest.raises(UsageError, match="stream"):
        say("cohere", extra_body={"stream": False})


EMPTY: list[tuple[dict[str, Any], str]] = [
    ({"type": "object", "properties": {"a": {"type": "string"}}}, ""),
    ({"type": "array", "items": {"type": "string"}}, ""),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            "required": ["a"],
        },
        ".properties.a.items",
    ),
]


@pytest.mark.parametrize(("schema", "where"), EMPTY)
def test_a_schema_that_is_refused_is_an_error_before_the_call(
    schema: dict[str, Any], where: str
) -> None:
    """Each object needs a required property, and the whole is one."""
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(EncodeError, match="at least one") as caught:
        say("cohere", response_format=wanted)

    assert f"response_format.json_schema.schema{where}" == caught.value.param


def test_tools_without_a_required_parameter_are_not_strict() -> None:
    """One of them has the switch left out for all, with a report."""
    bare = {"type": "function", "function": {"name": "now", "strict": True}}
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
    said = say("cohere", tools=(strict, bare))

    assert "strict_tools" not in said.body
    assert ["tools[1].function.strict"] == said.dropped
    with pytest.raises(UnsupportedFeatureError, match="required"):
        say("cohere", tools=(strict, bare), strict=True)
