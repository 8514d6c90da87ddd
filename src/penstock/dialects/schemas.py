"""JSON Schemas in the part of JSON Schema that a provider takes; what that loses is reported.

A rewritten schema may say the same in other words (``const`` as an ``enum`` of one, ``allOf``
merged, a reference in place of what it refers to). What it cannot say is left out and reported, so
that a caller knows which rules the answer may break: ``minLength`` that nobody enforces, a cut
recursion. Narrowing is no loss where the narrower schema is what was meant: objects without
``additionalProperties`` are closed where a provider wants them closed.

Source: JSON Schema 2020-12 (core and validation), draft 7's ``definitions`` and lists of ``items``,
OpenAPI 3.0's ``nullable``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from penstock.dialects.schema_merge import NOTES, all_merged, exclusive, merged, type_of, types_of
from penstock.dialects.schema_refs import At, References, joined
from penstock.dialects.schema_subset import Subset, limited
from penstock.dialects.schema_words import (
    allows_null,
    alone,
    any_of,
    implied,
    is_about,
    is_null,
    is_object,
    is_of,
    normal,
    takes_null,
)
from penstock.errors import EncodeError

__all__ = ["rewritten"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_MOST_NODES = 50_000
"""Schemas in a schema; a mapping that holds itself has no end."""
_MOST_DEEP = 64
"""References to references, and ``allOf`` in ``allOf``."""
_MOST_REPORTS = 8
"""Places named for one keyword; a schema may lose it in thousands."""
_SILENT = NOTES - {"description", "default", "examples", "example"}
"""Notes that tell a model nothing: leaving them out loses nothing."""
_NULL = {"type": "null"}
_BESIDE_TYPE = frozenset({"allOf", "anyOf", "const", "not", "oneOf", "$ref"})
"""Words that null has to fit, too, whatever ``type`` takes."""
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_ONE = frozenset(
    {"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"}
)
_ONE |= {"unevaluatedItems", "unevaluatedProperties"}
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_PLAIN_BOOLS = frozenset({"additionalProperties", "unevaluatedProperties", "unevaluatedItems"})
_EXCLUSIVE = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}


def rewritten(schema: Json, subset: Subset, drop: Callable[[str], None], path: str) -> Json:
    """Return `schema` in the words of `subset`.

    Args:
        schema: A JSON Schema; it is not changed.
        subset: What the provider takes.
        drop: Told the path of each rule that is lost, such as ``tools[0].properties.x.minLength``;
            of a keyword that many lose the first `_MOST_REPORTS`, then ``tools[0][...].minLength``.
        path: Where the schema stands.

    Raises:
        EncodeError: It is no JSON Schema.
    """
    return _Rewriter(schema, subset, drop, path).whole()


class _Rewriter:
    """One rewriting of one schema."""

    def __init__(self, root: Json, subset: Subset, drop: Callable[[str], None], path: str) -> None:
        self._root = root
        self._subset = subset
        self._drop = drop
        self._path = path
        self._references = References(root)
        self._reports: dict[str, int] = {}
        self._nodes = 0
        self._deep = 0

    def whole(self) -> Json:
        """Return the root, with those definitions that are still referred to."""
        at: At = (None, self._path)
        whole = self._schema(self._root, at, 0)
        definitions = {}
        for name, schema in self._references.wanted():
            definitions[name] = self._schema(schema, (at, f".$defs.{name}"), 1)
        return {**whole, "$defs": definitions} if definitions else whole

    def _lose(self, at: At, keyword: str = "") -> None:
        count = self._reports[keyword] = self._reports.get(keyword, 0) + 1
        end = f".{keyword}" if keyword else ""
        if count <= _MOST_REPORTS:
            self._drop(joined(at) + end)
        elif count == _MOST_REPORTS + 1:
            self._drop(f"{self._path}[...]{end}")

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
        node = self._without_null(
            self._flat(schema, at, opened, inline=not depth), at, opened, inline=not depth
        )
        with self._references.within(opened):
            return self._said(node, at, depth)

    # -- What a schema amounts to: references, allOf and null taken out of its way.

    def _flat(
        self, schema: Mapping[str, Json], at: At, opened: set[str], *, inline: bool
    ) -> dict[str, Json]:
        """Return `schema` without ``allOf``, and without ``$ref`` unless that may stand."""
        self._deep += 1
        try:
            if self._deep > _MOST_DEEP:
                self._lose(at)
                return {}
            return self._flattened(normal(schema), at, opened, inline=inline)
        finally:
            self._deep -= 1

    def _flattened(
        self, node: dict[str, Json], at: At, opened: set[str], *, inline: bool
    ) -> dict[str, Json]:
        match node.get("allOf"):
            case [Mapping() as only] if node.keys() <= NOTES | {"allOf"}:
                # The same in other words, as pydantic says a reference with a description.
                del node["allOf"]
                node = {**normal(only), **node}
        if "$ref" in node:
            plain = node.keys() <= NOTES | {"$ref", "nullable"}
            if self._subset.references and plain and not inline:
                return node
            node = self._with_target(node, at, opened)
        if isinstance(node.get("allOf"), list) and "allOf" not in self._subset.keywords:
            flats = [node]
            for place, branch in enumerate(node.pop("allOf")):
                if isinstance(branch, Mapping):
                    there = (at, f".allOf[{place}]")
                    flats.append(self._flat(branch, there, opened, inline=True))
                elif branch is not True:
                    self._lose(at, f"allOf[{place}]")
            node = all_merged(flats, lambda word: self._lose((at, ".allOf"), word))
        return node

    def _with_target(self, node: dict[str, Json], at: At, opened: set[str]) -> dict[str, Json]:
        """Put what `node` refers to in the place of the reference."""
        ref = node.pop("$ref")
        target = self._references.target(ref)
        if not isinstance(target, Mapping):
            if target is not True:
                self._lose(at, "$ref")
            return node
        if not self._references.open(ref, opened):
            self._lose(at, "$ref")
            stub = {name: target[name] for name in ("type", "description") if name in target}
            return {**stub, **node}
        flat = self._flat(target, at, opened, inline=True)
        return merged(node, flat, lambda word: self._lose(at, word))

    def _without_null(
        self, node: dict[str, Json], at: At, opened: set[str], *, inline: bool
    ) -> dict[str, Json]:
        """Take null out of the branches of `node`, and put ``nullable`` there."""
        for _ in range(_MOST_DEEP):
            node = self._any_of(node, at)
            if not isinstance(node.get("anyOf"), list):
                break
            branches = node["anyOf"] = [branch for branch in node["anyOf"] if branch is not False]
            others = [branch for branch in branches if not is_null(branch)]
            if len(others) == len(branches) or not others:
                break
            if allows_null(node):
                node["nullable"] = True
            if len(others) > 1:
                node["anyOf"] = others
                break
            del node["anyOf"]
            if isinstance(others[0], Mapping):
                plain = node.keys() <= NOTES | {"nullable"}
                flat = self._flat(others[0], at, opened, inline=inline or not plain)
                node = merged(node, flat, lambda word: self._lose(at, word))
        return node

    def _any_of(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        """Say ``oneOf`` as ``anyOf`` where there is no other word for it."""
        if "oneOf" not in node or "oneOf" in self._subset.keywords:
            return node
        branches = node["oneOf"]
        if "anyOf" in node or not isinstance(branches, list):
            self._lose(at, "oneOf")
            del node["oneOf"]
            return node
        if not exclusive(map(self._references.followed, branches)):
            self._lose(at, "oneOf")  # more than one may fit now
        return {("anyOf" if word == "oneOf" else word): value for word, value in node.items()}

    # -- Saying it.

    def _said(self, node: dict[str, Json], at: At, depth: int) -> dict[str, Json]:
        """Return what the flat `node` is in the subset's words."""
        nullable = node.pop("nullable", False) is True
        if "$ref" in node:
            said = self._referring(node, at)
            return self._allowing_null(said) if nullable else said
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
        return self._allowing_null(said) if nullable else said

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
            node = self._all_required(node, at)
        for word, value in self._spelled(node, at):
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
            elif self._takes(word, value):
                said[word] = value
            else:
                self._lose(at, word)
        return limited(said, subset, lambda word: self._lose(at, word))

    def _within(self, word: str, schema: Json, at: At, depth: int) -> dict[str, Json]:
        """Return a schema that stands below the keyword `word`."""
        around = self._subset
        self._subset = around.within.get(word, around)
        try:
            return self._schema(schema, at, depth + 1)
        finally:
            self._subset = around

    def _takes(self, word: str, value: Json) -> bool:
        """Whether the subset takes `value` for the keyword `word`, which it knows."""
        if word == "format" and self._subset.formats is not None:
            return value in self._subset.formats
        if word == "enum" and isinstance(value, list):
            return all(type_of(each) in self._subset.enums for each in value)
        if word in self._subset.values:
            return value in self._subset.values[word]
        return word not in self._subset.takes or self._subset.takes[word](value)

    def _spelled(self, node: dict[str, Json], at: At) -> Iterator[tuple[str, Json]]:
        """Yield the keywords of `node`, in other words where the subset has only those."""
        words, subset = self._subset.keywords, self._subset
        for word, value in node.items():
            if word == "enum" and word not in words and "const" in words and len(value) == 1:
                yield "const", value[0]
            elif word == "additionalProperties" and subset.additional != "kept":
                yield from self._closed(value, at)
            elif word == "required" and subset.required == "known":
                yield from self._known(value, node, at)
            elif word in _EXCLUSIVE and word not in words and _EXCLUSIVE[word][0] in words:
                yield from self._inclusive(word, value, node, at)
            elif word in ("prefixItems", "items") and "prefixItems" not in words:
                yield from self._items(word, value, node, at)
            else:
                yield word, value

    def _items(
        self, word: str, value: Json, node: dict[str, Json], at: At
    ) -> Iterator[tuple[str, Json]]:
        """Say a tuple as a list of what may stand anywhere in it."""
        if word == "items":
            if "prefixItems" not in node or value is not False:
                yield word, {} if value is True else value
            return
        self._lose(at, word)
        if node.get("items", False) is False and "items" in self._subset.keywords:
            yield "items", any_of(value)

    def _known(self, value: Json, node: dict[str, Json], at: At) -> Iterator[tuple[str, Json]]:
        """Say ``required`` without names that no property has."""
        given = value if isinstance(value, list) else []
        properties = node.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        known = [name for name in given if isinstance(name, str) and name in properties]
        if len(known) < len(given):
            self._lose(at, "required")
        if known:
            yield "required", known

    def _closed(self, value: Json, at: At) -> Iterator[tuple[str, Json]]:
        """Say ``additionalProperties`` where it is always false, or has no word."""
        if self._subset.additional == "false":
            yield "additionalProperties", False
            if value is not False:
                self._lose(at, "additionalProperties")
        elif value is not True and value != {}:
            self._lose(at, "additionalProperties")

    def _inclusive(
        self, word: str, value: Json, node: dict[str, Json], at: At
    ) -> Iterator[tuple[str, Json]]:
        """Say a bound that excludes its number as one that has it: exact for integers only."""
        plain, step = _EXCLUSIVE[word]
        if type(value) not in (int, float):
            self._lose(at, word)
            return
        if node.get("type") == "integer" and value == int(value):
            value = int(value) + step
        else:
            self._lose(at, word)
        if plain not in node or (node[plain] - value) * step < 0:
            yield plain, value

    def _all_required(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        """Require every property; one that could be left out may be null instead."""
        properties, required = node.get("properties"), node.get("required")
        if not isinstance(properties, Mapping):
            return node
        given = required if isinstance(required, list) else []
        named = {name for name in given if isinstance(name, str)}
        if not named >= properties.keys():
            self._lose(at, "required")
            properties = {
                name: schema if name in named else {"anyOf": [schema, _NULL]}
                for name, schema in properties.items()
            }
        return {**node, "properties": properties, "required": list(properties)}

    def _allowing_null(self, said: dict[str, Json]) -> dict[str, Json]:
        """Return what fits `said`, or null."""
        subset = self._subset
        branches = said.get("anyOf")
        if not said.keys() - NOTES:
            return said  # null fits already
        if subset.null == "nullable":
            if subset.any_of_alone and branches:
                return {**said, "anyOf": [{**branches[0], "nullable": True}, *branches[1:]]}
            return {**said, "nullable": True}
        if branches and not said.keys() - NOTES - {"anyOf"}:
            return {**said, "anyOf": [*branches, _NULL]}
        listed = "enum" not in said or "null" in subset.enums
        alone = said.keys().isdisjoint(_BESIDE_TYPE)
        if subset.null == "type" and "type" in said and listed and alone:
            kinds = {"type": [*types_of(said), "null"]}
            values = {"enum": [*said["enum"], None]} if "enum" in said else {}
            return {**said, **kinds, **values}
        notes = {word: value for word, value in said.items() if word in NOTES}
        rest = {word: value for word, value in said.items() if word not in NOTES}
        return {"anyOf": [rest, _NULL], **notes}


def _is_end(word: str, value: Json, said: Mapping[str, Json]) -> bool:
    """Whether `value` says that nothing follows, which is no schema of anything."""
    return isinstance(value, bool) and (word in _PLAIN_BOOLS or "prefixItems" in said)
