"""InvokeModel for Anthropic's models: `penstock.dialects.bedrock_invoke`."""

from __future__ import annotations

import json
from typing import Any

import anthropic.types as types
import pytest
from botocore.model import ServiceModel
from pydantic import TypeAdapter
from tests.dialects.bedrock_converse.model import CLAUDE, encoded, service, target
from tests.dialects.test_fates import SAMPLES, Sample

from penstock.dialects import dialect
from penstock.dialects.bedrock_invoke.request import _HEADERS
from penstock.errors import ConfigurationError, ProtocolError, UnsupportedFeatureError, UsageError

Json = Any
AT = target(CLAUDE)
INPUT = "InvokeModelWithResponseStream"


def said(*given: Json, **fields: Any) -> tuple[Any, dict[str, Json]]:
    """A request as it goes out, and its body."""
    return encoded(*given, name="bedrock_invoke", **fields)


@pytest.mark.parametrize(
    ("stream", "operation"), [(True, "invoke-with-response-stream"), (False, "invoke")]
)
def test_the_address_has_the_model_and_the_body_the_version(stream: bool, operation: str) -> None:
    """AWS's around Anthropic's: neither model nor stream is in the body."""
    outgoing, body = said(stream=stream)

    assert outgoing.url.endswith(
        f"/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{operation}"
    )
    assert "bedrock-2023-05-31" == body["anthropic_version"]
    assert not {"model", "stream"} & body.keys()
    kind = "vnd.amazon.eventstream" if stream else "json"
    assert {"accept": f"application/{kind}"} == outgoing.headers


_PARAMS = TypeAdapter(types.MessageCreateParams)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.name}-{str(s.value)[:20]}")
def test_every_parameter_is_what_anthropic_takes(sample: Sample) -> None:
    """The body is the SDK's, but for what Bedrock has in the address."""
    fields: dict[str, Any] = {**sample.around}
    if sample.name in ("tools", "response_format"):
        fields[sample.name] = sample.value
    else:
        fields["params"] = {**fields.get("params", {}), sample.name: sample.value}
    try:
        body = said(**fields)[1]
    except UnsupportedFeatureError:
        assert ("n", 2) == (sample.name, sample.value)
        return
    body.pop("anthropic_version")
    asked = types.MessageCreateParams.__args__
    known = {name for each in asked for name in each.__annotations__}
    known |= {
        name
        for each in asked
        for base in each.__orig_bases__
        for name in getattr(base, "__annotations__", ())
    }
    known |= {"temperature", "top_p"}  # of every version but the newest, which Bedrock has not

    _PARAMS.validate_python({**body, "model": "m"})
    assert body.keys() <= known


def test_headers_are_those_of_the_service_model() -> None:
    """Every member of InvokeModel's input that is a header can be said, but those that are ours."""
    model: ServiceModel = service()
    members = model.operation_model(INPUT).input_shape.members
    headers = {
        name: shape.serialization["name"].lower()
        for name, shape in members.items()
        if shape.serialization.get("location") == "header"
    }
    for ours in ("contentType", "accept"):
        headers.pop(ours)

    newer = {"projectIdentifier"} - headers.keys()  # botocore 1.44.8; aiobotocore takes less
    assert headers == {name: wire for name, wire in _HEADERS.items() if name not in newer}


def test_other_members_of_the_input_are_headers() -> None:
    """A guardrail, latency, a tier; only as text."""
    extra = {
        "guardrailIdentifier": "g1",
        "guardrailVersion": "DRAFT",
        "trace": "ENABLED",
        "performanceConfigLatency": "optimized",
        "serviceTier": "flex",
        "requestMetadata": '{"team": "a"}',
        "top_k": 3,
    }
    outgoing, body = said(extra_body=extra)

    said_there = {_HEADERS[name]: value for name, value in extra.items() if name in _HEADERS}
    assert said_there | {"accept": "application/vnd.amazon.eventstream"} == outgoing.headers
    assert 3 == body["top_k"]
    assert not _HEADERS.keys() & body.keys()
    with pytest.raises(UsageError, match="trace is a header"):
        said(extra_body={"trace": 1})
    with pytest.raises(ConfigurationError, match="trace is a header"):
        said(at=target(extra_body={"trace": 1}))


def test_betas_are_in_the_body() -> None:
    """Bedrock's ``anthropic_beta``; Anthropic's own headers have no place here."""
    dropped: list[str] = []
    body = said(
        extra_body={"betas": ["context-1m-2025-08-07"], "workspace_id": "w"}, dropped=dropped
    )[1]

    assert ["context-1m-2025-08-07"] == body["anthropic_beta"]
    assert 1 == len(dropped)


def test_framing_is_aws_s() -> None:
    """An event stream, or a whole message."""
    found = dialect("bedrock_invoke").framing

    assert ("event_stream", "json") == (
        found("application/vnd.amazon.eventstream"),
        found("application/json"),
    )
    with pytest.raises(ProtocolError):
        found("text/event-stream")


def test_errors_are_aws_s() -> None:
    """By the exception's name."""
    said = json.dumps({"message": "Slow down."}).encode()
    found = dialect("bedrock_invoke").error(429, {"x-amzn-errortype": "ThrottlingException"}, said)

    assert ("rate_limit", "ThrottlingException") == (found.kind, found.code)
