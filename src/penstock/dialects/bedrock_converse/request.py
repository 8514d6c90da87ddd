"""A request to the fields of Converse's body, and where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from penstock.dialects.anthropic_messages.effort import samples, unforced
from penstock.dialects.bedrock_converse.effort import MORE, effort, is_claude
from penstock.dialects.bedrock_converse.messages import Turns
from penstock.dialects.bedrock_converse.parameters import FATES, IDLE
from penstock.dialects.bedrock_converse.tools import choice, text_format, tools
from penstock.dialects.cache_points import cached
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import Convert, Fate, said
from penstock.dialects.modern import modern, one_choice, stops, text_only
from penstock.dialects.places import Losses
from penstock.dialects.turns import conversation
from penstock.errors import UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["accepted", "address", "encode"]

# JSON as the caller gives it, or in Bedrock's shape.
Json: TypeAlias = Any

_OURS = ("messages", "system", "stream", "modelId")
_SHARED = ("inferenceConfig", "toolConfig", "outputConfig", MORE)
_TIERS = ("default", "flex", "priority", "reserved")


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    request = cached(request)
    params = _asked(request, target, losses)
    renames = target.quirks.renames
    fates = {n: Fate("renamed", renames[n]) if n in renames else f for n, f in FATES.items()}
    words = _Words(target.model, params, losses)
    fields = said(params, fates, losses, dialect=dialect, convert=words.convert)
    add_extras(fields, request, target, ours=_OURS, merged=_SHARED)
    if "toolConfig" in fields and not fields["toolConfig"].get("tools"):
        del fields["toolConfig"]
        losses.drop("tool_choice", "there are no tools")
    turns = Turns(
        dialect,
        target.origin,
        tools="toolConfig" in fields,
        late_system="late_system" in target.quirks.flags,
    )
    fields.update(conversation(request.messages, turns, losses))
    operation = "converse-stream" if request.stream else "converse"
    return Outgoing(address(target, operation), fields, accepted(stream=request.stream))


def accepted(*, stream: bool) -> dict[str, str]:
    """Return the header that says how an answer may be framed (Smithy 2.0, ``restJson1``)."""
    return {"accept": "application/vnd.amazon.eventstream" if stream else "application/json"}


def address(target: Target, operation: str) -> str:
    """Return the address of an operation; the model, an id or an ARN, is one segment of it.

    Raises:
        UsageError: The model is none, and would lead the address elsewhere.
    """
    if target.model in ("", ".", ".."):
        raise UsageError(f"{target.model!r} is no model of Bedrock's", param="model")
    path = target.path or f"/model/{{model}}/{operation}"
    query = f"?{urlencode(target.query)}" if target.query else ""
    # botocore encodes the same characters (`percent_encode`), "/" and ":" of ARNs among them.
    return f"{target.base_url}{path.replace('{model}', quote(target.model, safe=''))}{query}"


def _asked(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Json]:
    """Return the parameters that ask for something, without those that are not taken here."""
    params = modern(request, losses)
    for name in ("max_tokens", "max_completion_tokens"):  # null is none of their values
        if params.get(name, 0) is None:
            del params[name]
    for name, idle in IDLE.items():
        if name in params and params[name] in idle:
            del params[name]
    for name in target.quirks.drops & params.keys():
        if params.pop(name) is not None:
            losses.drop(name, "this provider refuses it")
    return params


class _Words:
    """The parameters that are said otherwise, of one request."""

    def __init__(self, model: str, params: dict[str, Json], losses: Losses) -> None:
        self._model = model
        self._losses = losses
        self._limit = params.get("max_completion_tokens", params.get("max_tokens"))
        thinks = params.get("reasoning_effort") not in (None, "none")
        self._cool = thinks and is_claude(model)
        """Whether temperature and top_p have to be what they are without being said."""
        self._samples = samples(model)
        """Whether they may be said at all."""
        self._choice = params.get("tool_choice")

    @property
    def convert(self) -> Convert:
        """What says each, by the parameter's name; made when it is asked for, as it knows us."""
        return {
            "temperature": self._temperature,
            "top_p": self._top_p,
            "stop": lambda value: {"inferenceConfig.stopSequences": stops(value)},
            "service_tier": self._tier,
            "reasoning_effort": self._effort,
            "response_format": self._format,
            "tool_choice": self._choose,
            "parallel_tool_calls": self._parallel,
            "tools": self._add,
            "n": lambda value: one_choice(value, "bedrock_converse"),
            "modalities": lambda value: text_only(value, self._losses),
        }

    def _effort(self, value: Json) -> dict[str, Json]:
        return effort(value, self._model, self._limit, self._losses)

    def _temperature(self, value: Json) -> dict[str, Json]:
        if not self._samples:
            self._losses.drop("temperature", "this model has none")
            return {}
        if isinstance(value, (int, float)) and value > 1:
            self._losses.drop("temperature", "it goes to 1")
            value = 1
        if self._cool and value != 1:
            self._losses.drop("temperature", "thinking allows none")
            return {}
        return {"inferenceConfig.temperature": value}

    def _top_p(self, value: Json) -> dict[str, Json]:
        if not self._samples:
            self._losses.drop("top_p", "this model has none")
            return {}
        if self._cool and isinstance(value, (int, float)) and value < 0.95:
            self._losses.drop("top_p", "thinking allows none")
            return {}
        return {"inferenceConfig.topP": value}

    def _tier(self, value: Json) -> dict[str, Json]:
        if value == "auto":
            return {}
        if value not in _TIERS:
            self._losses.drop("service_tier", "there is no such tier")
            return {}
        return {"serviceTier.type": value}

    def _format(self, value: Json) -> dict[str, Json]:
        found = text_format(value, self._losses)
        return {} if found is None else {"outputConfig.textFormat": found}

    def _choose(self, value: Json) -> dict[str, Json]:
        found = choice(value, self._losses)
        if found is not None and "auto" not in found:
            why = unforced(self._model, thinks=self._cool)
            if why:
                self._losses.drop("tool_choice", why)
                found = {"auto": {}}
        return {} if found is None else {"toolConfig.toolChoice": found}

    def _parallel(self, value: Json) -> dict[str, Json]:
        if value:
            return {}
        if not is_claude(self._model) or self._choice not in (None, "auto"):
            self._losses.drop("parallel_tool_calls", "there is no such setting")
            return {}
        single = {"type": "auto", "disable_parallel_tool_use": True}
        return {f"{MORE}.tool_choice": single}

    def _add(self, value: Json) -> dict[str, Json]:
        found = tools(value, self._losses)
        return {"toolConfig.tools": found} if found else {}
