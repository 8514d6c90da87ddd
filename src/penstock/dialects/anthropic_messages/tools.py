"""Tools, the choice among them and the shape of the answer, in Anthropic's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.subset import Subset
from penstock.errors import EncodeError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["ADVICE", "SUBSET", "choice", "output_format", "tool", "web_search"]

# JSON of the OpenAI shape as the caller gives it, or of Anthropic's.
Json: TypeAlias = Any

SUBSET = Subset(
    keywords=frozenset(
        {
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minItems",
            "enum",
            "const",
            "anyOf",
            "format",
            "title",
            "description",
        }
    ),
    references=True,
    formats=frozenset(
        {
            "date-time",
            "time",
            "date",
            "duration",
            "email",
            "hostname",
            "uri",
            "ipv4",
            "ipv6",
            "uuid",
        }
    ),
    values={"minItems": frozenset({0, 1})},
    null="any_of",
    type_lists=False,
    typed=True,
    additional="false",
    source="anthropic 2.14, `lib/_parse/_transform.py`: what `transform_schema` leaves in a schema",
)
"""What structured outputs and strict tools take, but for ``allOf``, which is merged."""
ADVICE = "The whole of JSON Schema, as advice: `ToolParam.input_schema` of anthropic 2.14."
"""Said of tools that are not strict."""

_OWN = (
    "cache_control",
    "allowed_callers",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
)
"""Fields of the SDK's ``ToolParam`` that a tool of the OpenAI shape may have."""
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
_PLACE = ("city", "region", "country", "timezone")


def tool(given: Json, path: str, losses: Losses) -> Json:
    """Return a tool, None for one that has no words here.

    Raises:
        EncodeError: It is no tool.
    """
    if not isinstance(given, Mapping):
        raise EncodeError(f"{path}: a tool is a mapping", param=path)
    if given.get("type") == "function":
        function = given.get("function")
        if not isinstance(function, Mapping):
            raise EncodeError(f"{path}.function: it must be a mapping", param=f"{path}.function")
        return _function(function, given, f"{path}.function", losses)
    if given.get("type") == "custom" and "custom" in given:  # OpenAI's, of free text
        losses.drop(path, "there are no tools of free text")
        return None
    return given


def _function(
    function: Mapping[str, Json], around: Mapping[str, Json], path: str, losses: Losses
) -> dict[str, Json]:
    name = function.get("name")
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
        said["strict"] = True
    said["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    for name in _OWN:
        value = around.get(name, function.get(name))
        if value is not None:
            said[name] = value
    return said


def choice(given: Json, losses: Losses) -> dict[str, Json]:
    """Return which tool the model is to use, of OpenAI's ``tool_choice`` or ``function_call``.

    Raises:
        EncodeError: It is no choice.
    """
    if isinstance(given, str) and given in _CHOICES:
        return {"type": _CHOICES[given]}
    if isinstance(given, Mapping):
        kind = given.get("type")
        if kind == "allowed_tools":
            losses.drop("tool_choice.allowed_tools.tools", "the choice is among all tools")
            inner = given.get("allowed_tools")
            mode = inner.get("mode") if isinstance(inner, Mapping) else None
            return {"type": _CHOICES.get(str(mode), "auto")}
        named = given.get(str(kind)) if kind in ("function", "custom") else given
        name = named.get("name") if isinstance(named, Mapping) else None
        if kind in ("function", "custom", None) and isinstance(name, str):
            return {"type": "tool", "name": name}
        if kind in ("auto", "any", "tool", "none"):
            return dict(given)
    raise EncodeError(
        "tool_choice is auto, none, required or a tool by its name", param="tool_choice"
    )


def web_search(given: Json, losses: Losses) -> dict[str, Json]:
    """Return the server tool for OpenAI's ``web_search_options``.

    Raises:
        EncodeError: They are no options.
    """
    if not isinstance(given, Mapping):
        raise EncodeError("web_search_options must be a mapping", param="web_search_options")
    said: dict[str, Json] = {"type": "web_search_20250305", "name": "web_search"}
    for name, value in given.items():
        if name == "user_location" and isinstance(value, Mapping):
            where = value.get("approximate")
            where = where if isinstance(where, Mapping) else {}
            known = {each: where[each] for each in _PLACE if where.get(each)}
            said["user_location"] = {"type": "approximate", **known}
        elif value is not None:
            losses.drop(f"web_search_options.{name}", "the search has no such option")
    return said


def output_format(given: Json, losses: Losses) -> Json:
    """Return ``output_config.format`` for OpenAI's ``response_format``, None for plain text.

    Raises:
        EncodeError: It is no format.
    """
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        losses.drop("response_format", "JSON needs a schema here")
        return None
    inner = given.get("json_schema") if kind == "json_schema" else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if schema is None and kind == "json_schema":  # Anthropic's own JSONOutputFormatParam
        schema = given.get("schema")
    if not isinstance(schema, Mapping):
        raise EncodeError(
            "response_format is text, json_object or json_schema with a schema",
            param="response_format",
        )
    path = "response_format.json_schema.schema"
    return {"type": "json_schema", "schema": rewritten(schema, SUBSET, losses.drop, path)}
