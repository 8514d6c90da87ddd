"""Every parameter of the shims over APIs changes the request, or what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sync.chia.conftest import APIS, Stage, shim
from tests.sync.chia.effects import (
    Effect,
    asked,
    bound,
    header,
    path,
    region,
    said,
    sent,
)

from penstock.errors import ConfigurationError
from penstock.sync.chia._options import CLIENT_KWARGS, ELSEWHERE
from penstock.sync.shared import shared_portal

COMPATIBLE = [name for name in APIS if name not in ("BedrockLLM", "VertexGeminiLLM")]
GENERIC = "VertexGenericLLM"
LIMITS = {"OpenAILLM": "max_completion_tokens"}
"""The name on the wire of who no longer takes the old one."""
PRESETS = [name for name in COMPATIBLE if name not in ("OpenAICompatLLM", GENERIC)]


def token() -> str:
    """A fresh token."""
    return "fresh"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


EFFECTS = [
    Effect("BedrockLLM", "model", "text", path(2), "echo", "text"),
    Effect("BedrockLLM", "region", "us-east-1", region, "eu-west-1", "us-east-1"),
    Effect("BedrockLLM", "max_tokens", 9, sent("inferenceConfig.maxTokens"), 16000, 9),
    Effect(
        "VertexGeminiLLM", "model", "text", lambda s: path(9)(s).partition(":")[0], "echo", "text"
    ),
    Effect("VertexGeminiLLM", "project", "p-2", path(3), "project-1", "p-2"),
    Effect("VertexGeminiLLM", "location", "us-east5", path(5), "global", "us-east5"),
    Effect("VertexGeminiLLM", "max_tokens", 9, sent("generationConfig.maxOutputTokens"), 16000, 9),
    *(Effect(name, "model", "text", sent("model"), "echo", "text") for name in COMPATIBLE),
    *(
        Effect(name, "max_tokens", 9, sent(LIMITS.get(name, "max_tokens")), 16000, 9)
        for name in COMPATIBLE
    ),
    Effect("OpenAICompatLLM", "api_key", "k", header("authorization"), None, "Bearer k"),
    Effect(
        *("OpenAICompatLLM", "token_provider", token, header("authorization")),
        *("Bearer k", "Bearer fresh"),
        base={"api_key": "k"},
    ),
]
ELSEWHERE_TRIED = {
    **{f"{name}.max_tool_iterations": "test_tool_steps_are_bounded" for name in APIS},
    **{f"{name}.client_kwargs": "test_client_kwargs_are_heard" for name in APIS},
    **{f"{name}.base_url": "test_an_address_is_where_it_goes" for name in COMPATIBLE},
    **{f"{name}.kwargs": "test_an_address_is_where_it_goes" for name in [*PRESETS, GENERIC]},
    f"{GENERIC}.project": "test_without_an_address_it_is_the_providers",
    f"{GENERIC}.location": "test_without_an_address_it_is_the_providers",
}
"""Parameters that need more than two prompts to be seen, and their tests."""


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda each: each.name)
def test_a_parameter_does_what_it_says(stage: Stage, effect: Effect) -> None:
    """The row's value is seen, and without it the other one."""
    effect.check(stage)


@pytest.mark.parametrize("name", APIS)
def test_tool_steps_are_bounded(stage: Stage, name: str) -> None:
    """``max_tool_iterations`` is how often the model is asked; the result's error names it."""
    given: dict[str, Any] = {"model": "tools"}
    usual = stage.ask(name, "add", add, **given)
    once = stage.ask(name, "add", add, max_tool_iterations=1, **given)

    assert (2, True) == (asked(usual), usual.result.success)
    assert (1, ("max_steps", 1)) == (asked(once), bound(once))


def test_claude_codes_api_has_the_bound_too(stage: Stage) -> None:
    """``ClaudeCodeLLM(backend="api")`` is a tool loop like the others."""
    given: dict[str, Any] = {"model": "tools", "backend": "api"}
    usual = stage.ask("ClaudeCodeLLM", "add", add, **given)
    once = stage.ask("ClaudeCodeLLM", "add", add, max_tool_iterations=1, **given)

    assert [2, 1] == [asked(usual), asked(once)]
    assert ("max_steps", 1) == bound(once)


def test_the_log_of_claude_codes_api_has_no_tools_either(stage: Stage) -> None:
    """``log_stream`` is heard as by the program; the result has everything all the same."""
    given: dict[str, Any] = {"model": "tools", "backend": "api"}
    usual = stage.ask("ClaudeCodeLLM", "add", add, **given)
    quiet = stage.ask("ClaudeCodeLLM", "add", add, log_stream=False, **given)
    results = [
        [json.loads(line)["type"] for line in seen.result.stream_result.splitlines()]
        for seen in (usual, quiet)
    ]

    assert ["prompt", "step", "tool_call", "tool_result", "text"] == said(usual)
    assert ["prompt"] == said(quiet)
    assert [["step", "tool_call", "tool_result", "text", "step"]] * 2 == results


@pytest.mark.parametrize("name", COMPATIBLE)
def test_an_address_is_where_it_goes(stage: Stage, name: str) -> None:
    """``base_url`` is the address before ``/chat/completions``."""
    seen = stage.ask(name, base_url=f"{stage.url}/elsewhere/v1", api_key="k")

    assert "/elsewhere/v1/chat/completions" == seen.requests[-1].path


