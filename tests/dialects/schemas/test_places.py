"""Schemas in every dialect and place: what is not in the vendor's subset is reported, never sent.

The table is the one that ``docs/parameters.md`` is written from. A dialect without one fails here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

from penstock.dialects import DIALECTS
from penstock.dialects import dialect as named
from penstock.dialects.schemas.subset import Subset
from penstock.encoders import encode_json
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import Target
from penstock.request import ChatRequest

TEXT = {"type": "string"}
# Cohere takes no object without a required property.
OBJECT = {"type": "object", "properties": {"x": TEXT}, "required": ["x"]}
# Each keyword where it says something, in a property of its own.
RULES: dict[str, dict[str, Any]] = {
    "enum": {"type": "string", "enum": ["a", "b"]},
    "const": {"const": "a"},
    "anyOf": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    "oneOf": {"oneOf": [{"type": "object"}, {"type": "object", "required": ["x"]}]},
    "not": {"type": "string", "not": {"enum": ["a"]}},
    "if": {"if": TEXT, "then": TEXT, "else": TEXT},
    "additionalProperties": {**OBJECT, "additionalProperties": TEXT},
    "patternProperties": {**OBJECT, "patternProperties": {"^x": TEXT}},
    "propertyNames": {**OBJECT, "propertyNames": {"pattern": "^x$"}},
    "minProperties": {**OBJECT, "minProperties": 1},
    "maxProperties": {**OBJECT, "maxProperties": 3},
    "dependentRequired": {**OBJECT, "dependentRequired": {"a": ["b"]}},
    "prefixItems": {"type": "array", "prefixItems": [TEXT, TEXT]},
    "minItems": {"type": "array", "items": TEXT, "minItems": 3},
    "maxItems": {"type": "array", "items": TEXT, "maxItems": 4},
    "uniqueItems": {"type": "array", "items": TEXT, "uniqueItems": True},
    "contains": {"type": "array", "items": TEXT, "contains": {"enum": ["a"]}},
    "minLength": {"type": "string", "minLength": 2},
    "maxLength": {"type": "string", "maxLength": 9},
    "pattern": {"type": "string", "pattern": "^[a-z]+$"},
    "format": {"type": "string", "format": "uri-template"},
    "multipleOf": {"type": "number", "multipleOf": 0.5},
    "minimum": {"type": "number", "minimum": 1},
    "maximum": {"type": "number", "maximum": 2},
    "exclusiveMinimum": {"type": "number", "exclusiveMinimum": 1},
    "exclusiveMaximum": {"type": "number", "exclusiveMaximum": 2},
    "description": {"type": "string", "description": "said to the model"},
    "default": {"type": "string", "default": "a"},
    "examples": {"type": "string", "examples": ["a"]},
    "recursion": {"$ref": "#/$defs/node"},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {f"has_{name}": rule for name, rule in RULES.items()},
    "required": [f"has_{name}" for name in RULES],
    "additionalProperties": False,
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}
SAME = {"const": "enum", "enum": "const", "oneOf": "anyOf", "prefixItems": "items"}
"""What a keyword may be said by; of the last two with a report."""
PLACES = ("response_format", "strict response_format", "tools", "strict tools")


def schema_for(dialect: str) -> dict[str, Any]:
    """The schema, without the recursion that leaves an object of nothing where it is cut."""
    rules = dict(SCHEMA["properties"])
    if dialect == "cohere":
        del rules["has_recursion"]
    return {**SCHEMA, "properties": rules, "required": list(rules)}


def table(dialect: str) -> Mapping[str, Subset | str]:
    """What a dialect says that its vendor takes."""
    found: Mapping[str, Subset | str] = import_module(
        f"penstock.dialects.{dialect}.parameters"
    ).SCHEMAS
    return found


def sent(
    dialect: str, place: str, schema: Mapping[str, Any], *, strict: bool = False
) -> tuple[Any, list[str]]:
    """The body that is sent for a schema in a place, and what is lost."""
    exact = {"strict": True} if place.startswith("strict") else {}
    more: dict[str, Any] = {}
    if place.endswith("tools"):
        function = {"name": "f", "parameters": schema, **exact}
        more["tools"] = ({"type": "function", "function": function},)
    else:
        wrapped = {"name": "x", "schema": schema, **exact}
        more["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    target = Target(
        deployment="d",
        provider="p",
        model="claude-sonnet-4-6",
        base_url="https://x.test/v1",
        origin="https://x.test",
        region="us-east-1",
    )
    lost: list[str] = []
    request = ChatRequest(model="m", messages="Hello", strict=strict, **more)
    fields = named(dialect).encode(request, target, dropped=lost).fields
    body = json.loads(b"".join(encode_json({k: v for k, v in fields.items() if k != "messages"})))
    return body, lost


def found(value: Any) -> Iterator[dict[str, Any]]:
    """The schemas on a wire, by the marks of their properties; Bedrock's is JSON in a text."""
    if isinstance(value, str) and value.startswith("{") and "has_enum" in value:
        yield from found(json.loads(value))
    elif isinstance(value, Mapping) and "has_enum" in value.get("properties", ()):
        yield dict(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from found(each)
    elif isinstance(value, list):
        for each in value:
            yield from found(each)


ROWS = [(dialect, place) for dialect in DIALECTS for place in PLACES if place in table(dialect)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_names_its_subsets(dialect: str) -> None:
    """Both places have a subset with its source, or a sentence that says who takes all of it."""
    taken = table(dialect)

    assert {"response_format", "tools", "strict tools"} <= taken.keys()
    for each in taken.values():
        assert (": " in each) if isinstance(each, str) else each.source


@pytest.mark.parametrize(("dialect", "place"), ROWS)
def test_a_keyword_is_sent_or_reported(dialect: str, place: str) -> None:
    """What a vendor takes goes; what it refuses or ignores stays, and is named."""
    taken = [each for name, each in table(dialect).items() if place.removeprefix("strict ") in name]
    subsets = [each for each in taken if isinstance(each, Subset)]
    schema = schema_for(dialect)
    body, dropped = sent(dialect, place, schema)
    (wire,) = found(body)
    if isinstance(table(dialect)[place], str):
        assert (schema, []) == (wire, dropped)
        return
    below = [each.within.get("properties", each).keywords for each in subsets]
    words = frozenset[str]().union(*below)
    for name, rule in RULES.items():
        if f"has_{name}" not in schema["properties"]:
            continue
        there = wire["properties"][f"has_{name}"]
        lost = any(f".has_{name}" in path for path in dropped)
        if name == "recursion":
            assert lost or "$ref" in json.dumps(there)
            continue
        if not lost:
            assert there.get(name) == rule[name] or SAME.get(name) in there
        assert there.keys() - {"$ref", "nullable"} <= words


@pytest.mark.parametrize(("dialect", "place"), ROWS)
def test_a_strict_request_loses_nothing(dialect: str, place: str) -> None:
    """With ``strict`` the first loss is an error before a byte leaves."""
    if isinstance(table(dialect)[place], str):
        assert [] == sent(dialect, place, schema_for(dialect), strict=True)[1]
        return
    with pytest.raises(UnsupportedFeatureError):
        sent(dialect, place, schema_for(dialect), strict=True)
