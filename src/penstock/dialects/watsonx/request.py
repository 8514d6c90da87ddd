"""A request to the fields of watsonx's text chat."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import structs

from penstock.dialects.cache_points import unmarked_tools, unpointed
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import at_provider, said
from penstock.dialects.modern import asked_call, modern, stops, text_only
from penstock.dialects.openai_chat.manners import CACHE_MARKS
from penstock.dialects.openai_chat.messages import conversation
from penstock.dialects.openai_chat.request import address
from penstock.dialects.places import Losses
from penstock.dialects.watsonx.parameters import FATES
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["encode"]

# JSON of OpenAI's shape as the caller gives it, or of watsonx's.
Json: TypeAlias = Any

_VERSION = "2024-10-08"
"""The API's version where the deployment names none: the first with tools in the chat."""
_STREAMED, _WHOLE = "/ml/v1/text/chat_stream", "/ml/v1/text/chat"
_EFFORTS = {"low": "low", "medium": "medium", "high": "high"}
_NEAREST = {"minimal": "low", "xhigh": "high", "max": "high"}
_PLACES = frozenset({"project_id", "space_id"})
_PLACED = "/ml/v1/deployments/"
"""In the path of a deployment, which belongs to a space itself and names its model."""


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    unpointed(request, losses)
    fields = _placed(request, target)
    request = structs.replace(request, tools=tuple(unmarked_tools(request.tools, losses)))
    given, fates = at_provider(modern(request, losses), FATES, target.quirks, losses)
    fields |= said(given, fates, losses, dialect=dialect, convert=_conversions(losses))
    # Which path it is says whether the answer is streamed.
    add_extras(fields, request, target, ours=("messages", "stream"))
    quirks = target.quirks
    fields["messages"] = conversation(
        request.messages,
        dialect=dialect,
        origin=target.origin,
        dropped=dropped,
        strict=request.strict,
        quirks=replace(
            quirks,
            flags=quirks.flags | {"system_for_developer"},
            drops=quirks.drops | {CACHE_MARKS},
        ),
        tools="tools" in fields,
    )
    query = {"version": target.api_version or _VERSION, **target.query}
    path = _STREAMED if request.stream else _WHOLE
    return Outgoing(address(replace(target, query=query), path), fields)


def _placed(request: ChatRequest, target: Target) -> dict[str, Json]:
    """Return the model and the project that pays for it."""
    if _PLACED in target.path:
        return {}
    fields: dict[str, Json] = {"model_id": target.model}
    given = _PLACES & (request.extra_body.keys() | target.extra_body.keys())
    if target.project is not None and not given:
        fields["project_id"] = target.project
    return fields


def _conversions(losses: Losses) -> dict[str, Any]:  # Any: functions of each parameter's value
    def effort(value: Json) -> dict[str, Json]:
        if value in _EFFORTS:
            return {"reasoning_effort": value}
        losses.drop("reasoning_effort", "it is low, medium or high here")
        return {"reasoning_effort": _NEAREST[value]} if value in _NEAREST else {}

    def choice(value: Json) -> dict[str, Json]:
        option, name = asked_call(value, losses)
        if name:
            return {"tool_choice": {"type": "function", "function": {"name": name}}}
        if not option:
            losses.drop("tool_choice", "it is none of OpenAI's words")
        return {"tool_choice_option": option} if option else {}

    return {
        "stop": lambda value: {"stop": stops(value)},
        "reasoning_effort": effort,
        "tool_choice": choice,
        "modalities": lambda value: text_only(value, losses),
    }
