"""Two JSON Schemas as one that says both, and whether schemas exclude each other.

What `penstock.dialects.schemas` needs where a provider takes no ``allOf``, no siblings of ``$ref``
and no ``oneOf``. Nothing here is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["NOTES", "TYPED", "all_merged", "exclusive", "key_of", "merged", "type_of", "types_of"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

NOTES = frozenset(
    {
        *("title", "description", "default", "examples", "example", "deprecated", "discriminator"),
        *("readOnly", "writeOnly", "propertyOrdering"),
        *("$comment", "$schema", "$id", "$anchor", "$vocabulary", "$defs", "definitions"),
    }
)
"""Keywords that constrain nothing: JSON Schema's annotations and identifiers, OpenAPI's hints."""

TYPED: Mapping[str, str] = {
    **dict.fromkeys(
        ("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
        "object",
    ),
    **dict.fromkeys(
        ("patternProperties", "propertyNames", "unevaluatedProperties", "dependentRequired"),
        "object",
    ),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems", "uniqueItems"), "array"),
    **dict.fromkeys(("contains", "minContains", "maxContains", "unevaluatedItems"), "array"),
    **dict.fromkeys(("minLength", "maxLength", "pattern"), "string"),
    **dict.fromkeys(("contentEncoding", "contentMediaType", "contentSchema"), "string"),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"
    ),
}
"""Keywords that say something of one type only; integers are numbers."""

_LARGER = frozenset(
    {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"}
)
_SMALLER = frozenset(
    {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"}
)
_BOTH = frozenset({"items", "additionalProperties", "propertyNames", "unevaluatedProperties"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})


def merged(
    first: Mapping[str, Json], second: Mapping[str, Json], lose: Callable[[str], None]
) -> dict[str, Json]:
    """Return a schema of what fits both; of notes the first one's hold.

    Deeper schemas that both have become an ``allOf`` of two, to be merged when they are reached.

    Args:
        first: A schema without ``$ref`` and ``allOf``.
        second: Another.
        lose: Told each keyword of `second` that could not be said together with `first`'s.
    """
    both = dict(first)
    for keyword, value in second.items():
        if keyword not in both:
            both[keyword] = value
        elif both[keyword] != value and keyword not in (NOTES - _MAPS):
            both[keyword] = _both(keyword, both[keyword], value, lose)
    if _closes_out(first, second) or _closes_out(second, first):
        lose("additionalProperties")
    return both


def all_merged(schemas: list[dict[str, Json]], lose: Callable[[str], None]) -> dict[str, Json]:
    """Return a schema of what fits all of `schemas`, as `merged` does for two.

    Neighbours first, then the neighbours among those: a thousand schemas are copied ten times.
    """
    while len(schemas) > 1:
        pairs = zip(schemas[::2], schemas[1::2], strict=False)
        left = schemas[len(schemas) // 2 * 2 :]
        schemas = [merged(first, second, lose) for first, second in pairs] + left
    return schemas[0]


def _both(keyword: str, first: Json, second: Json, lose: Callable[[str], None]) -> Json:
    if keyword == "nullable":
        return True
    if keyword == "type":
        return _both_types(first, second, lose)
    if keyword in _BOTH:
        return _both_schemas(first, second)
    if isinstance(first, Mapping) and isinstance(second, Mapping) and keyword in _MAPS:
        return _both_maps(first, second, conjoin=not keyword.startswith(("$", "def")))
    if isinstance(first, list) and isinstance(second, list) and keyword in ("required", "enum"):
        if keyword == "required":
            return list(dict.fromkeys([*first, *second]))
        known = set(map(key_of, second))
        if shared := [value for value in first if key_of(value) in known]:
            return shared
    if _is_number(first) and _is_number(second) and keyword in _LARGER | _SMALLER:
        return max(first, second) if keyword in _LARGER else min(first, second)
    lose(keyword)
    return first


def _both_maps(
    first: Mapping[str, Json], second: Mapping[str, Json], *, conjoin: bool
) -> dict[str, Json]:
    both = dict(first)
    for name, schema in second.items():
        both[name] = _both_schemas(both[name], schema) if name in both and conjoin else schema
    return both


def _both_schemas(first: Json, second: Json) -> Json:
    if first is False or second is False:
        return False
    if first is True or first == second:
        return second
    return first if second is True else {"allOf": [first, second]}


def _both_types(first: Json, second: Json, lose: Callable[[str], None]) -> Json:
    one, other = types_of({"type": first}), types_of({"type": second})
    shared = [kind for kind in one if kind in other or (kind == "integer" and "number" in other)]
    if "number" in one and "integer" in other and "integer" not in shared:
        shared.append("integer")
    if not shared:
        lose("type")
        return first
    return shared[0] if len(shared) == 1 else shared


def _closes_out(closed: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Whether `closed` allows no properties but its own, and `other` has some that are not."""
    if closed.get("additionalProperties") is not False or closed is other:
        return False
    known, more = closed.get("properties") or {}, other.get("properties") or {}
    return any(name not in known for name in more)


def types_of(schema: Mapping[str, Json]) -> list[str]:
    """Return the types that `schema` names, in lower case; ``[]`` where it names none."""
    said = schema.get("type")
    given = said if isinstance(said, (list, tuple)) else [said]
    return list(dict.fromkeys(kind.lower() for kind in given if isinstance(kind, str)))


def type_of(value: Json) -> str:
    """Return the JSON Schema type of a JSON value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int):
        return "integer"
    kinds = ((float, "number"), (str, "string"), (Mapping, "object"))
    return next((kind for of, kind in kinds if isinstance(value, of)), "array")


def key_of(value: Json) -> str:
    """Return what tells a JSON value from others; 1 and True are equal only in Python."""
    return f"{type_of(value)}:{value!r}"


def exclusive(schemas: Iterable[Mapping[str, Json]]) -> bool:
    """Whether no value can fit two of `schemas`, as far as that is plain to see.

    It is where their types differ, or where each requires the same property with other values.
    """
    known = list(schemas)
    if _apart([_kinds(schema) for schema in known]):
        return True
    if not known or any(not isinstance(schema.get("properties"), Mapping) for schema in known):
        return False
    return any(_apart([_tags(schema, name) for schema in known]) for name in known[0]["properties"])


def _apart(sets: list[list[str]]) -> bool:
    """Whether each set has members and none has one of another's."""
    together = [member for members in sets for member in members]
    return all(sets) and len(together) == len(set(together))


def _kinds(schema: Mapping[str, Json]) -> list[str]:
    return list(dict.fromkeys("number" if k == "integer" else k for k in types_of(schema)))


def _tags(schema: Mapping[str, Json], name: str) -> list[str]:
    """Return the values that property `name` must have, as text; ``[]`` where it may be others."""
    within = schema["properties"].get(name)
    if not isinstance(within, Mapping) or name not in (schema.get("required") or ()):
        return []
    values = [within["const"]] if "const" in within else within.get("enum")
    return list(map(key_of, values)) if isinstance(values, list) else []


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
