"""Schemas in a provider's subset: the same in its words, or reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.subset import ALL_TYPES, Subset
from penstock.errors import EncodeError

Json = Any

CORE = frozenset({"type", "description", "properties", "required", "items", "enum", "anyOf"})
PLAIN = Subset(keywords=CORE)
"""No references, null in the type."""
REFS = Subset(keywords=CORE | {"additionalProperties", "const", "pattern"}, references=True)
STRICT = Subset(
    # OpenAI, guides/structured-outputs, "Supported schemas".
    keywords=CORE
    | {"additionalProperties", "const", "pattern", "format", "multipleOf", "minItems", "maxItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    references=True,
    formats=frozenset({"date-time", "date", "email", "uuid"}),
    additional="false",
    required="all",
    max_depth=10,
)
OPENAPI = Subset(
    keywords=CORE | {"minimum", "maximum", "minItems", "maxItems", "format", "propertyOrdering"},
    formats=frozenset({"date-time", "enum"}),
    null="nullable",
    type_lists=False,
    any_of_alone=True,
    typed=True,
    additional="dropped",
    required="known",
    enums=frozenset({"string"}),
)


def said(schema: Json, subset: Subset = PLAIN) -> tuple[Json, list[str]]:
    """A schema in the words of a subset, and what that loses."""
    lost: list[str] = []
    return rewritten(schema, subset, lost.append, "s"), lost


# What is asked, the subset, what it becomes, what is lost.
CASES: dict[str, tuple[Json, Subset, Json, list[str]]] = {
    "plain": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        PLAIN,
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        [],
    ),
    "an unknown keyword is lost": (
        {"type": "object", "properties": {"x": {"type": "string", "minLength": 3}}},
        PLAIN,
        {"type": "object", "properties": {"x": {"type": "string"}}},
        ["s.properties.x.minLength"],
    ),
    "notes for nobody are left out silently": (
        {"$schema": "x", "$id": "y", "title": "T", "$comment": "c", "type": "string"},
        PLAIN,
        {"type": "string"},
        [],
    ),
    "a default is lost": (
        {"type": "integer", "default": 1},
        PLAIN,
        {"type": "integer"},
        ["s.default"],
    ),
    "a property may be called like a keyword": (
        {
            "type": "object",
            "properties": {"minLength": {"type": "string"}, "$ref": {"type": "null"}},
        },
        PLAIN,
        {
            "type": "object",
            "properties": {"minLength": {"type": "string"}, "$ref": {"type": "null"}},
        },
        [],
    ),
    "a reference is replaced": (
        {"$defs": {"N": {"type": "string"}}, "type": "array", "items": {"$ref": "#/$defs/N"}},
        PLAIN,
        {"type": "array", "items": {"type": "string"}},
        [],
    ),
    "what stands beside a reference holds too": (
        {
            "definitions": {"N": {"type": "string", "description": "theirs", "enum": ["a", "b"]}},
            "items": {"$ref": "#/definitions/N", "description": "mine", "enum": ["b", "c"]},
        },
        PLAIN,
        {"items": {"description": "mine", "enum": ["b"], "type": "string"}},
        [],
    ),
    "a reference may go through arrays, escapes and percent": (
        {
            "$defs": {"a/b": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "items": {"$ref": "#/%24defs/a~1b/anyOf/1"},
        },
        PLAIN,
        {"items": {"type": "integer"}},
        [],
    ),
    "a recursion is cut": (
        {
            "$defs": {"T": {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}},
            "$ref": "#/$defs/T",
        },
        PLAIN,
        {"type": "object", "properties": {"next": {"type": "object"}}},
        ["s.properties.next.$ref"],
    ),
    "a recursion through the root is cut": (
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
        PLAIN,
        {
            "type": "object",
            "properties": {"next": {"type": "object", "properties": {"next": {"type": "object"}}}},
        },
        ["s.properties.next.properties.next.$ref"],
    ),
    "a reference to nothing is lost": (
        {"items": {"$ref": "https://example.com/s.json"}, "anyOf": [{"$ref": "#/$defs/no"}]},
        PLAIN,
        {"items": {}, "anyOf": [{}]},
        ["s.items.$ref", "s.anyOf[0].$ref"],
    ),
    "references stay": (
        {
            "definitions": {"N": {"type": "string", "minLength": 1}, "unused": {"maxLength": 1}},
            "items": {"$ref": "#/definitions/N"},
        },
        REFS,
        {"items": {"$ref": "#/$defs/N"}, "$defs": {"N": {"type": "string"}}},
        ["s.$defs.N.minLength"],
    ),
    "a recursion stays": (
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
        REFS,
        {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/root"}, {"type": "null"}]}},
            "$defs": {
                "root": {
                    "type": "object",
                    "properties": {"next": {"anyOf": [{"$ref": "#/$defs/root"}, {"type": "null"}]}},
                }
            },
        },
        [],
    ),
    "a note beside a reference goes around it": (
        {
            "$defs": {"N": {"type": "string"}},
            "properties": {"n": {"allOf": [{"$ref": "#/$defs/N"}], "description": "d"}},
        },
        REFS,
        {
            "properties": {"n": {"anyOf": [{"$ref": "#/$defs/N"}], "description": "d"}},
            "$defs": {"N": {"type": "string"}},
        },
        [],
    ),
    "two definitions of one name keep apart": (
        {
            "$defs": {"N": {"type": "string"}},
            "definitions": {"N": {"type": "integer"}},
            "anyOf": [{"$ref": "#/$defs/N"}, {"$ref": "#/definitions/N"}],
        },
        REFS,
        {
            "anyOf": [{"$ref": "#/$defs/N"}, {"$ref": "#/$defs/N_2"}],
            "$defs": {"N": {"type": "string"}, "N_2": {"type": "integer"}},
        },
        [],
    ),
    "allOf is merged": (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "integer"}, "a": {"enum": ["x"]}}, "required": ["b"]},
            ],
            "description": "d",
        },
        PLAIN,
        {
            "description": "d",
            "type": "object",
            "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
        [],
    ),
    "bounds of allOf are the narrower ones": (
        {"type": "integer", "minimum": 1, "allOf": [{"minimum": 2, "maximum": 9}, {"maximum": 7}]},
        STRICT,
        {"type": "integer", "minimum": 2, "maximum": 7},
        [],
    ),
    "what allOf cannot say together is lost": (
        {"type": "string", "pattern": "a", "allOf": [{"pattern": "b"}, {"type": "integer"}]},
        STRICT,
        {"type": "string", "pattern": "a"},
        ["s.allOf.pattern", "s.allOf.type"],
    ),
    "a closed branch of allOf is opened, with a report": (
        {
            "allOf": [
                {"properties": {"a": {}}, "additionalProperties": False},
                {"properties": {"b": {}}, "type": "object"},
            ]
        },
        REFS,
        {"properties": {"a": {}, "b": {}}, "additionalProperties": False, "type": "object"},
        ["s.allOf.additionalProperties"],
    ),
    "const is an enum of one": ({"const": 1}, PLAIN, {"enum": [1]}, []),
    "const stays where there is no enum": (
        {"const": 1},
        Subset(keywords=frozenset({"const"})),
        {"const": 1},
        [],
    ),
    "oneOf of different types is anyOf": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        PLAIN,
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        [],
    ),
    "oneOf told apart by a tag is anyOf": (
        {
            "$defs": {
                "A": {"type": "object", "properties": {"t": {"const": "a"}}, "required": ["t"]},
                "B": {"type": "object", "properties": {"t": {"const": "b"}}, "required": ["t"]},
            },
            "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
            "discriminator": {"propertyName": "t"},
        },
        PLAIN,
        {
            "anyOf": [
                {"type": "object", "properties": {"t": {"enum": ["a"]}}, "required": ["t"]},
                {"type": "object", "properties": {"t": {"enum": ["b"]}}, "required": ["t"]},
            ]
        },
        [],
    ),
    "oneOf that may overlap is lost": (
        {"oneOf": [{"type": "number"}, {"type": "integer"}]},
        PLAIN,
        {"anyOf": [{"type": "number"}, {"type": "integer"}]},
        ["s.oneOf"],
    ),
    "null in a type list": ({"type": ["string", "null"]}, PLAIN, {"type": ["string", "null"]}, []),
    "null in a branch": (
        {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
        PLAIN,
        {"description": "d", "type": ["string", "null"]},
        [],
    ),
    "null as nullable": (
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        OPENAPI,
        {"type": "string", "enum": ["a"], "nullable": True},
        [],
    ),
    "nullable in an enum": (
        {"type": "string", "enum": ["a"], "nullable": True},
        PLAIN,
        {"type": ["string", "null"], "enum": ["a", None]},
        [],
    ),
    "null in an enum": (
        {"type": ["string", "null"], "enum": ["a", None]},
        OPENAPI,
        {"type": "string", "enum": ["a"], "nullable": True},
        [],
    ),
    "null beside several": (
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "description": "d"},
        OPENAPI,
        {
            "anyOf": [
                {"type": "string", "description": "d", "nullable": True},
                {"type": "integer", "description": "d"},
            ]
        },
        [],
    ),
    "null as anyOf": (
        {"type": ["string", "null"], "description": "d"},
        Subset(keywords=CORE, null="any_of"),
        {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
        [],
    ),
    "null that an enum forbids is none": (
        {"type": ["string", "null"], "enum": ["a"]},
        OPENAPI,
        {"type": "string", "enum": ["a"]},
        [],
    ),
    "several types are anyOf": (
        {"type": ["string", "integer"], "minimum": 1, "description": "d", "enum": ["a", 2]},
        Subset(keywords=CORE | {"minimum"}, type_lists=False),
        {
            "description": "d",
            "anyOf": [
                {"type": "string", "enum": ["a"]},
                {"type": "integer", "minimum": 1, "enum": [2]},
            ],
        },
        [],
    ),
    "a type that is implied": (
        {"properties": {"a": {"enum": ["x"]}, "b": {"items": {"minimum": 1}}}},
        OPENAPI,
        {
            "properties": {
                "a": {"enum": ["x"], "type": "string"},
                "b": {"items": {"minimum": 1, "type": "number"}, "type": "array"},
            },
            "type": "object",
        },
        [],
    ),
    "an enum of numbers is lost where only texts may be": (
        {"type": "integer", "enum": [1, 2]},
        OPENAPI,
        {"type": "integer"},
        ["s.enum"],
    ),
    "a format is known or lost": (
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "uri"}]},
        OPENAPI,
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]},
        ["s.anyOf[1].format"],
    ),
    "a value that is not taken is lost": (
        {"type": "array", "minItems": 2},
        Subset(keywords=CORE | {"minItems"}, values={"minItems": frozenset({0, 1})}),
        {"type": "array"},
        ["s.minItems"],
    ),
    "objects are closed": (
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": True}}},
        Subset(keywords=CORE | {"additionalProperties"}, additional="false"),
        {
            "type": "object",
            "properties": {"a": {"type": "object", "additionalProperties": False}},
            "additionalProperties": False,
        },
        ["s.properties.a.additionalProperties"],
    ),
    "a map of values is lost": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        OPENAPI,
        {"type": "object"},
        ["s.additionalProperties"],
    ),
    "everything is required": (
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
        | {"required": ["a"]},
        STRICT,
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
        ["s.required"],
    ),
    "a required name without a property is lost": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        OPENAPI,
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ["s.required"],
    ),
    "an excluded bound of integers": (
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "minimum": -5},
        OPENAPI,
        {"type": "integer", "minimum": -5, "maximum": 9},
        [],
    ),
    "an excluded bound of numbers is lost": (
        {"type": "number", "exclusiveMinimum": 0.5},
        OPENAPI,
        {"type": "number", "minimum": 0.5},
        ["s.exclusiveMinimum"],
    ),
    "a tuple is a list of any of its items": (
        {"type": "array", "items": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]},
        PLAIN,
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        ["s.prefixItems"],
    ),
    "true and false": (
        {
            "type": "object",
            "properties": {"a": True, "b": False},
            "anyOf": [{"type": "object"}, False],
        },
        PLAIN,
        {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"type": "object"}]},
        ["s.properties.b"],
    ),
    "not and if are lost": (
        {"type": "string", "not": {"const": "x"}, "if": {}, "then": {}, "x-mine": 1},
        PLAIN,
        {"type": "string"},
        ["s.not", "s.if", "s.then", "s.x-mine"],
    ),
    "types in capitals": (
        {"type": "OBJECT", "properties": {}},
        PLAIN,
        {"type": "object", "properties": {}},
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_schema_says_the_same_or_reports(name: str) -> None:
    """The result is in the subset's words, and what it cannot say is reported by its path."""
    schema, subset, expected, lost = CASES[name]
    before = json.dumps(schema)

    assert (expected, lost) == said(schema, subset)
    assert before == json.dumps(schema)


