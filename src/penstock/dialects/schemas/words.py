"""One JSON Schema in other words that say the same: drafts, null, types that are implied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects.schemas.merging import NOTES, TYPED, key_of, type_of, types_of

__all__ = [
    "NULL",
    "allows_null",
    "alone",
    "any_of",
    "implied",
    "is_about",
    "is_null",
    "is_object",
    "is_of",
    "normal",
    "takes_null",
]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

NULL = {"type": "null"}
"""What only null fits."""


def normal(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Return `schema` in today's words for what earlier drafts have others for."""
    node = dict(schema)
    if isinstance(node.get("items"), (list, tuple)):  # draft 7
        node = {("prefixItems" if word == "items" else word): v for word, v in node.items()}
        if "additionalItems" in node:
            node["items"] = node.pop("additionalItems")
    if node.get("nullable") is False:
        del node["nullable"]
    if "const" in node:
        only = [node.pop("const")]
        if "enum" in node:
            node["allOf"] = [*(node.get("allOf") or ()), {"enum": only}]
        elif only == [None] and "type" not in node:
            node["type"] = "null"
        else:
            node["enum"] = only
    return node


def is_null(schema: Json) -> bool:
    """Whether null fits `schema`, and nothing else."""
    return isinstance(schema, Mapping) and (
        schema.get("type") in ("null", ["null"])
        or ("const" in schema and schema["const"] is None)
        or schema.get("enum") == [None]
    )


def allows_null(node: Mapping[str, Json]) -> bool:
    """Whether nothing in `node` but its branches excludes null."""
    kinds, values = types_of(node), node.get("enum")
    return (not kinds or "null" in kinds) and (not isinstance(values, list) or None in values)


def takes_null(node: dict[str, Json]) -> bool:
    """Take null out of the types and values of `node`; whether it was there beside others."""
    kinds, values = types_of(node), node.get("enum")
    listed = isinstance(values, list) and None in values and len(values) > 1
    allowed = "null" in kinds and len(kinds) > 1
    if listed and (allowed or not kinds):
        node["enum"] = [value for value in values or () if value is not None]
    if allowed:
        node["type"] = [kind for kind in kinds if kind != "null"]
        return listed or not isinstance(values, list)
    return listed and not kinds


def implied(node: Mapping[str, Json]) -> list[str]:
    """Return the types that follow from other keywords of a `node` that names none."""
    if "anyOf" in node or "oneOf" in node or "allOf" in node:
        return []
    values = node.get("enum")
    if isinstance(values, list) and values:
        return list(dict.fromkeys(map(type_of, values)))
    return list(dict.fromkeys(TYPED[word] for word in node if word in TYPED))


def is_about(word: str, kind: str) -> bool:
    """Whether the keyword `word` can say something of values of the type `kind`."""
    kind = "number" if kind == "integer" else kind
    if word == "format":
        return kind in ("string", "number")
    return word not in NOTES and word != "enum" and TYPED.get(word, kind) == kind


def is_of(value: Json, kind: str) -> bool:
    """Whether `value` is of the type `kind`; an integer is a number."""
    found = type_of(value)
    return found == kind or (found == "integer" and kind == "number")


def is_object(node: Mapping[str, Json]) -> bool:
    """Whether `node` is the schema of objects."""
    return "properties" in node or "object" in types_of(node)


def alone(node: dict[str, Json]) -> dict[str, Json]:
    """Move what stands beside ``anyOf`` into its branches."""
    beside = {word: value for word, value in node.items() if word != "anyOf"}
    beside = {word: value for word, value in beside.items() if word not in ("title", "$comment")}
    if not beside:
        return {"anyOf": node["anyOf"]}
    return {"anyOf": [{"allOf": [branch, beside]} for branch in node["anyOf"]]}


def any_of(schemas: Json) -> Json:
    """Return what fits one of `schemas`."""
    if not isinstance(schemas, (list, tuple)) or not schemas:
        return {}
    unlike = list({key_of(schema): schema for schema in schemas}.values())
    return unlike[0] if len(unlike) == 1 else {"anyOf": unlike}
