"""References of a JSON Schema: what they refer to, which are open, which are still wanted.

JSON pointers (RFC 6901) into the schema itself are followed; a schema elsewhere is not fetched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import unquote

__all__ = ["References"]

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_MOST_INLINED = 4096
"""References replaced by their schema; ten definitions that each use the next twice are 1024."""
_MOST_STEPS = 16


class References:
    """The references of the schema `root`."""

    __slots__ = ("_inlined", "_names", "_open", "_root", "_wanted")

    def __init__(self, root: Json) -> None:
        self._root = root
        self._open: set[str] = set()
        self._names: dict[str, str] = {}
        self._wanted: deque[str] = deque()
        self._inlined = 0

    def target(self, ref: Json) -> Json:
        """Return the schema that `ref` names, None for none."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            return None
        found = self._root
        for step in unquote(ref[1:]).split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, (list, tuple)) and step.isdecimal() and len(step) < 9:
                found = found[int(step)] if int(step) < len(found) else None
            else:
                return None
        return found if isinstance(found, (Mapping, bool)) else None

    def followed(self, schema: Json) -> Mapping[str, Json]:
        """Return `schema`, or what it refers to; ``{}`` where that is no mapping."""
        for _ in range(_MOST_STEPS):
            if not isinstance(schema, Mapping):
                return {}
            if "$ref" not in schema:
                return schema
            schema = self.target(schema["$ref"])
        return {}

    def open(self, ref: str, opened: set[str]) -> bool:
        """Note in `opened` that `ref` is replaced by its schema; False where it is inside itself.

        It is False too once so many are that the schema would grow without bound.
        """
        self._inlined += 1
        if ref in self._open or ref in opened or self._inlined > _MOST_INLINED:
            return False
        opened.add(ref)
        return True

    @contextmanager
    def within(self, opened: set[str]) -> Iterator[None]:
        """Hold the references of `opened` open while what is in them is gone through."""
        self._open |= opened
        try:
            yield
        finally:
            self._open -= opened

    def name(self, ref: Json) -> str | None:
        """Return the name of the definition that `ref` becomes, and want it; None for none."""
        if not isinstance(self.target(ref), Mapping):
            return None
        if ref not in self._names:
            wished = unquote(ref).rpartition("/")[2].strip("#") or "root"
            taken, name, count = set(self._names.values()), wished, 1
            while name in taken:
                count += 1
                name = f"{wished}_{count}"
            self._names[ref] = name
            self._wanted.append(ref)
        return self._names[ref]

    def wanted(self) -> Iterator[tuple[str, Json]]:
        """Yield the definitions that were asked for by `name`, also those asked for meanwhile."""
        while self._wanted:
            ref = self._wanted.popleft()
            yield self._names[ref], self.target(ref)