class Leaf(BaseModel):
    """A leaf."""

    kind: Literal["leaf"]
    value: int | None = None


class Branch(BaseModel):
    """A branch."""

    kind: Literal["branch"]
    children: list[Branch | Leaf] = Field(max_length=3)


def test_a_recursive_model_keeps_its_references() -> None:
    """What pydantic makes of a recursive model is said with references, its root in full."""
    found, lost = said(Branch.model_json_schema(), STRICT)

    assert ["s.$defs.Leaf.required"] == [path for path in lost if not path.endswith("default")]
    assert {"Branch", "Leaf"} == set(found["$defs"])
    assert "object" == found["type"]
    assert found["$defs"]["Branch"] == {key: found[key] for key in found if key != "$defs"}


def test_what_is_deeper_than_allowed_is_cut() -> None:
    """A bound on depth cuts, and says where."""
    schema: Json = {"type": "string"}
    for _ in range(5):
        schema = {"type": "array", "items": schema}
    found, lost = said(schema, Subset(keywords=CORE, max_depth=2))

    assert (
        '{"type": "array", "items": {"type": "array", "items": {"type": "array", "items": '
        '{"type": "array"}}}}'
    ) == json.dumps(found)
    assert ["s.items.items.items"] == lost


def circular() -> Json:
    """A mapping that holds itself twice."""
    schema: Json = {"type": "object"}
    schema["properties"] = {"a": schema, "b": schema}
    return schema


