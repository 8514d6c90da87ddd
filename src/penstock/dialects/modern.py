"""Parameters that OpenAI has replaced by others, said by those that took their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.shapes import check_shapes
from penstock.errors import UnsupportedFeatureError, UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses
    from penstock.request import ChatRequest

__all__ = [
    "EFFORTS",
    "asked_call",
    "effort_of",
    "modern",
    "one_choice",
    "stops",
    "text_only",
    "usage_only",
]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""What ``reasoning_effort`` may be, from least to most (openai SDK, ``ReasoningEffort``; ``max`` is
Anthropic's and Mistral's)."""


def modern(request: ChatRequest, losses: Losses) -> dict[str, Json]:
    """Return the request's parameters, ``tools`` and ``response_format`` among them.

    ``functions`` become tools and ``function_call`` a ``tool_choice``, where those are not given,
    too; of ``max_tokens`` and ``max_completion_tokens`` the latter stays where both are there.

    Raises:
        EncodeError: A parameter is of the wrong type.
        UnsupportedFeatureError: The request is strict, and something is lost.
    """
    given = dict(request.params)
    check_shapes({**given, "response_format": request.response_format})
    functions, call = given.pop("functions", None), given.pop("function_call", None)
    tools = [
        *request.tools,
        *({"type": "function", "function": function} for function in functions or ()),
    ]
    if tools:
        given["tools"] = tools
    if request.response_format is not None:
        given["response_format"] = request.response_format
    if call is not None and given.get("tool_choice") is None:
        given["tool_choice"] = {"type": "function", "function": call} if _named(call) else call
    both = given.get("max_completion_tokens") is not None and "max_tokens" in given
    if both and given.pop("max_tokens") is not None:
        losses.drop("max_tokens", "max_completion_tokens is given, too")
    return given


def asked_call(value: Json, losses: Losses) -> tuple[str, str]:
    """Return what ``tool_choice`` asks for, and the tool's name where it asks for one.

    The first is ``auto``, ``none``, ``required``, ``function``, or ``""`` for what is none of
    OpenAI's words. A choice among some of the tools becomes one among all, with a report.

    Raises:
        UnsupportedFeatureError: The request is strict, and something is lost.
    """
    if value in ("auto", "none", "required"):
        return str(value), ""
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind in ("function", "custom") and _named(value.get(kind)):
        return "function", str(value[kind]["name"])
    if kind == "allowed_tools":
        losses.drop("tool_choice.allowed_tools", "the model may choose any tool or none")
        allowed = value.get("allowed_tools")
        mode = allowed.get("mode") if isinstance(allowed, Mapping) else None
        return ("required" if mode == "required" else "auto"), ""
    return "", ""


def effort_of(value: Json) -> str:
    """Return ``reasoning_effort``, for a vendor that has other words for it.

    Raises:
        UsageError: It is none of `EFFORTS`.
    """
    if value not in EFFORTS:
        raise UsageError(
            f"reasoning_effort is one of {', '.join(EFFORTS)}, not {value!r:.40}",
            param="reasoning_effort",
        )
    return str(value)


def one_choice(value: Json, dialect: str) -> dict[str, Json]:
    """Refuse an ``n`` above 1 for a vendor that gives one choice.

    Raises:
        UnsupportedFeatureError: It is another number than 1.
    """
    if value != 1:
        raise UnsupportedFeatureError(
            f"{dialect} cannot say n: it gives one choice, not {value!r:.20}", param="n"
        )
    return {}


def stops(value: Json) -> list[str]:
    """Return ``stop`` as a list.

    Raises:
        UsageError: It is neither text nor a list of texts.
    """
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise UsageError("stop must be text or a list of texts", param="stop")
    return list(found)


def text_only(value: Json, losses: Losses) -> dict[str, Json]:
    """Report ``modalities`` but text for a vendor that answers with text alone.

    Raises:
        UnsupportedFeatureError: The request is strict, and there are others.
    """
    if any(kind != "text" for kind in value or ()):
        losses.drop("modalities", "the answer is text")
    return {}


def usage_only(value: Json, losses: Losses) -> dict[str, Json]:
    """Report ``stream_options`` but ``include_usage`` for a vendor that always tells its usage.

    Raises:
        UnsupportedFeatureError: The request is strict, and there are others.
    """
    for name in value if isinstance(value, Mapping) else ():
        if name != "include_usage":
            losses.drop(f"stream_options.{name}")
    return {}


def _named(value: Json) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("name"), str)
