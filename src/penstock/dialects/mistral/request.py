"""A request to the fields of Mistral's ``ChatCompletionRequest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unmarked, unpointed
from penstock.dialects.efforts import taken_effort
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import at_provider, said
from penstock.dialects.mistral.messages import Messages
from penstock.dialects.mistral.parameters import FATES
from penstock.dialects.mistral.schemas import STRICT
from penstock.dialects.modern import asked_call, modern, text_only, usage_only
from penstock.dialects.one_by_one import one_by_one
from penstock.dialects.openai_chat.request import address
from penstock.dialects.places import Losses
from penstock.dialects.schemas import rewritten
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["encode"]

# JSON as the caller gives it, in OpenAI's shape, or of Mistral's.
Json: TypeAlias = Any

_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
"""``RequestedServiceTier``."""
_EMPTY = {"type": "object", "properties": {}}
_NAMES = frozenset({"$schema", "$id"})
"""Of a schema itself, which say nothing of a value: the API was seen to refuse them ("failed to
compile JSON schema", BerriAI/litellm pull request 13389)."""


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has, in the order of `FATES`.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    unpointed(request, losses)
    given = modern(request, losses)
    fields = {"model": target.model, "stream": request.stream}
    given, fates = at_provider(given, FATES, target.quirks, losses)
    if given.get("reasoning_effort") is not None:
        effort = taken_effort(given.pop("reasoning_effort"), target.quirks, losses)
        given |= {} if effort is None else {"reasoning_effort": effort}
    fields |= said(given, fates, losses, dialect=dialect, convert=_converts(losses))
    add_extras(fields, request, target)
    messages = Messages(dialect, target.origin)
    fields["messages"] = one_by_one(request.messages, messages.translate, losses)
    return Outgoing(address(target, "/chat/completions"), fields)


def _converts(losses: Losses) -> dict[str, Callable[[Json], Mapping[str, Json]]]:
    return {
        "response_format": lambda value: _format(value, losses),
        "prediction": lambda value: _prediction(value, losses),
        "service_tier": lambda value: _tier(value, losses),
        "tool_choice": lambda value: _choice(value, losses),
        "tools": lambda value: _tools(value, losses),
        "stream_options": lambda value: usage_only(value, losses),
        "modalities": lambda value: text_only(value, losses),
    }


def _format(value: Json, losses: Losses) -> dict[str, Json]:
    wrapped = value.get("json_schema") if isinstance(value, Mapping) else None
    if not isinstance(wrapped, Mapping) or "schema" not in wrapped:
        return {"response_format": value}
    said = rewritten(wrapped["schema"], STRICT, losses.drop, "response_format.json_schema.schema")
    return {"response_format": {**value, "json_schema": {**wrapped, "schema": said}}}


def _parameters(function: Mapping[str, Json], path: str, losses: Losses) -> Json:
    """Return the schema of a function: the whole of it, or what can be kept to."""
    schema = function["parameters"]
    if function.get("strict"):
        return rewritten(schema, STRICT, losses.drop, path)
    if isinstance(schema, Mapping) and not schema.keys().isdisjoint(_NAMES):
        return {word: value for word, value in schema.items() if word not in _NAMES}
    return schema


def _prediction(value: Json, losses: Losses) -> dict[str, Json]:
    content = value.get("content") if isinstance(value, Mapping) else None
    if isinstance(content, (list, tuple)):
        texts = [part["text"] for part in content if isinstance(part, Mapping) and "text" in part]
        content = "".join(map(str, texts)) if len(texts) == len(content) else None
    if not isinstance(content, str):
        losses.drop("prediction", "its content is text")
        return {}
    return {"prediction": {"type": "content", "content": content}}


def _tier(value: Json, losses: Losses) -> dict[str, Json]:
    if value not in _TIERS:
        losses.drop("service_tier", f"there is {', '.join(sorted(set(_TIERS.values())))}")
        return {}
    return {"service_tier": _TIERS[value]}


def _choice(value: Json, losses: Losses) -> dict[str, Json]:
    if value == "any":
        return {"tool_choice": "any"}
    mode, name = asked_call(value, losses)
    if not mode:
        losses.drop("tool_choice", "it is none of the choices that there are")
        return {}
    if mode == "function":
        return {"tool_choice": {"type": "function", "function": {"name": name}}}
    return {"tool_choice": "any" if mode == "required" else mode}


def _tools(tools: Json, losses: Losses) -> dict[str, Json]:
    kept: list[Json] = []
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping):
            # OpenAI may leave them out, the SDK's type may not.
            function = {"parameters": _EMPTY, **function}
            path = f"tools[{index}].function.parameters"
            function["parameters"] = _parameters(function, path, losses)
            kept.append({**unmarked(tool, f"tools[{index}]", losses), "function": function})
        elif isinstance(tool, Mapping) and tool.get("type") not in (None, "custom", "function"):
            kept.append(tool)  # document_library, image_generation, connector
        else:
            losses.drop(f"tools[{index}]", "custom tools are not known")
    return {"tools": kept} if kept else {}
