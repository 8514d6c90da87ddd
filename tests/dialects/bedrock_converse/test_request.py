"""Requests, held to the service model's input: `penstock.dialects.bedrock_converse.request`."""

from __future__ import annotations

import json
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

import pytest
from botocore.utils import percent_encode
from tests.dialects.bedrock_converse.model import CLAUDE, encoded, faults, service, target
from tests.dialects.test_fates import SAMPLES, Sample

from penstock.errors import ConfigurationError, EncodeError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Quirks

Json = Any

FUNCTION = {"name": "get_weather", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
MODELS = [CLAUDE, "anthropic.claude-opus-4-6-v1", "us.amazon.nova-2-lite-v1:0", "meta.llama3-8b-v1"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"messages": "x"}, "Invalid type for parameter messages"),
        ({"seed": 1}, "Unknown parameter in input"),
        ({"serviceTier": {"type": "gold"}}, "is none of"),
        ({"messages": [{"role": "user", "content": [{"text": "a", "x": 1}]}]}, "Unknown parameter"),
        ({"toolConfig": {"tools": []}}, "Invalid length"),
        (
            {"toolConfig": {"tools": [{"toolSpec": {"name": "a b", "inputSchema": {"json": {}}}}]}},
            "is not",
        ),
    ],
)
def test_the_judge_sees_faults(body: dict[str, Json], fault: str) -> None:
    """What the tests below trust in."""
    assert fault in faults(body)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.name}-{str(s.value)[:20]}")
def test_every_parameter_is_what_the_service_model_takes(sample: Sample) -> None:
    """botocore finds no unknown member, wrong type, word or pattern, streamed or not."""
    fields: dict[str, Any] = {**sample.around}
    if sample.name in ("tools", "response_format"):
        fields[sample.name] = sample.value
    else:
        fields["params"] = {**fields.get("params", {}), sample.name: sample.value}
    ways = product(MODELS, (("ConverseStream", True), ("Converse", False)))
    for model, (operation, stream) in ways:
        try:
            outgoing, body = encoded(at=target(model), stream=stream, **fields)
        except UnsupportedFeatureError:
            assert ("n", 2) == (sample.name, sample.value)
            return

        assert "" == faults(body, operation, model)
        assert outgoing.url.endswith("/converse-stream" if stream else "/converse")
        kind = "vnd.amazon.eventstream" if stream else "json"
        assert {"accept": f"application/{kind}"} == outgoing.headers


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghij12",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
        "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint",
        "with space/ü?x=1#y",
    ],
)
def test_a_model_is_one_encoded_segment(model: str) -> None:
    """As botocore encodes it: colons and slashes of an ARN too; nothing walks the path."""
    url = encoded(at=target(model))[0].url
    segment = url.split("/model/")[1].split("/")[0]

    assert model == unquote(segment)
    assert percent_encode(model, safe="-_.~") == segment == quote(model, safe="")
    assert url.endswith(f"amazonaws.com/model/{segment}/converse-stream")


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_model_that_walks_the_path_is_refused(model: str) -> None:
    """Row 40: dots are not encoded, so they are no model."""
    with pytest.raises(UsageError, match="no model"):
        encoded(at=target(model))


def test_a_row_may_name_its_own_path_and_query() -> None:
    """A gateway in front of Bedrock."""
    at = target("m:0", path="/aws/{model}/stream", query={"v": "1"})

    assert encoded(at=at)[0].url.endswith("amazonaws.com/aws/m%3A0/stream?v=1")


def test_the_conversation_is_last() -> None:
    """Small fields come first, so that a server sees them early."""
    fields = encoded(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        params={"temperature": 0.5},
        tools=(TOOL,),
        extra_body={"requestMetadata": {"team": "a"}},
    )[1]

    assert ["inferenceConfig", "toolConfig", "requestMetadata", "system", "messages"] == [*fields]


EXTRAS: dict[str, Json] = {
    "guardrailConfig": {
        "guardrailIdentifier": "ggmsrxhvsrrk",
        "guardrailVersion": "1",
        "trace": "enabled_full",
        "streamProcessingMode": "async",
    },
    "performanceConfig": {"latency": "optimized"},
    "requestMetadata": {"team": "search"},
    "serviceTier": {"type": "reserved"},
    "promptVariables": {"genre": {"text": "pop"}},
    "additionalModelRequestFields": {"top_k": 5},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "outputConfig": {"effort": "max"},
    "inferenceConfig": {"topP": 0.5},
    "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]},
}


