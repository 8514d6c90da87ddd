"""A request to the fields of a chat completion's body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.openai_chat.messages import conversation
from penstock.dialects.openai_chat.parameters import PARAMETERS
from penstock.errors import ConfigurationError, UnsupportedFeatureError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["choices_asked", "encode", "usage_asked"]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

_PATH = "/chat/completions"
_GIVEN = {parameter.name: parameter.given for parameter in PARAMETERS}
_OURS = ("messages", "stream")


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has, in the order of `PARAMETERS`.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    said = _said(request, target)
    lost = []
    if not request.stream and said.pop("stream_options", None) is not None:
        lost.append("stream_options")
    drop(lost, dropped, strict=request.strict)
    fields = {name: said.pop(name) for name in _GIVEN if name in said}
    for extra, source in (
        (target.extra_body, ConfigurationError),
        (request.extra_body, UsageError),
    ):
        for name in _OURS:
            if name in extra:
                raise source(f"extra_body must not have {name!r}: it is penstock's", param=name)
        fields.update(extra)
    fields["messages"] = conversation(
        request.messages,
        dialect=dialect,
        origin=target.origin,
        dropped=dropped,
        strict=request.strict,
    )
    return Outgoing(target.base_url + _PATH, fields)


def drop(paths: Iterable[str], dropped: list[str], *, strict: bool) -> None:
    """Report what has no words here, each path once.

    Raises:
        UnsupportedFeatureError: The request is strict.
    """
    for path in paths:
        if strict:
            raise UnsupportedFeatureError(
                f"openai_chat cannot say {path}; leave it out, or let it be dropped with"
                " strict=False",
                param=path,
            )
        if path not in dropped:
            dropped.append(path)


def usage_asked(request: ChatRequest) -> bool:
    """Whether the answer is asked to end with its usage."""
    return request.stream and bool((_stream_options(request) or {}).get("include_usage"))


def choices_asked(request: ChatRequest) -> int:
    """How many choices the answer is to have."""
    wanted = request.extra_body.get("n", request.params.get("n"))
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def _said(request: ChatRequest, target: Target) -> dict[str, Json]:
    for name in request.params:
        if _GIVEN.get(name) != "parameter":
            raise UsageError(_complaint(name), param=name)
    said: dict[str, Json] = {"model": target.model, "stream": request.stream}
    said.update(request.params)
    options = _stream_options(request)
    if request.stream and options is not None:
        said["stream_options"] = options
    if said.get("functions") is not None:
        said["functions"] = list(said["functions"])
    if request.tools:
        said["tools"] = list(request.tools)
    if request.response_format is not None:
        said["response_format"] = request.response_format
    return said


def _stream_options(request: ChatRequest) -> dict[str, Json] | None:
    """What the caller says, and the usage unless that is switched off; None for nothing."""
    source = request.extra_body if "stream_options" in request.extra_body else request.params
    given = source.get("stream_options")
    if given is not None and not isinstance(given, Mapping):
        raise UsageError("stream_options must be a mapping", param="stream_options")
    if source is request.extra_body:
        return dict(given or {})
    asked = {"include_usage": True} if request.usage else {}
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
