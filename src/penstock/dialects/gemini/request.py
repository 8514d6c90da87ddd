"""A request to the fields of a ``GenerateContentRequest``, and where it goes."""

from __future__ import annotations

from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from penstock.dialects.cache_points import unpointed
from penstock.dialects.extras import add_extras
from penstock.dialects.fates import Convert, Fate, said
from penstock.dialects.gemini.messages import Contents
from penstock.dialects.gemini.parameters import CONFIG, FATES, IDLE
from penstock.dialects.gemini.thinking import signs_calls, thinking
from penstock.dialects.gemini.tools import Tools, answer_format, choice
from penstock.dialects.modern import modern, stops
from penstock.dialects.places import Losses
from penstock.dialects.turns import conversation
from penstock.errors import ConfigurationError, UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import ChatRequest

__all__ = ["encode"]

# JSON as the caller gives it, in OpenAI's shape, or of Gemini's.
Json: TypeAlias = Any

_OURS = ("contents", "systemInstruction", "system_instruction", "stream")
_MERGED = (CONFIG, "toolConfig")
_VERSION = pattern(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/|\Z)")
_REGION = pattern(r"([a-z0-9-]+)-aiplatform\.")
_BELOW = ("models/", "tunedModels/")
"""How a model's name may begin that says itself where the model is (SDK: ``t_model``)."""
_BELOW_VERTEX = ("models/", "projects/", "publishers/", "endpoints/")
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_SPOKEN = ("pcm16", "pcm")


def encode(request: ChatRequest, target: Target, dialect: str, dropped: list[str]) -> Outgoing:
    """Return where `request` goes and what its body has.

    Raises:
        UsageError: A parameter is unknown, or a field of ours is to be replaced.
        UnsupportedFeatureError: The request is strict, and something would be dropped.
    """
    losses = Losses(dialect, dropped, strict=request.strict)
    unpointed(request, losses)
    params = _asked(request, target, losses)
    renames = target.quirks.renames
    fates = {n: Fate("renamed", renames[n]) if n in renames else f for n, f in FATES.items()}
    words = _Words(target, losses)
    fields = said(params, fates, losses, dialect=dialect, convert=words.convert)
    add_extras(fields, request, target, ours=_OURS, merged=_MERGED)
    speaker = Contents(
        dialect, target.origin, signed=signs_calls(target.model), rich=signs_calls(target.model)
    )
    fields.update(conversation(request.messages, speaker, losses))
    return Outgoing(_address(target, stream=request.stream), fields)


def _asked(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Json]:
    """Return the parameters that ask for something, without those that are not taken here."""
    params = modern(request, losses)
    for name, idle in IDLE.items():
        if name in params and params[name] in idle:
            del params[name]
    for name in target.quirks.drops & params.keys():
        if params.pop(name) is not None:
            losses.drop(name, "this provider refuses it")
    return params


class _Words:
    """The parameters that are said otherwise, of one request."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self._target = target
        self._losses = losses
        self._tools = Tools(losses, plain="openapi_schemas" in target.quirks.flags)

    @property
    def convert(self) -> Convert:
        """What says each, by the parameter's name; made when it is asked for, as it knows us."""
        return {
            "stop": lambda value: {f"{CONFIG}.stopSequences": stops(value)},
            "modalities": _modalities,
            "audio": self._audio,
            "reasoning_effort": lambda value: thinking(value, self._target.model, self._losses),
            "response_format": self._format,
            "service_tier": self._tier,
            "store": self._store,
            "tool_choice": lambda value: choice(value, self._losses),
            "tools": self._tools.add,
            "web_search_options": self._tools.search,
        }

    def _audio(self, value: Json) -> dict[str, Json]:
        if not isinstance(value, dict):
            raise UsageError("audio must be a mapping", param="audio")
        if value.get("format") not in (None, *_SPOKEN):
            self._losses.drop("audio.format", "Gemini speaks in pcm16")
        voice = value.get("voice")
        name = voice.get("id") if isinstance(voice, dict) else voice
        if not isinstance(name, str):
            return {}
        prebuilt = {"prebuiltVoiceConfig": {"voiceName": name}}
        return {f"{CONFIG}.speechConfig": {"voiceConfig": prebuilt}}

    def _format(self, value: Json) -> dict[str, Json]:
        plain = "openapi_schemas" in self._target.quirks.flags
        found = answer_format(value, self._losses, plain=plain)
        return {f"{CONFIG}.{name}": field for name, field in found.items()}

    def _tier(self, value: Json) -> dict[str, Json]:
        if value not in _TIERS:
            self._losses.drop("service_tier", "there is no such tier")
            return {}
        return {"serviceTier": _TIERS[value]}

    def _store(self, value: Json) -> dict[str, Json]:
        if _is_vertex(self._target):
            self._losses.drop("store", "Vertex has no such field")
            return {}
        return {"store": value}


def _modalities(value: Json) -> dict[str, Json]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise UsageError("modalities must be a list of texts", param="modalities")
    return {f"{CONFIG}.responseModalities": [each.upper() for each in value]}


def _is_vertex(target: Target) -> bool:
    return target.project is not None or "vertex" in target.quirks.flags


def _address(target: Target, *, stream: bool) -> str:
    """Return where a request for an answer goes."""
    query = dict(target.query)
    if stream:
        query.setdefault("alt", "sse")
    verb = "streamGenerateContent" if stream else "generateContent"
    behind = f"?{urlencode(query)}" if query else ""
    if target.path:
        path = target.path.replace("{model}", quote(target.model, safe=""))
        return f"{target.base_url}{path.replace('{verb}', verb)}{behind}"
    base = _vertex_base(target) if _is_vertex(target) else _studio_base(target)
    return f"{base}:{verb}{behind}"


def _studio_base(target: Target) -> str:
    base = _versioned(target, "v1beta")
    model = target.model
    return f"{base}/{_path(model) if model.startswith(_BELOW) else f'models/{_segment(model)}'}"


def _vertex_base(target: Target) -> str:
    """Return the model's address on Vertex (SDK: ``t_model`` and ``_build_request``)."""
    base, model = _versioned(target, "v1"), target.model
    if model.startswith("projects/"):
        return f"{base.partition('/projects/')[0]}/{_path(model)}"
    if target.project and "/projects/" not in base:
        base += f"/projects/{_segment(target.project)}/locations/{_segment(_location(target))}"
    if model.startswith(_BELOW_VERTEX):
        return f"{base}/{_path(model)}"
    publisher, slash, name = model.partition("/")
    if not slash:
        publisher, name = "google", model
    return f"{base}/publishers/{_segment(publisher)}/models/{_segment(name)}"


def _location(target: Target) -> str:
    host = urlsplit(target.base_url).hostname or ""
    found = _REGION.match(host)
    return target.region or (found[1] if found else "global")


def _versioned(target: Target, version: str) -> str:
    base = target.base_url
    return base if _VERSION.search(base) else f"{base}/{target.api_version or version}"


def _path(model: str) -> str:
    return "/".join(map(_segment, model.split("/")))


def _segment(name: str) -> str:
    """Return `name` as one segment of a path.

    Raises:
        ConfigurationError: It would lead elsewhere.
    """
    if name in ("", ".", ".."):
        raise ConfigurationError(f"a model's name has no segment {name!r}", param="model")
    return quote(name, safe="@")