def nested(word: str, depth: int) -> Json:
    """One keyword in itself."""
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {word: [schema]} if word != "items" else {word: schema}
    return schema


# Name, and a schema that would cost too much where its cost were not bounded.
BOMBS: dict[str, Callable[[], Json]] = {
    "circular": circular,
    "doubling": lambda: {
        "$defs": {
            f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
            for n in range(40)
        },
        "$ref": "#/$defs/d0",
    },
    "chain": lambda: {
        "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5000)},
        "$ref": "#/$defs/d0",
    },
    "deep allOf": lambda: nested("allOf", 5000),
    "deep anyOf": lambda: nested("anyOf", 5000),
    "deep items": lambda: nested("items", 5000),
    "wide allOf": lambda: {
        "allOf": [{"properties": {f"p{n}": {"minLength": n}}} for n in range(20_000)]
    },
    "wide enums": lambda: {
        "allOf": [{"enum": [[n] for n in range(10_000)]}, {"enum": [[n] for n in range(10_000)]}]
    },
    "wide oneOf": lambda: {
        "oneOf": [
            {"properties": {f"t{m}": {} for m in range(30)}, "required": []} for _ in range(1500)
        ]
    },
    "wide tuple": lambda: {"prefixItems": [{"const": n} for n in range(20_000)]},
    "itself in allOf": lambda: {"allOf": [{"$ref": "#"}]},
    "itself in anyOf": lambda: {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("subset", [PLAIN, STRICT, OPENAPI], ids=["plain", "strict", "openapi"])
def test_no_schema_costs_more_than_its_size(name: str, subset: Subset) -> None:
    """Recursion, doubling and width end within a bound, and in few reports."""
    schema = BOMBS[name]()
    began = process_time()
    found, lost = said(schema, subset)

    assert process_time() - began < 5
    assert len(lost) < 60
    assert isinstance(found, dict)


@pytest.mark.parametrize("schema", [None, "string", 5, [], {"properties": {"a": 1}}])
def test_what_is_no_schema_is_an_error(schema: Json) -> None:
    """The error says where."""
    with pytest.raises(EncodeError, match="a JSON Schema is a mapping"):
        said(schema)


def schemas() -> st.SearchStrategy[Json]:
    """Schemas of many kinds."""
    leaf = st.sampled_from(
        [
            {"type": "string"},
            {"type": ["integer", "null"]},
            {"type": ["string", "array", "null"], "minLength": 2, "description": "d"},
            {"const": "a"},
            {"const": None},
            {"enum": ["a", None, 1, True]},
            {"$ref": "#/$defs/A"},
            {"$ref": "#/$defs/A", "enum": ["a", "aaaa"]},
            {"type": "null"},
            {"maxLength": 2},
            {"type": "integer", "exclusiveMinimum": 0},
            True,
            False,
        ]
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).flatmap(
                lambda each: st.sampled_from([{w: each} for w in ("anyOf", "oneOf", "allOf")])
            ),
            st.tuples(inner, inner).map(lambda two: {"type": "array", "anyOf": [two[0], two[1]]}),
            inner.map(lambda each: {"type": "array", "items": each}),
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
                lambda each: {"type": "object", "properties": each, "required": list(each)}
            ),
        ),
        max_leaves=8,
    )


