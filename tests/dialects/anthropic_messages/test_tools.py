"""Tools and the shape of the answer, in Anthropic's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.anthropic_messages.sending import sent

from penstock.errors import EncodeError

SCHEMA = {"type": "object", "properties": {"x": {"type": "string", "minLength": 2}}}
CLOSED = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "additionalProperties": False,
}
MARK = {"type": "ephemeral", "ttl": "1h"}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


def function(name: str = "f", **more: Any) -> dict[str, Any]:
    """A tool of the OpenAI shape."""
    return {"type": "function", "function": {"name": name, **more}}


CASES: list[tuple[Any, Any, list[str]]] = [
    (
        function(description="d", parameters=SCHEMA),
        {"name": "f", "description": "d", "input_schema": SCHEMA},
        [],
    ),
    (function(), {"name": "f", "input_schema": {"type": "object", "properties": {}}}, []),
    (
        function(parameters={"properties": {}}),
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        [],
    ),
    (
        function(parameters=SCHEMA, strict=True),
        {"name": "f", "strict": True, "input_schema": CLOSED},
        ["tools[0].function.parameters.properties.x.minLength"],
    ),
    (
        function(parameters=SCHEMA, strict=False),
        {"name": "f", "input_schema": SCHEMA},
        [],
    ),
    (
        {**function(parameters=SCHEMA), "cache_control": MARK, "defer_loading": True},
        {"name": "f", "input_schema": SCHEMA, "cache_control": MARK, "defer_loading": True},
        [],
    ),
    (
        function(parameters=SCHEMA, cache_control=MARK, eager_input_streaming=True),
        {
            "name": "f",
            "input_schema": SCHEMA,
            "cache_control": MARK,
            "eager_input_streaming": True,
        },
        [],
    ),
    (SEARCH, SEARCH, []),
    (
        {"type": "custom", "name": "f", "input_schema": SCHEMA},
        {"type": "custom", "name": "f", "input_schema": SCHEMA},
        [],
    ),
]


@pytest.mark.parametrize(("tool", "expected", "dropped"), CASES)
def test_tools_become(tool: Any, expected: Any, dropped: list[str]) -> None:
    """Functions in Anthropic's shape, its own as they are."""
    found = sent(tools=(tool,))

    assert ([expected], dropped) == (found.body["tools"], found.dropped)


def test_a_tool_of_free_text_is_left_out() -> None:
    """OpenAI's custom tools have no schema; the others are sent."""
    custom = {"type": "custom", "custom": {"name": "c"}}
    found = sent(tools=(custom, function()))

    assert (["f"], ["tools[0]"]) == ([tool["name"] for tool in found.body["tools"]], found.dropped)
    assert "tools" not in sent(tools=(custom,)).body


@pytest.mark.parametrize(
    "tool",
    [5, {"type": "function"}, function(name=""), function(parameters=5)],
)
def test_what_is_no_tool_is_named(tool: Any) -> None:
    """With its place."""
    with pytest.raises(EncodeError, match=r"tools\[0\]"):
        sent(tools=(tool,))


FORMATS: list[tuple[Any, Any, list[str]]] = [
    ({"type": "text"}, None, []),
    ({"type": "json_object"}, None, ["response_format"]),
    (
        {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "schema": CLOSED},
        ["response_format.json_schema.schema.properties.x.minLength"],
    ),
    (
        {"type": "json_schema", "schema": CLOSED},
        {"type": "json_schema", "schema": CLOSED},
        [],
    ),
]


@pytest.mark.parametrize(("given", "expected", "dropped"), FORMATS)
def test_a_format_is_a_schema(given: Any, expected: Any, dropped: list[str]) -> None:
    """``output_config.format`` of the SDK; a schema in the part of JSON Schema that it takes."""
    found = sent(response_format=given)

    assert expected == found.body.get("output_config", {}).get("format")
    assert dropped == found.dropped


def test_format_and_effort_share_their_object() -> None:
    """Both are in ``output_config``."""
    given = {"type": "json_schema", "json_schema": {"schema": CLOSED}}
    found = sent(response_format=given, params={"reasoning_effort": "low"})

    assert {"effort", "format"} == found.body["output_config"].keys()


@pytest.mark.parametrize("given", [{"type": "xml"}, {"type": "json_schema"}, 5])
def test_what_is_no_format_is_refused(given: Any) -> None:
    """Before a byte leaves."""
    with pytest.raises(EncodeError, match="response_format"):
        sent(response_format=given)


NULLABLE = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["integer", "null"]}, NULLABLE),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, NULLABLE),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "array", "minItems": 1, "items": {"type": "null"}}, None),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {}}}}, None),
    ],
)
def test_a_schema_is_one_that_the_sdk_leaves_as_it_is(schema: Any, expected: Any) -> None:
    """What is sent goes through the SDK's ``transform_schema`` unchanged."""
    from anthropic import transform_schema

    outer = {"type": "object", "properties": {"p": schema}}
    if "$defs" in schema:
        outer["$defs"] = schema.pop("$defs")
    found = sent(response_format={"type": "json_schema", "json_schema": {"schema": outer}})
    said = found.body["output_config"]["format"]["schema"]

    assert [] == found.dropped
    if expected is not None:
        assert expected == said["properties"]["p"]
    assert without_types(transform_schema(said)) == without_types(said)


def without_types(schema: Any) -> Any:
    """A schema without the types that follow from its values: the SDK leaves those out."""
    if isinstance(schema, list):
        return [without_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    given = {name: without_types(value) for name, value in schema.items()}
    if "enum" in given or "const" in given:
        given.pop("type", None)
    return given
