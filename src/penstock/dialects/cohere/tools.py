"""Tools, and the schema of an answer, in Cohere's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unmarked
from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.subset import Subset
from penstock.errors import EncodeError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["ADVICE", "SUBSET", "response_format", "tools"]

# JSON as the caller gives it, in OpenAI's shape, or of Cohere's.
Json: TypeAlias = Any

SUBSET = Subset(
    keywords=frozenset(
        {
            *("type", "properties", "required", "items", "enum", "const", "format"),
            *("title", "description", "default"),
        }
    ),
    formats=frozenset({"date-time", "uuid", "date", "time"}),
    additional="dropped",
    source='docs.cohere.com/docs/structured-outputs, "Unsupported schema features", and the'
    " examples of docs/parameter-types-in-json",
)
"""What structured outputs and strict tools take. Patterns are taken without ``^``,
``$`` and lookaheads only, which few are written without: they are left out with a report."""
ADVICE = (
    "The whole of JSON Schema, as advice: docs.cohere.com/docs/tool-use-parameter-types says what"
    " is kept to with `strict_tools` only."
)
"""Said of tools that are not strict."""
_EMPTY = {"type": "object", "properties": {}}


def response_format(value: Json, losses: Losses) -> dict[str, Json]:
    """Return the body's ``response_format``; what its schema loses is reported.

    Raises:
        EncodeError: The schema is none, or one that Cohere refuses.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind in ("text", "json_object"):  # beside it a schema of Cohere's own
        return {"response_format": value}
    wrapped = value.get("json_schema") if kind == "json_schema" else None
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if schema is None:
        if kind == "json_schema":  # any object will do
            return {"response_format": {"type": "json_object"}}
        losses.drop("response_format", "it is text, json_object or json_schema here")
        return {}
    path = "response_format.json_schema.schema"
    said = rewritten(schema, SUBSET, losses.drop, path)
    empty = _without_required(said, path) if said.get("type") == "object" else path
    if empty:
        raise EncodeError(
            f"{empty}: Cohere takes a schema of an object, and each object in it needs at least one"
            " property that is required",
            param=empty,
        )
    return {"response_format": {"type": "json_object", "json_schema": said}}


def _without_required(schema: Json, path: str) -> str:
    """Return the path of an object without a required property, ``""`` where there is none.

    Cohere refuses a schema that has one (docs.cohere.com/docs/structured-outputs, "Specifying a
    schema"; docs/tool-use-parameter-types, "Important notes").
    """
    if not isinstance(schema, Mapping):
        return ""
    if schema.get("type") == "object" and not schema.get("required"):
        return path
    properties = schema.get("properties")
    inner = dict(properties) if isinstance(properties, Mapping) else {}
    found = (_without_required(each, f"{path}.properties.{name}") for name, each in inner.items())
    return next(filter(None, found), "") or _without_required(schema.get("items"), f"{path}.items")


def tools(given: Json, losses: Losses, *, only: str = "") -> dict[str, Json]:
    """Return the body's ``tools`` and ``strict_tools``.

    Parameters that are enforced are a schema as that of an answer is, in the same subset.

    Args:
        given: Tools of the OpenAI shape.
        losses: Told of those that are no functions.
        only: The name of the function that has to be called, where there is one: the others are
            left out, as Cohere knows no other way to say so.
    """
    found: list[tuple[str, Mapping[str, Json], Mapping[str, Json]]] = []
    for index, tool in enumerate(given):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping):
            losses.drop(f"tools[{index}]", "only functions are known")
        elif not only or function.get("name") == only:
            found.append((f"tools[{index}].function.parameters", tool, function))
    # One switch for all of them: strictness is never less than what was asked for.
    strict = any(function.get("strict") for _, _, function in found)
    for path, _, function in found if strict else ():
        if _without_required({"type": "object", **(function.get("parameters") or {})}, path):
            strict = False
            losses.drop(
                f"{path.rpartition('.')[0]}.strict", "a parameter has to be required for that"
            )
    kept = []
    for path, tool, given in found:
        function = {name: value for name, value in given.items() if name != "strict"}
        schema = function.setdefault("parameters", _EMPTY)
        if strict and schema is not None:
            function["parameters"] = rewritten(schema, SUBSET, losses.drop, path)
        kept.append({**unmarked(tool, path.partition(".")[0], losses), "function": function})
    if not kept:
        return {}
    return {"tools": kept, "strict_tools": True} if strict else {"tools": kept}