def rooted(inner: Json) -> Json:
    """A schema around one, with what it refers to."""
    return {"$defs": {"A": {"type": "string", "maxLength": 3}}, "properties": {"x": inner}}


def words(schema: Json) -> set[str]:
    """Every keyword in a schema."""
    found = set(schema)
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            found = found.union(*map(words, value.values()))
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            found = found.union(*map(words, value))
        elif name == "items":
            found |= words(value)
    return found


@given(schemas(), st.sampled_from([PLAIN, REFS, STRICT, OPENAPI]))
@settings(max_examples=150, deadline=None)
def test_a_rewritten_schema_has_the_subsets_words_only(inner: Json, subset: Subset) -> None:
    """Whatever is asked, no other keyword is in what comes."""
    found, _ = said(rooted(inner), subset)
    allowed = subset.keywords | ({"$ref", "$defs"} if subset.references else frozenset())
    allowed |= {"nullable"} if subset.null == "nullable" else frozenset()

    assert set() == words(found) - allowed


ALONE = Subset(keywords=CORE | {"minLength"}, null="any_of", type_lists=False, any_of_alone=True)
LONG = Subset(keywords=CORE | {"minLength", "maxLength", "minimum"}, references=True)
VALUES: list[Json] = [None, True, False, 0, 1, 1.5, "", "a", "aaa", "aaaa", "b", [], {}]
INSIDE: list[Json] = [*VALUES, *([each] for each in VALUES), ["a", None], ["a", 1]]
INSIDE += [{name: each} for name in "ab" for each in (None, 1, "a", "aaaa", [], ["a"])]
INSIDE += [{"a": "a", "b": "aaaa", "c": None}, {"a": 1, "b": None, "c": []}, {"a": {"a": "a"}}]