def previewed(name: str, **given: Any) -> Any:
    """The request that a shim would send, its secrets masked."""
    llm = shim(name)(**({"model": "m"} | given))
    ask = llm._turn("one", ())._ask  # type: ignore[attr-defined]  # of an APITurn
    return shared_portal().call(ask.client(llm).preview, ask.name, "one")


GOOGLE = "aiplatform.googleapis.com/v1/projects"


@pytest.mark.parametrize(
    ("name", "given", "variables", "url"),
    [
        ("OpenAICompatLLM", {}, {}, "https://api.openai.com/v1/chat/completions"),
        ("OpenAILLM", {}, {}, "https://api.openai.com/v1/chat/completions"),
        (
            *("FireworksLLM", {}, {"FIREWORKS_API_KEY": "f"}),
            "https://api.fireworks.ai/inference/v1/chat/completions",
        ),
        ("GroqLLM", {}, {}, "https://api.groq.com/openai/v1/chat/completions"),
        ("OpenRouterLLM", {}, {}, "https://openrouter.ai/api/v1/chat/completions"),
        ("OllamaLLM", {}, {}, "http://localhost:11434/v1/chat/completions"),
        ("VLLMLLM", {}, {}, "http://localhost:8200/v1/chat/completions"),
        (
            *("OllamaLLM", {}, {"OLLAMA_BASE_URL": "http://there:1/v1"}),
            "http://there:1/v1/chat/completions",
        ),
        (
            *("VLLMLLM", {}, {"VLLM_BASE_URL": "http://there:2/v1"}),
            "http://there:2/v1/chat/completions",
        ),
        (
            *("VertexGenericLLM", {}, {}),
            f"https://{GOOGLE}/project-1/locations/global/endpoints/openapi/chat/completions",
        ),
        (
            *("VertexGenericLLM", {"project": "p-2", "location": "us-east5"}, {}),
            f"https://us-east5-{GOOGLE}/p-2/locations/us-east5/endpoints/openapi/chat/completions",
        ),
        (
            *("VertexGeminiLLM", {"location": "us-east5"}, {}),
            f"https://us-east5-{GOOGLE}/project-1/locations/us-east5/publishers/google/models/"
            "m:streamGenerateContent?alt=sse",
        ),
        (
            # what the environment and the catalogue say anyhow may be said again
            *("VertexGeminiLLM", {"project": "project-1", "location": "global"}, {}),
            f"https://{GOOGLE}/project-1/locations/global/publishers/google/models/"
            "m:streamGenerateContent?alt=sse",
        ),
        (
            *("BedrockLLM", {"region": "us-east-1"}, {}),
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream",
        ),
    ],
)
@pytest.mark.usefixtures("stage")
def test_without_an_address_it_is_the_providers(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    given: dict[str, Any],
    variables: dict[str, str],
    url: str,
) -> None:
    """Each class knows where its provider is, and where in it the project is."""
    for each in ("OPENAI_BASE_URL", "GROQ_BASE_URL", "OPENROUTER_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(each)
    for each, value in variables.items():
        monkeypatch.setenv(each, value)

    assert url == previewed(name, **given).url


KWARGS = [("endpoint", "endpoint_url", "base_url"), ("timeout",), ("retries", "max_retries")]
KWARGS += [("headers", "default_headers"), ("region", "region_name", "location")]


@pytest.mark.parametrize("name", APIS)
def test_client_kwargs_are_heard(stage: Stage, name: str) -> None:
    """The address, the headers, the retries of a request and its clock are those that are said."""
    local = {"base_url": None, "api_key": "k"} if name in COMPATIBLE else {}
    suffix = "/v1" if name in COMPATIBLE else ""
    kwargs = {
        "endpoint": f"{stage.url}{suffix}",
        "headers": {"x-mine": "1"},
        "max_retries": 1,
    }
    seen = stage.ask(name, client_kwargs=kwargs, retries=0, model="echo?status=503", **local)
    late = stage.ask(
        name, client_kwargs=kwargs | {"timeout": 0.2}, retries=0, model="silent", **local
    )

    assert ["1", "1"] == [each.headers["x-mine"] for each in seen.requests]
    assert 0.2 == bound(late)[1]


def test_a_region_may_be_the_clients(stage: Stage) -> None:
    """As boto3 has it, and the SDK of Google."""
    aws = {"endpoint_url": stage.url, "region_name": "ap-south-1"}
    google = {"endpoint": stage.url, "location": "europe-west1"}

    assert "ap-south-1" == region(stage.ask("BedrockLLM", client_kwargs=aws))
    assert "europe-west1" == path(5)(stage.ask("VertexGeminiLLM", client_kwargs=google))


@pytest.mark.parametrize("name", APIS)
def test_any_other_client_option_names_ours(name: str) -> None:
    """What means nothing here is an error before anything is asked, with what to use instead."""
    for key, ours in {**ELSEWHERE, "coffee": "penstock.Client"}.items():
        with pytest.raises(ConfigurationError) as raised:
            shim(name)(model="m", client_kwargs={key: 1})  # type: ignore[call-arg]  # all have it

        assert f"{key!r}: use {ours}" in str(raised.value)


def test_an_option_is_said_once() -> None:
    """Two names of one option are a mistake; the table has the names of three SDKs."""
    twice = {"endpoint": "http://a", "endpoint_url": "http://b"}
    with pytest.raises(ConfigurationError, match="says endpoint twice"):
        shim("BedrockLLM")(model="m", client_kwargs=twice)  # type: ignore[call-arg]  # it has it

    assert {name for names in KWARGS for name in names} == set(CLIENT_KWARGS)
