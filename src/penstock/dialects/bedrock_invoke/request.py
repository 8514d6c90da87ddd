"""A request as Bedrock's InvokeModel takes it: Anthropic's body, AWS's address and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.anthropic_messages import body
from penstock.dialects.bedrock_converse.request import accepted, address
from penstock.dialects.places import Losses
from penstock.errors import ConfigurationError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["VERSION", "encode"]

# JSON as the caller gives it, or in the vendor's shape.
Json: TypeAlias = Any

VERSION = "bedrock-2023-05-31"
"""The ``anthropic_version`` of the body (AWS, "Anthropic Claude Messages API")."""

_HEADERS = {
    "trace": "x-amzn-bedrock-trace",
    "guardrailIdentifier": "x-amzn-bedrock-guardrailidentifier",
    "guardrailVersion": "x-amzn-bedrock-guardrailversion",
    "performanceConfigLatency": "x-amzn-bedrock-performanceconfig-latency",
    "serviceTier": "x-amzn-bedrock-service-tier",
    "requestMetadata": "x-amzn-bedrock-request-metadata",
    "projectIdentifier": "x-amzn-bedrock-projectidentifier",  # botocore 1.44.8
}
"""Members of InvokeModel's input that are headers, by their names in boto3: in ``extra_body``."""


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    found = body(request, target, losses, dialect=dialect)
    fields: dict[str, Json] = {"anthropic_version": target.api_version or VERSION}
    if found.betas:
        fields["anthropic_beta"] = list(found.betas)
    headers = accepted(stream=request.stream)
    for name, value in found.fields.items():
        if name in _HEADERS:
            headers[_HEADERS[name]] = _text(name, value, request)
        else:
            fields[name] = value
    for name in found.headers:
        losses.drop(f"extra_body.{name}", "Bedrock has no such header")
    operation = "invoke-with-response-stream" if request.stream else "invoke"
    return Outgoing(address(target, operation), fields, headers)


def _text(name: str, value: Json, request: ChatRequest) -> str:
    if isinstance(value, str):
        return value
    fault = UsageError if name in request.extra_body else ConfigurationError
    raise fault(f"extra_body: {name} is a header of Bedrock's, so it must be text", param=name)