@pytest.mark.parametrize(
    ("words", "kind"),
    [({"anyOf": [{"minLength": 1}, {"enum": ["a"]}]}, "string"), ({"const": "a"}, "string")],
    ids=["anyOf", "const"],
)
def test_null_beside_words_that_it_does_not_fit_is_a_branch(words: Json, kind: str) -> None:
    """``type`` may take null: what stands beside it, and is no string's own, takes none."""
    inner = {"anyOf": [{"type": "null"}, {"type": kind, **words}]}
    found, _ = said(rooted(inner), Subset(keywords=CORE | {"const", "minLength"}))

    fits = Draft202012Validator(found)
    assert (True, True, False) == tuple(fits.is_valid({"x": each}) for each in (None, "a", 1))


@given(schemas(), st.sampled_from([PLAIN, REFS, LONG, ALONE]))
@settings(max_examples=300, deadline=None)
def test_what_is_not_reported_means_the_same(inner: Json, subset: Subset) -> None:
    """Where nothing is lost the same values fit; a loss lets more fit, and nothing less."""
    schema = rooted(inner)
    found, lost = said(schema, subset)
    before, after = Draft202012Validator(schema), Draft202012Validator(found)

    for value in INSIDE:
        fitted, fits = before.is_valid({"x": value}), after.is_valid({"x": value})
        assert fits or not fitted, (value, found)
        assert lost or fits == fitted, (value, found)


def test_all_types_are_json_schemas_seven() -> None:
    """JSON Schema validation, section 6.1.1."""
    assert 7 == len(ALL_TYPES)
