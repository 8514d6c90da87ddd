"""One JSON Schema in the words of a subset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from penstock.dialects.schemas.flat import Flattening
from penstock.dialects.schemas.merging import NOTES, types_of
from penstock.dialects.schemas.references import References
from penstock.dialects.schemas.reports import At, Reports, joined
from penstock.dialects.schemas.spelling import Spelling
from penstock.dialects.schemas.subset import Subset, allowing_null, limited
from penstock.dialects.schemas.words import alone, implied, is_about, is_object, is_of, takes_null
from penstock.errors import EncodeError

__all__ = ["rewritten"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_MOST_NODES = 50_000
"""Schemas in a schema; a mapping that holds itself has no end."""
_SILENT = NOTES - {"description", "default", "examples", "example"}
"""Notes that tell a model nothing: leaving them out loses nothing."""
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_ONE = frozenset(
    {"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"}
)
_ONE |= {"unevaluatedItems", "unevaluatedProperties"}
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_PLAIN_BOOLS = frozenset({"additionalProperties", "unevaluatedProperties", "unevaluatedItems"})


def rewritten(schema: Json, subset: Subset, drop: Callable[[str], None], path: str) -> Json:
    """Return `schema` in the words of `subset`.

    Args:
        schema: A JSON Schema; it is not changed.
        subset: What the provider takes.
        drop: Told the path of each rule that is lost, such as ``tools[0].properties.x.minLength``;
            of a keyword that many lose the first eight, then ``tools[0][...].minLength``.
        path: Where the schema stands.

    Raises:
        EncodeError: It is no JSON Schema.
    """
    return _Rewriting(schema, subset, Reports(path, drop)).whole((None, path))


class _Rewriting:
    """One rewriting of one schema."""

    def __init__(self, root: Json, subset: Subset, reports: Reports) -> None:
        self._root = root
        self._lose = reports.lose
        self._reports = reports
        self._references = References(root)
        self._nodes = 0
        self._use(subset)

    def _use(self, subset: Subset) -> None:
        """Go on in the words of `subset`: some keywords have one of their own below them."""
        self._subset = subset
        self._flattening = Flattening(subset, self._references, self._reports)
        self._spelling = Spelling(subset, self._reports)

    def whole(self, at: At) -> Json:
        """Return the root, with those definitions that are still referred to."""
        whole = self._schema(self._root, at, 0)
        definitions = {}
        for name, schema in self._references.wanted():
            definitions[name] = self._schema(schema, (at, f".$defs.{name}"), 1)
        return {**whole, "$defs": definitions} if definitions else whole

    def _schema(self, schema: Json, at: At, depth: int) -> dict[str, Json]:
        if isinstance(schema, bool):
            if not schema:  # nothing fits: no provider has a word for that
                self._lose(at)
            return dict(self._subset.anything)
        if not isinstance(schema, Mapping):
            raise EncodeError(
                f"{joined(at)}: a JSON Schema is a mapping, not {type(schema).__name__}",
                param=joined(at),
            )
        self._nodes += 1
        if depth > self._subset.max_depth or self._nodes > _MOST_NODES:
            self._lose(at)
            kinds = types_of(schema)
            return {"type": kinds[0]} if len(kinds) == 1 else {}
        opened: set[str] = set()
        node = self._flattening.flat(schema, at, opened, inline=not depth)
        node = self._flattening.without_null(node, at, opened, inline=not depth)
        with self._references.within(opened):
            return self._said(node, at, depth)

    def _said(self, node: dict[str, Json], at: At, depth: int) -> dict[str, Json]:
        """Return what the flat `node` is in the subset's words."""
        nullable = node.pop("nullable", False) is True
        if "$ref" in node:
            said = self._referring(node, at)
            return allowing_null(said, self._subset) if nullable else said
        nullable |= takes_null(node)
        kinds = types_of(node) or (implied(node) if self._subset.typed else [])
        kinds = [kind for kind in kinds if kind != "integer" or "number" not in kinds]
        if len(kinds) > 1 and not self._subset.type_lists:
            node = self._split(node, kinds, at)
        elif kinds:
            node["type"] = kinds[0] if len(kinds) == 1 else kinds
        if self._subset.any_of_alone and isinstance(node.get("anyOf"), list):
            node = alone(self._known_notes(node, at))
        said = self._keywords(node, at, depth)
        return allowing_null(said, self._subset) if nullable else said

    def _referring(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        name = self._references.name(node.pop("$ref"))
        notes = self._known_notes(node, at)
        if name is None:
            self._lose(at, "$ref")
            return notes
        reference = {"$ref": f"#/$defs/{name}"}
        # Beside a reference nothing may stand in most subsets; an anyOf of one says the same.
        return {"anyOf": [reference], **notes} if notes else reference

    def _known_notes(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        """Return `node` without notes that the subset has no word for."""
        unknown = (node.keys() & NOTES) - self._subset.keywords
        for word in unknown - _SILENT:
            self._lose(at, word)
        return {word: value for word, value in node.items() if word not in unknown}

    def _split(self, node: dict[str, Json], kinds: list[str], at: At) -> dict[str, Json]:
        """Return `node`, of several types, as an ``anyOf`` of one for each."""
        node.pop("type", None)
        if "anyOf" in node:
            self._lose(at, "type")
            return node
        whole = {word: value for word, value in node.items() if word in NOTES}
        branches = []
        for kind in kinds:
            words = {word: value for word, value in node.items() if is_about(word, kind)}
            if isinstance(node.get("enum"), list):
                words["enum"] = [value for value in node["enum"] if is_of(value, kind)]
                if not words["enum"]:
                    continue
            branches.append({"type": kind, **words})
        return {**whole, "anyOf": branches}

    def _keywords(self, node: dict[str, Json], at: At, depth: int) -> dict[str, Json]:
        subset, said = self._subset, dict[str, Json]()
        if subset.additional == "false" and is_object(node):
            node.setdefault("additionalProperties", False)
        if subset.required == "all":
            node = self._spelling.all_required(node, at)
        for word, value in self._spelling.spelled(node, at):
            if word not in subset.keywords:
                if word not in _SILENT:
                    self._lose(at, word)
            elif word in _MAPS and isinstance(value, Mapping):
                said[word] = {
                    name: self._within(word, schema, (at, f".{word}.{name}"), depth)
                    for name, schema in value.items()
                }
            elif word in _LISTS and isinstance(value, list):
                said[word] = [
                    self._within(word, schema, (at, f".{word}[{place}]"), depth)
                    for place, schema in enumerate(value)
                ]
            elif word in _ONE and not _is_end(word, value, said):
                said[word] = self._within(word, value, (at, f".{word}"), depth)
            elif subset.admits(word, value):
                said[word] = value
            else:
                self._lose(at, word)
        return limited(said, subset, lambda word: self._lose(at, word))

    def _within(self, word: str, schema: Json, at: At, depth: int) -> dict[str, Json]:
        """Return a schema that stands below the keyword `word`."""
        around = self._subset
        if word not in around.within:
            return self._schema(schema, at, depth + 1)
        self._use(around.within[word])
        try:
            return self._schema(schema, at, depth + 1)
        finally:
            self._use(around)


def _is_end(word: str, value: Json, said: Mapping[str, Json]) -> bool:
    """Whether `value` says that nothing follows, which is no schema of anything."""
    return isinstance(value, bool) and (word in _PLAIN_BOOLS or "prefixItems" in said)
