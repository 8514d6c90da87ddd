"""A request to the fields of a chat completion's body."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from penstock.dialects.cache_points import cached, unmarked_tools, unpointed
from penstock.dialects.efforts import taken_effort
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import put
from penstock.dialects.openai_chat.manners import CACHE_MARKS, Manners
from penstock.dialects.openai_chat.messages import conversation
from penstock.dialects.openai_chat.parameters import PARAMETERS
from penstock.dialects.places import Losses
from penstock.dialects.schemas.strict import with_strict_schemas
from penstock.dialects.shapes import check_shapes
from penstock.errors import UnsupportedFeatureError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Quirks, Target
    from penstock.request import ChatRequest

__all__ = ["address", "asked", "encode", "verbatim"]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

_PATH = "/chat/completions"
_GIVEN = {parameter.name: parameter.given for parameter in PARAMETERS}
_PLACE = {name: place for place, name in enumerate(_GIVEN)}


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has, in the order of `PARAMETERS`.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    if target.quirks.cache_marks:
        request = cached(request, in_parts=True)
    elif request.cache_points is not None:
        unpointed(request, losses)
    if request.tools or request.response_format is not None:
        request = with_strict_schemas(request, losses, target.quirks.flags)
    fields = _said(request, target, losses)
    if request.params or target.quirks.renames or target.quirks.drops:
        fields = _worded(fields, request, target.quirks, losses)
    if target.extra_body or request.extra_body:
        add_extras(fields, request, target)
    fields["messages"] = conversation(
        request.messages,
        dialect=dialect,
        origin=target.origin,
        dropped=dropped,
        strict=request.strict,
        quirks=target.quirks,
        tools=bool(request.tools),
    )
    return Outgoing(address(target, _PATH), fields)


def verbatim(target: Target) -> bool:
    """Whether a message of a role and a text alone goes to `target` as it is."""
    return not Manners(target.quirks, tools=False).particular


def address(target: Target, path: str) -> str:
    """Return where a chat goes: `path`, or the target's own, with the model in it and the query."""
    found = target.path or path
    if "{" in found:
        found = found.replace("{model}", quote(target.model, safe=""))
    query = f"?{urlencode(target.query)}" if target.query else ""
    return f"{target.base_url}{found}{query}"


def asked(request: ChatRequest) -> tuple[int, bool]:
    """Return how many choices the answer is to have, and whether its usage is its last event."""
    if not (request.params or request.extra_body):  # what most calls say
        return 1, request.stream and request.usage
    wanted = request.extra_body.get("n", request.params.get("n"))
    choices = wanted if isinstance(wanted, int) and wanted > 0 else 1
    usage = request.stream and bool((_stream_options(request) or {}).get("include_usage"))
    # OpenAI's moderation results come in an event of their own, of no stated place.
    return choices, usage and request.params.get("moderation") is None


def _said(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Json]:
    """Return what is said beside the conversation, under OpenAI's names; ours are in order."""
    said: dict[str, Json] = {"model": target.model, "stream": request.stream}
    if request.params:
        said |= _parameters(request, target, losses)
    options = _stream_options(request)
    if request.stream and options is not None:
        said["stream_options"] = options
    if request.response_format is not None:
        said["response_format"] = request.response_format
    if request.tools:
        unmarks = CACHE_MARKS in target.quirks.drops
        said["tools"] = unmarked_tools(request.tools, losses) if unmarks else list(request.tools)
    return said


def _parameters(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Json]:
    for name in request.params:
        if _GIVEN.get(name) != "parameter":
            raise UsageError(_complaint(name), param=name)
    given = dict(request.params)
    if given.get("functions") is not None:
        check_shapes({"functions": given["functions"]})
        given["functions"] = list(given["functions"])
    if given.get("reasoning_effort") is not None:
        tools = bool(request.tools)
        word = taken_effort(given.pop("reasoning_effort"), target.quirks, losses, tools=tools)
        given |= {} if word is None else {"reasoning_effort": word}
    return given


def _worded(
    said: dict[str, Json], request: ChatRequest, quirks: Quirks, losses: Losses
) -> dict[str, Json]:
    """Return what is `said` under the names that the provider takes, without what it refuses."""
    fields: dict[str, Json] = {}
    for name in sorted(said, key=_PLACE.__getitem__):
        value = said[name]
        wire = quirks.renames.get(name, name)
        if name in quirks.drops:
            _leave_out(name, value, request, losses)
        elif name == "stream_options" and not request.stream:
            if value is not None:
                losses.drop(name, "it is for streams only")
        elif wire == name:
            fields[name] = value
        elif wire in said and wire not in quirks.renames:
            # Both of its names were given, as max_tokens and max_completion_tokens: the wire's own.
            if value is not None:
                losses.drop(name, f"{wire} is given, too")
        elif "." in wire:
            put(fields, wire, value)
        else:
            fields[wire] = value
    return fields


def _leave_out(name: str, value: Json, request: ChatRequest, losses: Losses) -> None:
    """Report a parameter that the provider refuses, unless nothing is lost with it.

    Raises:
        UnsupportedFeatureError: The answer would be another, or the request is strict.
    """
    if value is None or (name == "stream_options" and request.params.get(name) is None):
        return
    if name == "n":
        if value != 1:
            raise UnsupportedFeatureError(
                f"this provider gives one choice, not {value!r:.20}", param=name
            )
        return
    losses.drop(name, "this provider refuses it")


def _stream_options(request: ChatRequest) -> dict[str, Json] | None:
    """What the caller says, and the usage unless that is switched off; None for nothing."""
    asked = {"include_usage": True} if request.usage else {}
    if not (request.params or request.extra_body):
        return asked or None
    source = request.extra_body if "stream_options" in request.extra_body else request.params
    given = source.get("stream_options")
    if given is not None and not isinstance(given, Mapping):
        raise UsageError("stream_options must be a mapping", param="stream_options")
    if source is request.extra_body:
        return dict(given or {})
    return {**asked, **given} if given else asked or None


def _complaint(name: str) -> str:
    given = _GIVEN.get(name)
    if given == "extra_body":
        return f"{name} goes in extra_body={{{name!r}: ...}}: {name}= never leaves the process"
    if given is not None:
        return f"{name} has an argument of its own and is no parameter"
    near = get_close_matches(name, [key for key in _GIVEN if _GIVEN[key] == "parameter"], 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown parameter {name!r}; {hint}a vendor's own parameters go in extra_body"
