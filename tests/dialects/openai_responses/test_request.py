"""A request to the Responses' body, judged by the openai SDK's request types."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import ConfigDict, TypeAdapter
from tests.dialects.saying import Said, say, target_at

from penstock.dialects.openai_responses import OpenAIResponses
from penstock.dialects.openai_responses.parameters import FATES, FLAGS, thinks
from penstock.encoders import encode_json
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.fields import Each
from penstock.interfaces import Quirks
from penstock.request import ChatRequest

STREAMED = TypeAdapter(list[ResponseCreateParamsStreaming], config=ConfigDict(extra="forbid"))
WHOLE = TypeAdapter(list[ResponseCreateParamsNonStreaming], config=ConfigDict(extra="forbid"))
ENCRYPTED = "reasoning.encrypted_content"
CLOSED = {"type": "object", "additionalProperties": False}
"""A schema of the subset that strict ones have."""
WEATHER = {
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def said(messages: Any = "Hello", **request: Any) -> Said:
    """What the dialect makes of a request; the SDK's types take it."""
    found = say("openai_responses", messages, **request)
    (STREAMED if found.body["stream"] else WHOLE).validate_python([found.body])
    return found


def of(model: str = "m", *, quirks: Quirks | None = None, **request: Any) -> dict[str, Any]:
    """The fields for a certain model or provider."""
    target = target_at("https://x.test/v1", quirks=quirks or Quirks())
    target = type(target)(
        **{name: getattr(target, name) for name in target.__slots__} | {"model": model}
    )
    asked = ChatRequest(model="m", messages="Hello", **request)
    return dict(OpenAIResponses().encode(asked, target, dropped=[]).fields)


def test_a_plain_request_is_stateless_and_keeps_its_reasoning() -> None:
    """Nothing is stored unasked, and encrypted reasoning is asked for instead."""
    assert {
        "model": "m",
        "stream": True,
        "store": False,
        "include": [ENCRYPTED],
        "input": [{"role": "user", "content": "Hello"}],
    } == said().body
    assert "https://api.example.com/responses" == said().url


STORES: list[tuple[dict[str, Any], Any, bool]] = [
    # what is asked, `store` on the wire, and whether encrypted reasoning is asked for
    ({}, False, True),
    ({"params": {"store": True}}, True, False),
    ({"params": {"store": False}}, False, True),
    ({"extra_body": {"store": True}}, True, False),
    ({"target_body": {"store": True}}, True, False),
    ({"extra_body": {"background": True}}, "unsaid", True),
    ({"extra_body": {"background": False}}, False, True),
    ({"extra_body": {"previous_response_id": "resp_1"}}, "unsaid", True),
    ({"extra_body": {"conversation": "conv_1"}}, "unsaid", True),
    ({"extra_body": {"previous_response_id": "resp_1"}, "params": {"store": True}}, True, False),
]


@pytest.mark.parametrize(("asked", "store", "encrypted"), STORES)
def test_what_is_stored_and_what_is_asked_for_instead(
    asked: dict[str, Any], store: Any, encrypted: bool
) -> None:
    """`store` is false unless said otherwise, or needed by what the caller asks for."""
    body = said(**asked).body

    assert (store, encrypted) == (body.get("store", "unsaid"), "include" in body)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5.4", True),
        ("o4-mini", True),
        ("gpt-oss-120b", True),
        ("openai/gpt-5.4", True),
        ("gpt-6-astra", True),
        ("gpt-4o-mini", False),
        ("gpt-4.1", False),
        ("openai/gpt-4o", False),
        ("ft:gpt-4.1-mini:acme::x", False),
        ("gpt-5-chat-latest", False),
        ("gpt-5.2-chat", False),
        ("chatgpt-4o-latest", False),
        ("gpt-3.5-turbo", False),
    ],
)
def test_encrypted_reasoning_is_asked_of_models_that_think(model: str, expected: bool) -> None:
    """OpenAI refuses a request that asks it of one that does not."""
    assert expected == thinks(model) == ("include" in of(model))


def test_a_callers_include_is_the_whole_of_it() -> None:
    """It replaces ours, as everything in extra_body does."""
    assert [] == said(extra_body={"include": []}).body["include"]


