"""Every OpenAI-shaped parameter has its fate, and the conversions are those of the table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.anthropic_messages.sending import ORIGIN, sent, target

from penstock.dialects.anthropic_messages.parameters import FATES
from penstock.errors import EncodeError, UnsupportedFeatureError, UsageError
from penstock.fields import Raw
from penstock.messages import AssistantMessage
from penstock.request import ChatParams
from penstock.response import ToolCall

PLAIN = {"model", "stream", "max_tokens", "messages"}
NEW, OLD = "claude-opus-4-6", "claude-sonnet-4-5-20250929"


def test_every_parameter_has_a_fate() -> None:
    """Those of `ChatParams`, and the two that are arguments."""
    assert {*ChatParams.__annotations__, "tools", "response_format"} == FATES.keys()


def said(params: dict[str, Any], model: str = NEW) -> tuple[dict[str, Any], list[str]]:
    """What `params` add to a plain body, and what is lost."""
    found = sent(to=target(model=model), params=params)
    new = {name: value for name, value in found.body.items() if name not in PLAIN - params.keys()}
    if "max_completion_tokens" in params:
        new["max_tokens"] = found.body["max_tokens"]
    return new, found.dropped


Case = tuple[dict[str, Any], dict[str, Any], list[str]]
CASES: list[Case] = [
    ({"max_tokens": 9}, {"max_tokens": 9}, []),
    ({"max_completion_tokens": 9}, {"max_tokens": 9}, []),
    ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_tokens": 9}, ["max_tokens"]),
    ({"max_completion_tokens": None}, {"max_tokens": 32_000}, []),
    ({"temperature": 0.5}, {"temperature": 0.5}, []),
    ({"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
    ({"top_p": 0.5}, {"top_p": 0.5}, []),
    ({"top_p": None, "temperature": None}, {}, []),
    ({"stop": "x"}, {"stop_sequences": ["x"]}, []),
    ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}, []),
    ({"user": "u"}, {"metadata": {"user_id": "u"}}, []),
    ({"safety_identifier": "s"}, {"metadata": {"user_id": "s"}}, []),
    ({"service_tier": "auto"}, {"service_tier": "auto"}, []),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}, []),
    ({"service_tier": "standard_only"}, {"service_tier": "standard_only"}, []),
    ({"service_tier": "priority"}, {"service_tier": "auto"}, []),
    ({"service_tier": "flex"}, {}, ["service_tier"]),
    ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}, []),
    ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}, []),
    ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}, []),
    ({"tool_choice": {"type": "any"}}, {"tool_choice": {"type": "any"}}, []),
    (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "tool", "name": "f"}},
        [],
    ),
    (
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
        [],
    ),
    (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}},
        {"tool_choice": {"type": "any"}},
        ["tool_choice.allowed_tools.tools"],
    ),
    ({"function_call": {"name": "f"}}, {"tool_choice": {"type": "tool", "name": "f"}}, []),
    (
        {"parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        [],
    ),
    (
        {"parallel_tool_calls": False, "tool_choice": "required"},
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        [],
    ),
    ({"parallel_tool_calls": False, "tool_choice": "none"}, {"tool_choice": {"type": "none"}}, []),
    (
        {"functions": [{"name": "f", "parameters": {"type": "object"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        [],
    ),
    (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
            }
        },
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "user_location": {"type": "approximate", "city": "Ulm"},
                }
            ]
        },
        ["web_search_options.search_context_size"],
    ),
    ({"n": 1, "modalities": ["text"], "logprobs": False, "store": False}, {}, []),
    ({"presence_penalty": 0, "frequency_penalty": 0.0}, {}, []),
    ({"stream_options": {"include_usage": True}}, {}, []),
    ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, {}, ["modalities", "audio"]),
]


@pytest.mark.parametrize(("params", "expected", "dropped"), CASES)
def test_parameters_become(
    params: dict[str, Any], expected: dict[str, Any], dropped: list[str]
) -> None:
    """What is said, and what is lost."""
    found, lost = said(params)

    assert (expected, set(dropped)) == (found, set(lost))


@pytest.mark.parametrize("name", [name for name, fate in FATES.items() if fate.kind == "dropped"])
def test_what_has_no_words_is_reported(name: str) -> None:
    """The rest of the request is sent."""
    assert ({}, [name]) == said({name: "x"})


ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}}


@pytest.mark.parametrize(
    ("model", "effort", "expected", "dropped"),
    [
        (NEW, "none", {"thinking": {"type": "disabled"}}, []),
        (NEW, "minimal", ADAPTIVE | {"output_config": {"effort": "low"}}, []),
        (NEW, "low", ADAPTIVE | {"output_config": {"effort": "low"}}, []),
        (NEW, "xhigh", ADAPTIVE | {"output_config": {"effort": "high"}}, []),
        (NEW, "max", ADAPTIVE | {"output_config": {"effort": "max"}}, []),
        ("claude-opus-4-7", "xhigh", ADAPTIVE | {"output_config": {"effort": "xhigh"}}, []),
        ("claude-mythos-preview", "xhigh", ADAPTIVE | {"output_config": {"effort": "high"}}, []),
        ("claude-opus-5", "max", ADAPTIVE | {"output_config": {"effort": "max"}}, []),
        ("claude-haiku-5-5", "high", ADAPTIVE | {"output_config": {"effort": "high"}}, []),
        (
            "us.anthropic.claude-opus-4-6-v1",
            "low",
            ADAPTIVE | {"output_config": {"effort": "low"}},
            [],
        ),
        ("anthropic/claude-sonnet-4.6", "low", ADAPTIVE | {"output_config": {"effort": "low"}}, []),
        ("claude-mythos-preview", "high", ADAPTIVE | {"output_config": {"effort": "high"}}, []),
        (
            "claude-fable-5-1",
            "none",
            ADAPTIVE | {"output_config": {"effort": "low"}},
            ["reasoning_effort"],
        ),
        (
            "claude-opus-5-5",
            "none",
            ADAPTIVE | {"output_config": {"effort": "low"}},
            ["reasoning_effort"],
        ),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}, []),
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}, []),
        ("claude-sonnet-5", "none", {"thinking": {"type": "disabled"}}, []),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}, []),
        (OLD, "none", {"thinking": {"type": "disabled"}}, []),
        (OLD, "minimal", {"thinking": {"type": "enabled", "budget_tokens": 3200}}, []),
        (OLD, "medium", {"thinking": {"type": "enabled", "budget_tokens": 16000}}, []),
        (OLD, "max", {"thinking": {"type": "enabled", "budget_tokens": 30400}}, []),
        (
            "claude-sonnet-4@20250514",
            "high",
            {"thinking": {"type": "enabled", "budget_tokens": 25600}},
            [],
        ),
        (
            "claude-3-7-sonnet-20250219",
            "low",
            {"thinking": {"type": "enabled", "budget_tokens": 6400}},
            [],
        ),
        ("glm-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 6400}}, []),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, expected: dict[str, Any], dropped: list[str]
) -> None:
    """Claude 4.6 and later decide themselves; older models have a budget (docs, thinking)."""
    assert (expected, dropped) == said({"reasoning_effort": effort}, model)


FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("model", "params", "forced"),
    [
        ("claude-opus-5", {}, True),
        ("claude-haiku-5-5", {}, True),
        ("claude-fable-5", {}, True),
        ("claude-opus-4-6", {"reasoning_effort": "none"}, True),
        ("claude-opus-4-6", {"reasoning_effort": "low"}, False),
        ("claude-3-7-sonnet-20250219", {"reasoning_effort": "low"}, False),
        ("glm-5", {"reasoning_effort": "low"}, True),
        *[
            (model, {}, False)
            for model in (
                "claude-opus-5-5",
                "claude-sonnet-5-5",
                "claude-fable-5-1",
                "claude-mythos-5-2",
                "us.anthropic.claude-opus-5-5-v1:0",
            )
        ],
    ],
)
@pytest.mark.parametrize(("choice", "word"), [("required", "any"), (FUNCTION, "tool")])
def test_a_model_that_calls_tools_as_it_sees_fit_is_not_made_to(
    model: str, params: dict[str, Any], forced: bool, choice: Any, word: str
) -> None:
    """Thinking and a forced choice exclude each other, and newer models think always."""
    found, lost = said({**params, "tool_choice": choice}, model)

    assert (word if forced else "auto") == found["tool_choice"]["type"]
    assert ([] if forced else ["tool_choice"]) == lost


@pytest.mark.parametrize(
    ("limit", "budget"), [(1025, 1024), (1200, 1024), (4000, 3200), (100_000, 80_000)]
)
def test_a_budget_is_within_what_the_api_takes(limit: int, budget: int) -> None:
    """At least 1024, and less than max_tokens (SDK: ThinkingConfigEnabledParam)."""
    found, lost = said({"reasoning_effort": "high", "max_tokens": limit}, OLD)

    assert ({"type": "enabled", "budget_tokens": budget}, []) == (found["thinking"], lost)


def test_an_answer_too_short_for_thinking_has_none() -> None:
    """And that is said."""
    found, lost = said({"reasoning_effort": "high", "max_tokens": 1024}, OLD)

    assert ({"max_tokens": 1024}, ["reasoning_effort"]) == (found, lost)


CALL = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "toolu_1", "content": "r"}
THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
STATE: dict[str, Any] = {"dialect": "anthropic_messages", "origin": ORIGIN}
ASKED = {"role": "user", "content": "a"}
UNTHINKING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
LEGACY = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
STATE |= {"blocks": [THOUGHT, {"type": "tool_use", "index": 0}]}
SIGNED = {**UNTHINKING, "provider_state": STATE}
ELSEWHERE = {**UNTHINKING, "provider_state": {**STATE, "dialect": "gemini"}}
NATIVE = {"role": "assistant", "content": [THOUGHT], "tool_calls": [CALL]}


@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        ([ASKED], True),
        ([ASKED, SIGNED, RESULT], True),
        ([ASKED, NATIVE, RESULT], True),
        ([ASKED, UNTHINKING, RESULT], False),
        ([ASKED, LEGACY, {"role": "function", "name": "f", "content": "r"}], False),
        ([ASKED, ELSEWHERE, RESULT], False),
        ([ASKED, AssistantMessage(tool_calls=(ToolCall("toolu_1", "f", "{}"),)), RESULT], False),
        ([ASKED, Raw(json.dumps(UNTHINKING).encode()), RESULT], False),
        ([ASKED, UNTHINKING, RESULT, ASKED], True),
        ([ASKED, {"role": "assistant", "content": "b"}, ASKED], True),
        (lambda: iter([ASKED, UNTHINKING, RESULT]), True),
    ],
)
def test_calls_of_another_vendors_model_are_answered_without_thinking(
    messages: Any, thinks: bool
) -> None:
    """A model with a budget needs its thinking before calls whose results come; others do not."""
    effort = {"reasoning_effort": "high"}
    old = sent(messages, to=target(model=OLD), params=effort)
    new = sent(messages, to=target(model=NEW), params=effort)

    assert thinks == ("thinking" in old.body)
    assert thinks == ("reasoning_effort" not in old.dropped)
    assert "thinking" in new.body


def test_the_limit_may_be_in_the_extra_body() -> None:
    """A budget is a part of the limit that is sent."""
    found = sent(
        to=target(model=OLD), params={"reasoning_effort": "high"}, extra_body={"max_tokens": 2000}
    )

    assert (2000, 1600) == (found.body["max_tokens"], found.body["thinking"]["budget_tokens"])


def test_what_parameters_share_is_added_to() -> None:
    """A task budget leaves the effort, an unknown field of the metadata the user."""
    extra = {"output_config": {"task_budget": {"type": "tokens", "total": 9}}, "metadata": {"x": 1}}
    found = sent(params={"reasoning_effort": "low", "user": "u"}, extra_body=extra)

    assert {"effort", "task_budget"} == found.body["output_config"].keys()
    assert {"user_id": "u", "x": 1} == found.body["metadata"]


def test_thinking_takes_no_temperature() -> None:
    """The API refuses one below 1, and top_p below 0.95, while the model thinks."""
    low = said({"reasoning_effort": "high", "temperature": 0.5, "top_p": 0.5})
    high = said({"reasoning_effort": "high", "temperature": 1, "top_p": 0.95})
    off = said({"reasoning_effort": "none", "temperature": 0.5})

    assert {"temperature", "top_p"} == set(low[1])
    assert (1, 0.95, []) == (high[0]["temperature"], high[0]["top_p"], high[1])
    assert (0.5, []) == (off[0]["temperature"], off[1])


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-opus-4-6", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-3-7-sonnet-latest", True),
        ("glm-4.7", True),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-5", False),
        ("anthropic/claude-opus-4.7", False),
        ("us.anthropic.claude-sonnet-5-v1:0", False),
        ("claude-fable-5", False),
    ],
)
def test_newer_models_take_no_temperature(model: str, takes: bool) -> None:
    """ "`temperature` is deprecated for this model": a 400, so it is left out with a report."""
    found, lost = said({"temperature": 0.5, "top_p": 0.5}, model=model)

    assert ({"temperature": 0.5, "top_p": 0.5} if takes else {}) == found
    assert ([] if takes else ["temperature", "top_p"]) == sorted(lost)


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"n": 2}, UnsupportedFeatureError),
        ({"reasoning_effort": "hard"}, UsageError),
        ({"tool_choice": "some"}, EncodeError),
        ({"tool_choice": {"type": "function"}}, EncodeError),
        ({"web_search_options": 5}, EncodeError),
        ({"stop": 5}, UsageError),
        ({"temprature": 0.5}, UsageError),
    ],
)
def test_what_is_none_is_refused(params: dict[str, Any], kind: type[Exception]) -> None:
    """With the parameter's name."""
    with pytest.raises(kind, match=next(iter(params))):
        sent(params=params)
