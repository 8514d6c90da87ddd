"""What llama.cpp makes a grammar of, by the branches of its ``SchemaConverter::visit``."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects import dialect
from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.llama_grammar import FLAG, GRAMMAR
from penstock.interfaces import Quirks, Target
from penstock.request import ChatRequest

ANYTHING = {"type": ["string", "number", "boolean", "null", "object", "array"]}

# What is asked, what goes, what is lost.
CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "bounds of an integer": (
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        [],
    ),
    "bounds of a number are ignored": (
        {"type": "number", "minimum": 0, "multipleOf": 0.5},
        {"type": "number"},
        ["s.multipleOf", "s.minimum"],
    ),
    "half a bound is cut off": (
        {"type": "integer", "minimum": 1.5},
        {"type": "integer"},
        ["s.minimum"],
    ),
    "one of two lower bounds counts": (
        {"type": "integer", "minimum": 1, "exclusiveMinimum": 4},
        {"type": "integer", "minimum": 1},
        ["s.exclusiveMinimum"],
    ),
    "lengths": (
        {"type": "string", "minLength": 2, "maxLength": 4},
        {"type": "string", "minLength": 2, "maxLength": 4},
        [],
    ),
    "a pattern silences lengths": (
        {"type": "string", "pattern": "^a+$", "minLength": 2},
        {"type": "string", "pattern": "^a+$"},
        ["s.minLength"],
    ),
    "an unknown format silences nothing": (
        {"type": "string", "format": "email", "minLength": 2},
        {"type": "string", "minLength": 2},
        ["s.format"],
    ),
    "a length says that it is text": (
        {"minLength": 2},
        {"minLength": 2, "type": "string"},
        [],
    ),
    "a tuple is exact": (
        {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "integer"}],
            "minItems": 2,
            "maxItems": 2,
        },
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        [],
    ),
    "a tuple has no tail": (
        {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        ["s.items"],
    ),
    "the empty schema would be an object": (
        {"type": "object", "properties": {"x": {}, "y": True}},
        {"type": "object", "properties": {"x": ANYTHING, "y": ANYTHING}},
        [],
    ),
    "a count needs items": (
        {"type": "array", "minItems": 2},
        {"type": "array", "minItems": 2, "items": ANYTHING},
        [],
    ),
    "alternatives stand alone": (
        {"anyOf": [{"minLength": 1}, {"type": "null"}, {"maxLength": 4}], "type": "string"},
        {"anyOf": [{"minLength": 1, "type": "string"}, {"maxLength": 4, "type": "string"}]},
        [],
    ),
    "what is beside alternatives is lost once": (
        {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d"},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ["s.description"],
    ),
    "definitions": (
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}},
            "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/A"}}}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/A"}}}},
        },
        ["s.properties.a.description"],
    ),
    "names that are no property": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ["s.required"],
    ),
}


@pytest.mark.parametrize(("schema", "expected", "lost"), CASES.values(), ids=CASES)
def test_what_becomes_of_a_schema(schema: Any, expected: Any, lost: list[str]) -> None:
    """Every keyword that the grammar heeds goes; the others are named."""
    dropped: list[str] = []

    assert expected == rewritten(schema, GRAMMAR, dropped.append, "s")
    assert sorted(lost) == sorted(dropped)


# Of ggml-org/llama.cpp, issues 26930, 27580 and 18226 of ollama/ollama, and its own tests.
PATTERNS = {
    "^a+$": True,
    "^(foo|bar)-[0-9]{2,3}$": True,
    r"^\(([0-9]{1,3})\)?[a-z_A-Z]*\.txt$": True,
    "^[^a]$": True,
    "abc": False,  # not from end to end
    "^abc": False,
    r"^\d+$": False,
    r"^[\w-]+$": False,
    r"^a\/b$": False,
    r"^(?!x)a$": False,
    "^(?:a)$": False,  # only newer ones know it
    '^"$': False,
    "^a$|^b$": False,
    r"^a\$": False,  # ends with a dollar sign, not with the end
    "": False,
}


@pytest.mark.parametrize("expression", PATTERNS)
def test_patterns_that_would_refuse_the_request_stay_here(expression: str) -> None:
    """A pattern goes where its grammar says the same."""
    dropped: list[str] = []
    said = rewritten({"type": "string", "pattern": expression}, GRAMMAR, dropped.append, "s")

    assert PATTERNS[expression] == ("pattern" in said)
    assert ([] if PATTERNS[expression] else ["s.pattern"]) == dropped


def test_servers_of_llama_cpp_get_what_a_grammar_can_hold() -> None:
    """A format loses what is ignored; a tool only the pattern that would refuse the request."""
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": r"^\d+$", "description": "d"},
            "size": {"type": "number", "minimum": 0},
        },
    }
    target = Target(
        deployment="d",
        provider="llamacpp",
        model="m",
        base_url="http://x.test/v1",
        origin="http://x.test",
        quirks=Quirks(flags=frozenset({FLAG})),
    )
    request = ChatRequest(
        model="m",
        messages="Hello",
        tools=({"type": "function", "function": {"name": "f", "parameters": schema}},),
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    dropped: list[str] = []
    fields: Any = dialect("openai_chat").encode(request, target, dropped=dropped).fields

    assert {"type": "string", "description": "d"} == (
        fields["tools"][0]["function"]["parameters"]["properties"]["id"]
    )
    assert {"id": {"type": "string"}, "size": {"type": "number"}} == (
        fields["response_format"]["json_schema"]["schema"]["properties"]
    )
    tools, answer = "tools[0].function.parameters", "response_format.json_schema.schema"
    assert [
        f"{tools}.properties.id.pattern",
        f"{answer}.properties.id.pattern",
        f"{answer}.properties.id.description",
        f"{answer}.properties.size.minimum",
    ] == dropped
