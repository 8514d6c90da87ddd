"""A request to the fields of a response's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unmarked_tools, unpointed
from penstock.dialects.efforts import taken_effort
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import Convert, Fate, Fates, said
from penstock.dialects.openai_chat.request import address
from penstock.dialects.openai_responses.conversation import conversation
from penstock.dialects.openai_responses.parameters import (
    ENCRYPTED,
    FATES,
    LOGPROBS,
    STATEFUL,
    thinks,
)
from penstock.dialects.openai_responses.tools import (
    answer_format,
    choice_of,
    function_choice,
    function_tool,
    tool,
    web_search,
)
from penstock.dialects.places import Losses
from penstock.dialects.schemas.strict import with_strict_schemas
from penstock.dialects.shapes import check_shapes
from penstock.errors import UnsupportedFeatureError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Quirks, Target
    from penstock.request import ChatRequest

__all__ = ["PATH", "encode"]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

PATH = "/responses"
"""Where responses are made, below a deployment's address."""
_OURS = ("input", "messages", "stream")
_SHARED = ("reasoning", "text")
"""Objects that parameters of ours and fields of the caller's have together."""


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has, in the order of `FATES`.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped; or it asks
            for what would make another answer.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    unpointed(request, losses)
    if request.tools or request.response_format is not None:
        request = with_strict_schemas(request, losses)
    extra = {**target.extra_body, **request.extra_body}
    fields: dict[str, Json] = {"model": target.model, "stream": request.stream}
    if _left_unsaid("store", request, target, extra) and not any(map(extra.get, STATEFUL)):
        fields["store"] = False
    words = _Words(request, losses)
    fields |= said(
        words.params(target.quirks),
        _fates(target.quirks),
        losses,
        dialect=dialect,
        convert=words.table(),
    )
    _ask_for_reasoning(fields, request, target, extra)
    add_extras(fields, request, target, ours=_OURS, merged=_SHARED)
    fields["input"] = conversation(request.messages, dialect, target, losses)
    return Outgoing(address(target, PATH), fields)


def _left_unsaid(
    name: str, request: ChatRequest, target: Target, extra: Mapping[str, Json]
) -> bool:
    """Whether a field is the dialect's to choose."""
    given = name in request.params or name in extra
    return not given and name not in target.quirks.drops


def _ask_for_reasoning(
    fields: dict[str, Json], request: ChatRequest, target: Target, extra: Mapping[str, Json]
) -> None:
    """Ask for encrypted reasoning unless the answer is stored, or there is none to be had."""
    stored = extra.get("store", request.params.get("store"))
    if (
        stored is not True
        and _left_unsaid("include", request, target, extra)
        and "no_encrypted_reasoning" not in target.quirks.flags
        and thinks(target.model)
    ):
        fields["include"] = [*fields.get("include", ()), ENCRYPTED]


def _fates(quirks: Quirks) -> Fates:
    """Return the table as the provider's row of the catalogue changes it."""
    if not (quirks.renames or quirks.drops):
        return FATES
    fates = dict(FATES)
    for name, wire in quirks.renames.items():
        if name in fates and fates[name].kind in ("sent", "renamed"):
            fates[name] = Fate("renamed", wire)
    for name in quirks.drops & fates.keys():
        fates[name] = Fate("dropped", note="this provider refuses it")
    return fates


class _Words:
    """What the parameters of one request become, where that is not themselves."""

    def __init__(self, request: ChatRequest, losses: Losses) -> None:
        self._request = request
        self._losses = losses
        self._tools: list[Json] = []

    def params(self, quirks: Quirks) -> dict[str, Json]:
        """Return everything that is asked for, by its name."""
        request = self._request
        params = dict(request.params)
        check_shapes({**params, "response_format": request.response_format})
        for name in ("tools", "response_format"):
            if name in params:
                raise UsageError(
                    f"{name} has an argument of its own and is no parameter", param=name
                )
        if params.get("max_completion_tokens") is not None and params.get("max_tokens") is not None:
            self._losses.drop("max_tokens", "max_completion_tokens is given, too")
            del params["max_tokens"]
        if not request.stream and params.get("stream_options") is not None:
            self._losses.drop("stream_options", "it is for streams only")
            del params["stream_options"]
        if params.get("reasoning_effort") is not None:
            effort = taken_effort(params.pop("reasoning_effort"), quirks, self._losses)
            params |= {} if effort is None else {"reasoning_effort": effort}
        if request.tools:
            params["tools"] = request.tools
        if request.response_format is not None:
            params["response_format"] = request.response_format
        return {
            name: value
            for name, value in params.items()
            if value is not None or name not in quirks.drops
        }

    def table(self) -> Convert:
        """Return the functions of `penstock.dialects.fates.said`."""
        return {
            "logprobs": lambda asked: {"include": [LOGPROBS]} if asked else {},
            "stream_options": self._stream_options,
            "n": self._one,
            "modalities": self._text_only,
            "response_format": lambda wanted: {"text.format": answer_format(wanted)},
            "tool_choice": lambda choice: {"tool_choice": choice_of(choice)},
            "function_call": lambda choice: {"tool_choice": function_choice(choice)},
            "web_search_options": lambda options: self._with(web_search(options)),
            "functions": lambda functions: self._with(*map(function_tool, functions)),
            "tools": lambda tools: self._with(*map(tool, unmarked_tools(tools, self._losses))),
        }

    def _with(self, *tools: Json) -> dict[str, Json]:
        self._tools += tools
        return {"tools": self._tools}

    def _stream_options(self, options: Json) -> dict[str, Json]:
        if not isinstance(options, Mapping):
            raise UsageError("stream_options must be a mapping", param="stream_options")
        rest = {name: value for name, value in options.items() if name != "include_usage"}
        return {"stream_options": rest} if rest else {}

    def _one(self, count: Json) -> dict[str, Json]:
        if count != 1:
            raise UnsupportedFeatureError(
                f"openai_responses gives one answer, not {count!r:.20}", param="n"
            )
        return {}

    def _text_only(self, modalities: Json) -> dict[str, Json]:
        if any(kind != "text" for kind in modalities):
            raise UnsupportedFeatureError(
                "openai_responses answers in text; for images give it the tool"
                " {'type': 'image_generation'}",
                param="modalities",
            )
        return {}
