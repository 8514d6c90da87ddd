"""Tools, the choice among them and the shape of the answer, in Converse's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.anthropic_messages.tools import SUBSET as ANTHROPIC
from penstock.dialects.bedrock_converse.parts import cache_point
from penstock.dialects.modern import asked_call
from penstock.dialects.schemas import rewritten
from penstock.dialects.shapes import text_of
from penstock.errors import EncodeError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["ADVICE", "SUBSET", "choice", "text_format", "tools"]

# JSON of the OpenAI shape as the caller gives it, or of Bedrock's.
Json: TypeAlias = Any

SUBSET = replace(
    ANTHROPIC,
    source="docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html",
)
"""Bedrock's page leaves out the keywords that Anthropic does: recursion, bounds of numbers and
texts, ``additionalProperties`` but false. What has them is refused with a 400."""
ADVICE = "The whole of JSON Schema, as advice: `ToolInputSchema.json` of the service model."
"""Said of tools that are not strict."""
_OWN = frozenset({"toolSpec", "systemTool", "cachePoint"})
"""The members of the service model's ``Tool``."""


def tools(given: Json, losses: Losses) -> list[Json]:
    """Return tools; those that have no words here are reported.

    Raises:
        EncodeError: One is no tool.
    """
    found: list[Json] = []
    for number, each in enumerate(given):
        path = f"tools[{number}]"
        if not isinstance(each, Mapping):
            raise EncodeError(f"{path}: a tool is a mapping", param=path)
        if len(each) == 1 and next(iter(each)) in _OWN:
            found.append(each)
        elif each.get("type") == "function":
            found.append({"toolSpec": _spec(each.get("function"), f"{path}.function", losses)})
            mark = each.get("cache_control")
            if mark is not None:
                found.append(cache_point(mark))
        else:
            losses.drop(path, "there are functions only, and Bedrock's own tools")
    return found


def _spec(function: Json, path: str, losses: Losses) -> dict[str, Json]:
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise EncodeError(f"{path}.name: it must be text", param=f"{path}.name")
    schema = function.get("parameters")
    if schema is None:
        schema = {"type": "object", "properties": {}}
    if not isinstance(schema, Mapping):
        raise EncodeError(f"{path}.parameters: it must be a mapping", param=f"{path}.parameters")
    said: dict[str, Json] = {"name": name}
    if function.get("description"):
        said["description"] = function["description"]
    if function.get("strict"):
        schema = rewritten(schema, SUBSET, losses.drop, f"{path}.parameters")
    said["inputSchema"] = {"json": schema if "type" in schema else {"type": "object", **schema}}
    if function.get("strict"):
        said["strict"] = True
    return said


def choice(given: Json, losses: Losses) -> dict[str, Json] | None:
    """Return which tool the model is to use, None for what need not or cannot be said.

    Raises:
        EncodeError: It is no choice.
    """
    if isinstance(given, Mapping) and len(given) == 1 and next(iter(given)) in ("auto", "any"):
        return dict(given)
    if isinstance(given, Mapping) and isinstance(given.get("tool"), Mapping):
        return dict(given)
    word, name = asked_call(given, losses)
    if word == "function":
        return {"tool": {"name": name}}
    if word in ("auto", "required"):
        return {"any": {}} if word == "required" else {"auto": {}}
    if word == "none":
        losses.drop("tool_choice", "the tools stay, so the model may call one")
        return None
    raise EncodeError(
        "tool_choice is auto, none, required or a tool by its name", param="tool_choice"
    )


def text_format(given: Json, losses: Losses) -> dict[str, Json] | None:
    """Return ``outputConfig.textFormat``, None for plain text.

    Raises:
        EncodeError: It is no format.
    """
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        losses.drop("response_format", "JSON needs a schema here")
        return None
    if kind == "json_schema" and "structure" in given:  # Bedrock's own OutputFormat
        return dict(given)
    inner = given.get("json_schema") if kind == "json_schema" else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(schema, Mapping):
        raise EncodeError(
            "response_format is text, json_object or json_schema with a schema",
            param="response_format",
        )
    path = "response_format.json_schema.schema"
    said = text_of(rewritten(schema, SUBSET, losses.drop, path), path)
    definition: dict[str, Json] = {"schema": said}
    for name in ("name", "description"):
        if inner.get(name):
            definition[name] = inner[name]
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}