def test_every_other_field_of_the_input_goes_in_extra_body() -> None:
    """Guardrails, latency, metadata, prompts; the shape has none that cannot be said."""
    body = encoded(extra_body=EXTRAS)[1]

    assert "" == faults(body)
    assert EXTRAS == {name: body[name] for name in EXTRAS}
    ours = {"modelId", "messages", "system"}
    # In botocore 1.44 only; it is said like the others.
    later = {"projectIdentifier"}
    assert (
        ours | set(EXTRAS)
        >= set(service().operation_model("ConverseStream").input_shape.members) - later
    )


def test_extra_body_is_added_to_what_parameters_share() -> None:
    """``inferenceConfig`` and the like have several parameters in them; the caller's wins."""
    at = target(extra_body={"inferenceConfig": {"topP": 0.1, "maxTokens": 5}})
    body = encoded(at=at, params={"max_tokens": 7, "temperature": 0}, extra_body={"x": 1})[1]

    assert {"maxTokens": 5, "temperature": 0, "topP": 0.1} == body["inferenceConfig"]
    assert 1 == body["x"]


@pytest.mark.parametrize("name", ["messages", "system", "stream", "modelId"])
def test_extra_body_replaces_nothing_of_ours(name: str) -> None:
    """Neither the call's nor the deployment's."""
    with pytest.raises(UsageError, match=name):
        encoded(extra_body={name: []})
    with pytest.raises(ConfigurationError, match=name):
        encoded(at=target(extra_body={name: []}))


@pytest.mark.parametrize(
    ("model", "effort", "said"),
    [
        (
            CLAUDE,
            "low",
            {
                "additionalModelRequestFields": {
                    "thinking": {"type": "enabled", "budget_tokens": 6400}
                }
            },
        ),
        (CLAUDE, "none", {"additionalModelRequestFields": {"thinking": {"type": "disabled"}}}),
        (
            "eu.anthropic.claude-opus-4-7-v1",
            "xhigh",
            {
                "additionalModelRequestFields": {
                    "thinking": {"type": "adaptive", "display": "summarized"}
                },
                "outputConfig": {"effort": "xhigh"},
            },
        ),
        (
            "us.amazon.nova-2-lite-v1:0",
            "minimal",
            {
                "additionalModelRequestFields": {
                    "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}
                }
            },
        ),
        (
            "amazon.nova-2-lite-v1:0",
            "none",
            {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}},
        ),
        (
            "openai.gpt-oss-120b-1:0",
            "max",
            {"additionalModelRequestFields": {"reasoning_effort": "high"}},
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghij12",
            "medium",
            {"outputConfig": {"effort": "medium"}},
        ),
        ("meta.llama3-1-70b-instruct-v1:0", "high", {}),
    ],
)
def test_effort_is_said_in_the_words_of_the_family(
    model: str, effort: str, said: dict[str, Json]
) -> None:
    """Where a model has none, that is reported."""
    dropped: list[str] = []
    body = encoded(at=target(model), params={"reasoning_effort": effort}, dropped=dropped)[1]
    body.pop("messages")

    assert said == body
    assert ([] if said else ["reasoning_effort"]) == dropped


def test_thinking_takes_no_temperature() -> None:
    """Claude refuses both beside thinking, so they are left out with a report."""
    dropped: list[str] = []
    params = {"reasoning_effort": "low", "temperature": 0.2, "top_p": 0.5}
    body = encoded(params=params, dropped=dropped)[1]

    assert "inferenceConfig" not in body
    assert ["temperature", "top_p"] == dropped


def test_newer_claudes_take_no_temperature() -> None:
    """They refuse the whole request for it."""
    dropped: list[str] = []
    at = target("us.anthropic.claude-sonnet-5-v1:0")
    body = encoded(at=at, params={"temperature": 0.2, "top_p": 0.5}, dropped=dropped)[1]

    assert "inferenceConfig" not in body
    assert ["temperature", "top_p"] == dropped


def test_a_temperature_above_one_is_one() -> None:
    """The service model's bound."""
    dropped: list[str] = []
    body = encoded(params={"temperature": 1.7}, dropped=dropped)[1]

    assert ({"temperature": 1}, ["temperature"]) == (body["inferenceConfig"], dropped)


def test_parallel_calls_are_switched_off_for_claude() -> None:
    """With the choice ``auto``; elsewhere it is reported."""
    dropped: list[str] = []
    params = {"parallel_tool_calls": False}
    body = encoded(params=params, tools=(TOOL,), dropped=dropped)[1]
    other = encoded(
        params=params, tools=(TOOL,), dropped=dropped, at=target("amazon.nova-pro-v1:0")
    )[1]

    single = {"type": "auto", "disable_parallel_tool_use": True}
    assert {"tool_choice": single} == body["additionalModelRequestFields"]
    assert "additionalModelRequestFields" not in other
    assert ["parallel_tool_calls"] == dropped


