"""A request to the fields of Cohere's ``v2.chat``, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unpointed
from penstock.dialects.cohere.messages import Messages
from penstock.dialects.cohere.parameters import FATES
from penstock.dialects.cohere.tools import response_format, tools
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
from penstock.dialects.one_by_one import one_by_one
from penstock.dialects.openai_chat.request import address
from penstock.dialects.places import Losses
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["encode"]

# JSON as the caller gives it, in OpenAI's shape, or of Cohere's.
Json: TypeAlias = Any

_BUDGETS = {"minimal": 256, "low": 1024, "medium": 4096}
"""Tokens of thinking for what OpenAI has words for; Cohere has no words of its own."""
_CHOICES = {"required": "REQUIRED", "none": "NONE", "function": "REQUIRED"}


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
    fields = {"model": target.model, "stream": request.stream}
    convert = _converts(losses, given.get("tool_choice"))
    given, fates = at_provider(given, FATES, target.quirks, losses)
    fields |= said(given, fates, losses, dialect=dialect, convert=convert)
    add_extras(fields, request, target)
    messages = Messages(dialect, target.origin)
    fields["messages"] = one_by_one(request.messages, messages.translate, losses)
    path = "/chat" if target.base_url.endswith("/v2") else "/v2/chat"
    return Outgoing(address(target, path), fields)


def _converts(losses: Losses, choice: Json) -> dict[str, Callable[[Json], Mapping[str, Json]]]:
    return {
        "stop": lambda value: {"stop_sequences": stops(value)},
        "reasoning_effort": _thinking,
        "response_format": lambda value: response_format(value, losses),
        "tool_choice": lambda value: _choice(value, losses),
        "tools": lambda value: tools(value, losses, only=_named(choice)),
        "stream_options": lambda value: usage_only(value, losses),
        "modalities": lambda value: text_only(value, losses),
    }


def _thinking(effort: Json) -> dict[str, Json]:
    effort = effort_of(effort)
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    budget = {"token_budget": _BUDGETS[effort]} if effort in _BUDGETS else {}
    return {"thinking": {"type": "enabled", **budget}}


def _choice(value: Json, losses: Losses) -> dict[str, Json]:
    mode, _ = asked_call(value, losses)
    if not mode:
        losses.drop("tool_choice", "it is none of the choices that there are")
    return {"tool_choice": _CHOICES[mode]} if mode in _CHOICES else {}


def _named(choice: Json) -> str:
    """Return the function that has to be called, ``""`` where it may be any."""
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""
