"""The service model as a judge: botocore's own validation, and what it leaves out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from penstock.dialects import dialect
from penstock.encoders import encode_json
from penstock.interfaces import Outgoing, Target
from penstock.request import ChatRequest

Json = Any

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def target(model: str = CLAUDE, **fields: Any) -> Target:
    """A deployment of `model`."""
    known = {
        "deployment": "d",
        "provider": "bedrock",
        "base_url": "https://bedrock-runtime.us-east-1.amazonaws.com",
        "origin": "https://bedrock-runtime.us-east-1.amazonaws.com",
    }
    return Target(model=model, **{**known, **fields})


def encoded(
    messages: Json = "Hello",
    *,
    name: str = "bedrock_converse",
    at: Target | None = None,
    dropped: list[str] | None = None,
    **fields: Any,
) -> tuple[Outgoing, dict[str, Json]]:
    """A request as it goes out, and its body."""
    request = ChatRequest(model="m", messages=messages, **fields)
    into = [] if dropped is None else dropped
    outgoing = dialect(name).encode(request, at or target(), dropped=into)
    return outgoing, json.loads(b"".join(encode_json(outgoing.fields)))


@cache
def service() -> ServiceModel:
    """botocore's model of Bedrock's runtime."""
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def faults(body: Mapping[str, Json], operation: str = "ConverseStream", model: str = CLAUDE) -> str:
    """What is wrong with a body: what botocore validates, and the words and patterns beside."""
    shape = service().operation_model(operation).input_shape
    given = {"modelId": model, **body}
    report = ParamValidator().validate(given, shape)
    return "\n".join([*report.generate_report().split("\n"), *_worded(given, shape, "")]).strip()


def _worded(value: Json, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(value, dict) and shape.type_name == "structure":
        yield from _structured(value, shape, path)
    elif isinstance(value, list) and shape.type_name == "list":
        for number, each in enumerate(value):
            yield from _worded(each, shape.member, f"{path}[{number}]")
    elif isinstance(value, str) and shape.type_name == "string":
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{path}: {value!r} is none of {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value!r} is not {pattern}"


def _structured(value: dict[str, Json], shape: Shape, path: str) -> Iterator[str]:
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield f"{path}: {sorted(value)} are members of a union"
    for name, each in value.items():
        if name in shape.members:
            yield from _worded(each, shape.members[name], f"{path}.{name}")