def test_log_probabilities_stand_beside_the_reasoning() -> None:
    """Both are asked for in `include`."""
    body = said(params={"logprobs": True, "top_logprobs": 2}).body

    assert ["message.output_text.logprobs", ENCRYPTED] == body["include"]
    assert "include" not in of("gpt-4o", params={"logprobs": False})


def test_every_parameter_at_once_is_what_the_sdk_takes() -> None:
    """Names, places and shapes are those of ``ResponseCreateParamsStreaming``."""
    body = said(
        params={
            "max_tokens": 5,
            "temperature": 0.5,
            "top_p": 0.5,
            "reasoning_effort": "xhigh",
            "verbosity": "low",
            "top_logprobs": 3,
            "logprobs": True,
            "parallel_tool_calls": False,
            "service_tier": "flex",
            "store": False,
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "explicit"},
            "moderation": {"model": "omni-moderation-latest"},
            "stream_options": {"include_obfuscation": False, "include_usage": True},
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
            },
            "n": 1,
            "modalities": ["text"],
        },
        tools=({"type": "function", "function": WEATHER},),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "strict": True, "schema": CLOSED},
        },
        extra_body={"reasoning": {"summary": "auto"}, "truncation": "auto", "max_tool_calls": 3},
        strict=True,
    ).body

    assert (5, {"effort": "xhigh", "summary": "auto"}) == (
        body["max_output_tokens"],
        body["reasoning"],
    )
    assert {
        "verbosity": "low",
        "format": {
            "type": "json_schema",
            "name": "a",
            "strict": True,
            "schema": CLOSED,
        },
    } == body["text"]
    assert {"include_obfuscation": False} == body["stream_options"]
    place = {"type": "approximate", "city": "Ulm"}
    assert [
        {"type": "web_search", "search_context_size": "low", "user_location": place},
        {"type": "function", "strict": False, **WEATHER},
    ] == body["tools"]
    assert {"type": "function", "name": "weather"} == body["tool_choice"]
    assert "input" == list(body)[-1]


GRAMMAR = {"syntax": "regex", "definition": "a+"}
TOOLS: list[tuple[Any, Any]] = [
    (
        {"type": "function", "function": {"name": "f"}},
        {
            "type": "function",
            "name": "f",
            "strict": False,
            "parameters": {"type": "object", "properties": {}},
        },
    ),
    (
        {"type": "function", "function": {**WEATHER, "parameters": CLOSED, "strict": True}},
        {"type": "function", **WEATHER, "parameters": CLOSED, "strict": True},
    ),
    (
        {"type": "function", **WEATHER, "strict": None, "defer_loading": True},
        {"type": "function", **WEATHER, "strict": False, "defer_loading": True},
    ),
    (
        {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
        {"type": "custom", "name": "c", "format": {"type": "text"}},
    ),
    (
        {
            "type": "custom",
            "custom": {"name": "c", "format": {"type": "grammar", "grammar": GRAMMAR}},
        },
        {"type": "custom", "name": "c", "format": {"type": "grammar", **GRAMMAR}},
    ),
    *(
        (built_in, built_in)
        for built_in in (
            {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "image_generation", "partial_images": 2},
            {"type": "mcp", "server_label": "d", "server_url": "https://example.com"},
            {"type": "computer"},
            {"type": "shell"},
            {"type": "local_shell"},
            {"type": "apply_patch"},
            {"type": "tool_search"},
            {"type": "custom", "name": "flat"},
        )
    ),
]


@pytest.mark.parametrize(("given", "expected"), TOOLS)
def test_tools_are_flat_and_built_in_ones_as_they_are(given: Any, expected: Any) -> None:
    """Functions and custom tools lose their inner object; what the SDK types allow is allowed."""
    assert [expected] == said(tools=(given,)).body["tools"]


CHOICES: list[tuple[Any, Any]] = [
    ("auto", "auto"),
    ("required", "required"),
    ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
    ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
    ({"type": "web_search_preview"}, {"type": "web_search_preview"}),
    ({"type": "mcp", "server_label": "d"}, {"type": "mcp", "server_label": "d"}),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "f"}}],
            },
        },
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    ),
]


@pytest.mark.parametrize(("given", "expected"), CHOICES)
def test_tool_choices_are_flat(given: Any, expected: Any) -> None:
    """They lose their inner object, too."""
    assert expected == said(params={"tool_choice": given}).body["tool_choice"]


