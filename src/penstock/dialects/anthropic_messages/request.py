"""A request to the fields of a message's body, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

from penstock.dialects.anthropic_messages.effort import may_think, samples, thinking, unforced
from penstock.dialects.anthropic_messages.messages import Turns
from penstock.dialects.anthropic_messages.parameters import DEFAULT_MAX_TOKENS, FATES, IDLE
from penstock.dialects.anthropic_messages.tools import choice, output_format, tool, web_search
from penstock.dialects.cache_points import cached
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import Convert, Fate, said
from penstock.dialects.modern import modern, one_choice, stops, text_only
from penstock.dialects.places import Losses
from penstock.dialects.turns import conversation
from penstock.errors import ConfigurationError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["VERSION", "Said", "body", "encode"]

# JSON as the caller gives it, or in Anthropic's shape.
Json: TypeAlias = Any

VERSION = "2023-06-01"
"""The ``anthropic-version`` that is sent unless the target names another. Every server that copies
the API knows it, and temperature and top_p are said with it; 2026-10-21 refuses them (docs,
versioning) and differs in nothing else that is sent here."""
_VERTEX_VERSION = "vertex-2023-10-16"
"""The same for Vertex, in the body (anthropic 1.17, ``lib/vertex``)."""
_NO_SAMPLING = "2026-10-21"
"""The first version without temperature and top_p."""

_VERSIONED = pattern(r"/v\d+(?:[a-z]+\d*)?$")
_DATE = pattern(r"\d{4}-\d\d-\d\d")
_OURS = ("messages", "system", "stream")
_SHARED = ("output_config", "metadata")
"""Objects that several parameters share: what the caller adds to one leaves the rest of it."""
_HEADERS = {
    "user_profile_id": "anthropic-user-profile-id",
    "workspace_id": "anthropic-workspace-id",
}
"""Parameters of the SDK's ``messages.create`` that are headers; so is its ``betas``."""
_BETA = "anthropic-beta"


class Said(NamedTuple):
    """A request in Anthropic's words, whoever serves it."""

    fields: dict[str, Json]
    """The body's fields but for ``model``, ``stream`` and a version; the conversation is last."""
    betas: tuple[str, ...]
    """Names of features that are asked for: a header, or Bedrock's ``anthropic_beta``."""
    headers: dict[str, str]
    """Other parameters that are headers."""


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    found = body(request, target, losses, dialect=dialect)
    headers = dict(found.headers)
    if found.betas:
        _check_beta_header(request, target, losses)
        headers[_BETA] = ",".join(found.betas)
    if _is_vertex(target):
        version = target.api_version or _VERTEX_VERSION
        fields = {"anthropic_version": version, "stream": request.stream, **found.fields}
        fields.pop("model", None)
        return Outgoing(_vertex_address(target, stream=request.stream), fields, headers)
    headers["anthropic-version"] = target.api_version or VERSION
    fields = {"model": target.model, "stream": request.stream, **found.fields}
    return Outgoing(_address(target), fields, headers)


def body(request: ChatRequest, target: Target, losses: Losses, *, dialect: str) -> Said:
    """Return what `request` is in Anthropic's words.

    Args:
        request: What is asked.
        target: Whom; its extra body comes under the request's.
        losses: Told of what has no words here.
        dialect: The name under which state of earlier answers is given back.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    request = cached(request)
    params = _asked(request, target, losses)
    words = _Words(target, _limit(request, target, params), losses)
    if "reasoning_effort" in params:
        words.thinkable = may_think(request.messages, dialect, target.origin)
    renames = target.quirks.renames
    fates = {n: Fate("renamed", renames[n]) if n in renames else f for n, f in FATES.items()}
    fields: dict[str, Json] = {"max_tokens": DEFAULT_MAX_TOKENS}
    fields |= said(params, fates, losses, dialect=dialect, convert=words.convert)
    add_extras(fields, request, target, ours=_OURS, merged=_SHARED)
    betas = fields.pop("betas", None) or ()
    if isinstance(betas, str) or not all(isinstance(each, str) for each in betas):
        raise UsageError("extra_body: betas is a list of names", param="betas")
    given = {name: fields.pop(key, None) for key, name in _HEADERS.items()}
    headers = {name: str(value) for name, value in given.items() if value is not None}
    late = "late_system" in target.quirks.flags
    turns = Turns(dialect, target.origin, late_system=late)
    fields.update(conversation(request.messages, turns, losses))
    return Said(fields, tuple(betas), headers)


def _asked(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Json]:
    """Return the parameters that ask for something, without those that are not taken here."""
    params = modern(request, losses)
    for name in ("max_tokens", "max_completion_tokens", "top_p"):  # null is none of their values
        if params.get(name, 0) is None:
            del params[name]
    for name, idle in IDLE.items():
        if name in params and params[name] in idle:
            del params[name]
    for name in target.quirks.drops & params.keys():
        if params.pop(name) is not None:
            losses.drop(name, "this provider refuses it")
    _drop_sampling(params, target, losses)
    return params


def _limit(request: ChatRequest, target: Target, params: Mapping[str, Json]) -> Json:
    """Return the answer's limit, wherever it is given."""
    for given in (request.extra_body, target.extra_body, params):
        for name in ("max_completion_tokens", "max_tokens"):
            if given.get(name) is not None:
                return given[name]
    return DEFAULT_MAX_TOKENS


