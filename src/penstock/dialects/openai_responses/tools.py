"""Tools, tool choice and answer formats in the Responses' shape: Chat's without inner objects.

Built-in tools (``web_search``, ``file_search``, ``code_interpreter``, ``image_generation``,
``mcp``, ``computer``, ``shell``, ``apply_patch``, ...) are sent as they are, as is whatever has
the Responses' own shape already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.errors import EncodeError

__all__ = ["answer_format", "choice_of", "function_choice", "function_tool", "tool", "web_search"]

# JSON of the OpenAI shape as the caller gives it, or of the Responses.
Json: TypeAlias = Any

_INNER = ("function", "custom")
_NOTHING = {"type": "object", "properties": {}}
"""A function without parameters; Chat lets it leave them out, ``FunctionToolParam`` does not."""


def tool(given: Json) -> Mapping[str, Json]:
    """Return one tool.

    Raises:
        EncodeError: It is none.
    """
    if not isinstance(given, Mapping):
        raise EncodeError("tools: a tool is a mapping", param="tools")
    kind = given.get("type")
    inner = given.get(kind) if kind in _INNER else None
    if isinstance(inner, Mapping):
        # What stands beside it, as `defer_loading`, is the tool's own here.
        beside = {name: each for name, each in given.items() if name not in ("type", kind)}
        inner = {**beside, **inner}
        return function_tool(inner) if kind == "function" else _custom(inner)
    return _function(given) if kind == "function" else given


def function_tool(function: Json) -> dict[str, Json]:
    """Return what stands in a function of Chat as a tool.

    Raises:
        EncodeError: It is none.
    """
    if not isinstance(function, Mapping):
        raise EncodeError("functions: a function is a mapping", param="functions")
    return _function({"type": "function", **function})


def _function(said: Mapping[str, Json]) -> dict[str, Json]:
    """Chat takes a missing ``strict`` for false, the Responses for true, which changes schemas."""
    flat = {"type": "function", "strict": False, **said}
    if flat.get("parameters") is None:
        flat["parameters"] = _NOTHING
    if flat["strict"] is None:
        flat["strict"] = False
    return flat


def _custom(custom: Mapping[str, Json]) -> dict[str, Json]:
    flat = {"type": "custom", **custom}
    form = flat.get("format")
    grammar = form.get("grammar") if isinstance(form, Mapping) else None
    if isinstance(grammar, Mapping):
        flat["format"] = {"type": "grammar", **grammar}
    return flat


def choice_of(given: Json) -> Json:
    """Return a tool choice: a word, or an object."""
    if not isinstance(given, Mapping):
        return given
    kind = given.get("type")
    inner = given.get(kind) if kind in (*_INNER, "allowed_tools") else None
    if not isinstance(inner, Mapping):
        return given
    flat = {"type": kind, **inner}
    if isinstance(flat.get("tools"), (list, tuple)):
        flat["tools"] = [choice_of(each) for each in flat["tools"]]
    return flat


def function_choice(given: Json) -> Json:
    """Return what the deprecated ``function_call`` says as a tool choice."""
    if isinstance(given, Mapping):
        return {"type": "function", "name": given.get("name")}
    return given


def web_search(options: Mapping[str, Json]) -> dict[str, Json]:
    """Return Chat's ``web_search_options`` as the tool."""
    search = {"type": "web_search", **options}
    place = search.get("user_location")
    inner = place.get("approximate") if isinstance(place, Mapping) else None
    if isinstance(inner, Mapping):
        search["user_location"] = {"type": "approximate", **inner}
    return search


def answer_format(given: Json) -> Json:
    """Return a ``response_format`` as ``text.format``."""
    inner = given.get("json_schema") if isinstance(given, Mapping) else None
    return {"type": "json_schema", **inner} if isinstance(inner, Mapping) else given