def test_a_tools_cache_control_is_a_point_behind_it() -> None:
    """So is one that is written in Bedrock's words; strict tools get the subset."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}},
        "additionalProperties": True,
    }
    strict = {"name": "count", "parameters": schema, "strict": True, "description": "Counts."}
    dropped: list[str] = []
    body = encoded(
        tools=(
            {**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"cachePoint": {"type": "default"}},
            {"type": "function", "function": strict},
            {"type": "custom", "custom": {"name": "free"}},
        ),
        dropped=dropped,
    )[1]

    assert [
        {"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"cachePoint": {"type": "default"}},
        {
            "toolSpec": {
                "name": "count",
                "description": "Counts.",
                "inputSchema": {
                    "json": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}},
                        "additionalProperties": False,
                    }
                },
                "strict": True,
            }
        },
    ] == body["toolConfig"]["tools"]
    assert "" == faults(body)
    assert "tools[3]" in dropped
    assert "tools[2].function.parameters.properties.n.minimum" in dropped


@pytest.mark.parametrize(
    ("given", "said", "lost"),
    [
        ("auto", {"auto": {}}, []),
        ("required", {"any": {}}, []),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}, []),
        ({"any": {}}, {"any": {}}, []),
        ({"tool": {"name": "g"}}, {"tool": {"name": "g"}}, []),
        ("none", None, ["tool_choice"]),
    ],
)
def test_a_choice_among_tools(given: Json, said: Json, lost: list[str]) -> None:
    """OpenAI's words and Bedrock's own."""
    dropped: list[str] = []
    body = encoded(params={"tool_choice": given}, tools=(TOOL,), dropped=dropped)[1]

    assert (said, lost) == (body["toolConfig"].get("toolChoice"), dropped)


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [
        ("us.anthropic.claude-opus-5-5-v1:0", {}, {"auto": {}}),
        ("anthropic.claude-opus-4-6-v1", {"reasoning_effort": "low"}, {"auto": {}}),
        ("anthropic.claude-opus-5", {}, {"any": {}}),
        ("amazon.nova-2-lite-v1:0", {"reasoning_effort": "low"}, {"any": {}}),
    ],
)
def test_a_claude_that_thinks_is_not_made_to_call_a_tool(
    model: str, params: dict[str, Json], said: Json
) -> None:
    """Its API refuses both at once; newer ones always think."""
    dropped: list[str] = []
    asked = {**params, "tool_choice": "required"}
    body = encoded(at=target(model), params=asked, tools=(TOOL,), dropped=dropped)[1]

    assert said == body["toolConfig"]["toolChoice"]
    assert (["tool_choice"] if "auto" in said else []) == dropped


def test_a_choice_without_tools_is_reported() -> None:
    """A toolConfig needs tools."""
    dropped: list[str] = []
    body = encoded(params={"tool_choice": "auto"}, dropped=dropped)[1]

    assert ("toolConfig" not in body, ["tool_choice"]) == (True, dropped)


def test_an_answers_shape_is_text_in_outputconfig() -> None:
    """In the subset that Bedrock takes; the rest is reported, and refused from a strict request."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    dropped: list[str] = []
    body = encoded(response_format=wanted, dropped=dropped)[1]
    said = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]

    assert "" == faults(body)
    assert "n" == said["name"]
    assert {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "additionalProperties": False,
    } == json.loads(said["schema"])
    assert ["response_format.json_schema.schema.properties.a.minLength"] == dropped
    with pytest.raises(UnsupportedFeatureError):
        encoded(response_format=wanted, strict=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tools": ("x",)}, "tools\\[0\\]: a tool is a mapping"),
        ({"tools": ({"type": "function"},)}, "tools\\[0\\].function.name"),
        ({"tools": (TOOL,), "params": {"tool_choice": "whatever"}}, "tool_choice is"),
        ({"response_format": {"type": "json_schema"}}, "response_format is"),
    ],
)
def test_what_is_malformed_is_named(fields: dict[str, Any], message: str) -> None:
    """By its path."""
    with pytest.raises(EncodeError, match=message):
        encoded(**fields)


def test_unknown_parameters_are_refused() -> None:
    """With the nearest name."""
    with pytest.raises(UsageError, match="did you mean 'temperature'"):
        encoded(params={"temprature": 1})
    with pytest.raises(UsageError, match="reasoning_effort is one of"):
        encoded(params={"reasoning_effort": "much"})


def test_a_row_may_drop_and_rename() -> None:
    """As its quirks say."""
    at = target(quirks=Quirks(drops=frozenset({"top_p"}), renames={"seed": "x.seed"}))
    dropped: list[str] = []
    body = encoded(at=at, params={"top_p": 0.5, "seed": 3}, dropped=dropped)[1]

    assert ({"seed": 3}, ["top_p"]) == (body["x"], dropped)
    assert "inferenceConfig" not in body
