"""What becomes of a request's parameters and tools, and where it goes."""

from __future__ import annotations

from typing import Any

import pytest
from ollama._types import ChatRequest, Options
from tests.dialects.saying import say

from penstock.dialects.ollama.parameters import FATES
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
LOCAL = "http://localhost:11434"


def test_every_parameter_has_a_fate() -> None:
    """The table has the names of `ChatParams`, and the two that have arguments of their own."""
    assert {*ChatParams.__annotations__, "tools", "response_format"} == set(FATES)


@pytest.mark.parametrize("path", ["", "/api", "/v1", "/api/", "/v1/"])
def test_any_address_of_a_server_will_do(path: str) -> None:
    """A base URL is Ollama's own, the one that is like OpenAI's, or that of the server."""
    assert f"{LOCAL}/api/chat" == say("ollama", base_url=LOCAL + path).url


def test_a_proxy_may_have_a_path() -> None:
    """What comes before the API's own path stays."""
    assert (
        "https://p.example/ollama/api/chat"
        == say("ollama", base_url="https://p.example/ollama").url
    )


PARAMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"options": {"num_predict": 5}}),
    ({"max_completion_tokens": 5}, {"options": {"num_predict": 5}}),
    ({"temperature": 0.5, "top_p": 0.9}, {"options": {"temperature": 0.5, "top_p": 0.9}}),
    ({"seed": 7}, {"options": {"seed": 7}}),
    (
        {"presence_penalty": 1, "frequency_penalty": 0.5},
        {"options": {"presence_penalty": 1, "frequency_penalty": 0.5}},
    ),
    ({"stop": "END"}, {"options": {"stop": ["END"]}}),
    ({"stop": ["a", "b"]}, {"options": {"stop": ["a", "b"]}}),
    ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"reasoning_effort": "none"}, {"think": False}),
    ({"reasoning_effort": "minimal"}, {"think": True}),
    ({"reasoning_effort": "max"}, {"think": True}),
    ({"n": 1}, {}),
    ({"tool_choice": "auto"}, {}),
    ({"modalities": ["text"]}, {}),
    ({"stream_options": {"include_usage": True}}, {}),
    ({"stop": None, "reasoning_effort": None, "user": None}, {}),
    ({"functions": [WEATHER["function"]], "function_call": "auto"}, {"tools": [WEATHER]}),
]


@pytest.mark.parametrize("model", ["gpt-oss:20b", "hf.co/unsloth/GPT-OSS-20B-GGUF:Q4_K_M"])
@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("max", "high")],
)
def test_only_gpt_oss_has_words_for_its_effort(model: str, effort: str, think: object) -> None:
    """Servers refuse them for any other model."""
    assert think == say("ollama", model=model, params={"reasoning_effort": effort}).body["think"]


@pytest.mark.parametrize(("params", "wire"), PARAMS, ids=[str(p)[:60] for p, _ in PARAMS])
def test_parameters_in_ollamas_words(params: dict[str, Any], wire: dict[str, Any]) -> None:
    """Sampling is in ``options``, thinking in ``think``; nothing is lost with these."""
    said = say("ollama", params=params, strict=True)

    assert {"model": "m", "stream": True, **wire} == {
        name: value for name, value in said.body.items() if name != "messages"
    }


FORMATS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "text"}, None),
    ({"type": "json_object"}, "json"),
    (
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        SCHEMA,
    ),
]


@pytest.mark.parametrize(("given", "wire"), FORMATS)
def test_response_formats_are_formats(given: dict[str, Any], wire: Any) -> None:
    """A schema stands as it is."""
    assert wire == say("ollama", response_format=given, strict=True).body.get("format")


LOST = [
    {"user": "u"},
    {"logit_bias": {"1": 2}},
    {"service_tier": "auto"},
    {"parallel_tool_calls": False},
    {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
    {"modalities": ["text", "audio"]},
]
NO_FORMATS = [{"type": "xml"}, {"type": "json_schema"}]


@pytest.mark.parametrize("given", NO_FORMATS)
def test_other_formats_are_reported(given: dict[str, Any]) -> None:
    """The answer is then what the model likes."""
    said = say("ollama", response_format=given)

    assert (["response_format"], False) == (said.dropped, "format" in said.body)


@pytest.mark.parametrize("params", LOST, ids=str)
def test_what_has_no_words_is_reported(params: dict[str, Any]) -> None:
    """It is left out and on ``dropped``; a strict request is refused."""
    said = say("ollama", params=params, tools=(WEATHER,))

    assert [*params] == said.dropped
    assert not params.keys() & said.body.keys()
    with pytest.raises(UnsupportedFeatureError, match=next(iter(params))):
        say("ollama", params=params, strict=True)


def test_several_choices_are_refused() -> None:
    """One answer where three were asked for would be another answer."""
    with pytest.raises(UnsupportedFeatureError, match="cannot say n"):
        say("ollama", params={"n": 3})


def test_an_unknown_effort_is_refused() -> None:
    """The error has the words that there are."""
    with pytest.raises(UsageError, match="none, minimal, low"):
        say("ollama", params={"reasoning_effort": "enormous"})


def test_extra_options_are_added_to_ours() -> None:
    """``options`` of ``extra_body`` win over parameters, and leave the others where they are."""
    said = say(
        "ollama",
        params={"temperature": 0.5, "seed": 1},
        target_body={"keep_alive": "5m", "options": {"num_ctx": 8192}},
        extra_body={"options": {"seed": 2, "top_k": 3}, "think": True},
    )

    assert {"temperature": 0.5, "seed": 2, "num_ctx": 8192, "top_k": 3} == said.body["options"]
    assert ("5m", True) == (said.body["keep_alive"], said.body["think"])
    assert "messages" == list(said.body)[-1]


@pytest.mark.parametrize("name", ["messages", "stream"])
def test_extra_fields_do_not_replace_ours(name: str) -> None:
    """The conversation and the stream switch are penstock's."""
    with pytest.raises(UsageError, match=name):
        say("ollama", extra_body={name: []})


def test_tools_are_functions() -> None:
    """Functions are sent without what OpenAI alone has; with ``none`` there are no tools."""
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
    custom = {"type": "custom", "custom": {"name": "x"}}
    said = say("ollama", tools=(strict, custom))

    assert [WEATHER] == said.body["tools"]
    assert ["tools[0].function.strict", "tools[1]"] == said.dropped
    assert "tools" not in say("ollama", tools=(WEATHER,), params={"tool_choice": "none"}).body


def test_a_request_is_one_of_the_sdks() -> None:
    """With every parameter that is sent, the body has what the SDK's types know, and no more."""
    params = {
        "max_tokens": 9,
        "temperature": 1,
        "top_p": 1,
        "seed": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "stop": "x",
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
    }
    body = say("ollama", params=params, tools=(WEATHER,), response_format=FORMATS[2][0]).body

    ChatRequest.model_validate(body)
    assert body.keys() <= ChatRequest.model_fields.keys()
    assert body["options"].keys() <= Options.model_fields.keys()
    assert body["options"] == Options.model_validate(body["options"]).model_dump(exclude_none=True)


def test_the_answer_is_asked_for_in_lines() -> None:
    """The request says which form it wants."""
    assert {"accept": "application/x-ndjson"} == say("ollama").headers
    assert {"accept": "application/json"} == say("ollama", stream=False).headers
    assert say("ollama", stream=False).body["stream"] is False
