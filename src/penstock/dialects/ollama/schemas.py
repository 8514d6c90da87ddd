"""What Ollama takes of JSON Schemas: less in tools than in the format of an answer."""

from __future__ import annotations

from penstock.dialects.schemas.llama_grammar import GRAMMAR
from penstock.dialects.schemas.subset import ALL_KEYWORDS, Subset

__all__ = ["SCHEMAS", "TOOL"]

_SOURCE = "ollama, `api/types.go`: `ToolFunctionParameters` and `ToolProperty`"
_ITEMS = Subset(keywords=ALL_KEYWORDS, source=_SOURCE)
"""Items are of any kind there: they reach the model as they are, but what they refer to does not,
as a property cannot refer to anything."""
_PROPERTY = Subset(
    keywords=frozenset({"anyOf", "type", "items", "description", "enum", "properties", "required"}),
    additional="dropped",
    within={"items": _ITEMS},
    source=_SOURCE,
)
TOOL = Subset(
    keywords=frozenset({"type", "items", "required", "properties"}),
    type_lists=False,
    additional="dropped",
    within={"items": _ITEMS, "properties": _PROPERTY},
    source=_SOURCE,
)
"""The parameters of a function: what is no field of Ollama's types never reaches the model."""

SCHEMAS = {"response_format": GRAMMAR, "tools": TOOL, "strict tools": TOOL}
"""What is taken of a schema, by where it stands."""
