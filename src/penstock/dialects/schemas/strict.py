"""Schemas that are to be kept to exactly, in the subset that OpenAI takes for that.

With ``strict: true`` OpenAI refuses a schema with anything more: it is rewritten before it is sent,
and what it loses is reported. One that is in the subset already goes as it is, and so does one
without ``strict``, which is advice to the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.llama_grammar import FLAG, GRAMMAR, TOOL
from penstock.dialects.schemas.subset import Subset

if TYPE_CHECKING:
    from penstock.dialects.places import Losses
    from penstock.request import ChatRequest

__all__ = ["ADVICE", "STRICT", "with_strict_schemas"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

STRICT = Subset(
    keywords=frozenset(
        {
            *("type", "title", "description", "properties", "required", "items", "enum", "const"),
            *("anyOf", "additionalProperties", "pattern", "format", "multipleOf"),
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
        }
    ),
    references=True,
    formats=frozenset(
        {
            *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6"),
            "uuid",
        }
    ),
    additional="false",
    required="all",
    max_depth=10,
    source='OpenAI, guides/structured-outputs, "Supported schemas"',
)
"""What OpenAI takes of a schema that is to be kept to."""
ADVICE = (
    "The whole of JSON Schema, as advice: OpenAI's reference restricts only schemas with `strict`."
)
"""Said of schemas without ``strict``: "Only a subset of JSON Schema is supported when strict is
true" (API reference, ``FunctionDefinition.strict``, ``ResponseFormatJSONSchema.strict``)."""
_WORDS = STRICT.keywords | {"$ref", "$defs"}


def with_strict_schemas(
    request: ChatRequest, losses: Losses, flags: frozenset[str] = frozenset()
) -> ChatRequest:
    """Return `request` with the schemas that are ``strict`` in the subset.

    Args:
        request: What is asked.
        reports: Told what a schema loses.
        flags: The flags of the provider's row: a server that makes a grammar of every schema has a
            subset of its own.

    Raises:
        EncodeError: One of them is no JSON Schema.
        UnsupportedFeatureError: The request is strict itself, and a schema would lose something.
    """
    of_tools, of_format = (TOOL, GRAMMAR) if FLAG in flags else (None, None)
    tools = tuple(
        _said(tool, ("function", "parameters"), f"tools[{number}]", losses, of_tools)
        for number, tool in enumerate(request.tools)
    )
    wanted = request.response_format
    if isinstance(wanted, Mapping):
        wanted = _said(wanted, ("json_schema", "schema"), "response_format", losses, of_format)
    if wanted is request.response_format and all(
        new is old for new, old in zip(tools, request.tools, strict=True)
    ):
        return request
    return replace(request, tools=tools, response_format=wanted)


def _said(
    given: Json, names: tuple[str, str], path: str, losses: Losses, always: Subset | None
) -> Json:
    """Return a tool or format with its schema rewritten, or as the object that it is."""
    key, name = names
    inner = given.get(key) if isinstance(given, Mapping) else None
    if not isinstance(inner, Mapping) or not (always or inner.get("strict") is True):
        return given
    schema = inner.get(name)
    if not isinstance(schema, Mapping) or (not always and _fits(schema, STRICT.max_depth)):
        return given
    said = rewritten(schema, always or STRICT, losses.drop, f"{path}.{key}.{name}")
    return {**given, key: {**inner, name: said}}


def _fits(schema: Json, depth: int) -> bool:
    """Whether a schema is in the subset as it is spelled."""
    if not isinstance(schema, Mapping) or depth < 0 or not schema.keys() <= _WORDS:
        return False
    properties, definitions = schema.get("properties", {}), schema.get("$defs", {})
    required, branches = schema.get("required", []), schema.get("anyOf", [])
    if not (isinstance(properties, Mapping) and isinstance(definitions, Mapping)):
        return False
    if not (isinstance(required, list) and isinstance(branches, list)):
        return False
    if "object" in _types(schema) or properties:
        named = all(isinstance(name, str) for name in required) and {*required} == {*properties}
        if schema.get("additionalProperties") is not False or not named:
            return False
    if schema.get("format") not in (None, *(STRICT.formats or ())):
        return False
    inner = [*properties.values(), *definitions.values(), *branches]
    if "items" in schema:
        inner.append(schema["items"])
    return all(_fits(each, depth - 1) for each in inner)


def _types(schema: Mapping[str, Json]) -> tuple[Json, ...]:
    said = schema.get("type")
    return tuple(said) if isinstance(said, list) else (said,)
