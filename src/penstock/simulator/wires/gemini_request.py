"""A ``GenerateContentRequest``, read as far as an answer needs it."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from penstock.simulator.answers import Ask
from penstock.simulator.intake import Intake

__all__ = ["read"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Gemini's."""


class _Config(msgspec.Struct, rename="camel", frozen=True):
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    response_schema: Object | None = None
    response_json_schema: Object | None = None


class _Content(msgspec.Struct):
    role: str = "user"
    parts: list[Object] = []


class _Request(msgspec.Struct, rename="camel"):
    contents: list[msgspec.Raw] = []
    tools: list[Object] = []
    generation_config: _Config = _Config()


_REQUEST = msgspec.json.Decoder(_Request)
_CONTENT = msgspec.json.Decoder(_Content)
_SEARCHED = 64
"""Contents looked at, from the last, for the user's text."""


def read(body: Intake) -> Ask:
    """Return what the request asks for; of a longer body than the intake keeps only that it came.

    Raises:
        ValueError: It is no JSON object with contents.
    """
    if not body.complete:
        return Ask(model="", input_tokens=max(body.length // 4, 1), usage=True)
    try:
        request = _REQUEST.decode(body.head)
        role, text = _last(request.contents)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"The body is not a GenerateContentRequest: {exc}") from exc
    config = request.generation_config
    schema = config.response_json_schema or config.response_schema
    tools = [
        {"name": each["name"], "schema": _plain(_schema(each))}
        for tool in request.tools
        for each in tool.get("functionDeclarations", ())
    ]
    return Ask(
        model="",
        text=text,
        last_role=role,
        tools=json.dumps(tools) if tools else "",
        schema=json.dumps(_plain(schema)) if schema else "",
        choices=min(max(config.candidate_count or 1, 1), 8),
        usage=True,
        limit=config.max_output_tokens,
        input_tokens=max(body.length // 4, 1),
    )


def _last(contents: list[msgspec.Raw]) -> tuple[str, str]:
    """Return the last content's role and the last user text; results of tools are a tool's."""
    role = ""
    for raw in contents[: -_SEARCHED - 1 : -1]:
        content = _CONTENT.decode(raw)
        result = any("functionResponse" in part for part in content.parts)
        role = role or ("tool" if result else content.role)
        if content.role == "user" and not result:
            texts = (part.get("text") for part in content.parts)
            return role, "".join(text for text in texts if isinstance(text, str))
    return role, ""


def _schema(declaration: Object) -> Object:
    """Return a function's parameters; JSON of Google's takes names in snake case as well."""
    names = ("parametersJsonSchema", "parameters_json_schema", "parameters")
    found: Object = next((declaration[name] for name in names if declaration.get(name)), {})
    return found or {"type": "object"}


def _plain(schema: Any) -> Any:  # JSON of any shape
    """Return a schema with JSON Schema's names of types, where the SDK has capitals."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _plain(value)
        for name, value in schema.items()
    }
