"""What part of JSON Schema a provider takes, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from penstock.dialects.schemas.merging import NOTES, type_of, types_of
from penstock.dialects.schemas.words import NULL

__all__ = ["ALL_KEYWORDS", "ALL_TYPES", "Subset", "allowing_null", "limited"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

ALL_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "object", "array"})
"""The types of JSON Schema."""

ALL_KEYWORDS = frozenset(
    {
        *("type", "enum", "const", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas"),
        *("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
        *("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
        *("minLength", "maxLength", "pattern", "format", "multipleOf"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("contentEncoding", "contentMediaType", "contentSchema"),
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    }
)
"""The keywords of JSON Schema 2020-12 that say something of a value."""
_BESIDE_TYPE = frozenset({"allOf", "anyOf", "const", "not", "oneOf", "$ref"})
"""Words that null has to fit, too, whatever ``type`` takes."""
_NUMBERS = frozenset({"integer", "number"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """The part of JSON Schema that a provider takes in one of its fields."""

    keywords: frozenset[str]
    """The keywords that it knows, ``type`` among them. ``$ref``, ``$defs`` and ``nullable`` follow
    from the fields below."""
    references: bool = False
    """Whether ``$ref`` to ``$defs`` of the root may stand; else they are replaced by what they
    refer to, and recursive ones are cut and reported."""
    formats: frozenset[str] | None = None
    """The values of ``format``; None for any."""
    values: Mapping[str, frozenset[Json]] = field(default_factory=dict)
    """The values of other keywords that it takes only some of, such as ``minItems`` of 0 and 1."""
    null: Literal["type", "any_of", "nullable"] = "type"
    """How null is allowed beside others: ``type: [T, "null"]``, an ``anyOf`` with null, or
    OpenAPI's ``nullable: true``."""
    type_lists: bool = True
    """Whether ``type`` may list several types but null; else they become an ``anyOf``."""
    any_of_alone: bool = False
    """Whether nothing may stand beside ``anyOf``; what does goes into its branches."""
    typed: bool = False
    """Whether a schema needs a ``type``, which then follows from its other keywords."""
    additional: Literal["kept", "false", "dropped"] = "kept"
    """``additionalProperties``: kept, false on each object, or left out."""
    required: Literal["kept", "known", "all"] = "kept"
    """``required``: kept; only names that are among ``properties``; or all of them, where those
    that were not required may be null instead."""
    enums: frozenset[str] = ALL_TYPES
    """The types that values of an ``enum`` may have; one with others is left out."""
    max_depth: int = 64
    """Schemas within schemas below the root; what is deeper is cut and reported."""
    takes: Mapping[str, Callable[[Json], bool]] = field(default_factory=dict)
    """Whether it takes a value of a keyword, where that is no short list."""
    bounded: frozenset[str] = frozenset({"integer", "number"})
    """The types of numbers whose bounds it heeds."""
    silenced: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keywords that it takes, but does not heed beside one of others."""
    exact_tuples: bool = False
    """Whether ``prefixItems`` is an array of just those, whatever its other keywords say."""
    anything: Mapping[str, Json] = field(default_factory=dict)
    """What anything fits, where that is not the empty schema."""
    source: str = ""
    """Who says so."""
    within: Mapping[str, Subset] = field(default_factory=dict)
    """The subset of what stands below a keyword, where it is another."""

    def admits(self, word: str, value: Json) -> bool:
        """Whether it takes `value` for the keyword `word`, which it knows."""
        if word == "format" and self.formats is not None:
            return value in self.formats
        if word == "enum" and isinstance(value, list):
            return all(type_of(each) in self.enums for each in value)
        if word in self.values:
            return value in self.values[word]
        return word not in self.takes or self.takes[word](value)


def allowing_null(said: dict[str, Json], subset: Subset) -> dict[str, Json]:
    """Return what fits `said`, or null."""
    branches = said.get("anyOf")
    if not said.keys() - NOTES:
        return said  # null fits already
    if subset.null == "nullable":
        if subset.any_of_alone and branches:
            return {**said, "anyOf": [{**branches[0], "nullable": True}, *branches[1:]]}
        return {**said, "nullable": True}
    if branches and not said.keys() - NOTES - {"anyOf"}:
        return {**said, "anyOf": [*branches, NULL]}
    listed = "enum" not in said or "null" in subset.enums
    alone = said.keys().isdisjoint(_BESIDE_TYPE)
    if subset.null == "type" and "type" in said and listed and alone:
        kinds = {"type": [*types_of(said), "null"]}
        values = {"enum": [*said["enum"], None]} if "enum" in said else {}
        return {**said, **kinds, **values}
    notes = {word: value for word, value in said.items() if word in NOTES}
    rest = {word: value for word, value in said.items() if word not in NOTES}
    return {"anyOf": [rest, NULL], **notes}


def limited(said: dict[str, Json], subset: Subset, lose: Callable[[str], None]) -> dict[str, Json]:
    """Return `said` without keywords that `subset` has, but would not heed where they stand.

    Args:
        said: One schema in the subset's words.
        subset: What the provider takes.
        lose: Told each keyword that is left out and was not implied by others.
    """
    for word, others in subset.silenced.items():
        if word in said and others & said.keys():
            lose(word)
            del said[word]
    if not ({*types_of(said)} & _NUMBERS) <= subset.bounded:
        for word in [word for word in said if word in _BOUNDS]:
            lose(word)
            del said[word]
    if subset.exact_tuples and isinstance(said.get("prefixItems"), list):
        _exact(said, lose)
    if subset.anything:
        if said.keys() & {"minItems", "maxItems"} and not said.keys() & {"items", "prefixItems"}:
            said["items"] = dict(subset.anything)
        if not said.keys() - NOTES:
            said.update(subset.anything)
    return said


def _exact(said: dict[str, Json], lose: Callable[[str], None]) -> None:
    """Leave out of a tuple what its length says, and what it cannot say."""
    size = len(said["prefixItems"])
    if said.pop("items", False) is not False:
        lose("items")
    for word, fits in (("minItems", int.__le__), ("maxItems", int.__ge__)):
        if word in said and not fits(int(said.pop(word)), size):
            lose(word)