def test_deprecated_functions_are_tools() -> None:
    """``functions`` and ``function_call`` say the same as tools and their choice."""
    body = said(params={"functions": [WEATHER], "function_call": {"name": "weather"}}).body

    assert [{"type": "function", "strict": False, **WEATHER}] == body["tools"]
    assert {"type": "function", "name": "weather"} == body["tool_choice"]


@pytest.mark.parametrize("wanted", [{"type": "text"}, {"type": "json_object"}])
def test_plain_answer_formats_are_as_they_are(wanted: dict[str, str]) -> None:
    """Only ``json_schema`` has an inner object."""
    assert {"format": wanted} == said(response_format=wanted).body["text"]


def test_the_newer_of_two_limits_wins() -> None:
    """`max_completion_tokens` is the Responses' own idea; the other is reported."""
    found = said(params={"max_completion_tokens": 7, "max_tokens": 5})

    assert (7, ["max_tokens"]) == (found.body["max_output_tokens"], found.dropped)


def test_stream_options_are_for_streams() -> None:
    """Without streaming they are reported; asking for usage says nothing, as it always comes."""
    whole = said(stream=False, params={"stream_options": {"include_obfuscation": False}})

    assert ["stream_options"] == whole.dropped
    assert "stream_options" not in said(params={"stream_options": {"include_usage": True}}).body


@pytest.mark.parametrize("params", [{"n": 2}, {"modalities": ["text", "audio"]}])
def test_what_would_be_another_answer_is_refused(params: dict[str, Any]) -> None:
    """Leaving it out would be no loss of a detail."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        said(params=params)

    assert [caught.value.param] == list(params)


@pytest.mark.parametrize("name", ["input", "messages", "stream"])
def test_the_conversation_and_the_stream_are_ours(name: str) -> None:
    """extra_body may not replace them, of the caller or the deployment."""
    with pytest.raises(UsageError, match=name):
        said(extra_body={name: 1})
    with pytest.raises(ConfigurationError, match=name):
        said(target_body={name: 1})


@pytest.mark.parametrize("name", ["tools", "temprature", "metadata"])
def test_an_unknown_parameter_is_refused(name: str) -> None:
    """So is one that has an argument of its own."""
    with pytest.raises(UsageError):
        said(params={name: []})


def test_fields_of_the_responses_go_through_extra_body() -> None:
    """Whatever ``ResponseCreateParams`` has and penstock has no name for."""
    extra = {
        "background": True,
        "previous_response_id": "resp_1",
        "prompt": {"id": "pmpt_1", "variables": {"a": "b"}},
        "instructions": "Be brief.",
        "metadata": {"team": "a"},
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    }
    body = said(extra_body=extra).body

    assert extra == {name: body[name] for name in extra}


def test_a_providers_row_renames_and_drops() -> None:
    """What the catalogue says of a provider comes before the table."""
    quirks = Quirks(
        renames={"max_completion_tokens": "max_tokens"},
        drops=frozenset({"store", "include", "temperature"}),
    )
    fields = of(quirks=quirks, params={"max_completion_tokens": 3, "temperature": 1})

    assert {"model", "stream", "max_tokens", "input"} == fields.keys()


def test_flags_are_documented_and_do_what_they_say() -> None:
    """A provider may refuse encrypted reasoning."""
    assert all(FLAGS.values())
    assert "include" not in of(quirks=Quirks(flags=frozenset({"no_encrypted_reasoning"})))


def test_the_order_is_that_of_the_table() -> None:
    """The order of the caller's arguments does not change the bytes."""
    params = {"temperature": 1, "store": False, "max_tokens": 5, "user": "u"}
    turned = dict(reversed(params.items()))

    assert list(of(params=params)) == list(of(params=turned))
    assert "tools" == list(FATES)[-1]


def test_a_long_conversation_is_pulled_as_it_is_sent() -> None:
    """Encoding a list of many messages translates none of them."""
    pulled = 0

    class Messages(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            nonlocal pulled
            pulled += 1
            return super().__getitem__(index)

    messages = Messages({"role": "user", "content": str(number)} for number in range(100))
    asked = ChatRequest(model="m", messages=messages)
    fields = OpenAIResponses().encode(asked, target_at("https://x.test"), dropped=[]).fields

    assert isinstance(fields["input"], Each)
    assert 0 == pulled
    assert b'"content":"99"' in b"".join(encode_json(dict(fields)))
