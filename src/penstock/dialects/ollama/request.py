"""A request to the fields of Ollama's ``ChatRequest``, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unmarked, unpointed
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import at_provider, said
from penstock.dialects.modern import (
    asked_call,
    effort_of,
    modern,
    one_choice,
    stops,
    text_only,
    usage_only,
)
from penstock.dialects.ollama.messages import Messages
from penstock.dialects.ollama.parameters import FATES
from penstock.dialects.ollama.schemas import TOOL
from penstock.dialects.one_by_one import one_by_one
from penstock.dialects.openai_chat.request import address
from penstock.dialects.places import Losses
from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.llama_grammar import GRAMMAR
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["encode"]

# JSON as the caller gives it, in OpenAI's shape, or of Ollama's.
Json: TypeAlias = Any

_PATH = "/api/chat"
_OTHER_ROOTS = pattern(r"/(?:api|v1)/*\Z")
"""What people have in ``OLLAMA_HOST`` and base URLs: Ollama's own API and the one that is like
OpenAI's are below one root."""
_THINK = {"minimal": "low", "xhigh": "high", "max": "high"}
"""The SDK says ``bool | str``; the words are low, medium and high (docs.ollama.com/capabilities/
thinking), of this model alone: others are refused with them by servers of 2025 and 2026 ("think
value "medium" is not supported for this model", ollama/ollama#12561), and with true by none."""
_HAS_WORDS = "gpt-oss"


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has, in the order of `FATES`.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: Several choices are asked for, or something would be dropped from a
            strict request.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    unpointed(request, losses)
    given = modern(request, losses)
    if given.get("n") is not None:
        one_choice(given.pop("n"), dialect)
    if given.get("tool_choice") == "none":
        given.pop("tools", None)
    fields = {"model": target.model, "stream": request.stream}
    given, fates = at_provider(given, FATES, target.quirks, losses)
    fields |= said(given, fates, losses, dialect=dialect, convert=_converts(losses, target.model))
    add_extras(fields, request, target, merged=("options",))
    messages = Messages(dialect, target.origin)
    fields["messages"] = one_by_one(request.messages, messages.translate, losses)
    root = replace(target, base_url=_OTHER_ROOTS.sub("", target.base_url))
    accept = "application/x-ndjson" if request.stream else "application/json"
    return Outgoing(address(root, _PATH), fields, {"accept": accept})


def _converts(losses: Losses, model: str) -> dict[str, Callable[[Json], Mapping[str, Json]]]:
    return {
        "reasoning_effort": lambda value: _think(value, model),
        "response_format": lambda value: _format(value, losses),
        "stop": lambda value: {"options.stop": stops(value)},
        "stream_options": lambda value: usage_only(value, losses),
        "modalities": lambda value: text_only(value, losses),
        "tool_choice": lambda value: _choice(value, losses),
        "tools": lambda value: _tools(value, losses),
    }


def _think(effort: Json, model: str) -> dict[str, Json]:
    effort = effort_of(effort)
    if effort == "none":
        return {"think": False}
    return {"think": _THINK.get(effort, effort) if _HAS_WORDS in model.lower() else True}


def _format(value: Json, losses: Losses) -> dict[str, Json]:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"format": "json"}
    wrapped = value.get("json_schema") if kind == "json_schema" else None
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if isinstance(schema, Mapping):
        path = "response_format.json_schema.schema"
        return {"format": rewritten(schema, GRAMMAR, losses.drop, path)}
    losses.drop("response_format", "it is text, json_object or json_schema here")
    return {}


def _choice(value: Json, losses: Losses) -> dict[str, Json]:
    mode, _ = asked_call(value, losses)
    if mode not in ("auto", "none"):
        losses.drop("tool_choice", "a call cannot be forced")
    return {}


def _tools(tools: Json, losses: Losses) -> dict[str, Json]:
    """Leave out what is no function, and what Ollama has no field for in one."""
    kept = []
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping):
            losses.drop(f"tools[{index}]", "only functions are known")
            continue
        if "strict" in function:
            if function["strict"]:
                losses.drop(f"tools[{index}].function.strict", "arguments are not enforced")
            function = {name: value for name, value in function.items() if name != "strict"}
        if function.get("parameters") is not None:
            path = f"tools[{index}].function.parameters"
            schema = rewritten(function["parameters"], TOOL, losses.drop, path)
            function = {**function, "parameters": schema}
        kept.append({**unmarked(tool, f"tools[{index}]", losses), "function": function})
    return {"tools": kept} if kept else {}
