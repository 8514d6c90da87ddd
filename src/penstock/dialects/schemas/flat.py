"""What a schema amounts to: references, ``allOf`` and null taken out of its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.dialects.schemas.merging import NOTES, all_merged, exclusive, merged
from penstock.dialects.schemas.references import References
from penstock.dialects.schemas.reports import At, Reports
from penstock.dialects.schemas.subset import Subset
from penstock.dialects.schemas.words import allows_null, is_null, normal

__all__ = ["Flattening"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_MOST_DEEP = 64
"""References to references, and ``allOf`` in ``allOf``."""


class Flattening:
    """Makes one schema of what is spread over references and branches.

    Args:
        subset: What the provider takes: ``allOf``, ``oneOf`` and references may stand there.
        references: Those of the whole schema.
        reports: Told what is lost.
    """

    def __init__(self, subset: Subset, references: References, reports: Reports) -> None:
        self._subset = subset
        self._references = references
        self._reports = reports
        self._deep = 0

    def flat(
        self, schema: Mapping[str, Json], at: At, opened: set[str], *, inline: bool
    ) -> dict[str, Json]:
        """Return `schema` without ``allOf``, and without ``$ref`` unless that may stand."""
        self._deep += 1
        try:
            if self._deep > _MOST_DEEP:
                self._reports.lose(at)
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
                    flats.append(self.flat(branch, there, opened, inline=True))
                elif branch is not True:
                    self._reports.lose(at, f"allOf[{place}]")
            node = all_merged(flats, lambda word: self._reports.lose((at, ".allOf"), word))
        return node

    def _with_target(self, node: dict[str, Json], at: At, opened: set[str]) -> dict[str, Json]:
        """Put what `node` refers to in the place of the reference."""
        ref = node.pop("$ref")
        target = self._references.target(ref)
        if not isinstance(target, Mapping):
            if target is not True:
                self._reports.lose(at, "$ref")
            return node
        if not self._references.open(ref, opened):
            self._reports.lose(at, "$ref")
            stub = {name: target[name] for name in ("type", "description") if name in target}
            return {**stub, **node}
        flat = self.flat(target, at, opened, inline=True)
        return merged(node, flat, lambda word: self._reports.lose(at, word))

    def without_null(
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
                flat = self.flat(others[0], at, opened, inline=inline or not plain)
                node = merged(node, flat, lambda word: self._reports.lose(at, word))
        return node

    def _any_of(self, node: dict[str, Json], at: At) -> dict[str, Json]:
        """Say ``oneOf`` as ``anyOf`` where there is no other word for it."""
        if "oneOf" not in node or "oneOf" in self._subset.keywords:
            return node
        branches = node["oneOf"]
        if "anyOf" in node or not isinstance(branches, list):
            self._reports.lose(at, "oneOf")
            del node["oneOf"]
            return node
        if not exclusive(map(self._references.followed, branches)):
            self._reports.lose(at, "oneOf")  # more than one may fit now
        return {("anyOf" if word == "oneOf" else word): value for word, value in node.items()}