def _drop_sampling(params: dict[str, Json], target: Target, losses: Losses) -> None:
    """Leave out temperature and top_p where the API would refuse the whole request for them."""
    dated = _DATE.search(target.api_version or "")
    why = ""
    if dated is not None and dated[0] >= _NO_SAMPLING:
        why = f"API version {_NO_SAMPLING} has none"
    elif not samples(target.model):
        why = "this model has none"
    thinks = params.get("reasoning_effort") not in (None, "none")
    for name, least in (("temperature", 1), ("top_p", 0.95)):
        value = params.get(name)
        if value is None:
            continue
        low = isinstance(value, (int, float)) and value < least
        if why or (thinks and low):
            del params[name]
            losses.drop(name, why or "thinking allows none")


class _Words:
    """The parameters that are said otherwise, of one request."""

    def __init__(self, target: Target, max_tokens: Json, losses: Losses) -> None:
        self.thinkable = True
        """Whether the conversation lets a model think that has a budget for it."""
        self._model = target.model
        self._max_tokens = max_tokens
        self._losses = losses
        self._thinks = False
        self._tools: list[Json] = []
        self._choice: dict[str, Json] = {}

    @property
    def convert(self) -> Convert:
        """What says each, by the parameter's name; made when it is asked for, as it knows us."""
        return {
            "temperature": self._temperature,
            "n": lambda value: one_choice(value, "anthropic_messages"),
            "modalities": lambda value: text_only(value, self._losses),
            "stop": lambda value: {"stop_sequences": stops(value)},
            "service_tier": self._tier,
            "reasoning_effort": self._effort,
            "response_format": self._format,
            "tool_choice": self._choose,
            "parallel_tool_calls": self._parallel,
            "tools": self._add,
            "web_search_options": self._search,
        }

    def _temperature(self, value: Json) -> dict[str, Json]:
        if isinstance(value, (int, float)) and value > 1:
            self._losses.drop("temperature", "it goes to 1")
            value = 1
        return {"temperature": value}

    def _tier(self, value: Json) -> dict[str, Json]:
        word = {"priority": "auto", "default": "standard_only"}.get(value, value)
        if word not in ("auto", "standard_only"):
            self._losses.drop("service_tier", "there is no such tier")
            return {}
        return {"service_tier": word}

    def _effort(self, value: Json) -> dict[str, Json]:
        found = thinking(value, self._model, self._max_tokens, self._losses)
        if not self.thinkable and "budget_tokens" in found.get("thinking", {}):
            self._losses.drop("reasoning_effort", "the calls that wait for results had no thinking")
            return {}
        self._thinks = found.get("thinking", {}).get("type") in ("enabled", "adaptive")
        return found

    def _format(self, value: Json) -> dict[str, Json]:
        found = output_format(value, self._losses)
        return {} if found is None else {"output_config.format": found}

    def _choose(self, value: Json) -> dict[str, Json]:
        found = choice(value, self._losses)
        if found["type"] in ("any", "tool"):
            why = unforced(self._model, thinks=self._thinks)
            if why:
                self._losses.drop("tool_choice", why)
                found = {"type": "auto"}
        self._choice.update(found)
        return {"tool_choice": self._choice}

    def _parallel(self, value: Json) -> dict[str, Json]:
        if self._choice.setdefault("type", "auto") != "none":
            self._choice["disable_parallel_tool_use"] = not value
        return {"tool_choice": self._choice}

    def _add(self, value: Json) -> dict[str, Json]:
        for number, each in enumerate(value):
            found = tool(each, f"tools[{number}]", self._losses)
            if found is not None:
                self._tools.append(found)
        return {"tools": self._tools} if self._tools else {}

    def _search(self, value: Json) -> dict[str, Json]:
        self._tools.append(web_search(value, self._losses))
        return {"tools": self._tools}


def _check_beta_header(request: ChatRequest, target: Target, losses: Losses) -> None:
    """Report betas that a header of the caller's own replaces, as it does in the SDK."""
    for headers in (target.headers, request.extra_headers):
        if any(name.lower() == _BETA for name in headers):
            losses.drop("extra_body.betas", f"the header {_BETA} is given, too")


def _address(target: Target) -> str:
    """Return where messages go; a base that has its version already gets no second one."""
    path = target.path or ("/messages" if _VERSIONED.search(target.base_url) else "/v1/messages")
    path = path.replace("{model}", quote(target.model, safe=""))
    return f"{target.base_url}{path}{_query(target.query)}"


def _is_vertex(target: Target) -> bool:
    """Whether the target is a place in a cloud project: only Vertex's are."""
    named = bool(target.project and target.region) or "/projects/" in target.base_url
    return named or "vertex" in target.quirks.flags


def _vertex_address(target: Target, *, stream: bool) -> str:
    """Return the model's address on Vertex (anthropic 2.14, ``lib/vertex``).

    Raises:
        ConfigurationError: The project or the region is not known.
    """
    base = target.base_url
    if "/projects/" not in base:
        for name in ("project", "region"):
            if not getattr(target, name):
                raise ConfigurationError(
                    f"Anthropic on Vertex needs the {name}: pass {name}= in the Deployment",
                    param=name,
                )
        if not _VERSIONED.search(base):
            base += "/v1"
        project, region = quote(target.project or "", safe=""), quote(target.region or "", safe="")
        base += f"/projects/{project}/locations/{region}"
    verb = "streamRawPredict" if stream else "rawPredict"
    model = quote(target.model, safe="@")
    return f"{base}/publishers/anthropic/models/{model}:{verb}{_query(target.query)}"


def _query(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}" if query else ""
