"""Keywords in other words, where a subset has only those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from penstock.dialects.schemas.reports import At, Reports
from penstock.dialects.schemas.subset import Subset
from penstock.dialects.schemas.words import NULL, any_of

__all__ = ["Spelling"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_EXCLUSIVE = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}


class Spelling:
    """Says the keywords of one schema as `subset` spells them.

    Args:
        subset: What the provider takes.
        reports: Told what is lost.
    """

    def __init__(self, subset: Subset, reports: Reports) -> None:
        self._subset = subset
        self._reports = reports

    def spelled(self, node: dict[str, Json], at: At) -> Iterator[tuple[str, Json]]:
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
        self._reports.lose(at, word)
        if node.get("items", False) is False and "items" in self._subset.keywords:
            yield "items", any_of(value)

    def _known(self, value: Json, node: dict[str, Json], at: At) -> Iterator[tuple[str, Json]]:
        """Say ``required`` without names that no property has."""
        given = value if isinstance(value, list) else []
        properties = node.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        known = [name for name in given if isinstance(name, str) and name in properties]
        if len(known) < len(given):
            self._reports.lose(at, "required")
        if known:
            yield "required", known

    def _closed(self, value: Json, at: At) -> Iterator[tuple[str, Json]]:
        """Say ``additionalProperties`` where it is always false, or has no word."""
        if self._subset.additional == "false":
            yield "additionalProperties", False
            if value is not False:
                self._reports.lose(at, "additionalProperties")
        elif value is not True and value != {}:
            self._reports.lose(at, "additionalProperties")

    def _inclusive(
        self, word: str, value: Json, node: dict[str, Json], at: At
    ) -> Iterator[tuple[str, Json]]:
        """Say a bound that excludes its number as one that has it: exact for integers only."""
        plain, step = _EXCLUSIVE[word]
        if type(value) not in (int, float):
            self._reports.lose(at, word)
            return
        if node.get("type") == "integer" and value == int(value):
            value = int(value) + step
        else:
            self._reports.lose(at, word)
        if plain not in node or (node[plain] - value) * step < 0:
            yield plain, value

    def all_required(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        """Require every property; one that could be left out may be null instead."""
        properties, required = node.get("properties"), node.get("required")
        if not isinstance(properties, Mapping):
            return node
        given = required if isinstance(required, list) else []
        named = {name for name in given if isinstance(name, str)}
        if not named >= properties.keys():
            self._reports.lose(at, "required")
            properties = {
                name: schema if name in named else {"anyOf": [schema, NULL]}
                for name, schema in properties.items()
            }
        return {**node, "properties": properties, "required": list(properties)}
